//! What `login.defs` says of password hashing (login.defs(5)). Pure.

/// The method that a machine's configuration names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Yescrypt,
    Sha512,
    /// One that we do not make: DES, MD5, SHA-256, bcrypt, gost-yescrypt, or one we do not know.
    Other,
}

/// The settings that matter here; `None` where absent or not a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LoginDefs {
    pub(super) method: Option<Method>,
    pub(super) yescrypt_cost: Option<i64>,
    /// The larger of `SHA_CRYPT_MIN_ROUNDS` and `SHA_CRYPT_MAX_ROUNDS`. shadow-utils draws a number
    /// between them, pam_unix takes the second; the larger is within both.
    pub(super) sha_rounds: Option<i64>,
}

impl LoginDefs {
    /// Reads the file as shadow-utils does: name, white space, value, perhaps in quotes; the last
    /// of several wins.
    pub(super) fn parse(file: &[u8]) -> Self {
        let value = |name: &str| settings(file).filter(|(n, _)| *n == name).map(|(_, v)| v).last();
        let number = |name| value(name).and_then(|text| integer(&text));
        Self {
            method: value("ENCRYPT_METHOD").map(|name| method(&name)),
            yescrypt_cost: number("YESCRYPT_COST_FACTOR"),
            sha_rounds: number("SHA_CRYPT_MIN_ROUNDS")
                .max(number("SHA_CRYPT_MAX_ROUNDS"))
                .filter(|rounds| *rounds >= 0), // -1 is shadow-utils' word for none
        }
    }
}

fn method(name: &str) -> Method {
    match name.to_ascii_uppercase().as_str() {
        "YESCRYPT" => Method::Yescrypt,
        "SHA512" => Method::Sha512,
        _ => Method::Other,
    }
}

/// Decimal, octal with a leading 0, or hexadecimal with 0x, as strtol(3) with base 0 takes it.
fn integer(text: &str) -> Option<i64> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        i64::from_str_radix(hex, 16).ok()
    } else if text.len() > 1 && text.starts_with('0') {
        i64::from_str_radix(text, 8).ok()
    } else {
        text.parse().ok()
    }
}

fn settings(file: &[u8]) -> impl Iterator<Item = (String, String)> {
    file.split(|byte| *byte == b'\n').filter_map(|line| {
        let line = String::from_utf8_lossy(line);
        let line = line.trim();
        let (name, value) = line.split_once([' ', '\t'])?;
        if name.starts_with('#') {
            return None;
        }
        let value = value.trim_start_matches([' ', '\t', '"']);
        let value = value.split('"').next().unwrap_or_default();
        Some((name.to_owned(), value.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_settings_are_read_as_shadow_utils_reads_them() {
        let file = b"# ENCRYPT_METHOD DES\n\tENCRYPT_METHOD\t \"yescrypt\" \r\nUMASK 022\n\
            YESCRYPT_COST_FACTOR 7\nSHA_CRYPT_MIN_ROUNDS 0x1000\n #SHA_CRYPT_MAX_ROUNDS 9\n";
        let read = LoginDefs::parse(file);
        assert_eq!(read.method, Some(Method::Yescrypt));
        assert_eq!(read.yescrypt_cost, Some(7));
        assert_eq!(read.sha_rounds, Some(4096));
    }

    #[test]
    fn the_last_of_several_wins_and_the_larger_number_of_rounds() {
        let file = b"ENCRYPT_METHOD MD5\nSHA_CRYPT_MAX_ROUNDS 5000\nSHA_CRYPT_MIN_ROUNDS 8000\n\
            ENCRYPT_METHOD SHA512";
        let read = LoginDefs::parse(file);
        assert_eq!((read.method, read.sha_rounds), (Some(Method::Sha512), Some(8000)));
    }

    #[test]
    fn weak_and_unknown_methods_are_told_from_none() {
        for name in ["DES", "MD5", "SHA256", "BCRYPT", "BLOWFISH", "GOST_YESCRYPT", "NEW"] {
            let read = LoginDefs::parse(format!("ENCRYPT_METHOD {name}").as_bytes());
            assert_eq!(read.method, Some(Method::Other), "{name}");
        }
        for none in ["", "ENCRYPT_METHOD", "ENCRYPT_METHODS SHA512"] {
            assert_eq!(LoginDefs::parse(none.as_bytes()), LoginDefs::default(), "{none}");
        }
    }

    proptest! {
        #[test]
        fn foreign_bytes_do_no_harm(file in prop::collection::vec(any::<u8>(), 0..300)) {
            LoginDefs::parse(&file);
        }
    }
}
