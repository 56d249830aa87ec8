//! Targets of `cargo xtask fuzz`: each takes any bytes and says what holds for them. Here because
//! what they ask is private to this module. `fuzz/README.md` lists all of them.

use opencpm_domain::{Advice, Reason};

use super::configuration::Configuration;
use super::crypt_library::CryptLibrary;
use super::login_defs::LoginDefs;
use super::pam::{PamUnix, pam_unix};
use super::{RootEntry, Scheme};

const DAY: u64 = 20_000;
const HASH: &str = "$y$j9T$new$hash";

/// The shadow file: root's entry is refused for what is wrong with it, or renewed so that the
/// result has the new hash, nothing in it defeats it, and every other byte stays.
pub fn shadow(file: &[u8]) {
    let entry = match RootEntry::find(file) {
        Ok(entry) => entry,
        Err(reason) => {
            let told = [
                Reason::NoRootEntry,
                Reason::DuplicateRootEntry,
                Reason::CrlfRootEntry,
                Reason::BrokenRootEntry,
            ];
            return assert!(told.contains(&reason));
        }
    };
    let renewed = entry.renew(HASH, DAY);
    let new = RootEntry::find(&renewed.file);
    let Ok(new) = new else { return assert!(new.is_ok(), "the new file has no entry of root") };
    assert_eq!(new.hash(), HASH.as_bytes());
    assert_eq!(new.digest(), renewed.digest);
    assert!(!new.locked() && !new.account_expired(DAY) && !new.password_expired());
    assert_eq!(*new.renew(HASH, DAY).file, *renewed.file);
    let told = |advice| renewed.lifted.contains(&advice);
    assert_eq!(told(Advice::LockLifted), entry.locked());
    let expired = entry.account_expired(DAY) || entry.password_expired();
    assert_eq!(told(Advice::ExpiryLifted), expired);
    other_bytes_stay(file, &renewed.file, expired);
}

/// Line by line and field by field: root's hash and date, and what kept root out, are all that
/// may differ.
fn other_bytes_stay(old: &[u8], new: &[u8], expired: bool) {
    let lines = |file: &'_ [u8]| file.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let (old, new): (Vec<_>, Vec<_>) = (lines(old), lines(new));
    assert_eq!(old.len(), new.len());
    for (old, new) in old.iter().zip(&new).filter(|(old, new)| old != new) {
        let fields =
            |line: &'_ [u8]| line.split(|byte| *byte == b':').map(<[u8]>::to_vec).collect();
        let (old, new): (Vec<_>, Vec<_>) = (fields(old), fields(new));
        assert_eq!((old.len(), new.len(), &old[0][..]), (9, 9, &b"root"[..]));
        for (at, (old, new)) in old.iter().zip(&new).enumerate() {
            let lifted = expired && [4, 7].contains(&at) && new.is_empty();
            assert!(old == new || [1, 2].contains(&at) || lifted, "field {at}");
        }
    }
}

/// login.defs: the last method counts, and whatever it says leads to a hash that is made in
/// bounded time.
pub fn login_defs(file: &[u8]) {
    let read = LoginDefs::parse(file);
    let place = file.len() / 2;
    let (first, second) = file.split_at(place);
    let (first, second) = (LoginDefs::parse(first), second);
    let joined = LoginDefs::parse(&[&file[..place], b"\n", second].concat());
    assert_eq!(joined.method, LoginDefs::parse(second).method.or(first.method));
    bounded(None, read);
}

/// PAM's password stacks: reading ends, and what they ask for is a hash that is made in bounded
/// time.
pub fn pam_passwords(input: &[u8]) {
    const SERVICES: [&str; 4] = ["passwd", "common-password", "system-auth", "other"];
    let files: Vec<_> = input.splitn(SERVICES.len(), |byte| *byte == 0x1e).collect();
    let mut reads = 0;
    let found = pam_unix(&mut |service| {
        reads += 1;
        let place = SERVICES.iter().position(|name| *name == service)?;
        files.get(place).map(|file| file.to_vec())
    });
    assert!(reads <= 64, "it reads stacks without end");
    bounded(found, LoginDefs::default());
}

/// Cost factors and rounds: crypt(5), and the bounds of pam_unix and shadow-utils.
fn bounded(pam: Option<PamUnix>, login_defs: LoginDefs) {
    use CryptLibrary::{KnowsYescrypt, LacksYescrypt, Unknown};
    for library in [KnowsYescrypt, LacksYescrypt, Unknown] {
        let asked = Configuration { pam, login_defs, library, yescrypt_in_use: false };
        match Scheme::choose(&asked) {
            Scheme::Yescrypt { cost } => {
                assert!((1..=11).contains(&cost) && library != LacksYescrypt);
            }
            Scheme::Sha512 { rounds } => assert!((1_000..=9_999_999).contains(&rounds)),
        }
    }
}
