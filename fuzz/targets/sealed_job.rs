//! A sealed password, opened with the device's own key: only the genuine one opens, and only
//! for its own job. An even first byte: the rest is a sealed job in CBOR. An odd one: the rest
//! changes the genuine one and what it is bound to, bit by bit.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::Corpus;
use opencpm_domain::{
    AppId, DeploymentId, Generation, JobId, Password, PasswordPolicy, Sequence, Timestamp,
};
use opencpm_fuzz::{Same, authority, context, sealing};
use opencpm_protocol::seal::{SealContext, SealedJob, open, seal};
use secrecy::{ExposeSecret, SecretString};

const PASSWORD: &str = "abce1234";

static GENUINE: LazyLock<SealedJob> = LazyLock::new(|| {
    let password = Password::new(SecretString::from(PASSWORD), PasswordPolicy::Seed);
    let password = password.expect("a password");
    seal(&password, &context(), &sealing().public(), &authority(), &mut Same).expect("sealed")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((&first, bytes)) = bytes.split_first() else { return Corpus::Reject };
    let (sealed, context) = if first % 2 == 0 {
        match minicbor::decode::<SealedJob>(bytes) {
            Ok(sealed) => (sealed, context()),
            Err(_) => return Corpus::Keep,
        }
    } else {
        changed(bytes)
    };
    let genuine = sealed == *GENUINE && context == opencpm_fuzz::context();
    match open(&sealed, &context, &sealing(), &authority().public()) {
        Ok(password) => assert!(genuine && password.expose_secret() == PASSWORD),
        Err(error) => assert!(!genuine, "{error}"),
    }
    Corpus::Keep
});

/// The genuine job with the bits of `mask` turned, and cut or longer where there is more of it.
fn changed(mask: &[u8]) -> (SealedJob, SealContext) {
    let (mut sealed, mut context) = (GENUINE.clone(), context());
    let mut mask = mask.iter().copied();
    let mut next = || mask.next().unwrap_or(0);
    context.deployment =
        DeploymentId::from_bytes(context.deployment.as_bytes().map(|b| b ^ next()));
    context.job = JobId::from_bytes(context.job.as_bytes().map(|b| b ^ next()));
    let account = context.account.get() ^ u64::from(next());
    context.account = AppId::new(account).unwrap_or(context.account);
    let turned =
        |old: Generation, by: u8| Generation::new(old.get() ^ u32::from(by)).unwrap_or(old);
    context.identity_generation = turned(context.identity_generation, next());
    context.sealing_generation = turned(context.sealing_generation, next());
    context.sequence = Sequence::new(context.sequence.get() ^ u64::from(next()));
    let moved = |old: Timestamp, by: u8| Timestamp::from_micros(old.as_micros() ^ u64::from(by));
    context.issued_at = moved(context.issued_at, next());
    context.not_after = moved(context.not_after, next());
    sealed.enc = sealed.enc.map(|b| b ^ next());
    sealed.ciphertext.iter_mut().for_each(|b| *b ^= next());
    let (cut, more) = (usize::from(next()), usize::from(next()));
    sealed.ciphertext.truncate(sealed.ciphertext.len().saturating_sub(cut));
    sealed.ciphertext.resize(sealed.ciphertext.len() + more, 0);
    (sealed, context)
}
