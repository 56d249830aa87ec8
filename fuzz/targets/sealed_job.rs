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

/// The genuine job, changed: each pair of bytes turns bits in one place of it or of what it is
/// bound to, or cuts it, or makes it longer.
fn changed(pairs: &[u8]) -> (SealedJob, SealContext) {
    let (mut sealed, mut context) = (GENUINE.clone(), context());
    let turned =
        |old: Generation, by: u8| Generation::new(old.get() ^ u32::from(by)).unwrap_or(old);
    let moved = |old: Timestamp, by: u8| Timestamp::from_micros(old.as_micros() ^ u64::from(by));
    let mut deployment = *context.deployment.as_bytes();
    let mut job = *context.job.as_bytes();
    for [place, bits] in pairs.as_chunks().0 {
        let (place, bits) = (usize::from(*place), *bits);
        match place {
            0..16 => deployment[place] ^= bits,
            16..32 => job[place - 16] ^= bits,
            32 => {
                let account = context.account.get() ^ u64::from(bits);
                context.account = AppId::new(account).unwrap_or(context.account);
            }
            33 => context.identity_generation = turned(context.identity_generation, bits),
            34 => context.sealing_generation = turned(context.sealing_generation, bits),
            35 => context.sequence = Sequence::new(context.sequence.get() ^ u64::from(bits)),
            36 => context.issued_at = moved(context.issued_at, bits),
            37 => context.not_after = moved(context.not_after, bits),
            38 => sealed.ciphertext.truncate(usize::from(bits)),
            39 => sealed.ciphertext.resize(sealed.ciphertext.len() + usize::from(bits), 0),
            40..72 => sealed.enc[place - 40] ^= bits,
            _ => sealed.ciphertext.iter_mut().skip(place - 72).take(1).for_each(|b| *b ^= bits),
        }
    }
    context.deployment = DeploymentId::from_bytes(deployment);
    context.job = JobId::from_bytes(job);
    (sealed, context)
}
