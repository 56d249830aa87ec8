//! A password from the person at the terminal, or from a file descriptor.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::tell;

/// Far more than any policy allows; what is longer is refused there.
const LONGEST: usize = 1024;

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub(super) enum PasswordError {
    #[error("standard input is no terminal: give the password with --password-fd N")]
    NoTerminal,
    #[error("the terminal cannot be kept from showing what is typed")]
    Terminal(#[source] rustix::io::Errno),
    #[error("cannot read the password")]
    Read(#[source] io::Error),
    #[error("the two passwords differ; nothing was changed")]
    Differ,
}

/// Asks twice, without showing what is typed.
pub(super) fn ask() -> Result<SecretString, PasswordError> {
    let stdin = io::stdin();
    if !isatty(&stdin) {
        return Err(PasswordError::NoTerminal);
    }
    let _hidden = Hidden::begin().map_err(PasswordError::Terminal)?;
    let mut input = stdin.lock();
    tell(io::stderr(), "New password for root:");
    let first = line(&mut input)?;
    tell(io::stderr(), "Again:");
    let second = line(&mut input)?;
    if *first == *second {
        Ok(SecretString::from(first.as_str()))
    } else {
        Err(PasswordError::Differ)
    }
}

/// Reads the first line of descriptor `number`, which the caller opened for us.
pub(super) fn from_descriptor(number: RawFd) -> Result<SecretString, PasswordError> {
    if number == 0 {
        let text = line(&mut io::stdin().lock())?;
        return Ok(SecretString::from(text.as_str()));
    }
    #[expect(unsafe_code, reason = "a descriptor that is named by its number")]
    // SAFETY: the operator named the descriptor for us to read; nothing else in this process uses
    // it, and a number that is not open only makes the read fail.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    let text = line(&mut BufReader::with_capacity(1, File::from(descriptor)))?;
    Ok(SecretString::from(text.as_str()))
}

/// One line without its end; room is made first, so that no copy is left behind.
fn line(input: &mut impl BufRead) -> Result<Zeroizing<String>, PasswordError> {
    let mut text = Zeroizing::new(String::with_capacity(LONGEST));
    input.take(LONGEST as u64).read_line(&mut text).map_err(PasswordError::Read)?;
    let length = text.trim_end_matches(['\n', '\r']).len();
    text.truncate(length);
    Ok(text)
}

/// The terminal shows nothing until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> Result<Self, rustix::io::Errno> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0) {
            tracing::warn!(%error, "the terminal stays silent: type `stty echo`");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_loses_its_end_and_nothing_else() {
        for (input, password) in [("abc 123 \nrest", "abc 123 "), ("x\r\n", "x"), ("x", "x")] {
            assert_eq!(line(&mut input.as_bytes()).unwrap().as_str(), password);
        }
    }
}
