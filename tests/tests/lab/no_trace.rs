//! A password is found nowhere but as a hash in the shadow files.

use std::time::Duration;

use opencpm_tests::{Lab, Marker, root_hash, verifies};

const MARKER: &str = Marker::PASSWORD;

#[test]
fn a_password_leaves_no_trace_but_its_hash() {
    let lab = Lab::start_with(2, |command| {
        command.env("RUST_LOG", "trace").args(["--log", "trace"]);
    });
    let client = lab.client();
    let task = client.reset(&lab.alive(), MARKER).expect("accepted");
    let mut seen = Vec::new();
    look_at_processes(&lab, &mut seen);
    let data = client.wait(task, Duration::from_secs(40));
    assert_eq!(data["status"], 1, "{data}");
    look_at_processes(&lab, &mut seen);
    // GET carries the password in its query, and a refused request carries it too.
    let parameters = [("instanceIds.0", lab.alive()[0]), ("passwd", MARKER)];
    let query = client.signed_form("GET", "ResetDevicePasswd", &parameters, "4712");
    let answer = client.get(&query).expect("an answer");
    client.wait(answer["data"]["taskId"].as_u64().expect("a number"), Duration::from_secs(40));
    client.call("ResetDevicePasswd", &[("passwd", MARKER), ("instanceIds.0", "cpm-nosuchone")]);
    for device in &lab.ready.devices {
        assert!(verifies(&root_hash(&device.root), MARKER) || !device.alive);
    }
    no_core_dumps(&lab);

    seen.extend(Marker::new(MARKER).traces(lab.dir()));
    assert!(seen.is_empty(), "found in {seen:#?}");
}

fn look_at_processes(lab: &Lab, seen: &mut Vec<String>) {
    for pid in lab.agents().into_iter().chain([lab.pid()]) {
        for part in ["cmdline", "environ", "comm"] {
            let path = format!("/proc/{}/{part}", pid.as_raw_pid());
            // An agent may end at any moment; the lab starts it again.
            let bytes = std::fs::read(&path).unwrap_or_default();
            let forms = Marker::new(MARKER).forms_in(&bytes).into_iter();
            seen.extend(forms.map(|form| format!("{path}: {form}")));
        }
    }
}

/// No process of the lab may leave its memory on disk.
fn no_core_dumps(lab: &Lab) {
    for pid in lab.agents().into_iter().chain([lab.pid()]) {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", pid.as_raw_pid()));
        let limits = limits.expect("limits");
        let line = limits.lines().find(|line| line.starts_with("Max core file size"));
        let fields: Vec<_> = line.expect("the limit").split_whitespace().collect();
        assert_eq!(fields[4..6], ["0", "0"], "{limits}");
    }
}
