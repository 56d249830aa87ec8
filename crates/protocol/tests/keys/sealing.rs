//! A sealed password opens on its device, for its job, and nowhere else.

use opencpm_domain::{
    AppId, DeploymentId, Generation, InstanceId, JobId, Password, PasswordPolicy, Sequence,
    Timestamp,
};
use opencpm_protocol::key::{AuthorityKey, AuthorityPublic, SealingKey, SealingPublic};
use opencpm_protocol::seal::{OpenError, SealContext, SealError, SealedJob, Verb, open, seal};
use proptest::prelude::*;
use secrecy::ExposeSecret;

use crate::Counter;

const PASSWORD: &str = "abcd!@#$1234";

fn context() -> SealContext {
    SealContext {
        deployment: DeploymentId::from_bytes([0xd0; 16]),
        account: AppId::new(1_251_000_001).unwrap(),
        instance: InstanceId::parse("cpm-34xs43xs").unwrap(),
        identity_generation: Generation::new(2).unwrap(),
        sealing_generation: Generation::new(300).unwrap(),
        verb: Verb::SetRootPassword,
        job: JobId::from_bytes([0x0b; 16]),
        sequence: Sequence::new(1_700_000_000_000_001),
        issued_at: Timestamp::from_secs(1_700_000_000),
        not_after: Timestamp::from_secs(1_700_000_110),
    }
}

fn device() -> SealingKey {
    SealingKey::generate(&mut Counter(0))
}

fn authority() -> AuthorityKey {
    AuthorityKey::generate(&mut Counter(100))
}

fn sealed(password: &str) -> SealedJob {
    let password = Password::new(password.into(), PasswordPolicy::Seed).unwrap();
    seal(&password, &context(), &device().public(), &authority(), &mut Counter(200)).unwrap()
}

fn opens(sealed: &SealedJob, context: &SealContext) -> bool {
    match open(sealed, context, &device(), &authority().public()) {
        Ok(password) => password.expose_secret() == PASSWORD,
        Err(OpenError::Refused(_)) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn the_device_reads_the_password() {
    assert!(opens(&sealed(PASSWORD), &context()));
}

#[test]
fn the_opened_password_does_not_print() {
    let opened = open(&sealed(PASSWORD), &context(), &device(), &authority().public());
    assert!(!format!("{opened:?}").contains(PASSWORD));
}

#[test]
fn the_length_of_the_password_does_not_show() {
    for password in ["abce1234", "abcd!@#$1234", "abcdefgh12345678"] {
        assert_eq!(sealed(password).ciphertext.len(), 80);
    }
}

#[test]
fn any_changed_bit_is_refused() {
    let good = sealed(PASSWORD);
    for (at, bit) in (0..good.ciphertext.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut bad = good.clone();
        bad.ciphertext[at] ^= 1 << bit;
        assert!(!opens(&bad, &context()), "ciphertext byte {at}, bit {bit}");
    }
    for (at, bit) in (0..32).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut bad = good.clone();
        bad.enc[at] ^= 1 << bit;
        assert!(!opens(&bad, &context()), "encapsulated key, byte {at}, bit {bit}");
    }
}

#[test]
fn a_job_moved_to_anything_else_is_refused() {
    type Change = fn(&mut SealContext);
    let changes: [(&str, Change); 9] = [
        ("deployment", |c| c.deployment = DeploymentId::from_bytes([0xd1; 16])),
        ("account", |c| c.account = AppId::new(1_251_000_002).unwrap()),
        ("instance", |c| c.instance = InstanceId::parse("cpm-34xs43xt").unwrap()),
        ("identity key", |c| c.identity_generation = c.identity_generation.next()),
        ("sealing key", |c| c.sealing_generation = c.sealing_generation.next()),
        ("job", |c| c.job = JobId::from_bytes([0x0c; 16])),
        ("sequence", |c| c.sequence = Sequence::new(c.sequence.get() + 1)),
        ("issued at", |c| c.issued_at = Timestamp::from_micros(c.issued_at.as_micros() + 1)),
        ("not after", |c| c.not_after = Timestamp::from_micros(c.not_after.as_micros() + 1)),
    ];
    let sealed = sealed(PASSWORD);
    for (what, change) in changes {
        let mut other = context();
        change(&mut other);
        assert!(!opens(&sealed, &other), "{what}");
    }
}

#[test]
fn no_other_key_opens_it_and_no_other_authority_is_believed() {
    let sealed = sealed(PASSWORD);
    let other_device = SealingKey::generate(&mut Counter(1));
    assert!(open(&sealed, &context(), &other_device, &authority().public()).is_err());
    for at in 0..32 {
        let mut other = *authority().public().as_bytes();
        other[at] ^= 0x80;
        let other = AuthorityPublic::from_bytes(other);
        assert!(open(&sealed, &context(), &device(), &other).is_err(), "byte {at}");
    }
}

#[test]
fn nothing_is_sealed_to_a_key_that_anyone_could_open() {
    let password = Password::new(PASSWORD.into(), PasswordPolicy::Seed).unwrap();
    let nobody = SealingPublic::from_bytes([0; 32]);
    let refused = seal(&password, &context(), &nobody, &authority(), &mut Counter(0));
    assert!(matches!(refused, Err(SealError::Key(_))));
}

/// The layout is a promise to agents in the field.
#[test]
fn the_associated_data_is_laid_out_as_documented() {
    let mut expected = vec![0x8b, 0x01, 0x50];
    expected.extend([0xd0; 16]);
    expected.extend([0x1a, 0x4a, 0x90, 0xbe, 0xc1]); // 1 251 000 001
    expected.extend(b"\x6ccpm-34xs43xs");
    expected.extend([0x02, 0x19, 0x01, 0x2c, 0x01, 0x50]);
    expected.extend([0x0b; 16]);
    for number in [1_700_000_000_000_001_u64, 1_700_000_000_000_000, 1_700_000_110_000_000] {
        expected.push(0x1b);
        expected.extend(number.to_be_bytes());
    }
    assert_eq!(context().associated_data().unwrap(), expected);
}

#[test]
fn a_verb_is_the_same_number_everywhere() {
    let bytes = minicbor::to_vec(Verb::SetRootPassword).unwrap();
    assert_eq!(bytes, [Verb::SetRootPassword.number()]);
    assert!(minicbor::decode::<Verb>(&[2]).is_err());
}

prop_compose! {
    fn any_context()(
        bytes in any::<([u8; 16], [u8; 16])>(),
        account in 1..=AppId::MAX,
        instance in "[A-Za-z0-9_-]{1,64}",
        generations in (1..=u32::MAX, 1..=u32::MAX),
        numbers in any::<(u64, u64, u64)>(),
    ) -> SealContext {
        SealContext {
            deployment: DeploymentId::from_bytes(bytes.0),
            account: AppId::new(account).unwrap(),
            instance: InstanceId::parse(&instance).unwrap(),
            identity_generation: Generation::new(generations.0).unwrap(),
            sealing_generation: Generation::new(generations.1).unwrap(),
            verb: Verb::SetRootPassword,
            job: JobId::from_bytes(bytes.1),
            sequence: Sequence::new(numbers.0),
            issued_at: Timestamp::from_micros(numbers.1),
            not_after: Timestamp::from_micros(numbers.2),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_for_any_job_opens_for_that_job_only(
        one in any_context(),
        other in any_context(),
    ) {
        let password = Password::new(PASSWORD.into(), PasswordPolicy::Seed).unwrap();
        let device = device();
        let sealed =
            seal(&password, &one, &device.public(), &authority(), &mut Counter(7)).unwrap();
        prop_assert!(opens(&sealed, &one));
        prop_assert_eq!(opens(&sealed, &other), one == other);
    }

    #[test]
    fn foreign_bytes_never_open(enc in any::<[u8; 32]>(), ciphertext in any::<Vec<u8>>()) {
        let foreign = SealedJob { enc, ciphertext };
        prop_assert!(!opens(&foreign, &context()));
    }

    #[test]
    fn a_cut_or_extended_job_is_refused(length in 0_usize..200) {
        let mut sealed = sealed(PASSWORD);
        sealed.ciphertext.resize(length, 0);
        prop_assert_eq!(opens(&sealed, &context()), length == 80);
    }

    #[test]
    fn a_sealed_job_travels(enc in any::<[u8; 32]>(), ciphertext in any::<Vec<u8>>()) {
        let job = SealedJob { enc, ciphertext };
        let bytes = minicbor::to_vec(&job).unwrap();
        prop_assert_eq!(minicbor::decode::<SealedJob>(&bytes).unwrap(), job);
    }
}
