//! Changing root's entry in `etc/shadow` below a root directory: locked, checked, and never half.
//! It starts no program and opens no connection.
//!
//! | file | what it is |
//! | --- | --- |
//! | `reset` | the sequence from lock to verification, and the look after a crash |
//! | `root` | the directory below which we act, and reading files in it |
//! | `lock` | the two locks of the password files |
//! | `shadow` | opening and reading the shadow file |
//! | `entry` | root's line: found, checked, renewed |
//! | `scheme` | which hash the machine asks for; `configuration` gathers what decides it: `pam`, `login_defs`, `crypt_library` |
//! | `hash` | yescrypt and sha512crypt |
//! | `replace` | the new file beside the old one, then in its place |
//! | `failure` | why a reset ended early |

mod configuration;
mod crypt_library;
mod entry;
mod failure;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod hash;
mod lock;
mod login_defs;
mod pam;
mod replace;
mod reset;
mod root;
mod scheme;
mod shadow;

pub use entry::{EntryDigest, RootEntry};
pub use failure::Failure;
pub use hash::{HashError, SALT_BYTES, hash, verify};
pub use reset::{
    AfterCrash, Applied, Intent, Order, Oversight, Step, Unattended, examine_after_crash, reset,
    tidy_up,
};
pub use root::{ReadError, Root};
pub use scheme::Scheme;
