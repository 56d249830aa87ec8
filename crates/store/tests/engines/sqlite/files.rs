//! What SQLite does with its files, and how many statements it needs.

use std::error::Error;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use opencpm_domain::{GatewayId, InstanceId, TaskId};
use opencpm_operations::port::{Enrolled, Store, StoreError};
use opencpm_operations::row::Acceptance;
use opencpm_store::{OpenError, SqliteStore};
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use crate::contract::world::{GATEWAY, enrolment, first_start, span};
use crate::contract::{HandClock, fleet, id, new_task, next, prepare, statements, succeeded};
use crate::sqlite::world::open;

fn ids(number: usize) -> Vec<InstanceId> {
    (0..number).map(|n| id(&format!("cpm-{n}"))).collect()
}

async fn try_open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(path, HandClock::new()).await
}

fn source<E: Error + 'static>(error: &StoreError) -> Option<&E> {
    error.source().and_then(|source| source.downcast_ref())
}

/// Runs one statement behind the store's back.
async fn tamper(path: &Path, sql: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("data");
    let path = directory.join("opencpm.db");
    let store = open(&path, &HandClock::new()).await;
    let dyn_store: Arc<dyn Store> = store.clone();
    prepare(&dyn_store, opencpm_domain::Timestamp::from_secs(1)).await;
    assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
    let files: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap()).collect();
    assert!(files.len() >= 3);
    for file in files {
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", file.path());
    }
    store.close().await.unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    try_open(&path).await.unwrap().close().await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_file_in_use_is_refused_and_free_after_closing() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("opencpm.db");
    let first = try_open(&path).await.unwrap();
    let refused = try_open(&path).await.err().unwrap();
    let in_use = source::<OpenError>(&refused).unwrap();
    assert!(matches!(in_use, OpenError::InUse(used) if *used == path), "{refused:?}");
    first.close().await.unwrap();
    try_open(&path).await.unwrap();
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let home = TempDir::new().unwrap();
    let store = try_open(&home.path().join("opencpm.db")).await.unwrap();
    store.close().await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(store.accounts().await, Err(StoreError::Unavailable(_))));
    let written = store.end_lease(GATEWAY).await;
    assert!(matches!(written, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn garbage_is_no_database_and_stays_as_it_is() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("opencpm.db");
    let garbage = b"not a database, but long enough to be looked at ".repeat(100);
    fs::write(&path, &garbage).unwrap();
    let refused = try_open(&path).await.err().unwrap();
    assert!(matches!(refused, StoreError::Corrupt(_)), "{refused:?}");
    assert_eq!(fs::read(&path).unwrap(), garbage);
}

#[tokio::test]
async fn the_database_of_another_program_is_refused() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("opencpm.db");
    tamper(&path, "CREATE TABLE recipe (name TEXT)").await;
    let refused = try_open(&path).await.err().unwrap();
    assert!(matches!(refused, StoreError::Corrupt(why) if why.contains("another program")));
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("opencpm.db");
    try_open(&path).await.unwrap().close().await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations VALUES (9999, 'later', '2030-01-01', 1, x'00', 0)";
    tamper(&path, newer).await;
    let refused = try_open(&path).await.err().unwrap();
    assert!(matches!(refused, StoreError::Newer { found: 9999, .. }), "{refused:?}");
}

#[tokio::test]
async fn impossible_data_is_named() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("opencpm.db");
    let clock = HandClock::new();
    let store = open(&path, &clock).await;
    let dyn_store: Arc<dyn Store> = store.clone();
    prepare(&dyn_store, opencpm_domain::Timestamp::from_secs(1)).await;
    store.close().await.unwrap();
    tamper(&path, "UPDATE api_key SET mac = x'00'").await;
    let store = open(&path, &clock).await;
    assert!(matches!(store.api_keys(None).await, Err(StoreError::Corrupt("mac"))));
}

#[tokio::test]
async fn every_change_is_in_the_audit_table_and_no_refused_one() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("opencpm.db");
    let clock = HandClock::new();
    let now = opencpm_operations::port::Clock::now(&*clock);
    let store = open(&path, &clock).await;
    let port: Arc<dyn Store> = store.clone();
    prepare(&port, now).await;
    fleet(&port, &ids(2), now).await;
    let refused = store.enrol(enrolment(&id("cpm-0"), 9, now)).await.unwrap();
    assert_eq!(refused, Enrolled::Changed);
    assert!(!store.create_deployment(first_start(now)).await.unwrap());
    store.close().await.unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection = options.connect().await.unwrap();
    let actions = sqlx::query_scalar("SELECT action FROM audit ORDER BY number");
    let actions: Vec<String> = actions.fetch_all(&mut connection).await.unwrap();
    assert_eq!(actions, ["FirstStart", "CreateEnrolmentToken", "Enrol", "Enrol"]);
}

#[tokio::test]
async fn erased_passwords_are_gone_from_the_files() {
    let home = TempDir::new().unwrap();
    let clock = HandClock::new();
    let now = opencpm_operations::port::Clock::now(&*clock);
    let store: Arc<dyn Store> = open(&home.path().join("opencpm.db"), &clock).await;
    prepare(&store, now).await;
    let ids = ids(3_000);
    fleet(&store, &ids, now).await;
    let mut task = new_task(&store, 100, &ids, now).await;
    for (job, number) in task.jobs.iter_mut().zip(0u32..) {
        job.sealed.ciphertext = marked(number);
    }
    assert_eq!(store.accept(task.into()).await.unwrap(), Acceptance::Accepted);
    assert!(found_in(home.path()).len() >= 3_000);

    // Ended in an order that moves rows between pages, with reports of different sizes.
    let mut jobs = store.task(TaskId::new(100).unwrap()).await.unwrap().unwrap().1;
    jobs.sort_by_key(|job| job.number.wrapping_mul(2_654_435_761) % (1 << 32));
    for (part, ended) in jobs.chunks(500).zip(1..) {
        let changes = part.iter().map(|job| {
            let mut change = next(job, succeeded(now));
            change.report = Some(vec![1; usize::try_from(job.number % 700).unwrap()]);
            change
        });
        store.change_jobs(changes.collect(), None).await.unwrap();
        assert!(store.scrub().await.unwrap());
        // One copy of each open job's, and nothing else.
        assert_eq!(found_in(home.path()).len(), 3_000 - 500 * ended);
    }
}

const MARKER: &[u8] = b"marker of a sealed password ";

fn marked(number: u32) -> Vec<u8> {
    let mut bytes = [MARKER, &number.to_be_bytes()].concat();
    bytes.resize(80, 0xaa);
    bytes
}

/// The numbers after every occurrence of the marker in any file.
fn found_in(directory: &Path) -> Vec<u32> {
    let files: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mut found = Vec::new();
    for bytes in files.iter().map(|file| fs::read(file).unwrap()) {
        for (at, window) in bytes.windows(MARKER.len()).enumerate() {
            if window == MARKER {
                let number = bytes[at + MARKER.len()..].first_chunk().unwrap();
                found.push(u32::from_be_bytes(*number));
            }
        }
    }
    found
}

#[tokio::test]
async fn requests_that_arrive_together_share_a_commit() {
    let home = TempDir::new().unwrap();
    let store = open(&home.path().join("opencpm.db"), &HandClock::new()).await;
    let renewals = (0..100).map(|n| store.renew_lease(GatewayId::from_bytes([n; 16]), span(10)));
    let before = store.statements();
    let renewed = futures_util::future::join_all(renewals).await;
    assert!(renewed.into_iter().all(|renewed| renewed.unwrap()));
    // One statement in its own savepoint each, and begin and commit of the whole.
    assert_eq!(store.statements() - before, 100 * 3 + 2);
}

#[tokio::test]
async fn a_store_whose_writer_has_stopped_says_so() {
    let home = TempDir::new().unwrap();
    let store = open(&home.path().join("opencpm.db"), &HandClock::new()).await;
    store.check().await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    store.stopped().await;
}

#[tokio::test]
async fn the_number_of_statements_does_not_depend_on_the_number_of_devices() {
    let few = statements_for(2).await;
    let many = statements_for(2_000).await;
    assert_eq!(few, many);
}

async fn statements_for(number: usize) -> Vec<(&'static str, u64)> {
    let home = TempDir::new().unwrap();
    let clock = HandClock::new();
    let store = open(&home.path().join("opencpm.db"), &clock).await;
    let port: Arc<dyn Store> = store.clone();
    statements::counted(&port, || store.statements(), &clock, number).await
}

/// Set in the process that has a small file system of its own.
const SMALL_DISK: &str = "OPENCPM_TEST_SMALL_DISK";

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    if let Some(disk) = std::env::var_os(SMALL_DISK) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(fill_and_recover(Path::new(&disk)));
    }
    // The same test again, in a mount namespace with a small file system.
    let disk = TempDir::new().unwrap();
    let script = "mount -t tmpfs -o size=2m,mode=700 none \"$1\" && \
        exec \"$2\" --exact sqlite::files::a_full_disk_refuses_and_loses_nothing --nocapture";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(disk.path())
        .arg(std::env::current_exe().unwrap())
        .env(SMALL_DISK, disk.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

async fn fill_and_recover(disk: &Path) {
    let clock = HandClock::new();
    let now = opencpm_operations::port::Clock::now(&*clock);
    let path = disk.join("opencpm.db");
    let store: Arc<dyn Store> = open(&path, &clock).await;
    prepare(&store, now).await;
    let ids = ids(200);
    fleet(&store, &ids, now).await;
    store.scrub().await.unwrap();
    let ballast = disk.join("ballast");
    fill(&ballast);
    let mut accepted = Vec::new();
    let mut refused = None;
    for (instance, number) in ids.iter().zip(100u64..) {
        let task = new_task(&store, number, std::slice::from_ref(instance), now).await;
        match store.accept(task.into()).await {
            Ok(answer) => accepted.push((number, answer)),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let refused = refused.expect("the disk is smaller than that");
    assert!(matches!(&refused, StoreError::Unavailable(_)) && refused.source().is_some());
    fs::remove_file(&ballast).unwrap();
    for (number, answer) in &accepted {
        assert_eq!(*answer, Acceptance::Accepted);
        assert!(store.task(TaskId::new(*number).unwrap()).await.unwrap().is_some());
    }
    let next = 100 + accepted.len() as u64;
    assert!(store.task(TaskId::new(next).unwrap()).await.unwrap().is_none());
    let again = new_task(&store, next, &ids[accepted.len()..], now).await;
    assert_eq!(store.accept(again.into()).await.unwrap(), Acceptance::Accepted);
}

/// Takes all that is left.
fn fill(file: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(file).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
}

/// Contract 7.3: a minute long the devices of the process before are not away, it is.
#[tokio::test]
async fn what_a_former_process_held_has_ended_when_the_next_one_opens_the_file() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("opencpm.db");
    let clock = HandClock::new();
    let store = open(&path, &clock).await;
    let (ended, other) = (GATEWAY, GatewayId::from_bytes([8; 16]));
    assert!(store.renew_lease(ended, span(60)).await.unwrap());
    clock.advance(30);
    store.close().await.unwrap();

    let store = open(&path, &clock).await;
    assert!(!store.reset_candidates(&[]).await.unwrap().any_gateway_alive);
    assert!(!store.renew_lease(ended, span(60)).await.unwrap());
    assert!(store.renew_lease(other, span(60)).await.unwrap());
    store.close().await.unwrap();
}
