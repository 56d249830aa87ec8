//! Where the database is, and how to prove who asks.

use std::path::PathBuf;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// How to reach a PostgreSQL database. Printing it shows no password.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    connect: Hidden,
    /// Connections of this process at most.
    pub connections: u32,
}

/// Parameters of the address.
const KNOWN: &[&str] = &["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "port", "user"];

/// sqlx prints the options' password.
#[derive(Clone)]
struct Hidden(PgConnectOptions);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let options = &self.0;
        write!(f, "{}:{}", options.get_host(), options.get_port())
    }
}

/// The address of a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// Not an address.
    #[error("not of the form postgresql://user@host:port/database?sslmode=verify-full")]
    Url,
    /// It would be in process lists, configuration and logs.
    #[error("a password in the address is not accepted: name a file that holds it")]
    Password,
    /// Perhaps a secret in a wrong place: its value is not repeated.
    #[error("the address has a parameter {0:?}, which is not known here")]
    Parameter(String),
    /// Protects from nobody.
    #[error("sslmode is verify-full, verify-ca or disable: the others trust whoever answers")]
    Mode,
    /// The password and everything that the nodes read would be readable on the way.
    #[error(
        "the connection to {0} would not be protected: add sslmode=verify-full (and sslrootcert=FILE \
         for an authority of your own), or sslmode=disable on a network that only you can read"
    )]
    Unprotected(String),
}

impl PostgresOptions {
    /// Enough for a node: each is one process of the server.
    const CONNECTIONS: u32 = 16;

    /// From an address without a password. Without `sslmode`, only a server on this machine is
    /// accepted.
    pub fn parse(url: &str, password: Option<&SecretString>) -> Result<Self, OptionsError> {
        let parsed = url::Url::parse(url).map_err(|_| OptionsError::Url)?;
        if !["postgres", "postgresql"].contains(&parsed.scheme()) {
            return Err(OptionsError::Url);
        }
        if parsed.password().is_some() || parsed.query_pairs().any(|(key, _)| key == "password") {
            return Err(OptionsError::Password);
        }
        // The library logs a parameter that it does not know, with its value.
        if let Some((key, _)) = parsed.query_pairs().find(|(key, _)| !KNOWN.contains(&&**key)) {
            return Err(OptionsError::Parameter(key.into_owned()));
        }
        let modes: Vec<_> = parsed.query_pairs().filter(|(key, _)| key == "sslmode").collect();
        let chosen = !modes.is_empty();
        // The other modes take any certificate, or go on in clear where the server says so.
        let safe = |mode: &str| ["verify-full", "verify-ca", "disable"].contains(&mode);
        if modes.iter().any(|(_, mode)| !safe(mode)) {
            return Err(OptionsError::Mode);
        }
        let mut options = PgConnectOptions::from_str(url).map_err(|_| OptionsError::Url)?;
        if !chosen {
            if !is_local(options.get_host()) {
                return Err(OptionsError::Unprotected(options.get_host().to_owned()));
            }
            options = options.ssl_mode(PgSslMode::Disable);
        }
        if let Some(password) = password {
            options = options.password(password.expose_secret());
        }
        options = options.application_name("opencpm").disable_statement_logging();
        Ok(Self { connect: Hidden(options), connections: Self::CONNECTIONS })
    }

    /// An authority of one's own, instead of the system's.
    pub fn with_authority(mut self, file: PathBuf) -> Self {
        self.connect.0 = self.connect.0.ssl_root_cert(file);
        self
    }

    pub(super) fn connect(&self) -> PgConnectOptions {
        self.connect.0.clone()
    }
}

fn is_local(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    let loopback = |ip: std::net::IpAddr| ip.is_loopback();
    host.starts_with('/') || host == "localhost" || host.parse().is_ok_and(loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<PostgresOptions, OptionsError> {
        PostgresOptions::parse(url, Some(&"hush-hush".into()))
    }

    #[test]
    fn a_password_belongs_into_a_file_and_is_never_shown() {
        for url in ["postgresql://a:b@localhost/c", "postgresql://a@localhost/c?password=b"] {
            assert!(matches!(parse(url), Err(OptionsError::Password)), "{url}");
        }
        let shown = format!("{:?}", parse("postgresql://a@localhost/c").unwrap());
        assert!(!shown.contains("hush-hush"), "{shown}");
    }

    #[test]
    fn a_connection_over_the_network_is_protected_unless_the_operator_says_otherwise() {
        for url in ["postgresql://a@127.0.0.1/c", "postgresql://a@[::1]:5/c"] {
            parse(url).unwrap();
        }
        assert!(matches!(parse("postgresql://a@db/c"), Err(OptionsError::Unprotected(_))));
        for mode in ["verify-full", "disable"] {
            parse(&format!("postgresql://a@db/c?sslmode={mode}")).unwrap();
        }
        for mode in ["require", "prefer", "allow"] {
            let mode = parse(&format!("postgresql://a@db/c?sslmode={mode}"));
            assert!(matches!(mode, Err(OptionsError::Mode)));
        }
        assert!(matches!(parse("mysql://a@db/c"), Err(OptionsError::Url)));
    }

    #[test]
    fn a_parameter_that_nobody_knows_is_refused_without_its_value() {
        let refused = parse("postgresql://a@localhost/c?passwd=hush-hush").unwrap_err();
        assert!(matches!(refused, OptionsError::Parameter(_)));
        assert!(!refused.to_string().contains("hush-hush"), "{refused}");
    }
}
