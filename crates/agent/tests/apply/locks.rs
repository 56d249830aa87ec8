//! Other programs' locks.

#![expect(clippy::disallowed_methods, reason = "a test starts programs, the agent does not")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use opencpm_agent::apply::{Order, Unattended, reset};
use opencpm_domain::{Password, PasswordPolicy, Reason};

use crate::scratch::{SHADOW, Scratch, TODAY};

/// Another program that holds lckpwdf's lock until its input ends.
fn holder(scratch: &Scratch) -> Child {
    let script = r#"use Fcntl; open(my $f, "+>>", shift) or die;
        my $lock = pack("s s x![q] q q i", F_WRLCK, 0, 0, 0, 0);
        fcntl($f, F_SETLK, $lock) or die;
        $| = 1; print "held\n"; <STDIN>;"#;
    let mut child = Command::new("perl")
        .args(["-e", script])
        .arg(scratch.path("etc/.pwd.lock"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    child
}

#[test]
fn a_lock_that_is_held_too_long_is_a_clear_failure_and_one_that_ends_in_time_is_not() {
    let scratch = Scratch::new(SHADOW);
    let mut holder = holder(&scratch);
    let password = Password::new("abce1234".into(), PasswordPolicy::Seed).unwrap();
    let wait = Duration::from_millis(30);
    let order = Order { password: &password, today: TODAY, issued: 0, wait, salt: [1; 16] };
    let refused = reset(&scratch.root(), &order, &mut Unattended).unwrap_err();
    assert_eq!(refused.reason(), Reason::LockTimeout);
    assert_eq!(scratch.shadow(), SHADOW);

    std::thread::scope(|scope| {
        let patient = scope.spawn(|| scratch.reset());
        holder.stdin.take().unwrap().write_all(b"\n").unwrap();
        patient.join().unwrap().unwrap();
    });
    holder.wait().unwrap();
}
