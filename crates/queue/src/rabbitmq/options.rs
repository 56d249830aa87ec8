use std::fmt;

use percent_encoding::percent_decode_str;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::SecretString;

/// Where the broker is and how to get in. Cannot print its password.
#[derive(Clone, Debug)]
pub struct RabbitMqOptions {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) vhost: String,
    pub(super) password: SecretString,
    pub(super) trust: Trust,
}

/// How the broker is known.
#[derive(Clone, Debug)]
pub(super) enum Trust {
    /// `amqp://`: not at all.
    Plain,
    /// `amqps://`: a certificate for its host, under one of these authorities.
    Authorities(RootCertStore),
}

/// The options cannot be used. Never tells what was written: it may be a secret in a wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RabbitMqOptionsError {
    /// Another scheme, or a part that is missing or cannot be read.
    #[error("the queue's URL is not of the form amqps://user@host:port/vhost")]
    Form,
    /// The password stands in the URL, which is shown and logged.
    #[error("the queue's URL contains a password; it belongs into a file of its own")]
    PasswordInUrl,
    /// `amqps` and nothing to judge the broker's certificate by.
    #[error("a queue over TLS needs the file of its certificate authority")]
    NoAuthority,
    /// What was given as certificate authority holds none.
    #[error("the queue's certificate authority is not a PEM file with certificates")]
    Authority,
    /// A certificate authority, and a connection without TLS: one of the two is a mistake.
    #[error("the queue has a certificate authority, but its URL is not amqps")]
    NeedlessAuthority,
}

impl RabbitMqOptions {
    /// Reads `amqp://user@host:port/vhost`, or `amqps` for TLS. The port is 5672, or 5671 over
    /// TLS, where none is given; the virtual host is `/`, and is percent-encoded otherwise. TLS
    /// needs `authorities`, certificates in PEM; only these are trusted.
    pub fn new(
        url: &str,
        password: SecretString,
        authorities: Option<&[u8]>,
    ) -> Result<Self, RabbitMqOptionsError> {
        let (tls, rest) = match url.split_once("://") {
            Some(("amqp", rest)) => (false, rest),
            Some(("amqps", rest)) => (true, rest),
            _ => return Err(RabbitMqOptionsError::Form),
        };
        let (authority, vhost) = match rest.split_once('/') {
            Some((authority, vhost)) if !vhost.is_empty() => (authority, decoded(vhost)?),
            _ => (rest.trim_end_matches('/'), "/".to_owned()),
        };
        let (user, address) = authority.rsplit_once('@').ok_or(RabbitMqOptionsError::Form)?;
        if user.contains(':') {
            return Err(RabbitMqOptionsError::PasswordInUrl);
        }
        let (host, port) = host_and_port(address)?;
        Ok(Self {
            host: host.to_owned(),
            port: port.unwrap_or(if tls { 5671 } else { 5672 }),
            user: decoded(user)?,
            vhost,
            password,
            trust: trust(tls, authorities)?,
        })
    }
}

/// Where it is, for logs: no user, no password.
impl fmt::Display for RabbitMqOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

fn decoded(text: &str) -> Result<String, RabbitMqOptionsError> {
    let plain = !text.contains(['/', '?', '#']);
    match percent_decode_str(text).decode_utf8() {
        Ok(text) if plain && !text.is_empty() => Ok(text.into_owned()),
        _ => Err(RabbitMqOptionsError::Form),
    }
}

/// `host`, `host:port`, `[address]` or `[address]:port`.
fn host_and_port(text: &str) -> Result<(&str, Option<u16>), RabbitMqOptionsError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']').ok_or(RabbitMqOptionsError::Form)? {
            (host, "") => (host, None),
            (host, port) => (host, Some(port.strip_prefix(':').ok_or(RabbitMqOptionsError::Form)?)),
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() || host.contains(['?', '#', '%']) {
        return Err(RabbitMqOptionsError::Form);
    }
    let port = port.map(str::parse).transpose().map_err(|_| RabbitMqOptionsError::Form)?;
    Ok((host, port))
}

fn trust(tls: bool, authorities: Option<&[u8]>) -> Result<Trust, RabbitMqOptionsError> {
    let pem = match (tls, authorities) {
        (true, Some(pem)) => pem,
        (true, None) => return Err(RabbitMqOptionsError::NoAuthority),
        (false, Some(_)) => return Err(RabbitMqOptionsError::NeedlessAuthority),
        (false, None) => return Ok(Trust::Plain),
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| RabbitMqOptionsError::Authority)?;
        roots.add(certificate).map_err(|_| RabbitMqOptionsError::Authority)?;
    }
    if roots.is_empty() {
        Err(RabbitMqOptionsError::Authority)
    } else {
        Ok(Trust::Authorities(roots))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<RabbitMqOptions, RabbitMqOptionsError> {
        RabbitMqOptions::new(url, "secret".into(), None)
    }

    #[test]
    fn an_address_is_read_with_what_is_usual_where_nothing_is_said() {
        for (url, host, port, user, vhost) in [
            ("amqp://me@broker", "broker", 5672, "me", "/"),
            ("amqp://me@broker:5673/", "broker", 5673, "me", "/"),
            ("amqp://me@10.0.0.7:1/%2f", "10.0.0.7", 1, "me", "/"),
            ("amqp://a%40b@[::1]:7/prod", "::1", 7, "a@b", "prod"),
            ("amqp://me@[fe80::1]", "fe80::1", 5672, "me", "/"),
        ] {
            let options = read(url).unwrap();
            let found = (&*options.host, options.port, &*options.user, &*options.vhost);
            assert_eq!(found, (host, port, user, vhost), "{url}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        for url in [
            "http://me@broker",
            "broker",
            "amqp://broker",
            "amqp://@broker",
            "amqp://me@",
            "amqp://me@broker:x",
            "amqp://me@broker/a/b",
            "amqp://me@broker/?heartbeat=1",
            "amqp://me@broker?heartbeat=1",
            "amqp://me@[::1",
            "amqp://me@[::1]7",
            "amqp://me@::1",
        ] {
            assert_eq!(read(url).unwrap_err(), RabbitMqOptionsError::Form, "{url}");
        }
        let error = read("amqp://me:4711@broker").unwrap_err();
        assert_eq!(error, RabbitMqOptionsError::PasswordInUrl);
        assert!(!error.to_string().contains("4711"));
    }

    #[test]
    fn tls_and_an_authority_go_together() {
        let with = |url, pem: &[u8]| RabbitMqOptions::new(url, "".into(), Some(pem)).unwrap_err();
        let without = read("amqps://me@broker").unwrap_err();
        assert_eq!(without, RabbitMqOptionsError::NoAuthority);
        assert_eq!(with("amqps://me@broker", b"nothing"), RabbitMqOptionsError::Authority);
        assert_eq!(with("amqp://me@broker", b""), RabbitMqOptionsError::NeedlessAuthority);
    }
}
