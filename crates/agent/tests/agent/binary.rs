//! The program itself, as an operator and a service manager start it.

#![expect(clippy::disallowed_methods, reason = "a test starts programs, the agent does not")]

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Output, Stdio};

use opencpm_domain::Verdict;
use secrecy::ExposeSecret;

use crate::gateway::{Script, serve};
use crate::machine::Machine;

fn agent(machine: &Machine) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_opencpm-agent"));
    command.env_clear().arg("--root").arg(machine.tree.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ask(mut command: Command, input: &str) -> Output {
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// An agent that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let ended = self.0.kill().and_then(|()| self.0.wait());
        assert!(ended.is_ok());
    }
}

#[test]
fn a_machine_is_enrolled_from_standard_input_and_serves() {
    let machine = Machine::new();
    let gateway = serve(&machine.listener, machine.script());
    let mut enroll = agent(&machine);
    enroll.arg("enroll");
    let token = machine.deployment.token(machine.port()).to_secret_text();
    let enrolled = ask(enroll, token.expose_secret());
    assert_eq!(text(&enrolled.stdout), "enrolled as cpm-34xs43xs\n", "{}", text(&enrolled.stderr));
    gateway.join().unwrap();

    let jobs = vec![machine.job(1, "abce1234")];
    let gateway = serve(&machine.listener, Script { jobs, reports: 1, ..machine.script() });
    let running = Running(agent(&machine).args(["run", "--log", "trace"]).spawn().unwrap());
    let seen = gateway.join().unwrap();
    assert!(matches!(seen.reports[0].verdict(), Verdict::Applied { .. }));
    assert!(machine.root_has("abce1234"));
    assert_private(running.0.id());
    let second = ask(with(agent(&machine), &["run"]), "");
    assert_eq!(second.status.code(), Some(1), "two agents do not share a state");
    drop(running);

    let status = ask(with(agent(&machine), &["status"]), "");
    assert!(text(&status.stdout).contains("cpm-34xs43xs"), "{}", text(&status.stderr));
}

/// No core dump, and not dumpable: the kernel then gives root the process's files in /proc
/// (PR_SET_DUMPABLE in prctl(2)), whoever runs it.
fn assert_private(process: u32) {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    let owner = std::fs::metadata(format!("/proc/{process}/environ")).unwrap().uid();
    assert_eq!(owner, 0);
}

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}

#[test]
fn a_rescue_sets_the_password_from_a_descriptor_and_keeps_the_policy() {
    let machine = Machine::new();
    let weak = ask(with(agent(&machine), &["reset", "--password-fd", "0"]), "abcdefgh\n");
    assert_eq!(weak.status.code(), Some(1));
    assert!(!text(&weak.stderr).contains("abcdefgh"));
    let done = ask(with(agent(&machine), &["reset", "--password-fd", "0"]), "abce1234\n");
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(machine.root_has("abce1234"));
    assert!(text(&done.stdout).contains("lock_lifted"), "{}", text(&done.stdout));
}

#[test]
fn what_an_operator_gets_wrong_is_told() {
    let machine = Machine::new();
    let not_enrolled = ask(with(agent(&machine), &["run"]), "");
    assert_eq!(not_enrolled.status.code(), Some(78));
    assert!(text(&not_enrolled.stderr).contains("enroll"));
    let no_token = ask(with(agent(&machine), &["enroll"]), "hello");
    assert_eq!(no_token.status.code(), Some(1));
    assert!(text(&no_token.stderr).contains("opencpm1."));
    assert_eq!(ask(with(agent(&machine), &["dance"]), "").status.code(), Some(2));
}

/// Needs `--features fault-points`.
#[cfg(feature = "fault-points")]
mod killed {
    use super::*;
    use opencpm_agent::fault::FAULT_FILE;
    use opencpm_domain::Reason;

    /// The agent is killed at `point` of a job, then started again; the report that comes then.
    fn killed_at(machine: &Machine, point: &str) -> Verdict {
        let order = machine.tree.path().join("fault");
        std::fs::write(&order, point).unwrap();
        let jobs = vec![machine.job(1, "abce1234")];
        let script = Script { jobs, reports: 2, ..machine.script() };
        let gateway = serve(&machine.listener, script);
        let mut first = agent(machine).arg("run").env(FAULT_FILE, &order).spawn().unwrap();
        assert_eq!(first.wait().unwrap().code(), None, "killed by a signal");
        gateway.join().unwrap();
        let gateway = serve(&machine.listener, Script { reports: 1, ..machine.script() });
        let _second = Running(agent(machine).arg("run").spawn().unwrap());
        gateway.join().unwrap().reports[0].verdict()
    }

    #[test]
    fn between_intent_and_rename_it_reports_that_nothing_changed() {
        let machine = Machine::enrolled();
        let verdict = killed_at(&machine, "intent-durable");
        assert_eq!(verdict, Verdict::NotApplied(Reason::Interrupted));
        assert_eq!(machine.shadow(), crate::machine::SHADOW);
    }

    #[test]
    fn after_the_rename_it_reports_the_change() {
        for point in ["renamed", "verified", "report-durable", "acknowledged"] {
            let machine = Machine::enrolled();
            let verdict = killed_at(&machine, point);
            assert!(matches!(verdict, Verdict::Applied { .. }), "{point}: {verdict:?}");
            assert!(machine.root_has("abce1234"), "{point}");
        }
    }
}
