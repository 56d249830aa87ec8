//! What a machine's shadow file says, checked by the system's own crypt(3).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use crate::mortal;

/// The hash field of root's entry below a root directory.
pub fn root_hash(root: &Path) -> String {
    let text = std::fs::read_to_string(root.join("etc/shadow")).expect("shadow file");
    let line = text.lines().find(|line| line.starts_with("root:")).expect("root's entry");
    line.split(':').nth(1).expect("hash field").to_owned()
}

/// Whether the system's crypt(3) accepts the password for this hash.
pub fn verifies(hash: &str, password: &str) -> bool {
    Crypt::start().verifies(hash, password)
}

/// The system's crypt(3), for many questions. Perl calls it; hashes and passwords go in by
/// standard input.
pub struct Crypt {
    perl: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Crypt {
    /// Starts the program that is asked.
    pub fn start() -> Self {
        const SCRIPT: &str = "$| = 1; while (defined(my $h = <STDIN>)) { chomp($h); \
                              chomp(my $p = <STDIN>); \
                              print(crypt($p, $h) eq $h ? \"1\\n\" : \"0\\n\"); }";
        let mut command = mortal("perl");
        command.args(["-e", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut perl = command.spawn().expect("perl, which every Debian has");
        let questions = perl.stdin.take().expect("standard input");
        let answers = BufReader::new(perl.stdout.take().expect("standard output"));
        Self { perl, questions, answers }
    }

    /// Whether the password has this hash.
    pub fn verifies(&mut self, hash: &str, password: &str) -> bool {
        writeln!(self.questions, "{hash}\n{password}").expect("perl reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("perl answers");
        match answer.as_str() {
            "1\n" => true,
            "0\n" => false,
            other => panic!("perl answered {other:?}"),
        }
    }
}

impl Drop for Crypt {
    fn drop(&mut self) {
        drop(self.perl.kill());
        drop(self.perl.wait());
    }
}
