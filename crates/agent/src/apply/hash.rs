//! yescrypt and sha512crypt, as crypt(5) writes them. Pure: the salt comes in.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::Scheme;

/// Why a hash could not be made or checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Neither scheme's text, or parameters beyond what any configuration of ours makes.
    #[error("not a yescrypt or sha512crypt hash that is supported")]
    Unsupported,
    /// yescrypt at this cost needs more memory than there is.
    #[error("not enough memory for the configured cost")]
    NoMemory,
}

/// Random bytes that a hash takes in. sha512crypt's salt has room for the first 12 only.
pub const SALT_BYTES: usize = 16;

/// The password's hash, as it stands in a shadow file. `salt` must be fresh random bytes.
pub fn hash(
    scheme: Scheme,
    password: &[u8],
    salt: &[u8; SALT_BYTES],
) -> Result<Zeroizing<String>, HashError> {
    match scheme {
        Scheme::Yescrypt { cost } => {
            yescrypt(&yescrypt_setting(cost)?.to_string(), &base64(salt), password)
        }
        Scheme::Sha512 { rounds } => sha512crypt(rounds, &base64(&salt[..12]), password),
    }
}

/// True where `hash` is this password's. Compared in constant time.
pub fn verify(hash: &str, password: &[u8]) -> Result<bool, HashError> {
    let again = match hash.split('$').collect::<Vec<_>>()[..] {
        ["", "y", setting, salt, _] => yescrypt(setting, salt, password)?,
        ["", "6", salt, _] => sha512crypt(Scheme::USUAL_ROUNDS, salt, password)?,
        ["", "6", rounds, salt, _] => sha512crypt(parse_rounds(rounds)?, salt, password)?,
        _ => return Err(HashError::Unsupported),
    };
    Ok(again.as_bytes().ct_eq(hash.as_bytes()).into())
}

/// libxcrypt's reading of the cost factor: 1 and 2 have small blocks, so that each step doubles
/// the memory from 1 MiB on.
fn yescrypt_setting(cost: u32) -> Result<yescrypt::Params, HashError> {
    let (n, r) = match cost {
        1 | 2 => (1 << (cost + 9), 8),
        3..=11 => (1 << (cost + 7), 32),
        _ => return Err(HashError::Unsupported),
    };
    yescrypt::Params::new(yescrypt::Mode::Rw, n, r, 1).map_err(|_| HashError::Unsupported)
}

fn yescrypt(setting: &str, salt: &str, password: &[u8]) -> Result<Zeroizing<String>, HashError> {
    let params: yescrypt::Params = setting.parse().map_err(|_| HashError::Unsupported)?;
    check_memory(&params)?;
    let salt_bytes = from_base64(salt).ok_or(HashError::Unsupported)?;
    let mut key = Zeroizing::new([0; 32]);
    yescrypt::yescrypt(password, &salt_bytes, &params, &mut *key)
        .map_err(|_| HashError::Unsupported)?;
    Ok(Zeroizing::new(format!("$y${setting}${salt}${}", *base64(&*key))))
}

/// Refuses parameters beyond cost factor 11, and asks for the memory once in a way that may fail:
/// the library would end the process.
fn check_memory(params: &yescrypt::Params) -> Result<(), HashError> {
    let blocks = params.n().checked_mul(u64::from(params.r())).filter(|_| params.p() == 1);
    let bytes = blocks.and_then(|blocks| blocks.checked_mul(128)).ok_or(HashError::Unsupported)?;
    if bytes > 1 << 30 {
        return Err(HashError::Unsupported);
    }
    let bytes = usize::try_from(bytes).map_err(|_| HashError::NoMemory)?;
    Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| HashError::NoMemory)
}

fn sha512crypt(rounds: u32, salt: &str, password: &[u8]) -> Result<Zeroizing<String>, HashError> {
    let params = sha_crypt::Params::new(rounds).map_err(|_| HashError::Unsupported)?;
    if rounds > 9_999_999 || salt.len() > 16 {
        return Err(HashError::Unsupported);
    }
    let digest = Zeroizing::new(sha_crypt::sha512_crypt(password, salt.as_bytes(), params));
    let digest = base64(&*Zeroizing::new(SHA512_ORDER.map(|index| digest[index])));
    let rounds = match rounds {
        Scheme::USUAL_ROUNDS => String::new(),
        other => format!("rounds={other}$"),
    };
    Ok(Zeroizing::new(format!("$6${rounds}{salt}${}", *digest)))
}

fn parse_rounds(field: &str) -> Result<u32, HashError> {
    let number = field.strip_prefix("rounds=").and_then(|number| number.parse().ok());
    // The usual number written out is the same hash under another name; nobody writes it so.
    number.filter(|rounds| *rounds != Scheme::USUAL_ROUNDS).ok_or(HashError::Unsupported)
}

/// The order in which sha512crypt writes its digest's bytes (the scheme's specification, step 22).
const SHA512_ORDER: [usize; 64] = {
    let mut order = [63; 64];
    let mut group = 0;
    while group < 21 {
        // Each group takes bytes group, group + 21 and group + 42, turning by one each time.
        let turned = [42, 21, 0];
        let mut place = 0;
        while place < 3 {
            order[3 * group + place] = group + turned[(place + 3 - group % 3) % 3];
            place += 1;
        }
        group += 1;
    }
    order
};

const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// crypt's own base64: three bytes as a little-endian number, lowest six bits first.
fn base64(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().div_ceil(3) * 4));
    for group in bytes.chunks(3) {
        let number = group.iter().rev().fold(0_usize, |n, byte| n << 8 | usize::from(*byte));
        for digit in 0..=group.len() {
            text.push(char::from(DIGITS[number >> (6 * digit) & 63]));
        }
    }
    text
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    for group in text.as_bytes().chunks(4) {
        let number = group.iter().rev().try_fold(0_usize, |number, digit| {
            Some(number << 6 | DIGITS.iter().position(|known| known == digit)?)
        })?;
        let whole = group.len().checked_sub(1).filter(|whole| *whole > 0)?;
        if number >> (8 * whole) != 0 {
            return None; // left-over bits
        }
        bytes.extend_from_slice(&number.to_le_bytes()[..whole]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SALT: [u8; SALT_BYTES] = *b"0123456789abcdef";

    #[test]
    fn cost_factors_are_written_as_libxcrypt_writes_them() {
        let settings =
            ["j75", "j85", "j7T", "j8T", "j9T", "jAT", "jBT", "jCT", "jDT", "jET", "jFT"];
        for (cost, setting) in (1..).zip(settings) {
            assert_eq!(yescrypt_setting(cost).unwrap().to_string(), setting);
        }
        assert_eq!(yescrypt_setting(0), Err(HashError::Unsupported));
        assert_eq!(yescrypt_setting(12), Err(HashError::Unsupported));
    }

    #[test]
    fn published_hashes_verify() {
        // sha512crypt's own test vectors, and one of libxcrypt's making.
        for (password, hash) in [
            (
                "Hello world!",
                "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
            ),
            (
                "Hello world!",
                "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
            ),
            (
                "pleaseletmein",
                "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$dcdi.Kj3Y1NH3BK2uZ3cZVoROm5iiTxn1keRYFNoCOA",
            ),
        ] {
            assert_eq!(verify(hash, password.as_bytes()), Ok(true));
            assert_eq!(verify(hash, b"Hello world"), Ok(false));
        }
    }

    #[test]
    fn foreign_and_monstrous_hashes_are_refused_without_computing_them() {
        for hash in [
            "",
            "*",
            "!",
            "x",
            "$6$",
            "$5$salt$hash",
            "$y$j9T$salt",
            "$y$jzT$aaaa$hash",
            "$y$j9T$a$hash",
            "$6$rounds=999$salt$hash",
            "$6$rounds=999999999$salt$hash",
            "$6$rounds=5000$salt$hash",
            "$6$rounds=x$salt$hash",
            "$2b$05$salthash",
            "$6$asaltthatislongerthansixteen$hash",
            "$y$jFzz$aaaa$hash",
        ] {
            assert_eq!(verify(hash, b"password"), Err(HashError::Unsupported), "{hash}");
        }
    }

    #[test]
    fn each_part_of_a_hash_matters() {
        for scheme in [Scheme::Yescrypt { cost: 1 }, Scheme::Sha512 { rounds: 1_000 }] {
            let made = hash(scheme, b"abce1234", &SALT).unwrap();
            assert_eq!(verify(&made, b"abce1234"), Ok(true));
            assert_eq!(verify(&made, b"abce1235"), Ok(false));
            assert_eq!(verify(&made.replace('$', "$$"), b"abce1234"), Err(HashError::Unsupported));
            let mut other = SALT;
            other[0] ^= 1;
            assert_ne!(made, hash(scheme, b"abce1234", &other).unwrap());
        }
    }

    proptest! {
        #[test]
        fn base64_reads_back(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(from_base64(&base64(&bytes)), Some(bytes));
        }

        #[test]
        fn foreign_text_is_refused_or_false(hash in "\\$(y|6)\\$[./0-9a-zA-Z$=]{0,8}\\$[a-z]{0,4}\\$\\PC{0,3}") {
            prop_assume!(!hash.contains("rounds="));
            prop_assert_ne!(verify(&hash, b"password"), Ok(true));
        }
    }
}
