//! What still keeps root out after a success, or would undo the change.

use std::fmt;

macro_rules! advice {
    ($($variant:ident = $number:literal, $name:literal, $text:literal;)*) => {
        /// Something the operator should know about a machine whose password was set. Numbers go
        /// over the wire and into rows and never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Advice {
            $(#[doc = $text] $variant = $number,)*
        }

        impl Advice {
            /// Every advice, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable number.
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// The advice with this number; `None` when a newer version made it.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The stable name, `code` on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One sentence.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

advice! {
    // The server's own.
    Superseded = 1, "superseded",
        "A later job of this device was applied or may have been: this password may not be the current one.";

    // sshd's configuration.
    SshdRootLoginDisabled = 20, "sshd_root_login_disabled",
        "sshd refuses root (PermitRootLogin no).";
    SshdRootKeyOnly = 21, "sshd_root_key_only",
        "sshd lets root in by key only (PermitRootLogin prohibit-password or forced-commands-only).";
    SshdPasswordsDisabled = 22, "sshd_passwords_disabled",
        "sshd takes no passwords (PasswordAuthentication and KbdInteractiveAuthentication are off, or AuthenticationMethods leaves them out).";
    SshdRootExcluded = 23, "sshd_root_excluded",
        "sshd's AllowUsers, DenyUsers, AllowGroups or DenyGroups keep root out.";
    SshdUndecided = 24, "sshd_undecided",
        "Whether sshd lets root in with a password depends on where the login comes from.";
    SshdUnknown = 25, "sshd_unknown",
        "Whether sshd lets root in with a password is unknown: its configuration could not be read to the end.";

    // The account.
    LockLifted = 40, "lock_lifted", "Root's entry was locked; the lock mark was removed.";
    ExpiryLifted = 41, "expiry_lifted",
        "Root's account or password had expired or was about to; the expiry was removed.";
    ShellNoLogin = 42, "shell_no_login", "Root's shell in the passwd file lets nobody log in.";
    PasswdNotShadowed = 43, "passwd_not_shadowed",
        "Root's entry in the passwd file does not refer to the shadow file, so the new password is not used.";
    FaillockLocked = 44, "faillock_locked",
        "faillock has locked root after failed logins; it may unlock by itself later.";
    FaillockUnknown = 45, "faillock_unknown",
        "Whether faillock has locked root is unknown.";
    SecurettyRestricts = 46, "securetty_restricts",
        "/etc/securetty limits the terminals on which root may log in.";
    AccessRestricts = 47, "access_restricts",
        "/etc/security/access.conf may keep root out.";
    AccountUnknown = 48, "account_unknown",
        "Whether root's entry in the passwd file lets root log in is unknown: the entry or the shell's directory is not there to see.";
    PamUnknown = 49, "pam_unknown",
        "Whether PAM's rules for terminals and access keep root out is unknown: its configuration could not be read to the end.";

    // What would undo the change.
    CloudInitSetsPassword = 60, "cloud_init_sets_password",
        "cloud-init is configured to set passwords (chpasswd or password) and may undo the change at the next boot.";
    CloudInitLocksPassword = 61, "cloud_init_locks_password",
        "cloud-init is configured to lock root's password (lock_passwd, which is its default for listed users).";
    CloudInitUnknown = 62, "cloud_init_unknown",
        "Whether cloud-init would undo the change is unknown: its configuration could not be read to the end.";
    EtcVolatile = 63, "etc_volatile",
        "The shadow file lies on a file system that does not outlive a reboot.";
    EtcUnknown = 64, "etc_unknown",
        "Whether the shadow file outlives a reboot is unknown.";
}

impl Advice {
    /// True for what only the server says, numbers below 20: a machine's word on it is left out.
    pub const fn is_servers_own(self) -> bool {
        self.number() < 20
    }
}

impl fmt::Display for Advice {
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
        let names: BTreeSet<_> = Advice::ALL.iter().map(|a| a.name()).collect();
        assert_eq!(names.len(), Advice::ALL.len());
        for advice in Advice::ALL {
            assert_eq!(Advice::from_number(advice.number()), Some(*advice));
        }
    }
}
