use opencpm_domain::Timestamp;
use opencpm_protocol::key::{KeyId, VerifyingKey};

/// Names a node in lists: the id of its key.
pub type NodeId = KeyId;

/// Lets processes without the API role join. The MAC covers everything but the uses left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeToken {
    /// SHA-256 of the token's secret.
    pub hash: [u8; 32],
    /// What the certificates of the nodes may carry, and nothing else.
    pub names: Vec<String>,
    /// How many nodes may still join with it.
    pub uses_left: u32,
    /// Refused from then on.
    pub expires: Timestamp,
    /// Made by the API role.
    pub mac: [u8; 32],
}

/// A node without the API role. The MAC covers key, names and whether it was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// That of the key.
    pub id: NodeId,
    /// With it, the node signs its requests.
    pub key: VerifyingKey,
    /// What its certificates carry: those of the token that it joined with.
    pub names: Vec<String>,
    /// The machine's name, for people.
    pub hostname: String,
    /// When it joined.
    pub joined: Timestamp,
    /// When it was last given a certificate.
    pub renewed: Timestamp,
    /// When it was revoked. It gets no certificate any more.
    pub revoked: Option<Timestamp>,
    /// Made by the API role.
    pub mac: [u8; 32],
}
