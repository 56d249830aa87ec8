//! A password is found nowhere but as a hash in the shadow files.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use opencpm_tests::{Lab, root_hash, verifies};

/// Symbols that look different in every encoding.
const MARKER: &str = "Mk7#q&Zx!2^Wv@%";

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

    let dir = lab.dir().to_owned();
    look_into(&dir, &mut seen);
    assert!(seen.is_empty(), "found in {seen:#?}");
}

/// Every form in which the marker could have been written.
fn forms() -> Vec<Vec<u8>> {
    let bytes = MARKER.as_bytes();
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let escaped = |upper: bool| -> String {
        let one = |b: &u8| match (b.is_ascii_alphanumeric(), upper) {
            (true, _) => char::from(*b).to_string(),
            (false, true) => format!("%{b:02X}"),
            (false, false) => format!("%{b:02x}"),
        };
        bytes.iter().map(one).collect()
    };
    let mut forms = vec![
        bytes.to_vec(),
        escaped(true).into_bytes(),
        escaped(false).into_bytes(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
    ];
    // Inside longer base64 text the marker starts at one of three places: look for what is left
    // of each when the letters that its neighbours touch are cut off.
    for offset in 0..3 {
        let shifted = [&vec![0; offset], bytes].concat();
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = engine.encode(&shifted);
            let inner = &text[if offset == 0 { 0 } else { 4 }..text.len() - 4];
            forms.push(inner.as_bytes().to_vec());
        }
    }
    forms
}

fn look_into(dir: &Path, seen: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            look_into(&entry.path(), seen);
        } else if kind.is_file() {
            let bytes = std::fs::read(entry.path()).expect("a file");
            search(&bytes, &entry.path().display().to_string(), seen);
        }
    }
}

fn look_at_processes(lab: &Lab, seen: &mut Vec<String>) {
    for pid in lab.agents().into_iter().chain([lab.pid()]) {
        for part in ["cmdline", "environ", "comm"] {
            let path = format!("/proc/{}/{part}", pid.as_raw_pid());
            // An agent may end at any moment; the lab starts it again.
            search(&std::fs::read(&path).unwrap_or_default(), &path, seen);
        }
    }
}

fn search(bytes: &[u8], place: &str, seen: &mut Vec<String>) {
    for form in forms() {
        if bytes.windows(form.len()).any(|window| window == form) {
            seen.push(format!("{place}: {}", String::from_utf8_lossy(&form)));
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
