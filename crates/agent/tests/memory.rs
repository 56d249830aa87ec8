//! The agent stays small after the memory-hungry hash.

#![expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use opencpm_agent::apply::{SALT_BYTES, Scheme, hash};
use opencpm_agent::memory::return_large_blocks;

/// Resident memory of this process, in KiB (proc_pid_status(5)).
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_memory_of_a_hash_goes_back_to_the_system() {
    return_large_blocks();
    let usual = Scheme::Yescrypt { cost: Scheme::USUAL_COST };
    let before = resident();
    for round in 0..3 {
        hash(usual, b"abce1234", &[round; SALT_BYTES]).unwrap();
        let kept = resident() - before;
        println!("after hash {round}: {kept} KiB above {before} KiB");
        assert!(kept < 1024, "{kept} KiB stay resident");
    }
}
