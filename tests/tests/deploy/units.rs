//! The unit files.

use std::process::Command;

use opencpm_tests::haproxy::shipped;

#[test]
fn a_node_of_several_is_hardened_as_a_service_of_one() {
    let hardening = |unit: &str| {
        let own = ["Description=", "ExecStart=", "TimeoutStopSec=", "StateDirectory="];
        let text = shipped(unit);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter(|line| !own.iter().any(|own| line.starts_with(own)))
            .map(str::to_owned)
            .collect()
    };
    let (one, several): (Vec<_>, Vec<_>) =
        (hardening("opencpm.service"), hardening("opencpm@.service"));
    assert_eq!(one, several);
}

#[test]
fn systemd_understands_every_unit() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    for (unit, name) in [
        ("opencpm.service", "opencpm.service"),
        ("opencpm@.service", "opencpm@api.service"),
        ("opencpm-agent.service", "opencpm-agent.service"),
    ] {
        // It looks for the programs, too, and they are not installed here.
        let text = shipped(unit);
        let text = text.replace("=/usr/bin/opencpm", "=/bin/true");
        let text = text.replace("=/usr/sbin/opencpm-agent", "=/bin/true");
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a scratch file");
        let output = Command::new("systemd-analyze").arg("verify").arg(&path).output();
        let Ok(output) = output else { return println!("systemd-analyze is not here") };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{name}: {said}");
    }
}
