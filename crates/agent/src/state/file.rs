//! The state's directory: who may read it, one agent at a time, and files that are replaced whole.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use minicbor::{Decode, Decoder, Encode};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Enrolling, FORMAT, State};
use crate::regular::open_regular;

/// First bytes of every file, so that another program's file is told from a damaged one.
const MAGIC: &[u8; 8] = b"ocpmagt\n";
const SUM: usize = 32;

/// Far more than any state of ours.
const LARGEST: u64 = 16 * 1024 * 1024;

const STATE: &str = "state";
const ENROLLING: &str = "enrolling";
const LOCK: &str = "lock";

/// Why the state cannot be used. Nothing is ever overwritten because of one of these.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory cannot be made or opened.
    #[error("cannot use the state directory {path}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another agent uses the same state.
    #[error("another opencpm-agent uses the state in {path}: stop it first")]
    Busy {
        /// Which.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what an agent wrote.
    #[error(
        "{path} is damaged and was left as it is: bring it back from a backup, or move it away \
         and enrol this machine again"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong, when the sum is right.
        source: Option<minicbor::decode::Error>,
    },
    /// Written by an agent whose state this one does not understand.
    #[error("{path} was written by a newer opencpm-agent: install that version again")]
    Newer {
        /// Which.
        path: PathBuf,
    },
    /// A file cannot be replaced; the old one is still there.
    #[error("cannot write {path}")]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The directory, held by this process alone when it was opened with [`Self::open`].
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: Option<File>,
}

impl StateDir {
    /// Makes the directory where there is none, for its owner only, and takes its lock. One that
    /// belongs to somebody else is refused: they could put another state into it.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let unusable = |source| StateError::Directory { path: path.to_owned(), source };
        make(path).map_err(unusable)?;
        let lock = private(OpenOptions::new().create(true).truncate(false))
            .open(path.join(LOCK))
            .map_err(unusable)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: Some(lock) }),
            Err(Errno::WOULDBLOCK) => Err(StateError::Busy { path: path.to_owned() }),
            Err(errno) => Err(unusable(errno.into())),
        }
    }

    /// For looking only, also while an agent runs.
    pub fn look(path: &Path) -> Self {
        Self { path: path.to_owned(), _lock: None }
    }

    /// The state; `None` before the enrolment.
    pub fn load(&self) -> Result<Option<State>, StateError> {
        let Some(bytes) = self.read(STATE)? else { return Ok(None) };
        let content = &bytes[MAGIC.len() + SUM..];
        let damaged = |source| self.damaged(STATE, Some(source));
        if format(content).map_err(damaged)? > FORMAT {
            return Err(StateError::Newer { path: self.path.join(STATE) });
        }
        minicbor::decode(content).map(Some).map_err(damaged)
    }

    /// Replaces the state. When it returns, the new one is on the disk for good.
    pub fn save(&self, state: &State) -> Result<(), StateError> {
        self.replace(STATE, state)
    }

    /// An enrolment that was begun; `None` when there is none.
    pub fn load_enrolling(&self) -> Result<Option<Enrolling>, StateError> {
        let Some(bytes) = self.read(ENROLLING)? else { return Ok(None) };
        let content = &bytes[MAGIC.len() + SUM..];
        minicbor::decode(content).map(Some).map_err(|e| self.damaged(ENROLLING, Some(e)))
    }

    /// Keeps an enrolment that is about to be asked for.
    pub fn save_enrolling(&self, enrolling: &Enrolling) -> Result<(), StateError> {
        self.replace(ENROLLING, enrolling)
    }

    /// The enrolment is complete, its state saved.
    pub fn end_enrolling(&self) -> Result<(), StateError> {
        match fs::remove_file(self.path.join(ENROLLING)) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                Err(StateError::Write { path: self.path.join(ENROLLING), source })
            }
            _ => Ok(()),
        }
    }

    /// The file's bytes, of the right kind and with the right sum.
    fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StateError> {
        let path = self.path.join(name);
        let unreadable = |source| StateError::Read { path: path.clone(), source };
        let file = match open_regular(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(unreadable)?,
        };
        let length = file.metadata().map_err(unreadable)?.len().min(LARGEST);
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0)));
        file.take(LARGEST).read_to_end(&mut bytes).map_err(unreadable)?;
        let well = bytes.split_at_checked(MAGIC.len()).is_some_and(|(magic, rest)| {
            magic == MAGIC
                && rest
                    .split_at_checked(SUM)
                    .is_some_and(|(sum, content)| sum == &Sha256::digest(content)[..])
        });
        if well { Ok(Some(bytes)) } else { Err(self.damaged(name, None)) }
    }

    fn damaged(&self, name: &str, source: Option<minicbor::decode::Error>) -> StateError {
        StateError::Damaged { path: self.path.join(name), source }
    }

    fn replace<T: Encode<()>>(&self, name: &str, value: &T) -> Result<(), StateError> {
        let path = self.path.join(name);
        self.write(name, value).map_err(|source| StateError::Write { path, source })
    }

    /// Beside, to the disk, in its place, and the place to the disk.
    fn write<T: Encode<()>>(&self, name: &str, value: &T) -> io::Result<()> {
        let beside = self.path.join(format!("{name}.new"));
        let bytes = encode(value)?;
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private(OpenOptions::new().create_new(true)).open(&beside)?;
        let written = file.write_all(&bytes).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // Half a file helps nobody, and the disk may be full because of it.
            fs::remove_file(&beside)?;
            return Err(error);
        }
        fs::rename(&beside, self.path.join(name))?;
        File::open(&self.path)?.sync_all()
    }
}

fn make(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        // A power cut after an enrolment must not lose the directory with the keys in it.
        Ok(()) => File::open(parent)?.sync_all()?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    // What is made safe is what was looked at, whatever is put into its place meanwhile.
    let opened = File::open(path)?;
    let found = opened.metadata()?;
    if !found.is_dir() {
        return Err(ErrorKind::NotADirectory.into());
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        let whose = format!("it belongs to user {}", found.uid());
        return Err(io::Error::new(ErrorKind::PermissionDenied, whose));
    }
    opened.set_permissions(Permissions::from_mode(0o700))
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.read(true).write(true).mode(0o600)
}

/// Magic, sum, content. Room is made first: a buffer that grows leaves copies of keys behind.
fn encode<T: Encode<()>>(value: &T) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut counted = Counter(0);
    minicbor::encode(value, &mut counted).map_err(io::Error::other)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAGIC.len() + SUM + counted.0));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[0; SUM]);
    minicbor::encode(value, &mut *bytes).map_err(io::Error::other)?;
    let sum = Sha256::digest(&bytes[MAGIC.len() + SUM..]);
    bytes[MAGIC.len()..MAGIC.len() + SUM].copy_from_slice(&sum);
    Ok(bytes)
}

/// Counts what would be written.
struct Counter(usize);

impl minicbor::encode::Write for Counter {
    type Error = std::convert::Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0 += bytes.len();
        Ok(())
    }
}

/// The state's format, without reading the rest.
fn format(content: &[u8]) -> Result<u16, minicbor::decode::Error> {
    #[derive(Decode)]
    #[cbor(map)]
    struct Head {
        #[n(0)]
        format: u16,
    }
    Decoder::new(content).decode::<Head>().map(|head| head.format)
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
