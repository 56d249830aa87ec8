//! A node without the API role joins, or renews its certificate (design section 3, "Who holds
//! what").

use opencpm_protocol::message::Farewell;
use opencpm_protocol::node::{CertificateRequest, Certified};
use opencpm_protocol::token::secret_hash;

use crate::administer::check_node_names;
use crate::authentic::{NotAuthentic, check_node, check_node_token, node_mac};
use crate::port::{IssueError, NodeJoin, NodeJoined, StoreError};
use crate::role::ApiRole;
use crate::row::{AuditEntry, Node};

/// Characters of a node's machine name that are kept: Linux allows no longer name
/// (`HOST_NAME_MAX`, gethostname(2)).
const LONGEST_HOSTNAME: usize = 64;

/// A node gets no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertifyRefusal {
    /// Unknown, used up or expired.
    #[error("the node token is unknown, used up or expired")]
    Token,
    /// It never joined.
    #[error("the node is unknown")]
    Unknown,
    /// An administrator revoked it.
    #[error("the node was revoked")]
    Revoked,
    /// The request was signed for another installation.
    #[error("the node's request is not for this installation")]
    Request,
    /// One of its names is the API's by now.
    #[error("the node's names are no longer allowed: {0}")]
    Names(String),
    /// A row was changed behind our back.
    #[error(transparent)]
    NotAuthentic(#[from] NotAuthentic),
    /// The TLS authority.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// Later, perhaps.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The same node joined elsewhere at the same time.
    #[error("the node is joining already; try again")]
    Contended,
}

impl CertifyRefusal {
    /// What to tell the peer.
    pub const fn farewell(&self) -> Farewell {
        match self {
            Self::Store(_) | Self::Contended | Self::Issue(_) => Farewell::Unavailable,
            Self::Token => Farewell::TokenRefused,
            Self::Revoked => Farewell::Retired,
            _ => Farewell::NotRecognised,
        }
    }
}

/// Gives a certificate to a node whose request's signature verified. A node that is known gets
/// the next one, and uses no token; another one joins with its token.
pub async fn certify_node(
    role: &ApiRole,
    secret: Option<&[u8; 32]>,
    request: &CertificateRequest,
) -> Result<Certified, CertifyRefusal> {
    if request.deployment != role.trust.now().deployment() {
        return Err(CertifyRefusal::Request);
    }
    let known = role.store.nodes(Some(request.node.key_id())).await?.pop();
    let names = match known {
        Some(node) => renew(role, node, request).await?,
        None => join(role, secret.ok_or(CertifyRefusal::Unknown)?, request).await?,
    };
    let issued = role.issuer.issue(&request.tls, &names)?;
    Ok(Certified {
        chain: issued.chain,
        renew: issued.renew,
        addresses: role.settings.enrolment_addresses().to_vec(),
    })
}

/// The names of the next certificate.
async fn renew(
    role: &ApiRole,
    node: Node,
    request: &CertificateRequest,
) -> Result<Vec<String>, CertifyRefusal> {
    check_node(&*role.keys, &node)?;
    if node.revoked.is_some() {
        return Err(CertifyRefusal::Revoked);
    }
    if node.key != request.node {
        return Err(CertifyRefusal::Unknown);
    }
    allowed(role, &node.names)?;
    if !role.store.renew_node(node.id, role.clock.now(), &hostname(request)).await? {
        return Err(CertifyRefusal::Revoked);
    }
    tracing::info!(node = %node.id, "a node renews its certificate");
    Ok(node.names)
}

/// The names of the first certificate: the token's.
async fn join(
    role: &ApiRole,
    secret: &[u8; 32],
    request: &CertificateRequest,
) -> Result<Vec<String>, CertifyRefusal> {
    let hash = secret_hash(secret);
    let token = role.store.node_token(&hash).await?.ok_or(CertifyRefusal::Token)?;
    check_node_token(&*role.keys, &hash, &token)?;
    let now = role.clock.now();
    if token.uses_left == 0 || now >= token.expires {
        return Err(CertifyRefusal::Token);
    }
    allowed(role, &token.names)?;
    let id = request.node.key_id();
    let mut node = Node {
        id,
        key: request.node,
        names: token.names,
        hostname: hostname(request),
        joined: now,
        renewed: now,
        revoked: None,
        mac: [0; 32],
    };
    node.mac = node_mac(&*role.keys, &node);
    let names = node.names.clone();
    let audit = AuditEntry {
        at: now,
        secret_id: None,
        uin: None,
        action: "JoinNode".to_owned(),
        subject: format!("node {id}"),
    };
    match role.store.join_node(NodeJoin { token: hash, now, node, audit }).await? {
        NodeJoined::Done => {
            tracing::info!(node = %id, "a node joined");
            Ok(names)
        }
        NodeJoined::TokenRefused => Err(CertifyRefusal::Token),
        NodeJoined::Known => Err(CertifyRefusal::Contended),
    }
}

fn allowed(role: &ApiRole, names: &[String]) -> Result<(), CertifyRefusal> {
    check_node_names(&role.settings, names).map_err(CertifyRefusal::Names)
}

fn hostname(request: &CertificateRequest) -> String {
    request.hostname.chars().filter(|c| !c.is_control()).take(LONGEST_HOSTNAME).collect()
}
