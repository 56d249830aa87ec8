//! The JSON body of API 3.0 (contract section 3).

use std::cell::Cell;
use std::fmt;

use opencpm_domain::{Condition, Refusal};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

/// A body holds at most so many values: twice what the longest list of ids needs. It bounds the
/// memory that a body of nothing but small values could take.
const MOST_VALUES: usize = 200_000;

/// 2^63: so large a number is a whole one, and out of every bound, as in a form.
const BEYOND_64_BITS: f64 = 9_223_372_036_854_775_808.0;

/// A JSON value. Its texts are wiped when dropped: one may be a password.
pub(crate) enum Json {
    Null,
    Bool,
    /// The digits of a whole number; near it where 64 bits do not hold it.
    Integer(String),
    /// Written with a fraction or an exponent.
    Fraction,
    Text(Zeroizing<String>),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Why a body could not be decoded. Never holds a piece of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    /// No JSON.
    #[error("the body is not JSON: line {line}, column {column}")]
    Syntax { line: usize, column: usize },
    /// JSON, and something else than an object.
    #[error("the body is not a JSON object")]
    NoObject,
    /// A key stands twice in one object.
    #[error("a key of the body is given twice")]
    Twice,
    /// More than [`MOST_VALUES`].
    #[error("the body holds more than {MOST_VALUES} values")]
    TooMany,
}

impl From<JsonError> for Refusal {
    fn from(error: JsonError) -> Self {
        let condition = match error {
            JsonError::TooMany => Condition::TooLarge,
            _ => Condition::Malformed,
        };
        Self::new(condition, error.to_string())
    }
}

impl Json {
    /// The members of the object that the body is; an empty body is an empty object.
    pub(crate) fn decode(body: &[u8]) -> Result<Vec<(String, Self)>, JsonError> {
        if body.is_empty() {
            return Ok(Vec::new());
        }
        let (left, refused) = (Cell::new(MOST_VALUES), Cell::new(None));
        let mut text = serde_json::Deserializer::from_slice(body);
        let value = Reader { left: &left, refused: &refused }
            .deserialize(&mut text)
            .and_then(|value| text.end().map(|()| value));
        match value {
            Ok(Self::Object(members)) => Ok(members),
            Ok(_) => Err(JsonError::NoObject),
            Err(error) => Err(refused
                .take()
                .unwrap_or(JsonError::Syntax { line: error.line(), column: error.column() })),
        }
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
struct Reader<'a> {
    /// How many values there may still be.
    left: &'a Cell<usize>,
    /// Why we stopped, when it was not for the syntax.
    refused: &'a Cell<Option<JsonError>>,
}

impl Reader<'_> {
    fn refuse<E: de::Error>(self, error: JsonError) -> E {
        self.refused.set(Some(error));
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Json, D::Error> {
        match self.left.get().checked_sub(1) {
            Some(left) => self.left.set(left),
            None => return Err(self.refuse(JsonError::TooMany)),
        }
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Bool)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Integer(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Integer(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(match number.abs() < BEYOND_64_BITS {
            true => Json::Fraction,
            false => Json::Integer(format!("{number:.0}")),
        })
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = values.next_element_seed(self)? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object: Vec<(String, Json)> = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            object.push((name, members.next_value_seed(self)?));
        }
        let mut names: Vec<_> = object.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(self.refuse(JsonError::Twice));
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(body: &str) -> JsonError {
        Json::decode(body.as_bytes()).map(|_| ()).unwrap_err()
    }

    fn member(body: &str) -> Json {
        Json::decode(body.as_bytes()).unwrap().remove(0).1
    }

    #[test]
    fn an_empty_body_is_an_empty_object() {
        assert!(Json::decode(b"").unwrap().is_empty());
        assert!(Json::decode(b" {} ").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in ["[]", "1", "null", "\"a\""] {
            assert_eq!(error(body), JsonError::NoObject, "{body}");
        }
        for body in [" ", "{", "{}x", "{'a':1}", "{\"a\":1,}", "{\"a\":01}", "{\"a\":\"\n\"}"] {
            assert!(matches!(error(body), JsonError::Syntax { .. }), "{body}");
        }
        let not_utf8 = Json::decode(b"{\"a\":\"\xff\"}").map(|_| ()).unwrap_err();
        assert!(matches!(not_utf8, JsonError::Syntax { .. }));
    }

    #[test]
    fn a_key_given_twice_is_refused_in_every_depth() {
        assert_eq!(error(r#"{"a":1,"b":2,"a":1}"#), JsonError::Twice);
        assert_eq!(error(r#"{"a":[{"b":null,"b":null}]}"#), JsonError::Twice);
        assert_eq!(error(r#"{"a":1,"\u0061":1}"#), JsonError::Twice);
    }

    #[test]
    fn numbers_are_integers_or_not() {
        let is = |body, digits: &str| matches!(member(body), Json::Integer(d) if d == digits);
        assert!(is(r#"{"a":18446744073709551615}"#, "18446744073709551615"));
        assert!(is(r#"{"a":-9}"#, "-9"));
        assert!(is(r#"{"a":18446744073709551616}"#, "18446744073709551616"));
        assert!(is(r#"{"a":-1e19}"#, "-10000000000000000000"));
        for body in [r#"{"a":1.0}"#, r#"{"a":1e3}"#, r#"{"a":9.5}"#] {
            assert!(matches!(member(body), Json::Fraction), "{body}");
        }
    }

    #[test]
    fn a_body_of_small_values_takes_little_memory() {
        let body = |count| format!("{{\"a\":[{}]}}", vec!["0"; count].join(","));
        assert_eq!(error(&body(MOST_VALUES)), JsonError::TooMany);
        assert!(Json::decode(body(MOST_VALUES - 2).as_bytes()).is_ok());
        let deep = "[".repeat(1 << 20);
        assert!(matches!(error(&format!("{{\"a\":{deep}")), JsonError::Syntax { .. }));
    }

    proptest! {
        #[test]
        fn a_number_beyond_64_bits_is_the_same_when_read_again(exponent in 64..1024, part: u32) {
            let number = (1.0 + f64::from(part) / 2_f64.powi(32)) * 2_f64.powi(exponent);
            let digits = |number: &str| match member(&format!("{{\"a\":{number}}}")) {
                Json::Integer(digits) => digits,
                _ => String::new(),
            };
            let once = digits(&format!("{number:e}"));
            prop_assert_eq!(digits(&once), once);
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            let _ = Json::decode(&bytes);
        }
    }
}
