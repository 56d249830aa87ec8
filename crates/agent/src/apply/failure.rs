//! Why a reset ended early.

use std::io;

use opencpm_domain::Reason;
use rustix::io::Errno;

/// A reset that did not succeed: the reason for the report, and for the log the step at which it
/// ended and what the system said there. Never holds a password or a hash.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {reason}")]
pub struct Failure {
    reason: Reason,
    doing: &'static str,
    #[source]
    source: Option<io::Error>,
}

impl Failure {
    /// For the report. [`Reason::certainty`] says whether root's entry is surely unchanged.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// We decided not to go on while `doing`.
    pub(super) fn refused(doing: &'static str, reason: Reason) -> Self {
        Self { reason, doing, source: None }
    }

    /// A system call failed while `doing`; `otherwise` is the reason where the error has no
    /// meaning of its own.
    pub(super) fn system(doing: &'static str, errno: Errno, otherwise: Reason) -> Self {
        Self { reason: meaning(errno).unwrap_or(otherwise), doing, source: Some(errno.into()) }
    }

    /// Something else failed while `doing`.
    pub(super) fn caused(doing: &'static str, source: io::Error, reason: Reason) -> Self {
        Self { reason, doing, source: Some(source) }
    }

    /// The same event, where it means something else than usual: after the rename no failure says
    /// that nothing was changed.
    pub(super) fn because(self, reason: Reason) -> Self {
        Self { reason, ..self }
    }
}

/// What an error means wherever the password files are written. Immutable files and directories
/// are found before anything is written, so EPERM is left for a missing privilege.
fn meaning(errno: Errno) -> Option<Reason> {
    Some(match errno {
        Errno::ROFS => Reason::ReadOnlyFileSystem,
        Errno::NOSPC | Errno::DQUOT => Reason::DiskFull,
        Errno::ACCESS | Errno::PERM => Reason::PermissionDenied,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_errors_have_reasons_of_their_own() {
        for (errno, reason) in [
            (Errno::ROFS, Reason::ReadOnlyFileSystem),
            (Errno::NOSPC, Reason::DiskFull),
            (Errno::DQUOT, Reason::DiskFull),
            (Errno::ACCESS, Reason::PermissionDenied),
            (Errno::PERM, Reason::PermissionDenied),
            (Errno::IO, Reason::WriteFailed),
        ] {
            let failure = Failure::system("writing", errno, Reason::WriteFailed);
            assert_eq!(failure.reason(), reason);
            assert!(std::error::Error::source(&failure).is_some());
        }
    }
}
