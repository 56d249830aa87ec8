//! What a machine's shadow file says, checked by the system's own crypt(3).

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The hash field of root's entry below a root directory.
pub fn root_hash(root: &Path) -> String {
    let text = std::fs::read_to_string(root.join("etc/shadow")).expect("shadow file");
    let line = text.lines().find(|line| line.starts_with("root:")).expect("root's entry");
    line.split(':').nth(1).expect("hash field").to_owned()
}

/// Whether the system's crypt(3) accepts the password for this hash. Perl calls crypt(3); hash
/// and password go in by standard input.
pub fn verifies(hash: &str, password: &str) -> bool {
    const SCRIPT: &str = "chomp(my $h = <STDIN>); chomp(my $p = <STDIN>); \
                          exit(crypt($p, $h) eq $h ? 0 : 1)";
    let mut perl = Command::new("perl")
        .args(["-e", SCRIPT])
        .stdin(Stdio::piped())
        .spawn()
        .expect("perl, which every Debian has");
    let mut input = perl.stdin.take().expect("standard input");
    writeln!(input, "{hash}\n{password}").expect("perl reads");
    drop(input);
    perl.wait().expect("perl ends").success()
}
