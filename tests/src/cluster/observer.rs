//! Everything that every machine's shadow file ever was, as the kernel tells it.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

use crate::scratch_root::SHADOW;

/// Root's hash, as it was on disk from then on.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// When it was seen.
    pub at: Instant,
    /// The field of root's entry.
    pub hash: String,
}

/// What was seen of one machine.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// In the order in which they came; the first is from before any reset.
    pub hashes: Vec<Sighting>,
    /// Files that were replaced before the observer came to read them.
    pub missed: u32,
}

/// Watches the folders of shadow files. Each replacement is read; anything else that is done to a
/// shadow file, and a file that is not whole, is a fault.
pub struct Observer {
    shared: Arc<Shared>,
    /// The observer is woken by a file here: the kernel's events come in order.
    bell: PathBuf,
}

struct Shared {
    state: Mutex<State>,
    rung: Condvar,
}

#[derive(Default)]
struct State {
    machines: Vec<Seen>,
    faults: Vec<String>,
    /// How often the bell was rung, and heard.
    rung: u64,
    heard: u64,
}

impl Observer {
    /// Begins to watch machines, by their root folders; `dir` is an empty folder of its own.
    pub fn watch(roots: &[PathBuf], dir: &Path) -> Self {
        let kernel = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("inotify");
        // Not CLOSE_WRITE: a child of this process closes, when it becomes another program, what a
        // thread had open before the file took its place.
        let changes = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO;
        let watch = |folder: &Path| inotify::add_watch(&kernel, folder, changes).expect("a watch");
        let bell = watch(dir);
        let folders: Vec<_> =
            roots.iter().map(|root| (watch(&root.join("etc")), root.join("etc/shadow"))).collect();
        let machines = vec![Seen::default(); roots.len()];
        let state = Mutex::new(State { machines, ..State::default() });
        let shared = Arc::new(Shared { state, rung: Condvar::new() });
        let eye = Eye { bell, folders, shared: Arc::clone(&shared) };
        for number in 0..roots.len() {
            eye.look(number);
        }
        std::thread::spawn(move || eye.watch(&kernel));
        Self { shared, bell: dir.join("bell") }
    }

    /// Returns when everything that was done until now has been seen.
    pub fn catch_up(&self) {
        let mut state = self.state();
        std::fs::write(&self.bell, "").expect("our own folder");
        std::fs::remove_file(&self.bell).expect("our own file");
        state.rung += 1;
        let number = state.rung;
        let limit = Duration::from_secs(30);
        let heard = self.shared.rung.wait_timeout_while(state, limit, |s| s.heard < number);
        let (state, late) = heard.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        assert!(!late.timed_out(), "the observer of shadow files has ended");
    }

    /// What was seen of a machine so far.
    pub fn seen(&self, machine: usize) -> Seen {
        self.state().machines[machine].clone()
    }

    /// What should never have been seen, since the last call.
    pub fn faults(&self) -> Vec<String> {
        std::mem::take(&mut self.state().faults)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that watches.
struct Eye {
    bell: i32,
    folders: Vec<(i32, PathBuf)>,
    shared: Arc<Shared>,
}

impl Eye {
    fn watch(&self, kernel: &OwnedFd) {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        loop {
            let mut waiting = [PollFd::new(kernel, PollFlags::IN)];
            poll(&mut waiting, None).ok();
            let mut events = Reader::new(kernel, &mut buffer);
            while let Ok(event) = events.next() {
                self.take(event.wd(), event.events(), event.file_name());
            }
        }
    }

    fn take(&self, folder: i32, what: ReadFlags, name: Option<&CStr>) {
        if what.contains(ReadFlags::QUEUE_OVERFLOW) {
            self.fault(
                "the kernel's queue of events has overflown: not everything was seen".into(),
            );
        } else if folder == self.bell {
            if what.contains(ReadFlags::DELETE) {
                self.state().heard += 1;
                self.shared.rung.notify_all();
            }
        } else if name == Some(c"shadow")
            && let Some(number) = self.folders.iter().position(|(known, _)| *known == folder)
        {
            if what.contains(ReadFlags::MOVED_TO) {
                self.look(number);
            } else {
                let path = self.folders[number].1.display();
                self.fault(format!("{path} was not replaced but changed in place: {what:?}"));
            }
        }
    }

    /// Reads a shadow file that has just been put there.
    fn look(&self, number: usize) {
        let path = &self.folders[number].1;
        let file = std::fs::read_to_string(path);
        let mut state = self.state();
        match file.map_err(|error| error.to_string()).and_then(|text| whole(&text)) {
            Ok(hash) => {
                let seen = &mut state.machines[number];
                if seen.hashes.last().is_some_and(|last| last.hash == hash) {
                    seen.missed += 1;
                } else {
                    seen.hashes.push(Sighting { at: Instant::now(), hash });
                }
            }
            Err(why) => state.faults.push(format!("{}: {why}", path.display())),
        }
    }

    fn fault(&self, what: String) {
        self.state().faults.push(what);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Root's hash, if the file is complete: root's entry has its fields, and every other byte is as
/// it was laid out.
fn whole(text: &str) -> Result<String, String> {
    let (root, others) = text.split_once('\n').ok_or("no line is whole")?;
    let (_, others_before) = SHADOW.split_once('\n').expect("lines");
    if others != others_before {
        return Err(format!("other lines have changed: {others:?}"));
    }
    let fields: Vec<_> = root.split(':').collect();
    match fields[..] {
        ["root", hash, _, _, _, _, _, _, _] if hash.starts_with("$6$") => Ok(hash.to_owned()),
        _ => Err(format!("root's entry is not whole: {root:?}")),
    }
}
