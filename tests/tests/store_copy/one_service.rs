//! What a user relies on who began with one process and its own database.

use std::process::{Command, Output};
use std::time::Duration;

use opencpm_servers::Postgres;
use opencpm_tests::{Scheme, Service, Site, eventually};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(60);
const DEADLINE: Duration = Duration::from_secs(300);

#[test]
fn machines_and_tasks_go_on_after_the_copy_without_enrolling_again() {
    let postgres = Postgres::start();
    postgres.create_database("opencpm", None);
    let service = Service::start_with_deadline("127.0.0.1", DEADLINE);
    let mut site = Site::around(service, &[Scheme::Sha512, Scheme::Yescrypt]);
    let finished = site.accepted("Before#copy1");
    let before = site.client.wait(finished, LIMIT);
    assert_eq!(before["status"], 1, "{before}\n{}", site.said());
    let (open, request) = a_task_that_stays_open(&mut site);
    the_copy_is_refused_while_the_service_runs(&site, &postgres);
    stop(&mut site);
    the_copy_is_made_once(&site, &postgres);
    the_former_database_is_not_served_again(&mut site);

    site.service.configure(&configuration(&site, &postgres));
    site.service.process.tend();
    site.service.answers();
    site.machines[1].agent.signal(Signal::CONT);
    site.connected();
    let ended = site.client.wait(open, DEADLINE);
    assert_eq!(ended["status"], 1, "{ended}\n{}", site.said());
    assert!(site.machines[1].has("Open#while2"), "{}", site.said());
    assert_eq!(site.client.task(finished), before);
    let log = site.log(&site.machines[0]).unwrap();
    assert_eq!(log.iter().map(|(task, _)| *task).collect::<Vec<_>>(), [finished]);
    assert_eq!(site.client.post(&request).unwrap()["code"], 4500);
    let after = site.accepted("After#copy3");
    assert!(after > open);
    assert_eq!(site.client.wait(after, LIMIT)["status"], 1, "{}", site.said());
    assert!(site.machines.iter().all(|machine| machine.has("After#copy3")));
    let devices = postgres.sql("opencpm", "SELECT count(*), max(identity_generation) FROM device");
    assert_eq!(devices, "2|1");
}

/// Its machine stands still. Returns the task and the request that asked for it.
fn a_task_that_stays_open(site: &mut Site) -> (u64, String) {
    site.machines[1].agent.signal(Signal::STOP);
    let instance = site.machines[1].instance.clone();
    let asked = [("instanceIds.0", instance.as_str()), ("passwd", "Open#while2")];
    let request = site.client.signed_form("POST", "ResetDevicePasswd", &asked, "271828");
    let answer = site.client.post(&request).unwrap();
    (answer["data"]["taskId"].as_u64().expect("a task"), request)
}

fn the_copy_is_refused_while_the_service_runs(site: &Site, postgres: &Postgres) {
    let refused = copy(site, postgres, &["--yes"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("in use by another process"), "{}", said(&refused));
}

fn stop(site: &mut Site) {
    site.service.process.signal(Signal::TERM);
    eventually("the service ends", LIMIT, || (!site.service.process.is_running()).then_some(()));
}

fn the_copy_is_made_once(site: &Site, postgres: &Postgres) {
    let shown = copy(site, postgres, &[]);
    assert_eq!(shown.status.code(), Some(1));
    assert!(said(&shown).contains("nothing was changed"), "{}", said(&shown));
    assert_eq!(
        postgres.sql("opencpm", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
        "0"
    );
    let copied = copy(site, postgres, &["--yes"]);
    assert!(copied.status.success(), "{}", said(&copied));
    let table = String::from_utf8_lossy(&copied.stdout).into_owned();
    let rows = |name: &str| {
        let mut lines = table.lines().rev().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.find(|fields| fields.first() == Some(&name)).expect(name)[1].to_owned()
    };
    assert_eq!([rows("device"), rows("task"), rows("job")], ["2", "2", "3"], "{table}");
    let again = copy(site, postgres, &["--yes"]);
    assert!(said(&again).contains("holds this deployment already"), "{}", said(&again));
}

/// As when somebody forgets `store.url`.
fn the_former_database_is_not_served_again(site: &mut Site) {
    site.service.process.tend();
    eventually("it ends", LIMIT, || (!site.service.process.is_running()).then_some(()));
    let log = site.service.log();
    assert!(log.contains("it was copied to 127.0.0.1"), "{log}");
    assert!(log.contains("opencpm store reopen"), "{log}");
}

fn copy(site: &Site, postgres: &Postgres, flags: &[&str]) -> Output {
    let mut copy: Command = site.service.command(&[&["store", "copy"], flags].concat());
    copy.env("OPENCPM_STORE__URL", postgres.url("opencpm"));
    copy.env("OPENCPM_STORE__PASSWORD_FILE", password_file(site, postgres));
    copy.stdin(std::process::Stdio::null()).output().unwrap()
}

fn configuration(site: &Site, postgres: &Postgres) -> String {
    let (url, password) = (postgres.url("opencpm"), password_file(site, postgres));
    format!("[store]\nurl = {url:?}\npassword_file = {password:?}\n")
}

fn password_file(site: &Site, postgres: &Postgres) -> std::path::PathBuf {
    let file = site.service.folder().join("store-password");
    std::fs::write(&file, postgres.password()).unwrap();
    file
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said)).concat()
}
