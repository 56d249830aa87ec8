//! The deployment's secret keys in memory, and how they lie in the store: encrypted under the
//! master key, which is a file outside of it (design section 3, "Who holds what").

use std::sync::Arc;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use opencpm_domain::{DeploymentId, Password};
use opencpm_protocol::key::{AuthorityKey, KeyId, SealingPublic, SigningKey, VerifyingKey};
use opencpm_protocol::seal::{SealContext, SealedJob, seal};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::port::{Generator, Keys, KeysError, Random};

/// Names of the encrypted keys in the store.
const AUTHORITY: &str = "authority";
const ROW: &str = "row";

/// From this secret everything at rest is encrypted and authenticated. 32 random bytes.
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// Wraps the bytes of the master key's file.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// A key for one purpose, so that no two uses share one.
    fn derive(&self, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        // 32 bytes are far below the limit of HKDF-SHA256 (8160).
        let expanded = Hkdf::<Sha256>::new(None, &*self.0).expand(purpose, &mut *key);
        debug_assert!(expanded.is_ok());
        key
    }
}

/// The keys of one deployment, ready for use.
pub struct Keyring {
    deployment: DeploymentId,
    authority: AuthorityKey,
    authority_id: KeyId,
    row: SigningKey,
    store_key: Zeroizing<[u8; 32]>,
    mac_key: Zeroizing<[u8; 32]>,
    random: Arc<dyn Random>,
}

impl Keyring {
    /// New keys for a new deployment.
    pub fn generate(deployment: DeploymentId, master: &MasterKey, random: Arc<dyn Random>) -> Self {
        let authority = AuthorityKey::generate(&mut Generator(&*random));
        let row = SigningKey::generate(&mut Generator(&*random));
        Self::new(deployment, master, authority, row, random)
    }

    /// The keys that [`Self::encrypted`] gave to the store.
    pub fn load(
        deployment: DeploymentId,
        master: &MasterKey,
        encrypted: &[(String, Vec<u8>)],
        random: Arc<dyn Random>,
    ) -> Result<Self, KeysError> {
        let cipher = Cipher(&master.derive(b"opencpm store v1"));
        let key = |name: &str| {
            let (_, bytes) = encrypted.iter().find(|(n, _)| n == name).ok_or(KeysError::Decrypt)?;
            let bytes = cipher.decrypt(&key_purpose(deployment, name), bytes)?;
            let key: [u8; 32] = bytes.expose_secret().try_into().map_err(|_| KeysError::Decrypt)?;
            Ok(Zeroizing::new(key))
        };
        let authority =
            AuthorityKey::from_bytes(&*key(AUTHORITY)?).map_err(|_| KeysError::Decrypt)?;
        let row = SigningKey::from_bytes(&*key(ROW)?);
        Ok(Self::new(deployment, master, authority, row, random))
    }

    fn new(
        deployment: DeploymentId,
        master: &MasterKey,
        authority: AuthorityKey,
        row: SigningKey,
        random: Arc<dyn Random>,
    ) -> Self {
        Self {
            deployment,
            authority_id: authority.public().key_id(),
            authority,
            row,
            store_key: master.derive(b"opencpm store v1"),
            mac_key: master.derive(b"opencpm mac v1"),
            random,
        }
    }

    /// The public half of the authority key, for the trust statement.
    pub fn authority_public(&self) -> opencpm_protocol::key::AuthorityPublic {
        self.authority.public()
    }

    /// The keys as they go into the store.
    pub fn encrypted(&self) -> Result<Vec<(String, Vec<u8>)>, KeysError> {
        let keys = [(AUTHORITY, self.authority.to_bytes()), (ROW, self.row.to_bytes())];
        let encrypt = |(name, key): &(&str, Zeroizing<[u8; 32]>)| {
            Ok(((*name).to_owned(), self.encrypt_key(name, &**key)?))
        };
        keys.iter().map(encrypt).collect()
    }

    /// Encrypts one more secret of the deployment, such as the key of its TLS authority.
    pub fn encrypt_key(&self, name: &str, key: &[u8]) -> Result<Vec<u8>, KeysError> {
        self.encrypt(&key_purpose(self.deployment, name), key)
    }

    /// Decrypts what [`Self::encrypt_key`] made.
    pub fn decrypt_key(
        &self,
        name: &str,
        encrypted: &[(String, Vec<u8>)],
    ) -> Result<SecretSlice<u8>, KeysError> {
        let (_, bytes) = encrypted.iter().find(|(n, _)| n == name).ok_or(KeysError::Decrypt)?;
        self.decrypt(&key_purpose(self.deployment, name), bytes)
    }
}

impl Keys for Keyring {
    fn deployment(&self) -> DeploymentId {
        self.deployment
    }

    fn authority(&self) -> KeyId {
        self.authority_id
    }

    fn seal(
        &self,
        password: &Password,
        context: &SealContext,
        device: &SealingPublic,
    ) -> Result<SealedJob, KeysError> {
        let mut rng = Generator(&*self.random);
        seal(password, context, device, &self.authority, &mut rng).map_err(KeysError::Seal)
    }

    fn row_key(&self) -> VerifyingKey {
        self.row.public()
    }

    fn sign_row(&self, row: &[u8]) -> [u8; 64] {
        self.row.sign(row)
    }

    fn mac(&self, purpose: &'static str, row: &[u8]) -> [u8; 32] {
        // A key shorter than SHA-256's block is padded with zeros (RFC 2104).
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(&*self.mac_key);
        let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(row);
        mac.finalize().into_bytes().into()
    }

    fn encrypt(&self, about: &[u8], secret: &[u8]) -> Result<Vec<u8>, KeysError> {
        Cipher(&self.store_key).encrypt(&*self.random, about, secret)
    }

    fn decrypt(&self, about: &[u8], encrypted: &[u8]) -> Result<SecretSlice<u8>, KeysError> {
        Cipher(&self.store_key).decrypt(about, encrypted)
    }
}

fn key_purpose(deployment: DeploymentId, name: &str) -> Vec<u8> {
    [b"deployment key\0", deployment.as_bytes().as_slice(), name.as_bytes()].concat()
}

/// XChaCha20-Poly1305 with a random nonce in front.
struct Cipher<'a>(&'a [u8; 32]);

impl Cipher<'_> {
    fn encrypt(
        &self,
        random: &dyn Random,
        about: &[u8],
        secret: &[u8],
    ) -> Result<Vec<u8>, KeysError> {
        let nonce = random.bytes::<24>();
        let payload = Payload { msg: secret, aad: about };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload);
        Ok([nonce.as_slice(), &sealed.map_err(|_| KeysError::Encrypt)?].concat())
    }

    fn decrypt(&self, about: &[u8], encrypted: &[u8]) -> Result<SecretSlice<u8>, KeysError> {
        let (nonce, sealed) = encrypted.split_first_chunk::<24>().ok_or(KeysError::Decrypt)?;
        let payload = Payload { msg: sealed, aad: about };
        let secret = self.cipher().decrypt(&XNonce::from(*nonce), payload);
        secret.map(SecretSlice::from).map_err(|_| KeysError::Decrypt)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);

    impl Random for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            for byte in buffer {
                *byte = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }

    fn keyring(master: u8) -> (Keyring, MasterKey) {
        let master = MasterKey::new(Zeroizing::new([master; 32]));
        let random = Arc::new(Counting(7.into()));
        (Keyring::generate(DeploymentId::from_bytes([1; 16]), &master, random), master)
    }

    #[test]
    fn keys_come_back_from_the_store_under_the_same_master_key_only() {
        let (ring, master) = keyring(1);
        let encrypted = ring.encrypted().unwrap();
        let id = ring.deployment();
        let random = Arc::new(Counting(7.into()));
        let again = Keyring::load(id, &master, &encrypted, random.clone()).unwrap();
        assert_eq!(again.row_key(), ring.row_key());
        assert_eq!(again.authority(), ring.authority());
        assert_eq!(again.mac("x", b"y"), ring.mac("x", b"y"));
        let (_, other) = keyring(2);
        assert!(Keyring::load(id, &other, &encrypted, random).is_err());
    }

    #[test]
    fn a_secret_moved_to_another_row_does_not_decrypt() {
        let (ring, _) = keyring(1);
        let encrypted = ring.encrypt(b"row 1", b"secret").unwrap();
        assert_eq!(ring.decrypt(b"row 1", &encrypted).unwrap().expose_secret(), b"secret");
        assert!(ring.decrypt(b"row 2", &encrypted).is_err());
    }

    #[test]
    fn macs_of_different_purposes_differ() {
        let (ring, _) = keyring(1);
        assert_ne!(ring.mac("api key v1", b"row"), ring.mac("job v1", b"row"));
    }
}
