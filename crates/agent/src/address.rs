//! Where a gateway listens.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The port when an address names none: that of HTTPS.
pub const DEFAULT_PORT: u16 = 443;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A host name, or an IP address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// Not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address: give host:port, https://host:port or wss://host:port")]
pub struct InvalidAddress(String);

/// Most gateways that are kept.
const MOST: usize = 64;

/// Those of the addresses that a server named which are some, as they were written. They are kept
/// and shown to people, so nothing else gets through.
pub fn usable(named: Vec<String>) -> Vec<String> {
    named.into_iter().filter(|text| text.parse::<Address>().is_ok()).take(MOST).collect()
}

impl FromStr for Address {
    type Err = InvalidAddress;

    /// `host:port`, or a URL with the scheme `wss` or `https` and no path. The port may be left
    /// out; an IPv6 address stands in brackets.
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let plain = text.strip_prefix("wss://").or_else(|| text.strip_prefix("https://"));
        let plain = plain.unwrap_or(text);
        let plain = plain.strip_suffix('/').unwrap_or(plain);
        split(plain).ok_or_else(|| InvalidAddress(text.to_owned()))
    }
}

fn split(plain: &str) -> Option<Address> {
    if let Some(rest) = plain.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        let port =
            if port.is_empty() { DEFAULT_PORT } else { parse_port(port.strip_prefix(':')?)? };
        return Some(Address { host: host.to_owned(), port });
    }
    let (host, port) = match plain.split_once(':') {
        Some((host, port)) => (host, parse_port(port)?),
        None => (plain, DEFAULT_PORT),
    };
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let valid = (1..=253).contains(&host.len()) && host.bytes().all(is_name);
    valid.then(|| Address { host: host.to_owned(), port })
}

fn parse_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|&port| digits && port > 0)
}

impl fmt::Display for Address {
    /// `host:port`, with brackets around an IPv6 address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse() {
            Ok(IpAddr::V6(v6)) => write!(f, "[{v6}]:{}", self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_form_is_read() {
        for (text, shown) in [
            ("cpm.example:7443", "cpm.example:7443"),
            ("wss://cpm.example:7443", "cpm.example:7443"),
            ("https://cpm.example:7443/", "cpm.example:7443"),
            ("https://cpm.example", "cpm.example:443"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("wss://[::1]:7443", "[::1]:7443"),
            ("[::1]", "[::1]:443"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_a_server_names_is_kept_only_where_it_is_an_address() {
        let named = ["a.example:1", "\x1b[2J", "", "b.example"].map(str::to_owned).to_vec();
        assert_eq!(usable(named), ["a.example:1", "b.example"]);
    }

    #[test]
    fn what_is_no_address_is_named() {
        for text in
            ["", "a b:1", "host:0", "host:+1", "host:70000", "http://host:1", "wss://h/p", "::1"]
        {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }
}
