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
    /// The other modes take any certificate, one of any name that an authority knows, or go on in
    /// clear where the server says so.
    #[error("sslmode is verify-full or disable: the others trust whoever answers")]
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
    /// accepted, and spoken to without TLS.
    ///
    /// # Errors
    /// [`OptionsError`] tells what is wrong with the address.
    pub fn parse(url: &str, password: Option<&SecretString>) -> Result<Self, OptionsError> {
        let parsed = url::Url::parse(url).map_err(|_| OptionsError::Url)?;
        if !["postgres", "postgresql"].contains(&parsed.scheme()) {
            return Err(OptionsError::Url);
        }
        if parsed.password().is_some() {
            return Err(OptionsError::Password);
        }
        let chosen = parameters(&parsed)?;
        let mut options = PgConnectOptions::from_str(url).map_err(|_| OptionsError::Url)?;
        let is_local = options.get_socket().is_some() || is_local(options.get_host());
        let mode = match chosen {
            Some(mode) => mode,
            None if is_local => PgSslMode::Disable,
            None => return Err(OptionsError::Unprotected(options.get_host().to_owned())),
        };
        options = options.ssl_mode(mode);
        if let Some(password) = password {
            options = options.password(password.expose_secret());
        }
        options = options.application_name("opencpm").disable_statement_logging();
        Ok(Self { connect: Hidden(options), connections: Self::CONNECTIONS })
    }

    /// An authority of one's own, besides the system's. The server has to show that it knows it.
    pub fn with_authority(mut self, file: PathBuf) -> Self {
        self.connect.0 = self.connect.0.ssl_root_cert(file).ssl_mode(PgSslMode::VerifyFull);
        self
    }

    /// Which database it is: host (or folder of the socket), port and name.
    pub fn place(&self) -> String {
        let options = &self.connect.0;
        let socket = options.get_socket().map(|folder| folder.to_string_lossy());
        let host = socket.unwrap_or_else(|| options.get_host().into());
        // As the server understands an address without a name.
        let name = options.get_database().unwrap_or_else(|| options.get_username());
        format!("{host}:{}/{name}", options.get_port())
    }

    pub(crate) fn connect(&self) -> PgConnectOptions {
        self.connect.0.clone()
    }
}

/// Its `sslmode`, after a look at all of the parameters: the library logs one that it does not
/// know, with its value.
fn parameters(url: &url::Url) -> Result<Option<PgSslMode>, OptionsError> {
    let mut mode = None;
    for (name, value) in url.query_pairs() {
        match (&*name, &*value) {
            ("sslmode", "verify-full") => mode = Some(PgSslMode::VerifyFull),
            ("sslmode", "disable") => mode = Some(PgSslMode::Disable),
            ("sslmode", _) => return Err(OptionsError::Mode),
            // Who names an authority wants it to be asked.
            ("sslrootcert", _) => _ = mode.get_or_insert(PgSslMode::VerifyFull),
            ("sslcert" | "sslkey" | "host" | "port" | "user", _) => {}
            ("password", _) => return Err(OptionsError::Password),
            (other, _) => return Err(OptionsError::Parameter(other.to_owned())),
        }
    }
    Ok(mode)
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
        let socket = "postgresql://a@localhost/c?host=/run/postgresql";
        for url in ["postgresql://a@127.0.0.1/c", "postgresql://a@[::1]:5/c", socket] {
            parse(url).unwrap();
        }
        for url in ["postgresql://a@db/c", "postgresql://a@localhost/c?host=db"] {
            assert!(matches!(parse(url), Err(OptionsError::Unprotected(_))), "{url}");
        }
        for mode in ["verify-full", "disable"] {
            parse(&format!("postgresql://a@db/c?sslmode={mode}")).unwrap();
        }
        // They ask for TLS and take it from anybody.
        for mode in ["require", "prefer", "allow", "verify-ca", "", "verify-ful"] {
            let refused = parse(&format!("postgresql://a@localhost/c?sslmode={mode}"));
            assert!(matches!(refused, Err(OptionsError::Mode)), "{mode}");
        }
    }

    #[test]
    fn what_is_misspelt_is_refused_and_its_value_not_repeated() {
        for name in ["ssl-mode", "ssl_mode", "passwd", "options"] {
            let refused = parse(&format!("postgresql://a@localhost/c?{name}=s3cret"));
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains(name) && !refused.contains("s3cret"), "{refused}");
        }
        assert!(matches!(parse("mysql://a@db/c"), Err(OptionsError::Url)));
    }
}
