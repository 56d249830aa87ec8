//! The agent executes nothing: seen by strace, from its start to its report.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use opencpm_tests::{Lab, binaries, eventually};

#[test]
fn the_agent_makes_no_execve_from_start_to_report() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let traces = scratch.path().join("trace");
    std::fs::create_dir(&traces).expect("a directory");
    let wrapper = scratch.path().join("opencpm-agent");
    place(&wrapper, &traces);

    let lab = Lab::start_with(1, |command| {
        command.arg("--agent-binary").arg(&wrapper);
    });
    let client = lab.client();
    let task = client.reset(&lab.alive(), "N3w!pass@word").expect("accepted");
    let data = client.wait(task, Duration::from_secs(40));
    assert_eq!(data["status"], 1, "{data}");
    lab.stop();

    let calls = eventually("the traces", Duration::from_secs(10), || {
        let files: Vec<_> = std::fs::read_dir(&traces).expect("traces").flatten().collect();
        let texts = files.iter().map(|file| std::fs::read_to_string(file.path()));
        let texts: Vec<_> = texts.map(|text| text.expect("a trace")).collect();
        // Every traced process has ended when its trace tells so.
        let ended = |text: &String| text.contains("+++ ");
        (!texts.is_empty() && texts.iter().all(ended)).then_some(texts)
    });
    for text in &calls {
        // Each line begins with the name of a call; the first is strace starting the agent itself.
        let [first, rest @ ..] = &text.lines().collect::<Vec<_>>()[..] else { panic!("empty") };
        assert!(first.starts_with("execve("), "{text}");
        let harmless = ["rename", "--- ", "+++ "];
        assert!(rest.iter().all(|line| harmless.iter().any(|h| line.starts_with(h))), "{text}");
    }
    let changed =
        |text: &String| text.lines().any(|l| l.starts_with("rename") && l.contains("\"shadow\""));
    assert!(calls.iter().any(changed), "the traced process made the change: {calls:?}");
}

/// What the lab starts in the agent's place; strace then follows the agent and its children.
/// Another process writes it: a script that this one still writes while another test forks could
/// not be started.
fn place(wrapper: &Path, traces: &Path) {
    let script = format!(
        "#!/bin/sh\nexec strace -D -ff \
         -e trace=execve,execveat,fork,vfork,clone,clone3,rename,renameat,renameat2 \
         -o '{}/agent' '{}' \"$@\"\n",
        traces.display(),
        binaries::agent().display()
    );
    let mut install = Command::new("install");
    install.args(["-m", "755", "/dev/stdin"]).arg(wrapper).stdin(Stdio::piped());
    let mut install = install.spawn().expect("install");
    let mut input = install.stdin.take().expect("standard input");
    input.write_all(script.as_bytes()).expect("a script");
    drop(input);
    assert!(install.wait().expect("install").success());
}
