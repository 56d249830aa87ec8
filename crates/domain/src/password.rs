//! The new root password and the rules for it (contract section 6).

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A root password that keeps the policy. Cannot be printed; wiped when dropped.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// Takes the text if it keeps the policy. Nothing is trimmed or normalized.
    pub fn new(text: SecretString, policy: PasswordPolicy) -> Result<Self, PolicyViolation> {
        policy.check(text.expose_secret())?;
        Ok(Self(text))
    }

    /// The password in clear: for sealing it and for hashing it, and for nothing else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

/// Which passwords are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PasswordPolicy {
    /// 8 to 16 of letters, digits and ten symbols; two of the three classes.
    #[default]
    Seed,
    /// The newer edition's rule: as [`Self::Seed`] with more symbols.
    ExtendedLinux,
    /// The newer edition's rule for Windows: 12 to 16, three of lower case, upper case, digits
    /// and symbols, and not containing `Administrator`.
    ExtendedWindows,
}

/// The rule that a password broke. Never holds the password or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyViolation {
    /// Absent and empty are the same.
    #[error("the password is missing")]
    Missing,
    /// Counted in characters.
    #[error("the password must have {least} to {most} characters")]
    Length {
        /// Fewest characters allowed.
        least: usize,
        /// Most characters allowed.
        most: usize,
    },
    /// A character outside letters, digits and the policy's symbols.
    #[error("the password may hold only ASCII letters, digits and the symbols {0}")]
    Character(&'static str),
    /// Too little variety.
    #[error("the password must hold at least {least} of: {classes}")]
    Classes {
        /// How many classes are needed.
        least: usize,
        /// The classes, for people.
        classes: &'static str,
    },
    /// Windows refuses passwords that contain the account's name.
    #[error("the password must not contain the word Administrator")]
    AccountName,
}

const SEED_SYMBOLS: &str = "! @ # $ % & ^ * ( )";
const EXTENDED_SYMBOLS: &str = "( ) ~ ! @ # $ % ^ & * - + = _ { } [ ] : ; ' | < > , . ? /";

impl PasswordPolicy {
    /// The symbols that the policy allows, separated by spaces.
    pub const fn symbols(self) -> &'static str {
        match self {
            Self::Seed => SEED_SYMBOLS,
            Self::ExtendedLinux | Self::ExtendedWindows => EXTENDED_SYMBOLS,
        }
    }

    /// Checks a candidate: presence, length, characters, classes, in this order.
    pub fn check(self, text: &str) -> Result<(), PolicyViolation> {
        if text.is_empty() {
            return Err(PolicyViolation::Missing);
        }
        let (least, most) = self.length();
        if !(least..=most).contains(&text.chars().count()) {
            return Err(PolicyViolation::Length { least, most });
        }
        if !text.chars().all(|c| self.allows(c)) {
            return Err(PolicyViolation::Character(self.symbols()));
        }
        self.check_classes(text)
    }

    const fn length(self) -> (usize, usize) {
        match self {
            Self::Seed | Self::ExtendedLinux => (8, 16),
            Self::ExtendedWindows => (12, 16),
        }
    }

    fn allows(self, c: char) -> bool {
        c.is_ascii_alphanumeric() || (c != ' ' && self.symbols().contains(c))
    }

    fn check_classes(self, text: &str) -> Result<(), PolicyViolation> {
        let has = |class: fn(&char) -> bool| usize::from(text.chars().any(|c| class(&c)));
        let digits = has(char::is_ascii_digit);
        let symbols = has(char::is_ascii_punctuation);
        if self == Self::ExtendedWindows {
            let letters = has(char::is_ascii_lowercase) + has(char::is_ascii_uppercase);
            let classes = "lower-case letters, upper-case letters, digits, symbols";
            if letters + digits + symbols < 3 {
                return Err(PolicyViolation::Classes { least: 3, classes });
            }
            if text.to_ascii_lowercase().contains("administrator") {
                return Err(PolicyViolation::AccountName);
            }
        } else if has(char::is_ascii_alphabetic) + digits + symbols < 2 {
            return Err(PolicyViolation::Classes { least: 2, classes: "letters, digits, symbols" });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::PasswordPolicy::{ExtendedLinux, ExtendedWindows, Seed};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_contracts_good_cases_pass() {
        for good in ["abce1234", "abcd!@#$", "1234!@#$", "abcdefgh12345678", "@bcd1234"] {
            assert_eq!(Seed.check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn one_class_is_refused_and_case_is_no_class() {
        for one in ["abcdefgh", "ABCDefgh", "12345678", "!@#$%^&*"] {
            assert!(matches!(Seed.check(one), Err(PolicyViolation::Classes { .. })), "{one}");
        }
    }

    #[test]
    fn length_counts_characters() {
        assert_eq!(Seed.check(""), Err(PolicyViolation::Missing));
        for wrong in ["abc1234", "abcdefgh123456789", "é1"] {
            assert!(matches!(Seed.check(wrong), Err(PolicyViolation::Length { .. })), "{wrong}");
        }
    }

    #[test]
    fn every_foreign_character_is_refused() {
        for c in [' ', '\t', '-', '_', '=', '.', '"', '\\', '\0', '\n', 'é', '１', '+'] {
            let text = format!("abcd123{c}");
            assert!(matches!(Seed.check(&text), Err(PolicyViolation::Character(_))), "{c:?}");
        }
    }

    #[test]
    fn windows_wants_three_classes_and_not_its_own_name() {
        assert_eq!(ExtendedWindows.check("Abcdefgh1234"), Ok(()));
        assert!(ExtendedWindows.check("abcdefgh1234").is_err());
        assert!(ExtendedWindows.check("Abcdefgh123").is_err());
        assert_eq!(ExtendedWindows.check("adminISTRATOR1!"), Err(PolicyViolation::AccountName));
    }

    #[test]
    fn a_password_does_not_print() {
        let password = Password::new("abce1234".into(), Seed).unwrap();
        assert_eq!(format!("{password:?}"), "Password(redacted)");
    }

    proptest! {
        #[test]
        fn what_the_default_accepts_extended_linux_accepts(text in "[!-~]{6,18}") {
            prop_assert!(Seed.check(&text).is_err() || ExtendedLinux.check(&text).is_ok());
        }
    }
}
