//! Where a new password comes from: the terminal without echo, a file descriptor, or chance.
//! Never an argument: the process list shows arguments to everybody.

use std::fs::File;
use std::io::{IsTerminal, Read, stdin};

use clap::Args;
use opencpm_domain::{PasswordPolicy, PolicyViolation};
use opencpm_operations::port::Random;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Far longer than any policy allows.
const LONGEST_LINE: u64 = 4096;

/// The length of a generated password: the longest that every policy accepts.
const GENERATED: usize = 16;

/// Options that say where the password comes from; without one it is asked for, or read from
/// standard input where that is no terminal.
#[derive(Args, Clone, Debug)]
pub(crate) struct PasswordSource {
    /// Read the password from this file descriptor: its first line
    #[arg(long, value_name = "N", conflicts_with = "generate")]
    password_fd: Option<u32>,
    /// Make a password by chance
    #[arg(long)]
    pub(crate) generate: bool,
}

/// There is no new password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    /// The terminal, standard input or the descriptor.
    #[error("the password cannot be read from {0}")]
    Read(String, #[source] std::io::Error),
    /// Typed differently.
    #[error("the two passwords differ")]
    Differ,
    /// No policy takes it.
    #[error(transparent)]
    Policy(#[from] PolicyViolation),
    /// Standard input gives the machines and there is no terminal.
    #[error("standard input gives the machines: give the password with --password-fd N")]
    NoTerminal(#[source] std::io::Error),
    /// One output, two things.
    #[error("with --json, a generated password needs a place of its own: --password-out FILE")]
    MixedWithJson,
}

impl PasswordSource {
    /// Reads, asks for or makes the password. The service's policy may be narrower than the check
    /// here, which only spares a request that no policy would accept.
    pub(crate) fn password(
        &self,
        stdin_is_taken: bool,
        random: &dyn Random,
    ) -> Result<SecretString, PasswordError> {
        if self.generate {
            return Ok(generate(random));
        }
        let password = match self.password_fd {
            Some(number) => from_descriptor(number)?,
            None if stdin_is_taken => ask().map_err(|error| match error {
                PasswordError::Read(_, source) => PasswordError::NoTerminal(source),
                other => other,
            })?,
            None if stdin().is_terminal() => ask()?,
            None => first_line(stdin().lock()).map_err(unreadable("standard input"))?,
        };
        PasswordPolicy::ExtendedLinux.check(password.expose_secret())?;
        Ok(password)
    }
}

fn unreadable(place: &str) -> impl FnOnce(std::io::Error) -> PasswordError {
    move |error| PasswordError::Read(place.to_owned(), error)
}

fn ask() -> Result<SecretString, PasswordError> {
    let prompt = |text| {
        rpassword::prompt_password(text).map(SecretString::from).map_err(unreadable("the terminal"))
    };
    let first = prompt("New password of root: ")?;
    let again = prompt("Again: ")?;
    let (a, b) = (first.expose_secret().as_bytes(), again.expose_secret().as_bytes());
    if bool::from(a.ct_eq(b)) { Ok(first) } else { Err(PasswordError::Differ) }
}

fn from_descriptor(number: u32) -> Result<SecretString, PasswordError> {
    let path = format!("/dev/fd/{number}");
    let read = File::open(path).and_then(first_line);
    read.map_err(unreadable(&format!("file descriptor {number}")))
}

/// The first line without its end. Room is made first: a buffer that grows leaves copies behind.
fn first_line(input: impl Read) -> std::io::Result<SecretString> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_LINE as usize + 1));
    input.take(LONGEST_LINE).read_to_end(&mut bytes)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| std::io::ErrorKind::InvalidData)?;
    Ok(SecretString::from(text))
}

/// Letters and digits that cannot be mistaken for each other, and the symbols that every policy
/// allows. 16 of 66 characters are more than 96 bits.
pub(crate) fn generate(random: &dyn Random) -> SecretString {
    const LETTERS: &str = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    const SYMBOLS: &str = "!@#$%&^*()";
    let alphabet = [LETTERS, SYMBOLS].concat().into_bytes();
    loop {
        let mut text = Zeroizing::new(String::with_capacity(GENERATED));
        while text.len() < GENERATED {
            // Bytes beyond the last whole round are dropped: they would favour some characters.
            let [byte] = random.bytes::<1>();
            let whole_rounds = 256 / alphabet.len() * alphabet.len();
            if usize::from(byte) < whole_rounds {
                text.push(char::from(alphabet[usize::from(byte) % alphabet.len()]));
            }
        }
        let all = [PasswordPolicy::Seed, PasswordPolicy::ExtendedWindows];
        // An `@` in front is legal, and some old clients trip over it.
        if !text.starts_with('@') && all.iter().all(|policy| policy.check(&text).is_ok()) {
            return SecretString::from(text.as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemRandom;

    #[test]
    fn only_the_first_line_is_the_password() {
        for input in ["abce1234", "abce1234\n", "abce1234\r\nmore\n"] {
            assert_eq!(first_line(input.as_bytes()).unwrap().expose_secret(), "abce1234");
        }
        assert_eq!(first_line(&b" a b \n"[..]).unwrap().expose_secret(), " a b ");
        assert!(first_line(&b"\xff\n"[..]).is_err());
    }

    #[test]
    fn a_generated_password_keeps_every_policy() {
        for _ in 0..200 {
            let password = generate(&SystemRandom);
            for policy in [
                PasswordPolicy::Seed,
                PasswordPolicy::ExtendedLinux,
                PasswordPolicy::ExtendedWindows,
            ] {
                assert_eq!(policy.check(password.expose_secret()), Ok(()));
            }
        }
    }
}
