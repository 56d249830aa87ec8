//! A service of its own for each test, and the command line to ask it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The program with these arguments and nothing of the environment.
pub(crate) fn opencpm<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_opencpm"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Ended {
    Ended::of(opencpm(arguments).output().expect("the program starts"))
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Checks the exit code and that the complaint holds each of these.
    #[track_caller]
    pub(crate) fn complains(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in {}", self.err);
        }
    }

    /// Checks that it did what was asked.
    #[track_caller]
    pub(crate) fn succeeds(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

/// `opencpm serve` on ports that the system chose.
pub(crate) struct Service {
    child: Child,
    pub(crate) dir: PathBuf,
    log: BufReader<std::process::ChildStderr>,
    /// What it said until it served, and on the first start what it explained.
    pub(crate) said: String,
}

impl Service {
    /// Starts it and waits until it says that it serves.
    pub(crate) fn start(dir: &Path) -> Self {
        Self::start_with(dir, Path::new("/dev/null"))
    }

    /// The same with a configuration file.
    pub(crate) fn start_with(dir: &Path, config: &Path) -> Self {
        let mut serve = serve_with(dir, config);
        let mut child = serve.stderr(Stdio::piped()).spawn().expect("the service starts");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let mut said = String::new();
        let first = !dir.join("admin.toml").exists();
        // The first start ends its explanation with how to list devices.
        let last = if first { "device list" } else { "serving" };
        while !said.contains(last) {
            let read = log.read_line(&mut said).expect("text");
            assert!(read > 0, "the service ended: {said}");
        }
        Self { child, dir: dir.to_owned(), log, said }
    }

    pub(crate) fn profile(&self) -> String {
        self.dir.join("admin.toml").to_str().expect("text").to_owned()
    }

    /// Where it is now: after a restart the port is another one than in the profile.
    pub(crate) fn endpoint(&self) -> String {
        let port = self.said.split("api=127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next());
        format!("https://127.0.0.1:{}", port.expect("told"))
    }

    /// Where it tells how it is.
    pub(crate) fn metrics(&self) -> &str {
        let address = self.said.split("metrics=\"").nth(1);
        address.and_then(|rest| rest.split('"').next()).expect("told")
    }

    /// Asks it to end, and returns at once.
    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
    }

    /// Asks it with the first key.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Ended {
        self.ask_with(&self.profile(), arguments, "")
    }

    /// Asks it with another profile and something on standard input.
    pub(crate) fn ask_with(&self, profile: &str, arguments: &[&str], input: &str) -> Ended {
        let mut command =
            opencpm(["--profile", profile].into_iter().chain(arguments.iter().copied()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("piped");
        // A command that needs no input may be gone before it is written.
        drop(stdin.write_all(input.as_bytes()));
        drop(stdin);
        Ended::of(child.wait_with_output().expect("the program ends"))
    }

    /// Asks it to end, and returns how it did and what it said since.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        self.terminate();
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).expect("text");
        (self.child.wait().expect("it ends").code(), rest)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The command that serves in this folder.
pub(crate) fn serve(dir: &Path) -> Command {
    serve_with(dir, Path::new("/dev/null"))
}

fn serve_with(dir: &Path, config: &Path) -> Command {
    let dir = dir.to_str().expect("text");
    let address = "127.0.0.1:0";
    let mut command = opencpm(["serve", "--dir", dir, "--listen", address]);
    command.args(["--agents-listen", address, "--config"]).arg(config);
    command
}
