//! One reset from lock to verification, and what can be said after a crash.

use std::io;
use std::time::Duration;

use opencpm_domain::{Advice, Password, Reason};
use zeroize::Zeroizing;

use super::configuration::Configuration;
use super::entry::Renewed;
use super::hash::SALT_BYTES;
use super::lock::ShadowLock;
use super::replace::{Pending, has_leftover, remove_leftover, sync_directory};
use super::shadow::ShadowDirectory;
use super::{EntryDigest, Failure, Root, RootEntry, Scheme, hash, verify};

/// What to do, and everything that comes from outside.
pub struct Order<'a> {
    /// Root's new password.
    pub password: &'a Password,
    /// The machine's idea of today, in days since the epoch.
    pub today: u64,
    /// The day on which the job was issued: the date of last change is never before it, whatever
    /// the machine's clock says.
    pub issued: u64,
    /// How long to wait for other programs' locks; [`Order::USUAL_WAIT`] unless configured.
    pub wait: Duration,
    /// Fresh random bytes.
    pub salt: [u8; SALT_BYTES],
}

/// What is about to change, made durable before it does. Tells after a crash, without a password,
/// whether it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Root's entry before.
    pub old: EntryDigest,
    /// Root's entry after.
    pub new: EntryDigest,
}

/// Who accompanies a reset. [`Unattended`] is for a person at the machine itself.
pub trait Oversight {
    /// Makes the intent durable. After this returned `Ok`, the change may have happened; an error
    /// ends the reset with nothing changed.
    fn intend(&mut self, intent: &Intent) -> Result<(), Reason>;

    /// Asked immediately before the change; an error ends the reset with nothing changed.
    fn still_due(&mut self) -> Result<(), Reason>;

    /// Told at each [`Step`], so that a test can stop the process there.
    fn reached(&mut self, _step: Step) {}
}

/// Points between which a crash makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The intent is durable and nothing has changed.
    IntentDurable,
    /// The new file is in place, and perhaps not yet durable.
    Renamed,
    /// Verified on disk, and nobody was told.
    Verified,
}

/// No intent kept, no time limit.
pub struct Unattended;

/// The password was verified on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What would have kept root out and was removed.
    pub lifted: Vec<Advice>,
    /// How the password was hashed.
    pub scheme: Scheme,
    /// The entry before and after.
    pub entries: Intent,
}

/// What a crash left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterCrash {
    /// Root's entry is the one that was intended: the reset happened.
    New,
    /// Root's entry is the one from before and the new file still waits beside it: the reset did
    /// not happen.
    Old,
    /// Another hand has changed it since, perhaps back to what it was, or there is no well-formed
    /// entry.
    Neither,
}

impl AfterCrash {
    /// What the disk tells of an intent: root's entry, and whether the new file still waits beside
    /// it. An old entry alone proves nothing: a file that was put back from a copy has it too. The
    /// rename would have taken the new file away.
    pub fn judge(intent: &Intent, found: Option<EntryDigest>, waits: bool) -> Self {
        match found {
            Some(found) if found == intent.new => Self::New,
            Some(found) if found == intent.old && waits => Self::Old,
            _ => Self::Neither,
        }
    }

    /// Why the job is not said to be done; `None` when it was.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::New => None,
            Self::Old => Some(Reason::Interrupted),
            Self::Neither => Some(Reason::Overwritten),
        }
    }
}

impl Order<'_> {
    /// As long as lckpwdf(3) waits.
    pub const USUAL_WAIT: Duration = Duration::from_secs(15);
}

/// Sets root's password below `root`. Blocks: for the lock up to the order's wait, and for two
/// hashes.
///
/// [`Failure::reason`] says why not; up to the rename every failure means that nothing was changed,
/// and afterwards none does. So does a rename that failed for certain.
pub fn reset(
    root: &Root,
    order: &Order<'_>,
    oversight: &mut dyn Oversight,
) -> Result<Applied, Failure> {
    let directory = ShadowDirectory::open(root)?;
    directory.check_changeable()?;
    let _lock = ShadowLock::take(directory.fd(), order.wait)?;
    remove_leftover(directory.fd());

    let old = directory.read()?;
    old.check_changeable()?;
    let entry =
        RootEntry::find(&old.bytes).map_err(|r| Failure::refused("finding root's entry", r))?;
    let scheme = Scheme::choose(&Configuration::read(root, &old.bytes));
    let new_hash = checked_hash(scheme, order)?;
    let Renewed { file, digest, lifted } = entry.renew(&new_hash, order.today.max(order.issued));
    let entries = Intent { old: entry.digest(), new: digest };

    let pending = Pending::write(directory.fd(), &old, &file)?;
    oversight.intend(&entries).map_err(|r| Failure::refused("recording the intent", r))?;
    oversight.reached(Step::IntentDurable);
    oversight.still_due().map_err(|r| Failure::refused("looking at the time", r))?;
    pending.place()?;
    oversight.reached(Step::Renamed);

    sync_directory(directory.fd())?;
    confirm(&directory, &new_hash, order.password)?;
    oversight.reached(Step::Verified);
    Ok(Applied { lifted, scheme, entries })
}

/// Looks whether the intended change happened; no password is needed. What it finds is on disk
/// for good when it returns. It changes nothing, so that asking again gives the same answer; see
/// [`tidy_up`].
///
/// An error says nothing about the change ([`Reason::certainty`] is `Unknown`); ask again.
pub fn examine_after_crash(root: &Root, intent: &Intent) -> Result<AfterCrash, Failure> {
    look(root, intent).map_err(|failure| failure.because(Reason::VerifyFailed))
}

/// Removes what a stopped reset left beside the shadow file: a file with all hashes, and perhaps a
/// lock. Only when the outcome of every intent is kept: [`examine_after_crash`] looks at it.
pub fn tidy_up(root: &Root) -> Result<(), Failure> {
    let directory = ShadowDirectory::open(root)?;
    if has_leftover(directory.fd()) {
        let _lock = ShadowLock::take(directory.fd(), Order::USUAL_WAIT)?;
        remove_leftover(directory.fd());
    }
    Ok(())
}

fn look(root: &Root, intent: &Intent) -> Result<AfterCrash, Failure> {
    // Reading needs no lock: the file is always whole.
    let directory = ShadowDirectory::open(root)?;
    let file = match directory.read() {
        Ok(file) => file,
        Err(failure) if of_another_hand(failure.reason()) => return Ok(AfterCrash::Neither),
        Err(failure) => return Err(failure),
    };
    let found = RootEntry::find(&file.bytes).ok().map(|entry| entry.digest());
    let judged = AfterCrash::judge(intent, found, has_leftover(directory.fd()));
    if judged == AfterCrash::New {
        sync_directory(directory.fd())?;
    }
    Ok(judged)
}

/// The file is gone, or something stands in its place that a reset would not have touched.
fn of_another_hand(reason: Reason) -> bool {
    use Reason::{ShadowMissing, ShadowNotRegular, ShadowSymlink, ShadowTooLarge};
    matches!(reason, ShadowMissing | ShadowNotRegular | ShadowSymlink | ShadowTooLarge)
}

impl Oversight for Unattended {
    fn intend(&mut self, _intent: &Intent) -> Result<(), Reason> {
        Ok(())
    }

    fn still_due(&mut self) -> Result<(), Reason> {
        Ok(())
    }
}

/// A hash that was checked against the password, before anything is written.
fn checked_hash(scheme: Scheme, order: &Order<'_>) -> Result<Zeroizing<String>, Failure> {
    let doing = "hashing the password";
    let password = order.password.expose().as_bytes();
    let failed = |e| Failure::caused(doing, io::Error::other(e), Reason::HashFailed);
    let made = hash(scheme, password, &order.salt).map_err(failed)?;
    if !verify(&made, password).map_err(failed)? {
        return Err(Failure::refused("checking the hash", Reason::HashFailed));
    }
    Ok(made)
}

/// Reads the file again and checks the password against the entry that is there.
fn confirm(
    directory: &ShadowDirectory,
    expected: &str,
    password: &Password,
) -> Result<(), Failure> {
    let file = directory.read().map_err(|failure| failure.because(Reason::VerifyFailed))?;
    let entry = RootEntry::find(&file.bytes);
    // Another hash is another hand's; it might also cost hours to check.
    let ours = entry.is_ok_and(|entry| entry.hash() == expected.as_bytes());
    if ours && verify(expected, password.expose().as_bytes()) == Ok(true) {
        return Ok(());
    }
    Err(Failure::refused("verifying the changed entry", Reason::VerifyFailed))
}
