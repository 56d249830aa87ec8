//! Our hashes against the system's crypt(3), called through perl.

#![expect(clippy::disallowed_methods, reason = "a test starts programs, the agent does not")]

use std::io::Write;
use std::process::{Command, Stdio};

use opencpm_agent::apply::{SALT_BYTES, Scheme, hash, verify};

use crate::scratch::{PASSWORD, SHADOW, Scratch, hash_in};

/// For each pair (setting or hash, password), what crypt(3) answers.
fn system_crypt(pairs: &[(String, String)]) -> Vec<String> {
    let script =
        r#"while (<STDIN>) { chomp; my ($s, $p) = split / /, $_, 2; print crypt($p, $s), "\n" }"#;
    let mut perl = Command::new("perl")
        .args(["-e", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = pairs.iter().map(|(s, password)| format!("{s} {password}\n")).collect();
    perl.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = perl.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// One password for each symbol of the policy, and one with all of them.
fn passwords() -> Vec<String> {
    let mut passwords: Vec<_> = "!@#$%&^*()"
        .chars()
        .map(|symbol| format!("{symbol}ab{symbol}12{symbol}{symbol}"))
        .collect();
    passwords.push("Ab1!@#$%&^*()".to_owned());
    passwords.push("abcdefgh12345678".to_owned());
    passwords
}

fn salt(number: usize) -> [u8; SALT_BYTES] {
    std::array::from_fn(|place| u8::try_from((number * 37 + place * 101) % 256).unwrap())
}

#[test]
fn the_system_verifies_our_hashes_with_every_symbol() {
    for scheme in [
        Scheme::Yescrypt { cost: 1 },
        Scheme::Yescrypt { cost: 2 },
        Scheme::Yescrypt { cost: 3 },
        Scheme::Yescrypt { cost: 5 },
        Scheme::Sha512 { rounds: 5_000 },
        Scheme::Sha512 { rounds: 1_000 },
        Scheme::Sha512 { rounds: 12_345 },
    ] {
        let ours: Vec<_> = passwords()
            .into_iter()
            .enumerate()
            .map(|(n, password)| {
                let made = hash(scheme, password.as_bytes(), &salt(n)).unwrap();
                (made.to_string(), password)
            })
            .collect();
        for ((made, password), theirs) in ours.iter().zip(system_crypt(&ours)) {
            assert_eq!(*made, theirs, "{scheme}, {password}");
        }
    }
}

#[test]
fn we_verify_the_systems_hashes_with_every_symbol() {
    for setting in [
        "$y$j75$F5Jx5fExrKuPp53xLKQ..1",
        "$y$j9T$......................",
        "$6$saltsalt",
        "$6$rounds=1000$0123456789abcdef",
    ] {
        let pairs: Vec<_> =
            passwords().into_iter().map(|password| (setting.to_owned(), password)).collect();
        for ((_, password), theirs) in pairs.iter().zip(system_crypt(&pairs)) {
            assert_eq!(verify(&theirs, password.as_bytes()), Ok(true), "{theirs}");
            assert_eq!(verify(&theirs, b"another1"), Ok(false), "{theirs}");
        }
    }
}

#[test]
fn a_reset_writes_what_the_machines_configuration_asks_for_and_the_system_verifies_it() {
    for (login_defs, pam, prefix) in [
        ("ENCRYPT_METHOD YESCRYPT\nYESCRYPT_COST_FACTOR 3\n", "", "$y$j7T$"),
        ("ENCRYPT_METHOD SHA512\nSHA_CRYPT_MIN_ROUNDS 2000\n", "", "$6$rounds=2000$"),
        (
            "ENCRYPT_METHOD SHA512\n",
            "password [success=1 default=ignore] pam_unix.so yescrypt",
            "$y$j9T$",
        ),
        ("ENCRYPT_METHOD YESCRYPT\n", "password sufficient pam_unix.so sha512 shadow", "$6$"),
        ("", "", "$6$"),
    ] {
        let scratch = Scratch::new(SHADOW);
        scratch.write("etc/login.defs", login_defs);
        scratch.write("etc/pam.d/common-password", pam);
        scratch.reset().unwrap();
        let shadow = scratch.shadow();
        let made = hash_in(&shadow);
        assert!(made.starts_with(prefix), "{made}");
        assert_eq!(system_crypt(&[(made.to_owned(), PASSWORD.to_owned())]), [made]);
    }
}
