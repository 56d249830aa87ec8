//! Resets beside the system's own tools on one shadow file: nothing is lost and nothing is torn.

#![expect(clippy::disallowed_methods, reason = "a test starts programs, the agent does not")]
#![expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use opencpm_agent::apply::{Order, Root, Unattended, reset, verify};
use opencpm_domain::{Password, PasswordPolicy};

const ROUNDS: usize = 100;
const PASSWORDS: [&str; 2] = ["abce1234", "other!12"];
/// One account for each tool, and some that nobody touches.
const ACCOUNTS: [&str; 7] = ["root", "chpasswd", "usermod", "passwd", "chage", "quiet", "last"];

/// What the tools need below a root: the three files, and no more.
fn lay_out(root: &Path) {
    let etc = root.join("etc");
    fs::create_dir(&etc).unwrap();
    let lines = |line: &dyn Fn(usize, &str) -> String| -> String {
        ACCOUNTS.iter().enumerate().map(|(n, name)| line(n * 1000, name)).collect()
    };
    let write = |name, text| fs::write(etc.join(name), text).unwrap();
    write("passwd", lines(&|id, name| format!("{name}:x:{id}:0::/:/bin/sh\n")));
    write("shadow", lines(&|_, name| format!("{name}:*:19000:0:99999:7:::\n")));
    write("group", "root:x:0:\n".to_owned());
    write("login.defs", "ENCRYPT_METHOD SHA512\nSHA_CRYPT_MAX_ROUNDS 1000\n".to_owned());
}

fn set_root(root: &Path, password: &str, round: usize) {
    let root = Root::open(root).unwrap();
    let password = Password::new(password.into(), PasswordPolicy::Seed).unwrap();
    let salt = [u8::try_from(round).unwrap(); 16];
    let wait = Duration::from_secs(60);
    let order = Order { password: &password, today: 20_000, issued: 0, wait, salt };
    reset(&root, &order, &mut Unattended).unwrap();
}

/// Runs one of shadow-utils' programs on the root; all of them must succeed.
fn tool(root: &Path, program: &str, arguments: &[&str], input: Option<&str>) {
    let mut command = Command::new(program);
    command.arg("-R").arg(root).args(arguments).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    if let Some(input) = input {
        std::io::Write::write_all(&mut &stdin, input.as_bytes()).unwrap();
    }
    drop(stdin);
    assert!(child.wait().unwrap().success(), "{program} {arguments:?}");
}

/// Every account with its fields, where the text is a whole file.
fn parse(shadow: &str) -> Option<BTreeMap<&str, Vec<&str>>> {
    let complete = shadow.ends_with('\n');
    let lines: Vec<Vec<_>> = shadow.lines().map(|line| line.split(':').collect()).collect();
    let whole = complete
        && lines.iter().map(|fields| fields[0]).eq(ACCOUNTS)
        && lines.iter().all(|fields| fields.len() == 9);
    whole.then(|| lines.into_iter().map(|fields| (fields[0], fields)).collect())
}

#[test]
fn no_change_is_lost_and_the_file_is_never_torn() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    lay_out(root);
    let running = AtomicBool::new(true);
    let snapshots = AtomicUsize::new(0);

    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while running.load(Ordering::Relaxed) {
                let shadow = fs::read_to_string(root.join("etc/shadow")).unwrap();
                assert!(parse(&shadow).is_some(), "torn:\n{shadow}");
                snapshots.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
            }
        });
        let writers: [Box<dyn Fn(usize) + Send + '_>; 5] = [
            Box::new(|round| set_root(root, PASSWORDS[round % 2], round)),
            Box::new(|round| {
                tool(root, "chpasswd", &["-e"], Some(&format!("chpasswd:$6$c${round}\n")));
            }),
            Box::new(|round| {
                tool(root, "usermod", &["-p", &format!("$6$u${round}"), "usermod"], None);
            }),
            Box::new(|round| {
                tool(root, "passwd", &["-q", "-x", &(round + 100).to_string(), "passwd"], None);
            }),
            Box::new(|round| {
                tool(root, "chage", &["-W", &(round + 10).to_string(), "chage"], None);
            }),
        ];
        let writers = writers.map(|write| scope.spawn(move || (0..ROUNDS).for_each(write)));
        let ended = writers.map(|writer| writer.join());
        running.store(false, Ordering::Relaxed);
        reader.join().unwrap();
        ended.into_iter().for_each(|writer| writer.unwrap());
    });

    let shadow = fs::read_to_string(root.join("etc/shadow")).unwrap();
    let entries = parse(&shadow).unwrap();
    let last = ROUNDS - 1;
    assert_eq!(verify(entries["root"][1], PASSWORDS[last % 2].as_bytes()), Ok(true));
    assert_eq!(entries["chpasswd"][1], format!("$6$c${last}"));
    assert_eq!(entries["usermod"][1], format!("$6$u${last}"));
    assert_eq!(entries["passwd"][4], (last + 100).to_string());
    assert_eq!(entries["chage"][5], (last + 10).to_string());
    for quiet in ["quiet", "last"] {
        assert_eq!(entries[quiet][1..], ["*", "19000", "0", "99999", "7", "", "", ""]);
    }
    println!("{} snapshots read", snapshots.load(Ordering::Relaxed));
    let left: Vec<_> =
        fs::read_dir(root.join("etc")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("shadow.")), "{left:?}");
}
