//! Values of the configuration, with messages that say what was expected.

use std::net::SocketAddr;

use jiff::tz::Offset;
use opencpm_domain::{AppId, Uin};
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// An error of the configuration library in our words: where, which key, what was expected.
pub(super) fn explain(error: figment::Error) -> String {
    let lines = error.into_iter().map(|error| {
        let key = error.path.join(".");
        let place = error.metadata.as_ref().map(place).unwrap_or_default();
        match (key.is_empty(), place.is_empty()) {
            (true, true) => error.kind.to_string(),
            (true, false) => format!("{place}: {}", error.kind),
            (false, true) => format!("{key}: {}", error.kind),
            (false, false) => format!("{place}: {key}: {}", error.kind),
        }
    });
    lines.collect::<Vec<_>>().join("; ")
}

fn place(metadata: &figment::Metadata) -> String {
    match &metadata.source {
        Some(figment::Source::File(path)) => path.display().to_string(),
        _ if metadata.name.contains("environment") => "the environment".to_owned(),
        _ => String::new(),
    }
}

/// `0.0.0.0:8443`, `[::]:8443`.
pub(super) fn address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    parse_address(&String::deserialize(from)?)
}

/// As [`address`]; may be absent.
pub(super) fn some_address<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<SocketAddr>, D::Error> {
    Option::<String>::deserialize(from)?.as_deref().map(parse_address).transpose()
}

fn parse_address<E: Error>(text: &str) -> Result<SocketAddr, E> {
    text.parse().map_err(|_| {
        E::custom(format!("found {text:?}, expected address and port, such as 0.0.0.0:8443"))
    })
}

/// `host:port` each.
pub(super) fn host_and_port<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let all = Vec::<String>::deserialize(from)?;
    let is_good = |text: &String| {
        let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    match all.iter().find(|text| !is_good(text)) {
        Some(text) => Err(Error::custom(format!("found {text:?}, expected host:port"))),
        None => Ok(all),
    }
}

/// An account's id.
pub(super) fn app_id<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(from)?;
    let wrong = |_| Error::custom(format!("found {number}, expected 1 to {}", AppId::MAX));
    AppId::new(number).map(AppId::get).map_err(wrong)
}

/// A user's id; digits, as text.
pub(super) fn user<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    match Uin::parse(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(Error::custom(format!("found {text:?}, expected 1 to 20 digits"))),
    }
}

/// `+08:00`, `-03:30`.
pub(super) fn offset<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    match parse_offset(&text) {
        Some(_) => Ok(text),
        None => Err(Error::custom(format!("found {text:?}, expected an offset such as +08:00"))),
    }
}

/// The offset behind `+08:00`.
pub(crate) fn parse_offset(text: &str) -> Option<Offset> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<i32>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let in_range = hours <= 14 && minutes < 60;
    in_range.then(|| Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_has_sign_hours_and_minutes() {
        assert_eq!(parse_offset("+00:00"), Some(Offset::UTC));
        assert_eq!(parse_offset("-03:30").unwrap().seconds(), -12_600);
        for wrong in ["08:00", "+8:00", "+15:00", "UTC", "", "+08:60", "+08:-1"] {
            assert_eq!(parse_offset(wrong), None, "{wrong}");
        }
    }
}
