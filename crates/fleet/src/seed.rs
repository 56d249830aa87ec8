use opencpm_domain::Generation;
use opencpm_protocol::key::{SealingKey, SigningKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// All keys of a fleet come from this: whoever has it has them all. So a fleet that is started
/// again with its seed consists of the same devices, and none of them keeps a key of its own.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// A seed of these bytes, which must be random.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The secret, for storing it protected and for nothing else.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// The identity key of a device.
    pub(crate) fn identity(&self, number: u32) -> SigningKey {
        SigningKey::from_bytes(&self.derive(b"identity", number, 0))
    }

    /// A sealing key of a device. Never `None`: RFC 7748 knows no bytes that are no key.
    pub(crate) fn sealing(&self, number: u32, generation: Generation) -> Option<SealingKey> {
        SealingKey::from_bytes(&self.derive(b"sealing", number, generation.get())).ok()
    }

    fn derive(&self, purpose: &[u8], number: u32, generation: u32) -> Zeroizing<[u8; 32]> {
        let digest = Sha256::new()
            .chain_update(*self.0)
            .chain_update(number.to_be_bytes())
            .chain_update(generation.to_be_bytes())
            .chain_update(purpose);
        Zeroizing::new(digest.finalize().into())
    }
}
