//! Nothing is left of a sealed password when its job has ended.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use opencpm_tests::{Scheme, Site};
use rustix::process::Signal;

#[test]
fn a_sealed_password_is_gone_from_the_files_a_minute_after_its_job_ended() {
    is_erased(|_| {});
}

#[test]
fn a_sealed_password_is_gone_also_when_the_server_was_killed_as_its_job_ended() {
    is_erased(|site| site.service.process.kill());
}

fn is_erased(as_it_ends: impl FnOnce(&mut Site)) {
    let mut site = Site::start(&[Scheme::Sha512]);
    // While the machine stands still the job stays open.
    site.machines[0].agent.signal(Signal::STOP);
    let task = site.accepted("Erased!12");
    let accepted = Instant::now();
    let sealed = site.database().bytes("SELECT ciphertext FROM sealed");
    assert!(!holders(&site, &sealed).is_empty(), "where the test looks is where it is kept");
    site.machines[0].agent.signal(Signal::CONT);
    site.ended(task, accepted);
    as_it_ends(&mut site);
    site.eventually("the erasure", Duration::from_secs(60), |site| {
        holders(site, &sealed).is_empty().then_some(())
    });
}

/// The server's files that hold these bytes: database, write-ahead log, and whatever else is there.
fn holders(site: &Site, bytes: &[u8]) -> Vec<PathBuf> {
    let files = std::fs::read_dir(site.service.folder()).expect("its folder").flatten();
    let holds = |path: &PathBuf| {
        // A file may go while we look.
        let content = std::fs::read(path).unwrap_or_default();
        content.windows(bytes.len()).any(|window| window == bytes)
    };
    files.map(|file| file.path()).filter(holds).collect()
}
