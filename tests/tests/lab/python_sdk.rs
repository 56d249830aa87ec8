//! The published Python SDK for API 2.0, unmodified, over HTTPS.

use std::process::Command;

use opencpm_tests::{Lab, binaries, root_hash, verifies};

#[test]
fn the_published_sdk_resets_polls_lists_and_reads_the_log() {
    let lab = Lab::start(2);
    let host = lab.ready.https.strip_prefix("https://").expect("an HTTPS address");

    let output = Command::new(binaries::python())
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/python_sdk.py"))
        .args([host, &lab.ready.secret_id, "Sdk!pass1234"])
        .args(lab.alive())
        .env("OPENCPM_SECRET_KEY", &lab.ready.secret_key)
        .env("SSL_CERT_FILE", &lab.ready.ca)
        .output()
        .expect("python runs");

    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    assert_eq!(said.trim(), "reset, polled, listed, read the log");
    for device in lab.ready.devices.iter().filter(|device| device.alive) {
        assert!(verifies(&root_hash(&device.root), "Sdk!pass1234"));
    }
}
