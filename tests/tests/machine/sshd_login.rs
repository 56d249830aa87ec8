//! After a reset the new password opens the machine, and the old one does not.

use std::fs;
use std::path::Path;
use std::time::Duration;

use opencpm_tests::{Client, Lab, root_hash};

use crate::sshd::{Login, Sshd};

const OLD: &str = "0ld!password";
/// With every symbol that the policy allows.
const NEW: &str = "N3w(%)&^$#@!*";

#[test]
fn root_logs_in_with_the_new_password_where_the_machine_hashes_with_yescrypt() {
    reset_and_log_in("yescrypt", "YESCRYPT", "$y$");
}

#[test]
fn root_logs_in_with_the_new_password_where_the_machine_hashes_with_sha512crypt() {
    reset_and_log_in("sha512", "SHA512", "$6$");
}

fn reset_and_log_in(pam: &str, login_defs: &str, prefix: &str) {
    let lab = Lab::start(1);
    let device = &lab.ready.devices[0];
    ask_for_scheme(&device.root, pam, login_defs);

    reset(&lab.client(), &device.instance_id, OLD);
    let before = Sshd::boot(&device.root);
    assert_eq!(before.login(OLD), Login::as_root());
    assert_eq!(before.login(NEW), Login::Refused);
    drop(before);

    reset(&lab.client(), &device.instance_id, NEW);
    assert!(root_hash(&device.root).starts_with(prefix), "not {prefix}");
    let after = Sshd::boot(&device.root);
    assert_eq!(after.login(NEW), Login::as_root());
    assert_eq!(after.login(OLD), Login::Refused);
}

fn reset(client: &Client, device: &str, password: &str) {
    let task = client.reset(&[device], password).expect("accepted");
    let data = client.wait(task, Duration::from_secs(40));
    assert_eq!(data["status"], 1, "{data}");
}

/// Makes the Debian machine one whose administrator chose this scheme, in both places that say it.
fn ask_for_scheme(root: &Path, pam: &str, login_defs: &str) {
    let etc = root.join("etc");
    let system = fs::read_to_string(etc.join("os-release")).expect("os-release");
    assert!(system.contains("ID=debian"), "sshd here runs with Debian's modules: {system}");
    replace(&etc.join("pam.d/common-password"), "yescrypt", pam);
    replace(
        &etc.join("login.defs"),
        "ENCRYPT_METHOD YESCRYPT",
        &format!("ENCRYPT_METHOD {login_defs}"),
    );
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).expect("a file of the scratch root");
    assert!(text.contains(from), "{}", file.display());
    fs::write(file, text.replace(from, to)).expect("written");
}
