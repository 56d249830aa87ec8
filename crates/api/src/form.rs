//! `application/x-www-form-urlencoded`: the query of a GET, the body of a POST (contract 2.2, 3).

use std::borrow::Cow;

use opencpm_domain::{Condition, Refusal};
use zeroize::{Zeroize, Zeroizing};

use crate::action;

/// A request has at most so many fields: twice what the longest list of ids needs. It bounds the
/// memory that a body of nothing but separators could take.
const MOST_FIELDS: usize = 200_000;

/// The decoded fields, sorted by name, no name twice. Wiped when dropped, and never printed: a
/// value may be a password.
pub(crate) struct Form(Vec<Field>);

struct Field {
    name: Zeroizing<String>,
    value: Zeroizing<String>,
}

/// Why a query or body could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    /// `%` without two hexadecimal digits.
    #[error("a percent sign is not followed by two hexadecimal digits")]
    Percent,
    /// Contract 3: names and values are UTF-8.
    #[error("a name or value is not UTF-8")]
    Utf8,
    /// Such as `=value`.
    #[error("a value has no name")]
    NoName,
    /// Contract 2.2: refused before verification. Named only if we know the name: an unknown one
    /// may be a piece of a password.
    #[error("{0} is given twice")]
    Twice(Cow<'static, str>),
    /// More than [`MOST_FIELDS`].
    #[error("there are more than {MOST_FIELDS} parameters")]
    TooMany,
}

impl From<FormError> for Refusal {
    fn from(error: FormError) -> Self {
        let condition = match error {
            FormError::TooMany => Condition::TooLarge,
            _ => Condition::Malformed,
        };
        Self::new(condition, error.to_string())
    }
}

impl Form {
    /// Decodes `+`, `%XX` and UTF-8; makes `_` in names a `.`; sorts by the names' bytes.
    pub(crate) fn decode(encoded: &[u8]) -> Result<Self, FormError> {
        let pieces = || encoded.split(|b| *b == b'&').filter(|piece| !piece.is_empty());
        if pieces().nth(MOST_FIELDS).is_some() {
            return Err(FormError::TooMany);
        }
        let mut fields = pieces().map(Field::decode).collect::<Result<Vec<_>, _>>()?;
        fields.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = fields.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(FormError::Twice(printable(&pair[0].name)));
        }
        Ok(Self(fields))
    }

    /// The value of a field.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let place = self.0.binary_search_by(|field| field.name.as_str().cmp(name)).ok()?;
        Some(&self.0[place].value)
    }

    /// Names and values, sorted by the names' bytes.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|field| (field.name.as_str(), field.value.as_str()))
    }
}

impl Field {
    fn decode(piece: &[u8]) -> Result<Self, FormError> {
        let (name, value) = match piece.iter().position(|b| *b == b'=') {
            Some(place) => (&piece[..place], &piece[place + 1..]),
            None => (piece, &[][..]),
        };
        let mut name = decode_text(name)?;
        if name.is_empty() {
            return Err(FormError::NoName);
        }
        if name.contains('_') {
            name = Zeroizing::new(name.replace('_', "."));
        }
        Ok(Self { name, value: decode_text(value)? })
    }
}

fn decode_text(encoded: &[u8]) -> Result<Zeroizing<String>, FormError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(encoded.len()));
    let mut rest = encoded.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(rest.next())? << 4 | hex_digit(rest.next())?,
            other => other,
        });
    }
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(FormError::Utf8)
        }
    }
}

fn hex_digit(byte: Option<u8>) -> Result<u8, FormError> {
    match byte {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
        Some(digit @ b'A'..=b'F') => Ok(digit - b'A' + 10),
        _ => Err(FormError::Percent),
    }
}

fn printable(name: &str) -> Cow<'static, str> {
    if action::is_known_name(name) { name.to_owned().into() } else { "a parameter".into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(text: &str) -> Result<Vec<(String, String)>, FormError> {
        let form = Form::decode(text.as_bytes())?;
        Ok(form.fields().map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Result<Vec<(String, String)>, FormError> {
        Ok(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn plus_is_a_space_and_percent_is_a_byte() {
        assert_eq!(decoded("b=x+y&a=%E7%BD%91%2b+"), pairs(&[("a", "网+ "), ("b", "x y")]));
        assert_eq!(decoded("&a&&b=&c=d=e&"), pairs(&[("a", ""), ("b", ""), ("c", "d=e")]));
        assert_eq!(decoded(""), pairs(&[]));
    }

    #[test]
    fn what_cannot_be_decoded_is_refused() {
        for bad in ["a=%", "a=%2", "a=%zz", "a=%+1", "%=1"] {
            assert_eq!(decoded(bad), Err(FormError::Percent), "{bad}");
        }
        assert_eq!(decoded("a=%ff"), Err(FormError::Utf8));
        assert_eq!(decoded("=a"), Err(FormError::NoName));
    }

    #[test]
    fn a_name_given_twice_is_refused_after_folding() {
        let twice = Err(FormError::Twice("instanceIds.0".into()));
        assert_eq!(decoded("instanceIds.0=a&limit=1&instanceIds_0=b"), twice);
        assert_eq!(decoded("Action=a&Action=a"), Err(FormError::Twice("Action".into())));
    }

    #[test]
    fn a_piece_of_a_password_is_not_named() {
        let refused = decoded("passwd=ab&cd12&cd12").unwrap_err();
        assert_eq!(refused.to_string(), "a parameter is given twice");
    }

    #[test]
    fn names_are_sorted_by_bytes() {
        let form = Form::decode(b"instanceIds.2=c&instanceIds.10=b&Zone=z&a=a").unwrap();
        let names: Vec<_> = form.fields().map(|(name, _)| name).collect();
        assert_eq!(names, ["Zone", "a", "instanceIds.10", "instanceIds.2"]);
        assert_eq!(form.value("instanceIds.2"), Some("c"));
        assert_eq!(form.value("instanceIds"), None);
    }

    #[test]
    fn a_body_of_separators_takes_no_memory() {
        let body = "a&".repeat(MOST_FIELDS + 1);
        assert_eq!(decoded(&body), Err(FormError::TooMany));
        assert_eq!(decoded(&"&".repeat(1 << 20)), pairs(&[]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            let _ = Form::decode(&bytes);
        }

        #[test]
        fn every_text_comes_through(name in "[A-Za-z.]{1,8}", value: String) {
            let hex = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
            let form = Form::decode(format!("{}={}", hex(&name), hex(&value)).as_bytes()).unwrap();
            prop_assert_eq!(form.value(&name), Some(value.as_str()));
        }
    }
}
