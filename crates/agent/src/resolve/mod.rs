//! Host names, from the hosts file and the name servers of resolv.conf(5), without the C library:
//! a static binary then behaves the same everywhere, whatever `nsswitch.conf` names.
//!
//! The files are those of the running system (`/etc`), not those below `--root`: a rescue system
//! reaches its network by its own configuration. They are read anew for each name.

mod configuration;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod query;

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use rand_core::CryptoRng;

use crate::clock::Clock;
use crate::regular::open_regular;
use configuration::{Configuration, in_hosts};
use query::{Kind, Query, QueryError};

/// Where the configuration is.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// The directory with `hosts` and `resolv.conf`.
    pub etc: PathBuf,
    /// The name servers' port: 53, except in tests.
    pub port: u16,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { etc: PathBuf::from("/etc"), port: 53 }
    }
}

/// Why a name has no address.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// A configuration file is there but cannot be read.
    #[error("cannot read {0}")]
    Configuration(PathBuf, #[source] io::Error),
    /// Every server that was asked says so.
    #[error("there is no address for {0:?}")]
    NoAddress(String),
    /// No server gave a usable answer.
    #[error("no name server answered for {0:?}")]
    NoAnswer(String, #[source] QueryError),
}

impl Resolver {
    /// The addresses of `host`, IPv4 first; an address is its own. Blocks for the time-outs of
    /// resolv.conf at most.
    pub fn addresses(
        &self,
        host: &str,
        clock: &dyn Clock,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<IpAddr>, ResolveError> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let listed = in_hosts(&self.file("hosts")?, host);
        if !listed.is_empty() {
            return Ok(listed);
        }
        // RFC 6761, section 6.3: never a question for a name server.
        if host.trim_end_matches('.').eq_ignore_ascii_case("localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let configuration = Configuration::parse(&self.file("resolv.conf")?);
        let mut servers = configuration.servers.clone();
        if configuration.rotate {
            let by = rng.next_u32() as usize % servers.len().max(1);
            servers.rotate_left(by);
        }
        let servers: Vec<_> = servers.iter().map(|ip| SocketAddr::new(*ip, self.port)).collect();
        let mut answered = Err(ResolveError::NoAddress(host.to_owned()));
        for name in configuration.candidates(host) {
            match ask(&name, &servers, &configuration, clock, rng) {
                Ok(found) if !found.is_empty() => return Ok(found),
                Ok(_) => {}
                Err(error) => answered = Err(ResolveError::NoAnswer(name, error)),
            }
        }
        answered
    }

    /// A file that is not there is an empty one.
    fn file(&self, name: &str) -> Result<String, ResolveError> {
        let path = self.etc.join(name);
        match open_regular(&path).and_then(|file| read_up_to(file, LARGEST)) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(ResolveError::Configuration(path, error)),
        }
    }
}

/// Bytes. Lists of blocked names in the hosts file have a few MB.
const LARGEST: u64 = 16 << 20;

fn read_up_to(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map(|_| bytes)
}

/// Both kinds of address of one full name. One kind is enough when the other fails.
fn ask(
    name: &str,
    servers: &[SocketAddr],
    configuration: &Configuration,
    clock: &dyn Clock,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<IpAddr>, QueryError> {
    let mut one = |kind| ask_servers(name, kind, servers, configuration, clock, rng);
    match (one(Kind::V4), one(Kind::V6)) {
        (Ok(v4), Ok(v6)) => Ok([v4, v6].concat()),
        (Ok(found), Err(_)) | (Err(_), Ok(found)) if !found.is_empty() => Ok(found),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

fn ask_servers(
    name: &str,
    kind: Kind,
    servers: &[SocketAddr],
    configuration: &Configuration,
    clock: &dyn Clock,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<IpAddr>, QueryError> {
    let mut last = QueryError::NoServer;
    for _ in 0..configuration.attempts {
        for server in servers {
            let id = u16::try_from(rng.next_u32() >> 16).unwrap_or(0);
            let query = Query { name, kind, id, timeout: configuration.timeout };
            match query.ask(*server, clock) {
                Ok(found) => return Ok(found),
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests;
