//! Root's line in the bytes of a shadow file: found, checked, renewed. Nothing here does I/O.
//!
//! The format is shadow(5): nine fields between colons. Lines of other accounts are never
//! interpreted, so whatever is in them stays byte for byte.

use std::fmt;
use std::ops::Range;

use opencpm_domain::{Advice, Reason, to_hex};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Root's entry, well-formed and the only one.
pub struct RootEntry<'a> {
    file: &'a [u8],
    /// Where the line is, without its newline.
    line: Range<usize>,
    /// The line's fields: name, hash, last change, least, most, warning, inactivity, expiry, flag.
    fields: [&'a [u8]; FIELDS],
}

/// SHA-256 of a whole line of root, without the newline: names an entry without its hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EntryDigest(pub [u8; 32]);

/// The file with root's entry renewed.
pub(super) struct Renewed {
    /// Wiped when dropped: it holds the hashes of all accounts.
    pub(super) file: Zeroizing<Vec<u8>>,
    pub(super) digest: EntryDigest,
    /// What would have kept root out and was removed.
    pub(super) lifted: Vec<Advice>,
}

const FIELDS: usize = 9;
const HASH: usize = 1;
const LAST_CHANGE: usize = 2;
const MOST_DAYS: usize = 4;
const EXPIRY: usize = 7;

impl<'a> RootEntry<'a> {
    /// Finds root's entry.
    ///
    /// The C library skips white space in front of a name and takes the first match, while
    /// shadow-utils does not: so an indented line of root counts as one of root's, and as broken.
    pub fn find(file: &'a [u8]) -> Result<Self, Reason> {
        let mut found = lines(file).filter(|line| is_roots(&file[line.clone()]));
        let line = found.next().ok_or(Reason::NoRootEntry)?;
        if found.next().is_some() {
            return Err(Reason::DuplicateRootEntry);
        }
        let text = &file[line.clone()];
        if text.ends_with(b"\r") {
            return Err(Reason::CrlfRootEntry);
        }
        let fields = split(text).ok_or(Reason::BrokenRootEntry)?;
        Ok(Self { file, line, fields })
    }

    /// The second field: a hash, a lock mark, or both.
    pub fn hash(&self) -> &'a [u8] {
        self.fields[HASH]
    }

    /// Names this entry, whatever the rest of the file holds.
    pub fn digest(&self) -> EntryDigest {
        EntryDigest(Sha256::digest(&self.file[self.line.clone()]).into())
    }

    /// True where a lock mark stands in front of the hash or in its place.
    pub fn locked(&self) -> bool {
        self.hash().starts_with(b"!") || self.hash().starts_with(b"*")
    }

    /// True where the account has expired on `day`, in days since the epoch. 0 counts as expired,
    /// as pam_unix takes it (shadow(5) warns of it).
    pub fn account_expired(&self, day: u64) -> bool {
        number(self.fields[EXPIRY]).flatten().is_some_and(|expiry| expiry <= day)
    }

    /// True where a change of the password is forced at the next login: last change on day 0
    /// (`passwd --expire`), or a validity of 0 days, which a new date does not cure.
    pub fn password_expired(&self) -> bool {
        let zero = |field: usize| number(self.fields[field]).flatten() == Some(0);
        zero(LAST_CHANGE) || zero(MOST_DAYS)
    }

    /// The file with this `hash`, changed on `day`, and nothing in the entry that defeats it. Every
    /// byte outside these fields stays.
    pub(super) fn renew(&self, hash: &str, day: u64) -> Renewed {
        let day = day.max(1); // day 0 forces a change at the next login
        let date = day.to_string();
        let mut fields = self.fields;
        fields[HASH] = hash.as_bytes();
        fields[LAST_CHANGE] = date.as_bytes();
        if self.account_expired(day) {
            fields[EXPIRY] = b"";
        }
        if number(self.fields[MOST_DAYS]).flatten() == Some(0) {
            fields[MOST_DAYS] = b"";
        }
        let line = Zeroizing::new(fields.join(&b':'));
        let digest = EntryDigest(Sha256::digest(&*line).into());
        Renewed { file: self.with_line(&line), digest, lifted: self.to_lift(day) }
    }

    fn to_lift(&self, day: u64) -> Vec<Advice> {
        let expired = self.account_expired(day) || self.password_expired();
        [(self.locked(), Advice::LockLifted), (expired, Advice::ExpiryLifted)]
            .into_iter()
            .filter_map(|(found, advice)| found.then_some(advice))
            .collect()
    }

    fn with_line(&self, line: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut file = Zeroizing::new(Vec::with_capacity(self.file.len() + line.len()));
        file.extend_from_slice(&self.file[..self.line.start]);
        file.extend_from_slice(line);
        file.extend_from_slice(&self.file[self.line.end..]);
        file
    }
}

/// Where the lines are, without their newlines; the last may have none.
fn lines(file: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    file.split(|byte| *byte == b'\n').map(move |line| {
        let range = start..start + line.len();
        start = range.end + 1;
        range
    })
}

fn is_roots(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    // A line that holds only the name is still root's, and broken.
    let name = name.strip_suffix(b"\r").unwrap_or(name);
    name.trim_ascii_start() == b"root"
}

/// The nine fields, where all of them are as shadow(5) says.
fn split(line: &[u8]) -> Option<[&[u8]; FIELDS]> {
    if line.contains(&0) || !line.starts_with(b"root:") {
        return None;
    }
    let fields: Vec<_> = line.split(|byte| *byte == b':').collect();
    let fields: [_; FIELDS] = fields.try_into().ok()?;
    fields[LAST_CHANGE..].iter().all(|field| number(field).is_some()).then_some(fields)
}

/// A field of days: `None` when it is no number, `Some(None)` when it is empty or the -1 that the
/// C library takes for empty.
fn number(field: &[u8]) -> Option<Option<u64>> {
    match field {
        b"" | b"-1" => Some(None),
        digits if digits.iter().all(u8::is_ascii_digit) => {
            str::from_utf8(digits).ok()?.parse().ok().map(Some)
        }
        _ => None,
    }
}

impl fmt::Debug for EntryDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: u64 = 20_000;

    fn renewed(file: &[u8]) -> (Vec<u8>, Vec<Advice>) {
        let renewed = RootEntry::find(file).unwrap().renew("$6$new", DAY);
        (renewed.file.to_vec(), renewed.lifted)
    }

    fn refused(file: &[u8]) -> Reason {
        RootEntry::find(file).err().unwrap()
    }

    #[test]
    fn only_hash_and_date_of_a_plain_entry_change() {
        let (file, lifted) = renewed(b"root:$6$old:19000:0:99999:7:30:30000:\n");
        assert_eq!(file, b"root:$6$new:20000:0:99999:7:30:30000:\n");
        assert_eq!(lifted, []);
    }

    #[test]
    fn a_lock_is_lifted_and_told() {
        for locked in ["!", "!!", "*", "!*", "!$6$old", "!!$6$old", "*LK*"] {
            let (file, lifted) = renewed(format!("root:{locked}:19000::::::").as_bytes());
            assert_eq!(file, b"root:$6$new:20000::::::", "{locked}");
            assert_eq!(lifted, [Advice::LockLifted], "{locked}");
        }
    }

    #[test]
    fn an_expiry_that_defeats_the_reset_is_lifted_and_told() {
        for (old, new) in [
            ("19000:0:99999:7::19500:", "20000:0:99999:7:::"),
            ("19000:0:99999:7::20000:", "20000:0:99999:7:::"),
            ("19000:0:99999:7::0:", "20000:0:99999:7:::"),
            ("0:0:99999:7:::", "20000:0:99999:7:::"),
            ("19000:0:0:7:5::", "20000:0::7:5::"),
            ("0:0:0:7:0:1:", "20000:0::7:0::"),
        ] {
            let (file, lifted) = renewed(format!("root:$6$old:{old}\n").as_bytes());
            assert_eq!(String::from_utf8(file).unwrap(), format!("root:$6$new:{new}\n"));
            assert_eq!(lifted, [Advice::ExpiryLifted], "{old}");
        }
    }

    #[test]
    fn an_expiry_in_the_future_and_plain_ageing_stay() {
        for kept in ["0:90:7:14:20001:", ":::::", "0:-1:-1:-1:-1:-1", "0:1:7:0::"] {
            let (file, lifted) = renewed(format!("root:$6$old:19000:{kept}").as_bytes());
            assert_eq!(String::from_utf8(file).unwrap(), format!("root:$6$new:20000:{kept}"));
            assert_eq!(lifted, [], "{kept}");
        }
    }

    #[test]
    fn the_date_of_last_change_is_never_day_0() {
        let renewed = RootEntry::find(b"root:x:5::::::").unwrap().renew("h", 0);
        assert_eq!(*renewed.file, b"root:h:1::::::");
    }

    #[test]
    fn a_file_without_root_is_refused() {
        for file in ["", "\n", "rootx:*:1::::::\n", "#root:*:1::::::\n", "+root:*:1::::::"] {
            assert_eq!(refused(file.as_bytes()), Reason::NoRootEntry, "{file:?}");
        }
    }

    #[test]
    fn two_lines_of_root_are_refused() {
        let line = "root:*:1::::::\n";
        for other in [line, "root", " root:*:1::::::", "root:broken\n", "root:*:1::::::\r\n"] {
            let file = format!("{line}a:*:1::::::\n{other}");
            assert_eq!(refused(file.as_bytes()), Reason::DuplicateRootEntry, "{other:?}");
        }
    }

    #[test]
    fn a_broken_line_of_root_is_refused() {
        for file in [
            "root",
            "root:",
            "root:*:1:::::",
            "root:*:1:::::::",
            "root:*:x::::::",
            "root:*:1::::::flag",
            "root:*:1: 2:::::",
            "root:*:+1::::::",
            "root:*:-2::::::",
            "root:*:99999999999999999999::::::",
            "root:*\0:1::::::",
            " root:*:1::::::",
            "\troot:*:1::::::",
        ] {
            assert_eq!(refused(file.as_bytes()), Reason::BrokenRootEntry, "{file:?}");
        }
    }

    #[test]
    fn a_carriage_return_ending_roots_line_is_refused() {
        for file in ["root:*:1::::::\r\n", "root:*:1::::::\r", "root\r\n"] {
            assert_eq!(refused(file.as_bytes()), Reason::CrlfRootEntry, "{file:?}");
        }
    }

    #[test]
    fn oddities_of_other_lines_stay_byte_for_byte() {
        let before = b"\n\xff\0:::\r\nbin:*:1::::::\r\n::\n".as_slice();
        let after = b"\n\n# comment\nx:no newline \0\r".as_slice();
        let (file, _) = renewed(&[before, b"root:*:1::::::\n", after].concat());
        assert_eq!(file, [before, b"root:$6$new:20000::::::\n", after].concat());
    }

    proptest! {
        #[test]
        fn every_byte_around_the_entry_stays(
            before in prop::collection::vec(any::<u8>(), 0..200),
            after in prop::collection::vec(any::<u8>(), 0..200),
            hash in "[!*]{0,2}[$./0-9A-Za-z]{0,40}",
            days in prop::collection::vec("[0-9]{0,5}", 7),
        ) {
            let line = format!("root:{hash}:{}", days.join(":"));
            let file = [&before[..], b"\n", line.as_bytes(), b"\n", &after[..]].concat();
            let old = RootEntry::find(&file).unwrap();
            let renewed = old.renew("$y$new", DAY);
            prop_assert!(renewed.file.starts_with(&file[..=before.len()]));
            let tail = [b"\n", &after[..]].concat();
            prop_assert!(renewed.file.ends_with(&tail));
            let new = RootEntry::find(&renewed.file).unwrap();
            prop_assert_eq!(new.hash(), b"$y$new");
            prop_assert_eq!(new.digest(), renewed.digest);
            prop_assert!(!new.locked() && !new.account_expired(DAY) && !new.password_expired());
            prop_assert_eq!(new.renew("$y$new", DAY).file, renewed.file);
        }

        #[test]
        fn foreign_bytes_are_found_or_refused(
            file in prop::collection::vec(prop_oneof![
                Just(b"root:".to_vec()), Just(b":".to_vec()), Just(b"\n".to_vec()),
                Just(b"\r".to_vec()), prop::collection::vec(any::<u8>(), 0..4),
            ], 0..40)
        ) {
            let file = file.concat();
            if let Ok(entry) = RootEntry::find(&file) {
                prop_assert!(RootEntry::find(&entry.renew("h", DAY).file).is_ok());
            }
        }
    }
}
