//! Why a device's job did not succeed: a closed set, shared by agent, log, CLI and API.

use std::fmt;

/// Whether a reason says for certain that the password was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// Root's entry is not what this job would have made it.
    NotChanged,
    /// Nobody knows; a late report may still tell.
    Unknown,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $certainty:ident, $text:literal;)*) => {
        /// Why a job failed. Numbers go over the wire and into rows and never change; names are
        /// for people and programs, the sentence for people.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = $text] $(#[$doc])* $variant = $number,)*
        }

        impl Reason {
            /// Every reason, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable number.
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// The reason with this number; `None` when a newer version made it.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The stable name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One sentence.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Whether the machine's entry is known to be unchanged.
            pub const fn certainty(self) -> Certainty {
                match self { $(Self::$variant => Certainty::$certainty,)* }
            }
        }
    };
}

reasons! {
    // The server's own.
    NotDelivered = 1, "not_delivered", NotChanged, "The job never left for the machine.";
    OutcomeUnknown = 2, "outcome_unknown", Unknown,
        "The job was sent and the machine has not reported back.";
    ReEnrolled = 3, "re_enrolled", NotChanged,
        "The device was enrolled again before the job left for it.";
    Retired = 4, "retired", NotChanged, "The device was retired before the job left for it.";
    UnrecognisedReport = 5, "unrecognised_report", Unknown,
        "The machine reported a reason that this server does not know; upgrade the server.";
    ReportUnverified = 6, "report_unverified", Unknown,
        "The store says that the job succeeded, but the machine's signed report does not prove it.";

    // The agent's checks before it touches anything.
    Expired = 20, "expired", NotChanged, "The job reached the machine too late.";
    ClockWrong = 21, "clock_wrong", NotChanged,
        "The job looked expired because the machine's clock is wrong.";
    StatementExpired = 22, "statement_expired", NotChanged,
        "The deployment's trust statement has expired; renew it with the root key.";
    StaleSequence = 23, "stale_sequence", NotChanged,
        "A later job was given to this machine before.";
    SealInvalid = 24, "seal_invalid", NotChanged,
        "The sealed password does not open: it was not made for this job, this device or these keys.";
    SealingKeyGone = 25, "sealing_key_gone", NotChanged,
        "The password was sealed to a key that the machine no longer has.";
    AuthorityUnknown = 26, "authority_unknown", NotChanged,
        "The job was sealed by an authority that the trust statement does not list.";
    UnsupportedJob = 27, "unsupported_job", NotChanged,
        "This agent does not know this kind of job; upgrade the agent.";
    ClonedIdentity = 28, "cloned_identity", NotChanged,
        "The agent's state belongs to another machine; enrol this one.";
    StateUnwritable = 29, "state_unwritable", NotChanged,
        "The agent cannot write its own state, so it did not begin.";

    // The shadow file.
    ShadowMissing = 40, "shadow_missing", NotChanged, "There is no shadow file.";
    ShadowUnreadable = 41, "shadow_unreadable", NotChanged, "The shadow file cannot be read.";
    ShadowSymlink = 42, "shadow_symlink", NotChanged,
        "A symbolic link stands in the shadow file's place.";
    ShadowNotRegular = 43, "shadow_not_regular", NotChanged,
        "What stands in the shadow file's place is not a regular file.";
    NoRootEntry = 44, "no_root_entry", NotChanged, "The shadow file has no entry for root.";
    DuplicateRootEntry = 45, "duplicate_root_entry", NotChanged,
        "The shadow file has more than one entry for root.";
    BrokenRootEntry = 46, "broken_root_entry", NotChanged, "Root's shadow entry is malformed.";
    CrlfRootEntry = 47, "crlf_root_entry", NotChanged,
        "Root's shadow entry ends in a carriage return.";
    ReadOnlyFileSystem = 48, "read_only_file_system", NotChanged,
        "The file system that holds the shadow file is read-only.";
    ImmutableFile = 49, "immutable_file", NotChanged,
        "The shadow file or its directory is marked immutable or append-only.";
    LockTimeout = 50, "lock_timeout", NotChanged,
        "Another program held the lock of the password files for too long.";
    DiskFull = 51, "disk_full", NotChanged,
        "There is no space, or no quota, left for a new shadow file.";
    PermissionDenied = 52, "permission_denied", NotChanged,
        "The agent may not change the shadow file: it must run as root.";
    AttributesNotKept = 53, "attributes_not_kept", NotChanged,
        "Owner, mode or extended attributes of the shadow file could not be kept.";
    WriteFailed = 54, "write_failed", NotChanged, "The new shadow file could not be written.";
    HashFailed = 55, "hash_failed", NotChanged,
        "The new password could not be hashed as this machine's configuration asks.";
    ShadowTooLarge = 56, "shadow_too_large", NotChanged, "The shadow file is larger than 16 MiB.";
    VerifyFailed = 60, "verify_failed", Unknown,
        "After the change, root's entry on disk does not verify against the new password.";
    Interrupted = 61, "interrupted", NotChanged,
        "The agent was stopped before the change; root's entry is the old one.";
    Overwritten = 62, "overwritten", Unknown,
        "outcome_unknown: the agent was stopped around the change and since then another hand has changed root's entry.";
    NotDurable = 63, "not_durable", Unknown,
        "Root's entry was changed, or may have been: the file system failed, or did not confirm that the change outlives a power cut.";
    Forgotten = 64, "forgotten", Unknown,
        "The job came again after so many later ones that the machine no longer knows what became of it.";
}

impl Reason {
    /// True for what only the server says, numbers below 20: a machine that reports it is not
    /// understood.
    pub const fn is_servers_own(self) -> bool {
        self.number() < 20
    }
}

impl fmt::Display for Reason {
    /// `name: Sentence.`, the form that people and logs see.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_numbers_are_unique_and_read_back() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|r| r.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(Reason::from_number(reason.number()), Some(*reason));
        }
    }

    #[test]
    fn every_reason_is_one_sentence() {
        for reason in Reason::ALL {
            assert!(reason.text().ends_with('.'), "{reason}");
            assert!(!reason.text().contains(". "), "{reason}");
        }
    }
}
