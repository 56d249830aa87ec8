//! What an operator relies on whatever the service answers.

use crate::scripted::{Scripted, refusal, success};
use crate::support::run;

#[test]
fn a_task_is_verified_when_every_success_is_proved() {
    let verify = |verified, devices: &str| {
        let data = format!(r#"{{"taskId":1,"verified":{verified},"devices":[{devices}]}}"#);
        Scripted::data(&data).ask(&["task", "verify", "1"])
    };
    let good = r#"{"instanceId":"cpm-1","verified":true,"finding":"ok"}"#;
    let bad = r#"{"instanceId":"cpm-2","verified":false,"finding":"forged"}"#;
    verify(true, good).succeeds();
    verify(true, "").complains(0, &["nothing to verify"]);
    verify(false, &format!("{good},{bad}")).complains(3, &[]);
    verify(false, bad).complains(4, &[]);
}

#[test]
fn a_change_that_would_change_nothing_is_wrong_usage() {
    let edit = ["device", "edit", "cpm-1"];
    let edit = |more: &[&'static str]| run(edit.into_iter().chain(more.iter().copied()));
    edit(&[]).complains(2, &["--alias", "--set"]);
    edit(&["--set", "OsTypeId=3"]).complains(2, &["small letter"]);
    edit(&["--set", "=3"]).complains(2, &["small letter"]);
    let service = Scripted::data("null");
    service.ask(&["device", "edit", "cpm-1", "--set", "osTypeId=3", "--alias", "a"]).succeeds();
    let service = Scripted::data(r#"{"instanceId":"cpm-1"}"#);
    service.ask(&["device", "add", "--app-id", "1"]).succeeds();
}

#[test]
fn a_device_is_shown_in_words() {
    let device = r#"{"totalNum":1,"deviceList":[{"instanceId":"cpm-1","alias":"spare",
        "deviceStatus":"4","operateStatus":"1","raidId":"0","wanIp":""}]}"#;
    let agent = r#"{"totalNum":1,"agentList":[{"instanceId":"cpm-1","agentStatus":1,
        "agentVersion":"0.1.0","lastSeenTime":""}]}"#;
    let service = Scripted::answering(&[&success(device), &success(agent)]);
    let shown = service.ask(&["device", "show", "cpm-1"]);
    let lines: Vec<_> = shown.succeeds().out.lines().collect();
    assert!(lines[0].starts_with("device") && lines[0].ends_with("cpm-1"), "{shown:?}");
    assert!(shown.out.contains("in operation") && shown.out.contains("spare"), "{shown:?}");
    for word in ["Status", "instanceId", "raidId", "wanIp"] {
        assert!(!shown.out.contains(word), "{shown:?}");
    }
}

#[test]
fn a_generated_password_that_came_to_nothing_is_called_so() {
    let service = Scripted::answering(&[&refusal(12006, "(12006)cpm-1: no agent")]);
    let refused = service.ask(&["reset-password", "--generate", "cpm-1"]);
    refused.complains(13, &["no machine got this password", "cpm-1: no agent"]);
}

#[test]
fn a_generated_password_is_kept_where_a_machine_may_have_it() {
    let folder = tempfile::tempdir().unwrap();
    for (n, code, is_kept) in [(1, 12006, false), (2, 6000, true), (3, 4500, true)] {
        let out = folder.path().join(n.to_string());
        let service = Scripted::answering(&[&refusal(code, "no")]);
        let to = ["reset-password", "--generate", "cpm-1", "--password-out", out.to_str().unwrap()];
        let ended = service.ask(&to);
        assert_eq!(ended.err.contains("not known"), is_kept, "{ended:?}");
        assert_eq!(out.exists(), is_kept, "{code}");
    }
}

#[test]
fn the_wait_for_a_task_outlives_a_weak_moment_of_the_service() {
    let accepted = success(r#"{"taskId":7}"#);
    let (store, quota) = (refusal(9001, "(9001)store"), refusal(4400, "(4400)quota"));
    let done = success(r#"{"status":1,"instanceIds":[{"instanceId":"cpm-1","status":1}]}"#);
    let service = Scripted::answering(&[&accepted, &store, &quota, &done]);
    let ended = service.ask(&["reset-password", "--generate", "cpm-1"]);
    assert!(ended.succeeds().out.contains("1 succeeded"), "{ended:?}");

    let service = Scripted::answering(&[&accepted, &refusal(4104, "(4104)unknown key")]);
    let ended = service.ask(&["reset-password", "--generate", "cpm-1"]);
    ended.complains(10, &["task show 7", "4104"]);
    assert!(!ended.err.contains("no machine got"), "{ended:?}");
}

#[test]
fn the_log_tells_what_was_asked_of_whom_and_no_parameter() {
    let service = Scripted::answering(&[&refusal(12006, "(12006)cpm-1: no agent")]);
    let ended = service.ask(&["--log", "trace", "reset-password", "--generate", "cpm-1"]);
    ended.complains(13, &["ResetDevicePasswd", "http://127.0.0.1:", "micros=", "code=12006"]);
    let password = ended.out.trim();
    assert_eq!(password.len(), 16);
    assert!(!ended.err.contains(password), "{ended:?}");
    let service = Scripted::data("null");
    service.ask(&["--log", "debug", "account", "list"]).complains(0, &["code=0"]);
}

#[test]
fn text_of_the_service_cannot_steer_the_terminal() {
    let is_plain = |text: &str| !text.chars().any(|c| c.is_control() && c != '\n');
    let evil = r"\u001b]0;x\u0007\u009b2J\ncpm-9  proved\r";
    let service = Scripted::answering(&[&refusal(10001, evil)]);
    for json in [&["account", "list"][..], &["--json", "account", "list"]] {
        let refused = service.ask(json);
        refused.complains(11, &["cpm-9"]);
        assert!(is_plain(&refused.err) && is_plain(&refused.out), "{refused:?}");
        assert_eq!(refused.err.lines().count(), 1, "{refused:?}");
    }
    let reason = format!(r#"{{"instanceId":"cpm-1","status":2,"reason":"{evil}"}}"#);
    let answers = [
        (format!(r#"{{"accountList":[{{"appId":1,"name":"{evil}"}}]}}"#), vec!["account", "list"]),
        (format!(r#"{{"status":2,"instanceIds":[{reason}]}}"#), vec!["task", "show", "1"]),
    ];
    for (data, arguments) in answers {
        let shown = Scripted::data(&data).ask(&arguments);
        assert!(is_plain(&shown.out) && shown.out.contains("cpm-9"), "{shown:?}");
        assert!(!shown.out.lines().any(|line| line.trim().starts_with("cpm-9")), "{shown:?}");
    }
}

#[test]
fn a_lab_that_fails_says_what_it_leaves_and_what_to_do() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("lab");
    let dir = dir.to_str().unwrap();
    let lab = || run(["lab", "--agents", "1", "--dir", dir, "--agent-binary", "/bin/false"]);
    lab().complains(1, &["did not enrol", dir, "remove this folder"]);
    lab().complains(1, &["unfinished", dir, "remove it"]);
    std::fs::remove_dir_all(dir).unwrap();
    lab().complains(1, &["did not enrol"]);
}
