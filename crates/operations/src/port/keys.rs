use opencpm_domain::{DeploymentId, Password};
use opencpm_protocol::key::{KeyId, SealingPublic, VerifyingKey};
use opencpm_protocol::seal::{SealContext, SealedJob};
use secrecy::SecretSlice;

/// The deployment's secret keys. Given to the API role only; no other role can forge a row, seal
/// a job or read an API key's secret.
///
/// Pure computation: no method waits for anything.
pub trait Keys: Send + Sync {
    /// Which installation these keys belong to.
    fn deployment(&self) -> DeploymentId;

    /// Which authority seals, so that the agent finds its key in the trust statement.
    fn authority(&self) -> KeyId;

    /// Seals a password to one device.
    fn seal(
        &self,
        password: &Password,
        context: &SealContext,
        device: &SealingPublic,
    ) -> Result<SealedJob, KeysError>;

    /// The public half of the key that signs rows now.
    fn row_key(&self) -> VerifyingKey;

    /// Signs a row that carries authority.
    fn sign_row(&self, row: &[u8]) -> [u8; 64];

    /// Authenticates a row that only the API role needs to check. `purpose` separates tables.
    fn mac(&self, purpose: &'static str, row: &[u8]) -> [u8; 32];

    /// Encrypts a secret for the store, bound to what it is for (`about`).
    fn encrypt(&self, about: &[u8], secret: &[u8]) -> Result<Vec<u8>, KeysError>;

    /// Decrypts what [`Self::encrypt`] made.
    fn decrypt(&self, about: &[u8], encrypted: &[u8]) -> Result<SecretSlice<u8>, KeysError>;
}

/// A key could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The device's sealing key is not a usable point, or the like.
    #[error("sealing failed")]
    Seal(#[source] opencpm_protocol::seal::SealError),
    /// Encryption failed.
    #[error("encrypting for the store failed")]
    Encrypt,
    /// Changed in the store, moved to another row, or encrypted under another master key.
    #[error("what the store holds does not decrypt: it was changed, or the master key is another")]
    Decrypt,
}
