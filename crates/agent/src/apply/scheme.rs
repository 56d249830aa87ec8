//! Which hash the machine's own configuration asks for, among yescrypt and sha512crypt. Pure.
//!
//! - PAM decides before login.defs, as it does for passwd(1): the method that `pam_unix` is told,
//!   else `ENCRYPT_METHOD`. The cost is pam_unix's `rounds=`, else login.defs' number for the
//!   scheme, else the default.
//! - A scheme that the machine's crypt(3) surely cannot verify is never used: yescrypt becomes
//!   sha512crypt where the library was found and does not know it.
//! - Where nothing is configured, or one of the methods that we do not make (DES, MD5, SHA-256,
//!   bcrypt, gost-yescrypt), it is the stronger one that the machine surely verifies: yescrypt
//!   where its library knows it, or where none was found but an account has such a hash already;
//!   else sha512crypt, which every libc in use verifies.

use std::fmt;

use super::configuration::Configuration;
use super::crypt_library::CryptLibrary;
use super::login_defs::Method;

/// A hash scheme with its cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `$y$`, with libxcrypt's cost factor: 1 to 11, usually 5 (16 MiB); each step doubles it.
    Yescrypt {
        /// See crypt(5).
        cost: u32,
    },
    /// `$6$`, with 1,000 to 9,999,999 rounds, usually 5,000.
    Sha512 {
        /// See crypt(5).
        rounds: u32,
    },
}

impl Scheme {
    /// For reports, as crypt(5) calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yescrypt { .. } => "yescrypt",
            Self::Sha512 { .. } => "sha512crypt",
        }
    }

    /// libxcrypt's and shadow-utils' default.
    pub const USUAL_COST: u32 = 5;
    /// The scheme's own default.
    pub const USUAL_ROUNDS: u32 = 5_000;

    /// The scheme for a machine with this configuration.
    pub(super) fn choose(configuration: &Configuration) -> Self {
        let asked = asked_method(configuration);
        let yescrypt = match (asked, configuration.library) {
            (_, CryptLibrary::LacksYescrypt) | (Some(Method::Sha512), _) => false,
            (Some(Method::Yescrypt), _) | (_, CryptLibrary::KnowsYescrypt) => true,
            (Some(Method::Other) | None, CryptLibrary::Unknown) => configuration.yescrypt_in_use,
        };
        let made = if yescrypt { Method::Yescrypt } else { Method::Sha512 };
        // A number that was meant for another method says nothing about this one.
        let rounds = configuration.pam.filter(|_| asked == Some(made)).and_then(|pam| pam.rounds);
        let defs = configuration.login_defs;
        if yescrypt {
            yescrypt_of(rounds, defs.yescrypt_cost)
        } else {
            sha512_of(rounds, defs.sha_rounds)
        }
    }
}

fn asked_method(configuration: &Configuration) -> Option<Method> {
    configuration.pam.and_then(|pam| pam.method).or(configuration.login_defs.method)
}

/// pam_unix takes 3 to 11 and falls back to 5, shadow-utils brings the number into 1 to 11.
fn yescrypt_of(pam: Option<i64>, login_defs: Option<i64>) -> Scheme {
    let usual = i64::from(Scheme::USUAL_COST);
    let pam = pam.map(|cost| if (3..=11).contains(&cost) { cost } else { usual });
    Scheme::Yescrypt { cost: within(pam.or(login_defs), 1, 11, Scheme::USUAL_COST) }
}

/// pam_unix forgets numbers below 1,000; shadow-utils raises them. The upper end is pam_unix's:
/// shadow-utils would take 999,999,999, which runs for a quarter of an hour.
fn sha512_of(pam: Option<i64>, login_defs: Option<i64>) -> Scheme {
    let pam = pam.filter(|rounds| *rounds >= 1_000);
    Scheme::Sha512 { rounds: within(pam.or(login_defs), 1_000, 9_999_999, Scheme::USUAL_ROUNDS) }
}

fn within(number: Option<i64>, least: u32, most: u32, usual: u32) -> u32 {
    number.map_or(usual, |n| u32::try_from(n.max(0)).unwrap_or(most).clamp(least, most))
}

impl fmt::Display for Scheme {
    /// For logs: the name and its cost.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yescrypt { cost } => write!(f, "yescrypt, cost factor {cost}"),
            Self::Sha512 { rounds } => write!(f, "sha512crypt, {rounds} rounds"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::login_defs::LoginDefs;
    use crate::apply::pam::PamUnix;

    const BARE: Configuration = Configuration {
        pam: None,
        login_defs: LoginDefs { method: None, yescrypt_cost: None, sha_rounds: None },
        library: CryptLibrary::Unknown,
        yescrypt_in_use: false,
    };
    const SHA512: Scheme = Scheme::Sha512 { rounds: 5_000 };
    const YESCRYPT: Scheme = Scheme::Yescrypt { cost: 5 };

    fn pam(method: Option<Method>, rounds: Option<i64>) -> Option<PamUnix> {
        Some(PamUnix { method, rounds })
    }

    fn defs(file: &str) -> LoginDefs {
        LoginDefs::parse(file.as_bytes())
    }

    #[test]
    fn login_defs_decides_where_pam_is_silent() {
        for pam in [None, pam(None, None)] {
            let login_defs = defs("ENCRYPT_METHOD YESCRYPT\nYESCRYPT_COST_FACTOR 7");
            let asked = Configuration { pam, login_defs, ..BARE };
            assert_eq!(Scheme::choose(&asked), Scheme::Yescrypt { cost: 7 });
            let login_defs = defs("ENCRYPT_METHOD SHA512\nSHA_CRYPT_MAX_ROUNDS 70000");
            let asked = Configuration { pam, login_defs, ..BARE };
            assert_eq!(Scheme::choose(&asked), Scheme::Sha512 { rounds: 70_000 });
        }
    }

    #[test]
    fn pam_goes_before_login_defs() {
        let login_defs = defs("ENCRYPT_METHOD SHA512\nSHA_CRYPT_MIN_ROUNDS 6000");
        let asked = Configuration { pam: pam(Some(Method::Yescrypt), None), login_defs, ..BARE };
        assert_eq!(Scheme::choose(&asked), YESCRYPT);
        let asked =
            Configuration { pam: pam(Some(Method::Sha512), Some(9_000)), login_defs, ..BARE };
        assert_eq!(Scheme::choose(&asked), Scheme::Sha512 { rounds: 9_000 });
    }

    #[test]
    fn numbers_out_of_bounds_are_brought_in() {
        for (text, cost) in [("0", 1), ("-3", 1), ("12", 11), ("99999999999", 11), ("x", 5)] {
            let text = format!("ENCRYPT_METHOD YESCRYPT\nYESCRYPT_COST_FACTOR {text}");
            let asked = Configuration { login_defs: defs(&text), ..BARE };
            assert_eq!(Scheme::choose(&asked), Scheme::Yescrypt { cost }, "{text}");
        }
        for (text, rounds) in [("10", 1_000), ("999999999", 9_999_999), ("-1", 5_000)] {
            let text = format!("ENCRYPT_METHOD SHA512\nSHA_CRYPT_MIN_ROUNDS {text}");
            let asked = Configuration { login_defs: defs(&text), ..BARE };
            assert_eq!(Scheme::choose(&asked), Scheme::Sha512 { rounds }, "{text}");
        }
        for (rounds, cost) in [(2, 5), (12, 5), (3, 3), (11, 11)] {
            let pam = pam(Some(Method::Yescrypt), Some(rounds));
            let asked = Configuration { pam, ..BARE };
            assert_eq!(Scheme::choose(&asked), Scheme::Yescrypt { cost });
        }
    }

    #[test]
    fn a_scheme_that_the_machine_cannot_verify_is_not_used() {
        let library = CryptLibrary::LacksYescrypt;
        let login_defs = defs("ENCRYPT_METHOD YESCRYPT\nYESCRYPT_COST_FACTOR 7");
        let asked = Configuration { login_defs, library, yescrypt_in_use: true, ..BARE };
        assert_eq!(Scheme::choose(&asked), SHA512);
        let asked = Configuration { pam: pam(Some(Method::Yescrypt), Some(9)), library, ..BARE };
        assert_eq!(Scheme::choose(&asked), SHA512);
    }

    #[test]
    fn without_a_usable_wish_it_is_the_stronger_that_surely_verifies() {
        for wish in ["", "ENCRYPT_METHOD MD5", "ENCRYPT_METHOD BCRYPT"] {
            let asked = Configuration { login_defs: defs(wish), ..BARE };
            assert_eq!(Scheme::choose(&asked), SHA512, "{wish}");
            let library = CryptLibrary::KnowsYescrypt;
            assert_eq!(Scheme::choose(&Configuration { library, ..asked }), YESCRYPT, "{wish}");
            let seen = Configuration { yescrypt_in_use: true, ..asked };
            assert_eq!(Scheme::choose(&seen), YESCRYPT, "{wish}");
        }
    }
}
