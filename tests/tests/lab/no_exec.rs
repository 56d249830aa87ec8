//! The agent executes nothing: seen by strace, from its start to its report.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use opencpm_tests::{Lab, binaries, eventually};

#[test]
fn the_agent_makes_no_execve_from_start_to_report() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let traces = scratch.path().join("trace");
    std::fs::create_dir(&traces).expect("a directory");
    // The lab starts this in the agent's place; strace then follows the agent and its children.
    let wrapper = scratch.path().join("opencpm-agent");
    let script = format!(
        "#!/bin/sh\nexec strace -D -ff -e trace=execve,execveat,fork,vfork,clone,clone3 \
         -o {}/agent \"{}\" \"$@\"\n",
        traces.display(),
        binaries::agent().display()
    );
    std::fs::write(&wrapper, script).expect("a script");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&wrapper, mode).expect("executable");

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
    for text in calls {
        // The first is strace starting the agent itself.
        let execs = text.lines().filter(|line| line.contains("exec")).count();
        assert_eq!(execs, 1, "{text}");
        assert!(!text.contains("fork(") && !text.contains("clone"), "{text}");
    }
}
