//! What an operator relies on when the service runs, and when the command line asks it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde_json::Value;

use crate::support::{Ended, Service, run, serve};

fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("data");
    (outer, dir)
}

fn refuses_to_start(dir: &Path, words: &[&str]) {
    Ended::of(serve(dir).output().unwrap()).complains(1, words);
}

fn secret_of(profile: &Path) -> String {
    let text = fs::read_to_string(profile).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("secret_key = ")).unwrap();
    line.trim_matches('"').to_owned()
}

#[test]
fn the_first_start_makes_everything_and_tells_no_secret() {
    let (_outer, dir) = folder();
    let service = Service::start(&dir);
    for secret in ["root.key", "master.key", "admin.toml", "opencpm.db"] {
        assert_eq!(dir.join(secret).metadata().unwrap().mode() & 0o777, 0o600, "{secret}");
    }
    assert_eq!(dir.metadata().unwrap().mode() & 0o777, 0o700);
    for word in ["root.key", "OFFLINE", "master.key", "Back it up", "admin.toml", "enrol-token"] {
        assert!(service.said.contains(word), "{word} is not in {}", service.said);
    }
    let (code, rest) = (service.dir.clone(), service.stop());
    let said = format!("{code:?} {rest:?}");
    assert_eq!(rest.0, Some(0), "{said}");
    assert!(!said.contains(&secret_of(&dir.join("admin.toml"))));
}

#[test]
fn what_was_made_is_there_after_a_restart_without_the_root_key() {
    let (outer, dir) = folder();
    let service = Service::start(&dir);
    service.ask(&["account", "create", "7", "--name", "seven"]).succeeds();
    assert_eq!(service.stop().0, Some(0));
    fs::rename(dir.join("root.key"), outer.path().join("offline")).unwrap();
    fs::write(dir.join("admin.toml.old"), "").unwrap();
    let service = Service::start(&dir);
    let endpoint = service.endpoint();
    let listed = service.ask(&["--endpoint", &endpoint, "account", "list"]);
    assert!(listed.succeeds().out.contains("seven"), "{listed:?}");
}

#[test]
fn a_service_that_cannot_start_says_why() {
    let (_outer, dir) = folder();
    let service = Service::start(&dir);
    refuses_to_start(&dir, &["opencpm.db", "in use"]);
    service.stop();

    let master = dir.join("master.key");
    fs::set_permissions(&master, Permissions::from_mode(0o644)).unwrap();
    refuses_to_start(&dir, &["master.key", "chmod 600"]);
    fs::set_permissions(&master, Permissions::from_mode(0o600)).unwrap();

    let key = fs::read_to_string(&master).unwrap();
    let other = key.replace(&key[key.len() - 5..], "0000\n");
    fs::write(&master, other).unwrap();
    refuses_to_start(&dir, &["master.key", "another deployment"]);
    fs::write(&master, "nonsense").unwrap();
    refuses_to_start(&dir, &["master.key", "does not hold"]);
    fs::remove_file(&master).unwrap();
    refuses_to_start(&dir, &["master.key", "cannot be read"]);
    fs::write(&master, key).unwrap();
    fs::set_permissions(&master, Permissions::from_mode(0o600)).unwrap();

    let root = dir.join("root.key");
    let text = fs::read_to_string(&root).unwrap();
    fs::write(&root, text.replace(&text[text.len() - 5..], "0000\n")).unwrap();
    refuses_to_start(&dir, &["root.key", "root.pub"]);
}

#[test]
fn a_port_in_use_is_named() {
    let (_outer, dir) = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut serve = serve(&dir);
    serve.args(["--http", &address]);
    Ended::of(serve.output().unwrap()).complains(1, &[&address, "plain HTTP", "in use"]);
}

#[test]
fn a_key_is_made_used_and_disabled() {
    let (outer, dir) = folder();
    let service = Service::start(&dir);
    let out = outer.path().join("ops.toml");
    let path = out.to_str().unwrap();
    let create = ["key", "create", "--app-id", "1251000000", "--out", path];
    service.ask(&create).succeeds();
    assert_eq!(out.metadata().unwrap().mode() & 0o777, 0o600);
    service.ask(&create).complains(1, &[path, "exists"]);

    let relative_ca = fs::read_to_string(&out).unwrap();
    assert!(relative_ca.contains("ca.pem"));
    service.ask_with(path, &["device", "list"], "").succeeds();
    service.ask_with(path, &["key", "list"], "").complains(10, &["4101"]);

    let id = relative_ca.lines().find_map(|line| line.strip_prefix("secret_id = ")).unwrap();
    let id = id.trim_matches('"');
    let listed = service.ask(&["key", "list"]);
    assert!(listed.succeeds().out.contains(id));
    assert!(!listed.out.contains(&secret_of(&out)));
    service.ask(&["key", "disable", id]).succeeds();
    service.ask_with(path, &["device", "list"], "").complains(10, &["4104"]);
}

#[test]
fn a_key_of_some_devices_is_told_about_no_others() {
    let (outer, dir) = folder();
    let service = Service::start(&dir);
    let device = || {
        let added = service.ask(&["device", "add", "--app-id", "1251000000"]);
        added.succeeds().out.trim().to_owned()
    };
    let (own, other) = (device(), device());
    let out = outer.path().join("few.toml");
    let path = out.to_str().unwrap();
    let create = ["key", "create", "--app-id", "1251000000", "--out", path];
    let limits = ["--device", &own, "--tag", "team=db", "--tag", "spare"];
    service.ask(&[&create[..], &limits, &["--admin"]].concat()).complains(2, &["--admin"]);
    let actions = ["--action", "DescribeDeviceList", "--actions=ResetDevicePasswd"];
    service.ask(&[&create[..], &limits, &actions].concat()).succeeds();

    let ask = |arguments: &[&str], input: &str| service.ask_with(path, arguments, input);
    let listed = ask(&["device", "list"], "");
    assert!(listed.succeeds().out.contains(&own) && !listed.out.contains(&other), "{listed:?}");
    ask(&["reset-password", &other], "abce1234\n").complains(10, &["4103", &other]);
    ask(&["reset-password", &own], "abce1234\n").complains(13, &["12006", &own]);
    ask(&["log", &own], "").complains(10, &["4101"]);

    let keys = service.ask(&["key", "list"]);
    let limited = format!("{own}, team=db, spare");
    for word in [&limited, "DescribeDevice, ResetDevicePasswd", "all"] {
        assert!(keys.succeeds().out.contains(word), "{word}: {keys:?}");
    }
}

#[test]
fn a_temporary_key_works_with_its_token_and_ends_with_its_maker() {
    let (outer, dir) = folder();
    let service = Service::start(&dir);
    let files = ["ops.toml", "hour.toml", "bare.toml"].map(|name| outer.path().join(name));
    let [ops, hour, bare] = files.each_ref().map(|file| file.to_str().unwrap());
    service.ask(&["key", "create", "--app-id", "1251000000", "--out", ops]).succeeds();
    let new = |ttl| ["key", "temporary", "--out", hour, "--ttl", ttl];
    for wrong in ["13h", "59s"] {
        service.ask_with(ops, &new(wrong), "").complains(11, &["validSeconds"]);
    }
    service.ask_with(ops, &new("soon"), "").complains(2, &["1h"]);
    let limited = [&new("1h")[..], &["--action", "DescribeDevice"]].concat();
    service.ask_with(ops, &[&limited[..], &["--admin"]].concat(), "").complains(10, &["4101"]);
    service.ask_with(ops, &limited, "").succeeds();
    assert_eq!(files[1].metadata().unwrap().mode() & 0o777, 0o600);

    service.ask_with(hour, &["device", "list"], "").succeeds();
    service.ask_with(hour, &["task", "show", "1"], "").complains(10, &["4101"]);
    let text = fs::read_to_string(hour).unwrap();
    let without: Vec<_> = text.lines().filter(|line| !line.starts_with("token")).collect();
    fs::write(bare, without.join("\n")).unwrap();
    fs::set_permissions(bare, Permissions::from_mode(0o600)).unwrap();
    service.ask_with(bare, &["device", "list"], "").complains(10, &["4105"]);

    let id = |file: &str| {
        let text = fs::read_to_string(file).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("secret_id = ")).unwrap();
        line.trim_matches('"').to_owned()
    };
    let listed = service.ask(&["key", "list"]);
    let line = listed.succeeds().out.lines().find(|line| line.contains(&id(hour))).unwrap();
    assert!(line.contains("temporary") && line.contains("20"), "{listed:?}");
    service.ask(&["key", "disable", &id(ops)]).succeeds();
    service.ask_with(hour, &["device", "list"], "").complains(10, &["4104"]);
}

#[test]
fn a_blocked_account_is_refused_until_it_is_unblocked() {
    let (outer, dir) = folder();
    let service = Service::start(&dir);
    let out = outer.path().join("seven.toml");
    let profile = out.to_str().unwrap();
    service.ask(&["account", "create", "7", "--name", "seven"]).succeeds();
    service.ask(&["key", "create", "--app-id", "7", "--out", profile]).succeeds();
    service.ask(&["account", "block", "7"]).complains(0, &["account 7 is blocked"]);
    let ask = |arguments: &[&str]| service.ask_with(profile, arguments, "abce1234\n");
    for refused in [&["device", "list"][..], &["task", "show", "1"], &["reset-password", "cpm-1"]] {
        ask(refused).complains(10, &["4300"]);
    }
    assert!(service.ask(&["account", "list"]).succeeds().out.contains("blocked"));
    service.ask(&["account", "unblock", "7"]).complains(0, &["account 7 is not blocked"]);
    service.ask_with(profile, &["device", "list"], "").succeeds();
}

#[test]
fn a_quota_refuses_what_is_beyond_it_of_each_action() {
    let (outer, dir) = folder();
    let config = outer.path().join("opencpm.toml");
    fs::write(&config, "[quota.actions]\nDescriptionOperationResult = 2\n").unwrap();
    let service = Service::start_with(&dir, &config);
    for _ in 0..2 {
        service.ask(&["task", "show", "1"]).complains(11, &["10001"]);
    }
    service.ask(&["task", "show", "1"]).complains(12, &["4400", "DescriptionOperationResult"]);
    service.ask(&["device", "list"]).succeeds();
}

#[test]
fn maintenance_refuses_changes_until_it_is_ended_also_after_a_restart() {
    let (_outer, dir) = folder();
    let service = Service::start(&dir);
    let show = ["maintenance", "show"];
    assert_eq!(service.ask(&show).succeeds().out, "not under maintenance\n");
    service.ask(&["maintenance", "on", "--message", "until noon"]).succeeds();
    assert_eq!(service.stop().0, Some(0));

    let service = Service::start(&dir);
    let endpoint = service.endpoint();
    let ask = |arguments: &[&str]| {
        let all = [&["--endpoint", &endpoint], arguments].concat();
        service.ask_with(&service.profile(), &all, "abce1234\n")
    };
    let shown = ask(&show);
    assert!(shown.succeeds().out.ends_with(": until noon\n"), "{shown:?}");
    ask(&["device", "list"]).succeeds();
    ask(&["reset-password", "cpm-1"]).complains(12, &["6200", "until noon"]);
    ask(&["account", "create", "7", "--name", "seven"]).complains(12, &["6200"]);
    ask(&["maintenance", "off"]).succeeds();
    ask(&["account", "create", "7", "--name", "seven"]).succeeds();
}

#[test]
fn the_exit_code_tells_who_or_what_is_at_fault() {
    let (_outer, dir) = folder();
    let service = Service::start(&dir);
    let add = service.ask(&["device", "add", "--app-id", "1251000000", "--alias", "spare"]);
    let device = add.succeeds().out.trim().to_owned();
    let reset =
        |id: &str, input| service.ask_with(&service.profile(), &["reset-password", id], input);
    reset(&device, "abce1234\n").complains(13, &["12006", &device]);
    reset("cpm-unknown", "abce1234\n").complains(11, &["10001", "cpm-unknown"]);
    service.ask(&["device", "edit", &device, "--device-status", "13"]).succeeds();
    reset(&device, "abce1234\n").complains(12, &["12002", &device]);
    service.ask(&["device", "show", "cpm-unknown"]).complains(11, &["cpm-unknown"]);
    reset(&device, "short\n").complains(1, &["8 to 16"]);
    reset(&device, "abce1234+\n").complains(11, &["10001"]);
    run(["device", "list"]).complains(1, &["endpoint"]);
    run(["--endpoint", "https://127.0.0.1:1", "device", "list"]).complains(1, &["secret id"]);
    run(["reset-password", "--password", "x", "cpm-1"]).complains(2, &["--password"]);
}

#[test]
fn a_device_is_described_found_and_shown() {
    let (_outer, dir) = folder();
    let service = Service::start(&dir);
    let add = |more: &[&str]| {
        let added = service.ask(&[&["device", "add", "--app-id", "1251000000"], more].concat());
        added.succeeds().out.trim().to_owned()
    };
    let web = add(&["--alias", "Web-1", "--tag", "env=prod", "--tag", "env=eu", "--tag", "spare"]);
    let storage =
        add(&["--type", "storage", "--maintain-status", "WillExpire", "--tag", "env=prod"]);
    let found = |filters: &[&str]| {
        let listed = service.ask(&[&["device", "list", "--ids"], filters].concat());
        listed.succeeds().out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(found(&["--alias-prefix", "web"]), [&*web]);
    assert_eq!(found(&["--tag", "env=eu", "--tag", "spare"]), [&*web]);
    assert_eq!(found(&["--tag", "env"]).len(), 2);
    assert_eq!(found(&["--tag", "env=eu", "--tag", "env=us"]), [&*web]);
    assert_eq!(found(&["--type", "storage", "--maintain-status", "WillExpire"]), [&*storage]);

    let edit = |more: &[&str]| service.ask(&[&["device", "edit", &web], more].concat());
    edit(&["--pay-mode", "2", "--vpc-name", "office", "--deadline", "2030-01-01 00:00:00"])
        .succeeds();
    let shown = service.ask(&["device", "show", &web]).succeeds().out.clone();
    for part in ["cpmPayMode", "office", "2030-01-01", "env=prod", "env=eu", "spare"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    edit(&["--clear", "tags", "--clear", "deadline"]).succeeds();
    let shown = service.ask(&["device", "show", &web]).succeeds().out.clone();
    assert!(shown.contains("office") && !shown.contains("2030") && !shown.contains("env="));
    edit(&["--clear", "alias"]).complains(11, &["10001", "clear"]);
    edit(&["--tag", "=x"]).complains(2, &["KEY=VALUE"]);
}

#[test]
fn a_refused_password_leaves_no_file_behind() {
    let (outer, dir) = folder();
    let service = Service::start(&dir);
    let out = outer.path().join("password");
    let path = out.to_str().unwrap();
    let refused =
        service.ask(&["reset-password", "--generate", "--password-out", path, "cpm-unknown"]);
    refused.complains(11, &["cpm-unknown"]);
    assert!(!out.exists());
}

#[test]
fn a_token_goes_to_a_file_of_its_own_or_to_standard_output() {
    let (outer, dir) = folder();
    let service = Service::start(&dir);
    let out = outer.path().join("token");
    let path = out.to_str().unwrap();
    let create =
        |out| service.ask(&["enrol-token", "create", "--app-id", "1251000000", "--out", out]);
    let made = create(path);
    assert!(made.succeeds().out.is_empty(), "{made:?}");
    assert!(fs::read_to_string(&out).unwrap().starts_with("opencpm1."));
    assert!(create("-").succeeds().out.starts_with("opencpm1."));
}

#[test]
fn programs_get_every_answer_in_json_and_no_secret_that_goes_to_a_file() {
    let (outer, dir) = folder();
    let service = Service::start(&dir);
    let json = |arguments: &[&str]| {
        let ended = service.ask(&[&["--json"], arguments].concat());
        (ended.code, serde_json::from_str::<Value>(&ended.out).expect(&ended.out))
    };
    let files = ["key", "token", "temporary"].map(|name| outer.path().join(name));
    let [key_file, token_file, temporary_file] =
        files.each_ref().map(|file| file.to_str().unwrap());
    let new_key = |out| ["key", "create", "--app-id", "1251000000", "--out", out];
    let new_token = |out| ["enrol-token", "create", "--app-id", "1251000000", "--out", out];

    let (code, key) = json(&new_key(key_file));
    assert_eq!((code, &key["secretKey"]), (Some(0), &Value::Null));
    let id = key["secretId"].as_str().unwrap();
    assert!(fs::read_to_string(key_file).unwrap().contains(id));
    assert!(json(&new_key("-")).1["secretKey"].is_string());
    let new_temporary = |out| ["key", "temporary", "--ttl", "1h", "--out", out];
    let (_, temporary) = json(&new_temporary(temporary_file));
    assert!(temporary["token"].is_null() && temporary["secretKey"].is_null(), "{temporary}");
    assert!(temporary["expireTime"].is_string(), "{temporary}");
    assert!(json(&new_temporary("-")).1["token"].is_string());
    let (_, token) = json(&new_token(token_file));
    assert!(token["expireTime"].is_string() && token["token"].is_null(), "{token}");
    assert!(json(&new_token("-")).1["token"].is_string());
    for change in ["disable", "enable"] {
        assert_eq!(json(&["key", change, id]), (Some(0), Value::Null));
    }

    let (code, refusal) = json(&["task", "show", "1"]);
    assert_eq!((code, &refusal["code"]), (Some(11), &10001.into()));
    assert_eq!(refusal["codeDesc"], "InvalidParameter");
    assert!(refusal["message"].is_string());
    let (code, refusal) = json(&["device", "show", "cpm-unknown"]);
    assert_eq!((code, &refusal["code"]), (Some(11), &10001.into()));
}
