//! Whether failed logins have locked root (pam_faillock(8), faillock.conf(5)).

use super::pam::{Module, Task, login_modules};
use super::{Files, text};
use opencpm_domain::{Advice, Timestamp};

/// Size of a record in the tally file: 52 bytes of source, two of padding, status, time; whole
/// records only, in the machine's byte order (Linux-PAM, `struct tally`).
pub(super) const RECORD: usize = 64;
const STATUS_AT: usize = 54;
const TIME_AT: usize = 56;
/// Status bit of a record that counts.
const VALID: u16 = 1;
/// Longest interval that the module accepts: 7 days, in seconds.
const LONGEST: u64 = 604_800;
const CONFIGURATION: &str = "/etc/security/faillock.conf";

pub(super) fn advice(files: &dyn Files, now: Timestamp) -> Option<Advice> {
    let Ok(modules) = login_modules(files) else { return Some(Advice::FaillockUnknown) };
    let checks = modules.iter().filter(|module| module.task == Task::Auth);
    let verdicts: Vec<Verdict> = checks.filter_map(|module| judge(files, module, now)).collect();
    if verdicts.contains(&Verdict::Locked) {
        Some(Advice::FaillockLocked)
    } else {
        verdicts.contains(&Verdict::Unknown).then_some(Advice::FaillockUnknown)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Locked,
    Unknown,
}

fn judge(files: &dyn Files, module: &Module, now: Timestamp) -> Option<Verdict> {
    let covers_root =
        |module: &Module| module.arguments.iter().any(|word| word.starts_with("even_deny_root"));
    match module.name.as_str() {
        "pam_faillock.so" => match Options::read(files, module) {
            Ok(options) => tally(files, &options, now),
            Err(()) => Some(Verdict::Unknown),
        },
        // The older modules keep another record, which is not read.
        "pam_tally2.so" | "pam_tally.so" if covers_root(module) => Some(Verdict::Unknown),
        _ => None,
    }
}

fn tally(files: &dyn Files, options: &Options, now: Timestamp) -> Option<Verdict> {
    if !options.even_deny_root || options.deny == 0 {
        return None;
    }
    match files.read(&format!("{}/root", options.directory)) {
        Ok(None) => None,
        Ok(Some(records)) => options.locked(&records, now).then_some(Verdict::Locked),
        Err(_) => Some(Verdict::Unknown),
    }
}

/// The module's options that concern root, with its defaults.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    directory: String,
    even_deny_root: bool,
    deny: u64,
    /// In seconds.
    fail_interval: u64,
    /// In seconds; 0 is never.
    unlock_time: u64,
    /// The same for root, where it differs.
    root_unlock_time: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            directory: "/var/run/faillock".to_owned(),
            even_deny_root: false,
            deny: 3,
            fail_interval: 900,
            unlock_time: 600,
            root_unlock_time: None,
        }
    }
}

impl Options {
    /// The configuration file's options, then the module's arguments. A configuration file that
    /// an argument names must be there.
    fn read(files: &dyn Files, module: &Module) -> Result<Self, ()> {
        let named = module.arguments.iter().rev().find_map(|word| word.strip_prefix("conf="));
        let configuration = text(files, named.unwrap_or(CONFIGURATION)).map_err(|_| ())?;
        let mut options = Self::default();
        match configuration {
            Some(configuration) => options.take_file(&configuration),
            None if named.is_some() => return Err(()),
            None => {}
        }
        for word in &module.arguments {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            options.take(name, value);
        }
        Ok(options)
    }

    fn take_file(&mut self, text: &str) {
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
            let (name, value) = line.split_at(end);
            let value = value.trim_start();
            self.take(name, value.strip_prefix('=').unwrap_or(value).trim_start());
        }
    }

    /// Takes one option; like the module, leaves the old value where the new one is no good.
    fn take(&mut self, name: &str, value: &str) {
        match name {
            "dir" if value.starts_with('/') => self.directory = value.to_owned(),
            "even_deny_root" => self.even_deny_root = true,
            "deny" => self.deny = number(value).unwrap_or(self.deny),
            "fail_interval" => self.fail_interval = seconds(value).unwrap_or(self.fail_interval),
            "unlock_time" => self.unlock_time = span(value).unwrap_or(self.unlock_time),
            "root_unlock_time" => self.root_unlock_time = span(value).or(self.root_unlock_time),
            _ => {}
        }
    }

    /// Whether the failures near the latest one are enough, and the time to unlock has not passed.
    fn locked(&self, records: &[u8], now: Timestamp) -> bool {
        let times: Vec<u64> =
            records.as_chunks::<RECORD>().0.iter().filter_map(valid_time).collect();
        let latest = times.iter().copied().max().unwrap_or(0);
        let near = times.iter().filter(|time| latest - **time < self.fail_interval).count() as u64;
        let unlock = self.root_unlock_time.unwrap_or(self.unlock_time);
        let unlocked = unlock != 0 && latest.saturating_add(unlock) < now.as_secs();
        near >= self.deny && !unlocked
    }
}

fn valid_time(record: &[u8; RECORD]) -> Option<u64> {
    let status: [u8; 2] = record[STATUS_AT..TIME_AT].try_into().ok()?;
    let time: [u8; 8] = record[TIME_AT..].try_into().ok()?;
    (u16::from_ne_bytes(status) & VALID != 0).then(|| u64::from_ne_bytes(time))
}

/// The number that a text starts with.
fn number(value: &str) -> Option<u64> {
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    value[..end].parse().ok()
}

fn seconds(value: &str) -> Option<u64> {
    number(value).filter(|seconds| *seconds <= LONGEST)
}

fn span(value: &str) -> Option<u64> {
    if value == "never" { Some(0) } else { seconds(value) }
}

#[cfg(test)]
mod tests {
    use super::super::memory_tree::MemoryTree;
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_800_000_000;
    const ROCKY: &str = "auth required pam_env.so\n\
        auth required pam_faillock.so preauth silent\n\
        auth sufficient pam_unix.so nullok\n\
        auth required pam_faillock.so authfail\n\
        auth required pam_deny.so\n\
        account required pam_faillock.so\n";

    /// Records of failures so many seconds ago.
    fn failures(ages: &[u64]) -> Vec<u8> {
        let record = |age: &u64| {
            let mut record = [0; RECORD];
            record[..9].copy_from_slice(b"192.0.2.7");
            record[STATUS_AT..TIME_AT].copy_from_slice(&3_u16.to_ne_bytes());
            record[TIME_AT..].copy_from_slice(&(NOW - age).to_ne_bytes());
            record
        };
        ages.iter().flat_map(record).collect()
    }

    fn rocky(configuration: &str, ages: &[u64]) -> Option<Advice> {
        let files = MemoryTree::new()
            .file("/etc/pam.d/sshd", "auth substack password-auth\n")
            .file("/etc/pam.d/password-auth", ROCKY)
            .file("/etc/security/faillock.conf", configuration)
            .file("/var/run/faillock/root", failures(ages));
        advice(&files, Timestamp::from_secs(NOW))
    }

    #[test]
    fn enough_recent_failures_lock_root() {
        let configuration = "# deny = 9\neven_deny_root\ndeny = 3\nunlock_time=600\n";
        assert_eq!(rocky(configuration, &[500, 400, 300]), Some(Advice::FaillockLocked));
        assert_eq!(rocky(configuration, &[400, 300]), None);
        assert_eq!(rocky(configuration, &[5000, 400, 300]), None);
        assert_eq!(rocky(configuration, &[800, 700, 650]), None);
    }

    #[test]
    fn root_has_its_own_time_to_unlock() {
        let never = "even_deny_root\nroot_unlock_time = never\n";
        assert_eq!(rocky(never, &[90_000, 90_001, 90_002]), Some(Advice::FaillockLocked));
        assert_eq!(rocky("even_deny_root\nroot_unlock_time=60\n", &[90, 91, 92]), None);
    }

    #[test]
    fn without_even_deny_root_failures_do_not_lock_root() {
        assert_eq!(rocky("deny = 3\n", &[3, 2, 1]), None);
        assert_eq!(rocky("even_deny_root\ndeny = 0\n", &[3, 2, 1]), None);
    }

    #[test]
    fn arguments_win_over_the_file_and_name_another_directory() {
        let files = MemoryTree::new()
            .file("/etc/pam.d/login", "auth required pam_faillock.so preauth even_deny_root deny=2 dir=/var/lib/faillock\n")
            .file("/var/lib/faillock/root", failures(&[2, 1]));
        assert_eq!(advice(&files, Timestamp::from_secs(NOW)), Some(Advice::FaillockLocked));
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        let unknown = Some(Advice::FaillockUnknown);
        let now = Timestamp::from_secs(NOW);
        let stack = |stack: &str| MemoryTree::new().file("/etc/pam.d/sshd", stack);
        let denied = stack("auth required pam_faillock.so preauth even_deny_root\n");
        assert_eq!(advice(&denied.broken("/var/run/faillock/root"), now), unknown);
        assert_eq!(advice(&stack("auth required pam_faillock.so conf=/etc/x\n"), now), unknown);
        assert_eq!(advice(&stack("auth required pam_tally2.so even_deny_root\n"), now), unknown);
        assert_eq!(advice(&stack("auth required pam_tally2.so deny=3\n"), now), None);
    }

    proptest! {
        #[test]
        fn any_record_and_any_option_is_read_without_panic(
            records in proptest::collection::vec(any::<u8>(), 0..300),
            configuration in "(.|\n)*",
        ) {
            let mut options = Options::default();
            options.take_file(&configuration);
            let _ = options.locked(&records, Timestamp::from_secs(NOW));
        }
    }
}
