//! A process without the API role: it has none of the deployment's keys. It joins with a token,
//! and renews its certificate with requests that its own key signs.
//!
//! | file | what |
//! | --- | --- |
//! | `node.key` | signs the requests; made here, and never leaves |
//! | `node.pem` | the key and the certificates that the agents' listener shows |
//! | `node.json` | the deployment, the API nodes' addresses, and when to ask for the next |
//! | `root.pub` | the root key's public half, from the token |

mod files;
#[cfg(test)]
mod tests;
mod visit;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use opencpm_domain::{DeploymentId, Span, full_jitter};
use opencpm_operations::port::{Clock, Random};
use opencpm_protocol::conversation::Pinned;
use opencpm_protocol::key::{SigningKey, VerifyingKey};
use opencpm_protocol::node::{Certified, NodeToken};
use opencpm_protocol::token::TokenError;
use rcgen::KeyPair;
use tokio::time::sleep;
use zeroize::Zeroizing;

use super::authority::TlsError;
use super::certificate::{Current, LOOK};
use super::key_files::{self, KeyFileError};
use crate::output::chain;
use files::{Joined, NodeFileError};
use visit::{VisitError, Visitor};

/// Between two attempts to join.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Limits of the pause after a renewal that failed: an API node that was restarted is back in a
/// minute, and all nodes do not ask it at the same moment.
const FIRST_RETRY: Span = Span::from_secs(60);
const LAST_RETRY: Span = Span::from_secs(15 * 60);

/// A process cannot be a node.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    /// It never joined, and nobody says with what it may.
    #[error(
        "a process without the API role joins with a token: name its file as node.token_file (on \
         an administrator's machine: opencpm node token --out FILE)"
    )]
    NoToken,
    /// The token's file.
    #[error("the node token cannot be read from {}", .0.display())]
    ReadToken(PathBuf, #[source] std::io::Error),
    /// Not a token.
    #[error("{} holds no node token", .0.display())]
    Token(PathBuf, #[source] TokenError),
    /// A key that only the API role may have.
    #[error(
        "{} is here: a process without the API role must not have it; give the process a folder \
         of its own", .0.display()
    )]
    MasterKey(PathBuf),
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A file of the node.
    #[error(transparent)]
    File(#[from] NodeFileError),
    /// The node's TLS key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nobody to ask.
    #[error("there is no address of an API node")]
    NoAddress,
    /// One that was asked last.
    #[error("the API node at {address} gave no certificate")]
    Refused {
        /// Which.
        address: String,
        /// Why.
        #[source]
        source: VisitError,
    },
}

impl NodeError {
    /// Whether asking again leads to nothing else.
    fn is_final(&self) -> bool {
        match self {
            Self::Refused { source, .. } => source.is_final(),
            _ => true,
        }
    }
}

/// A node that joined.
pub(super) struct Membership {
    dir: PathBuf,
    key: SigningKey,
    root: VerifyingKey,
    joined: Joined,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// Renewals that failed, one after the other.
    failures: u32,
    /// What its listener shows.
    pub(super) certificate: Arc<Current>,
}

/// What joining and renewing need.
pub(super) struct Place<'a> {
    /// The node's folder.
    pub(super) dir: &'a Path,
    /// Of the first start.
    pub(super) token_file: Option<&'a Path>,
    /// The time.
    pub(super) clock: Arc<dyn Clock>,
    /// For keys.
    pub(super) random: Arc<dyn Random>,
}

impl Membership {
    /// Opens what an earlier start left, or joins. While no API node answers, it waits for one.
    pub(super) async fn open(place: Place<'_>) -> Result<Self, NodeError> {
        refuse_master(place.dir)?;
        if files::has_joined(place.dir) {
            return Self::load(place);
        }
        let token = token(place.token_file)?;
        let key = key_files::node_or_new(&place.dir.join(files::KEY), &*place.random)?;
        let pinned =
            Pinned { root: token.root(), deployment: token.deployment(), generation: None };
        let visitor = Visitor { key: &key, pinned, clock: &*place.clock };
        let mut pause = FIRST_PAUSE;
        let (tls, certified) = loop {
            match ask(&visitor, token.addresses(), Some(token.secret())).await {
                Ok(answer) => break answer,
                Err(error) if error.is_final() => return Err(error),
                Err(error) => tracing::warn!(
                    error = chain(&error),
                    seconds = pause.as_secs(),
                    "cannot join yet; trying again"
                ),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        let joined = Joined::new(token.deployment(), &certified);
        key_files::write_root_public(
            &place.dir.join(super::deployment::ROOT_PUBLIC),
            &token.root(),
        )?;
        joined.keep(place.dir)?;
        let shown = files::keep_certificate(place.dir, &tls, &certified)?;
        tracing::info!(node = %key.public().key_id(), "joined; the token's file can be removed");
        let Place { dir, clock, random, .. } = place;
        let certificate = Current::new(shown);
        let (dir, root) = (dir.to_owned(), token.root());
        Ok(Self { dir, key, root, joined, clock, random, failures: 0, certificate })
    }

    fn load(place: Place<'_>) -> Result<Self, NodeError> {
        let Place { dir, clock, random, .. } = place;
        let key = key_files::node(&dir.join(files::KEY))?;
        let root = key_files::root_public(&dir.join(super::deployment::ROOT_PUBLIC))?;
        let joined = Joined::read(dir)?;
        let certificate = Current::new(files::read_certificate(dir)?);
        let dir = dir.to_owned();
        Ok(Self { dir, key, root, joined, clock, random, failures: 0, certificate })
    }

    /// The root key's public half, as the token told it.
    pub(super) fn root(&self) -> &VerifyingKey {
        &self.root
    }

    /// Which installation it joined.
    pub(super) fn deployment(&self) -> DeploymentId {
        self.joined.deployment
    }

    /// Renews the certificate in good time, for as long as the process runs.
    pub(super) async fn renew_for_ever(mut self) {
        loop {
            let pause = self.look().await;
            sleep(pause).await;
        }
    }

    /// Renews the certificate if it is time; how long until it is to be looked at again.
    async fn look(&mut self) -> Duration {
        if self.clock.now() < self.joined.renew {
            return LOOK;
        }
        let Err(error) = self.renew().await else {
            self.failures = 0;
            return LOOK;
        };
        let random = u64::from_le_bytes(self.random.bytes());
        let pause = full_jitter(FIRST_RETRY, LAST_RETRY, self.failures, random);
        self.failures = self.failures.saturating_add(1);
        let (error, seconds) = (chain(&error), pause.as_secs());
        tracing::error!(error, seconds, "the certificate could not be renewed; trying again");
        Duration::from_micros(pause.as_micros())
    }

    /// Asks for the next certificate and shows it from then on.
    async fn renew(&mut self) -> Result<(), NodeError> {
        let pinned =
            Pinned { root: self.root, deployment: self.joined.deployment, generation: None };
        let visitor = Visitor { key: &self.key, pinned, clock: &*self.clock };
        let (tls, certified) = ask(&visitor, &self.joined.addresses, None).await?;
        let next = Joined::new(self.joined.deployment, &certified);
        let shown = files::keep_certificate(&self.dir, &tls, &certified)?;
        next.keep(&self.dir)?;
        self.joined = next;
        self.certificate.replace(shown);
        Ok(())
    }
}

/// A fresh TLS key, as PKCS #8.
type TlsKey = Zeroizing<Vec<u8>>;

/// Asks one API node after the other, until one answers as one should; for a certificate of a TLS
/// key that is made for it.
async fn ask(
    visitor: &Visitor<'_>,
    addresses: &[String],
    secret: Option<&[u8; 32]>,
) -> Result<(TlsKey, Certified), NodeError> {
    let key = KeyPair::generate().map_err(TlsError::from)?;
    let public = visit::public(&key)?;
    let mut last = NodeError::NoAddress;
    for address in addresses {
        let refused = match visitor.visit(address, secret, public).await {
            Ok(certified) => return Ok((key.serialize_der().into(), certified)),
            Err(source) => source,
        };
        let says_no = refused.is_refusal();
        last = NodeError::Refused { address: address.clone(), source: refused };
        if says_no {
            break;
        }
    }
    Err(last)
}

fn refuse_master(dir: &Path) -> Result<(), NodeError> {
    let master = dir.join("master.key");
    if master.exists() { Err(NodeError::MasterKey(master)) } else { Ok(()) }
}

/// Fails where a node could not start: for want of a token before it joined, or for what is left of
/// its files.
pub(super) fn check(dir: &Path, token_file: Option<&Path>) -> Result<(), NodeError> {
    refuse_master(dir)?;
    if !files::has_joined(dir) {
        return token(token_file).map(drop);
    }
    key_files::node(&dir.join(files::KEY))?;
    key_files::root_public(&dir.join(super::deployment::ROOT_PUBLIC))?;
    Joined::read(dir)?;
    files::read_certificate(dir).map(drop).map_err(Into::into)
}

fn token(file: Option<&Path>) -> Result<NodeToken, NodeError> {
    let path = file.ok_or(NodeError::NoToken)?;
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| NodeError::ReadToken(path.to_owned(), error))?;
    NodeToken::parse(&text).map_err(|error| NodeError::Token(path.to_owned(), error))
}
