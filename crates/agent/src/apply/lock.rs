//! The two locks under which every well-behaved program changes the shadow file, in shadow-utils'
//! order: `.pwd.lock` as lckpwdf(3) takes it, then `shadow.lock` by shadow-utils' own rules.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use opencpm_domain::Reason;
use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, fcntl_lock, fstat, linkat, openat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{Pid, getpid, test_kill_process};

use super::Failure;

/// Both locks, held. Dropping releases them in reverse order.
pub(super) struct ShadowLock<'a> {
    dir: BorrowedFd<'a>,
    /// Closing it releases lckpwdf's lock; fields are dropped in the order of this list.
    _password_files: OwnedFd,
    _here: HeldHere,
}

/// This process works in the folder, and drops it when it has ended: lckpwdf's lock belongs to the
/// process, so that two threads would both hold it. A process may look after several roots.
struct HeldHere(Folder);

/// Its device and its inode.
type Folder = (u64, u64);

static FOLDERS: Mutex<BTreeSet<Folder>> = Mutex::new(BTreeSet::new());

fn folders() -> MutexGuard<'static, BTreeSet<Folder>> {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HeldHere {
    /// `None` where another thread is in this folder.
    fn enter(dir: BorrowedFd<'_>) -> Result<Option<Self>, Failure> {
        let stat = fstat(dir).map_err(|e| failed("looking at the shadow file's folder", e))?;
        let folder = (stat.st_dev, stat.st_ino);
        let new = folders().insert(folder);
        Ok(new.then(|| Self(folder)))
    }
}

impl Drop for HeldHere {
    fn drop(&mut self) {
        folders().remove(&self.0);
    }
}

const PASSWORD_FILES: &str = ".pwd.lock";
const SHADOW: &str = "shadow.lock";

impl<'a> ShadowLock<'a> {
    /// Takes both, waiting up to `wait` in all. `dir` is the directory of the shadow file.
    ///
    /// A `shadow.lock` whose process is dead is stale and removed; one that names a live process,
    /// or no process at all, is respected, as shadow-utils does. Below a root other than `/` the
    /// named process may live where we cannot see it (another PID namespace). Then it is
    /// lckpwdf's lock that keeps us apart: the kernel knows it across namespaces, and shadow-utils
    /// holds it whenever it holds `shadow.lock`.
    pub(super) fn take(dir: BorrowedFd<'a>, wait: Duration) -> Result<Self, Failure> {
        let mut patience = Patience { until: Instant::now() + wait, pause: SHORTEST_PAUSE };
        let here = patience.until_some("waiting for this process", || HeldHere::enter(dir))?;
        let password_files = open_password_files_lock(dir)?;
        patience.until_some("waiting for .pwd.lock", || {
            match fcntl_lock(&password_files, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok(Some(())),
                Err(Errno::AGAIN | Errno::ACCESS | Errno::INTR) => Ok(None),
                Err(e) => Err(failed("locking .pwd.lock", e)),
            }
        })?;
        patience.until_some("waiting for shadow.lock", || link_shadow_lock(dir))?;
        Ok(Self { dir, _password_files: password_files, _here: here })
    }
}

impl Drop for ShadowLock<'_> {
    fn drop(&mut self) {
        if let Err(error) = unlinkat(self.dir, SHADOW, AtFlags::empty()) {
            tracing::warn!(%error, "shadow.lock could not be removed");
        }
    }
}

fn open_password_files_lock(dir: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    // A pipe in its place must not be waited for.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let flags = flags | OFlags::NONBLOCK;
    openat(dir, PASSWORD_FILES, flags, OWNER_ONLY).map_err(|e| failed("opening .pwd.lock", e))
}

/// One try: a file with our process id, linked to the lock's name. `None` where another holds it.
fn link_shadow_lock(dir: BorrowedFd<'_>) -> Result<Option<()>, Failure> {
    let own = format!("shadow.{}", getpid().as_raw_pid());
    let file = write_pid(dir, &own)?;
    let linked = link_or_replace_stale(dir, &own);
    // The file system may have linked although it reported otherwise: the count tells.
    let holds = matches!(linked, Ok(true)) && fstat(&file).is_ok_and(|stat| stat.st_nlink == 2);
    _ = unlinkat(dir, &own, AtFlags::empty());
    linked.map_err(|e| failed("linking shadow.lock", e))?;
    Ok(holds.then_some(()))
}

fn link_or_replace_stale(dir: BorrowedFd<'_>, own: &str) -> Result<bool, Errno> {
    let link = || linkat(dir, own, dir, SHADOW, AtFlags::empty());
    match link() {
        Err(Errno::EXIST) if is_stale(dir)? => {
            tracing::warn!("removing shadow.lock, whose process is dead");
            unlinkat(dir, SHADOW, AtFlags::empty())?;
            link().map(|()| true)
        }
        Err(Errno::EXIST) => Ok(false),
        other => other.map(|()| true),
    }
}

/// The process id in decimal and a NUL, on disk before the lock exists.
fn write_pid(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Failure> {
    let doing = "writing the file for shadow.lock";
    // One of that name is left from a process that was killed here and had our id.
    _ = unlinkat(dir, name, AtFlags::empty());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = openat(dir, name, flags, OWNER_ONLY).map_err(|e| failed(doing, e))?;
    let text = format!("{}\0", getpid().as_raw_pid());
    let written = rustix::io::write(&file, text.as_bytes());
    let written = written.and_then(|n| if n == text.len() { Ok(()) } else { Err(Errno::NOSPC) });
    written.and_then(|()| rustix::fs::fdatasync(&file)).map_err(|e| {
        _ = unlinkat(dir, name, AtFlags::empty());
        failed(doing, e)
    })?;
    Ok(file)
}

/// True where the lock names a process that does not live. Our own id is from an earlier life:
/// within this process only one holds the lock of a folder.
fn is_stale(dir: BorrowedFd<'_>) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(dir, SHADOW, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(false), // released meanwhile; the next try has it
        Err(e) => return Err(e),
    };
    let mut text = Vec::new();
    if file.take(32).read_to_end(&mut text).is_err() {
        return Ok(false);
    }
    Ok(pid_in(&text)
        .is_some_and(|pid| pid == getpid() || test_kill_process(pid) == Err(Errno::SRCH)))
}

/// The id, where the text is one up to its NUL: no sign, no white space, not 0 (which means
/// everyone to kill(2)).
fn pid_in(text: &[u8]) -> Option<Pid> {
    let digits = text.split(|byte| *byte == 0).next()?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Pid::from_raw(str::from_utf8(digits).ok()?.parse().ok()?)
}

fn failed(doing: &'static str, errno: Errno) -> Failure {
    Failure::system(doing, errno, Reason::WriteFailed)
}

/// What is left of the bounded wait, with pauses that grow.
struct Patience {
    until: Instant,
    pause: Duration,
}

const OWNER_ONLY: Mode = Mode::RUSR.union(Mode::WUSR);
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

impl Patience {
    /// Tries until there is something, at least once.
    fn until_some<T>(
        &mut self,
        doing: &'static str,
        mut attempt: impl FnMut() -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        loop {
            if let Some(found) = attempt()? {
                return Ok(found);
            }
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::refused(doing, Reason::LockTimeout));
            }
            sleep(self.pause.min(left));
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::fd::AsFd;

    const BRIEFLY: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(10);

    fn directory() -> (tempfile::TempDir, File) {
        let dir = tempfile::tempdir().unwrap();
        let file = File::open(dir.path()).unwrap();
        (dir, file)
    }

    fn names(dir: &tempfile::TempDir) -> Vec<String> {
        let entries = fs::read_dir(dir.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The id of a process that has ended.
    #[expect(clippy::disallowed_methods, reason = "a test starts programs, the agent does not")]
    fn dead_pid() -> u32 {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }

    #[test]
    fn the_lock_looks_as_shadow_utils_expects_it_and_leaves_nothing() {
        let (dir, file) = directory();
        let lock = ShadowLock::take(file.as_fd(), LONG).unwrap();
        assert_eq!(names(&dir), [PASSWORD_FILES, SHADOW]);
        let pid = format!("{}\0", std::process::id());
        assert_eq!(fs::read_to_string(dir.path().join(SHADOW)).unwrap(), pid);
        drop(lock);
        assert_eq!(names(&dir), [PASSWORD_FILES]);
        drop(ShadowLock::take(file.as_fd(), LONG).unwrap());
    }

    #[test]
    fn a_lock_of_a_live_process_is_waited_for_and_no_longer_than_asked() {
        let (dir, file) = directory();
        // The first process lives as long as the system does.
        for held in ["1", "1\0", "", "0", "-1", "garbage", "1\n", "99999999999999999999"] {
            fs::write(dir.path().join(SHADOW), held).unwrap();
            let refused = ShadowLock::take(file.as_fd(), BRIEFLY).err().unwrap();
            assert_eq!(refused.reason(), Reason::LockTimeout, "{held:?}");
            assert_eq!(fs::read_to_string(dir.path().join(SHADOW)).unwrap(), held);
            assert_eq!(names(&dir), [PASSWORD_FILES, SHADOW]);
        }
    }

    #[test]
    fn a_pipe_in_a_locks_place_is_not_waited_for() {
        use rustix::fs::{FileType, mknodat};
        let (dir, file) = directory();
        mknodat(&file, PASSWORD_FILES, FileType::Fifo, OWNER_ONLY, 0).unwrap();
        let refused = ShadowLock::take(file.as_fd(), LONG).err().unwrap();
        assert_eq!(refused.reason(), Reason::WriteFailed);
        fs::remove_file(dir.path().join(PASSWORD_FILES)).unwrap();
        mknodat(&file, SHADOW, FileType::Fifo, OWNER_ONLY, 0).unwrap();
        let refused = ShadowLock::take(file.as_fd(), BRIEFLY).err().unwrap();
        assert_eq!(refused.reason(), Reason::LockTimeout);
    }

    #[test]
    fn a_lock_of_a_dead_process_is_replaced() {
        let (dir, file) = directory();
        for pid in [dead_pid(), std::process::id()] {
            fs::write(dir.path().join(SHADOW), format!("{pid}\0")).unwrap();
            fs::write(dir.path().join(format!("shadow.{}", std::process::id())), "").unwrap();
            drop(ShadowLock::take(file.as_fd(), LONG).unwrap());
            assert_eq!(names(&dir), [PASSWORD_FILES]);
        }
    }

    #[test]
    fn threads_exclude_each_other_too() {
        let (_dir, file) = directory();
        let lock = ShadowLock::take(file.as_fd(), LONG).unwrap();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| ShadowLock::take(file.as_fd(), BRIEFLY).err().unwrap());
            assert_eq!(other.join().unwrap().reason(), Reason::LockTimeout);
        });
        drop(lock);
        std::thread::scope(|scope| {
            scope.spawn(|| drop(ShadowLock::take(file.as_fd(), LONG).unwrap()));
        });
    }

    #[test]
    fn threads_that_look_after_different_roots_do_not_wait_for_each_other() {
        let (_dir, file) = directory();
        let (_other_dir, other) = directory();
        let lock = ShadowLock::take(file.as_fd(), LONG).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| drop(ShadowLock::take(other.as_fd(), BRIEFLY).unwrap()));
        });
        drop(lock);
    }
}
