use super::*;
use crate::state::{Identity, Jobs, SealingKeys, Seed};
use getrandom::SysRng;
use opencpm_domain::{AppId, DeploymentId, Generation, InstanceId, Sequence, Timestamp};
use opencpm_protocol::key::SigningKey;
use proptest::prelude::*;
use rand_core::UnwrapErr;

fn state() -> State {
    let mut rng = UnwrapErr(SysRng);
    let key = SigningKey::from_bytes(&[7; 32]);
    let identity = Identity {
        key: Seed::new(key.to_bytes()),
        root: key.public(),
        deployment: DeploymentId::from_bytes([1; 16]),
        instance: InstanceId::parse("cpm-1").unwrap(),
        account: AppId::new(1).unwrap(),
        generation: Generation::FIRST,
        gateways: vec!["127.0.0.1:1".into()],
        machine: "machine".into(),
        addresses: Vec::new(),
    };
    let sealing = SealingKeys::first(&key, Timestamp::from_secs(1), &mut rng);
    State { format: FORMAT, identity, sealing, jobs: Jobs::default(), statement: None, time: None }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_was_saved_is_loaded_and_nobody_else_may_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("var/lib/opencpm-agent");
    let open = StateDir::open(&path).unwrap();
    assert!(open.load().unwrap().is_none());
    let mut state = state();
    open.save(&state).unwrap();
    state.jobs.raise(Sequence::new(9));
    open.save(&state).unwrap();
    let loaded = StateDir::look(&path).load().unwrap().unwrap();
    assert_eq!(loaded.jobs.highest, Sequence::new(9));
    assert_eq!(loaded.identity.instance, state.identity.instance);
    assert_eq!((mode(&path), mode(&path.join("state"))), (0o700, 0o600));
    assert!(!path.join("state.new").exists());
}

#[test]
fn a_directory_of_another_user_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    // Only root can give a directory away; anybody else has /proc/1, which is root's.
    let path = match std::os::unix::fs::chown(dir.path(), Some(65_534), None) {
        Ok(()) => dir.path(),
        Err(_) => Path::new("/proc/1"),
    };
    let refused = StateDir::open(path).unwrap_err();
    let source = std::error::Error::source(&refused).unwrap().to_string();
    assert!(source.contains("belongs to user"), "{source}");
}

#[test]
fn a_pipe_in_the_states_place_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let open = StateDir::open(dir.path()).unwrap();
    let mode = rustix::fs::Mode::RUSR;
    let pipe = dir.path().join("state");
    rustix::fs::mknodat(rustix::fs::CWD, pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(matches!(open.load(), Err(StateError::Read { .. })));
}

#[test]
fn one_agent_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = StateDir::open(dir.path()).unwrap();
    assert!(matches!(StateDir::open(dir.path()), Err(StateError::Busy { .. })));
    drop(first);
    StateDir::open(dir.path()).unwrap();
}

#[test]
fn damage_is_told_and_nothing_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let open = StateDir::open(dir.path()).unwrap();
    open.save(&state()).unwrap();
    let file = dir.path().join("state");
    let good = fs::read(&file).unwrap();
    for at in [0, 20, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&file, &bad).unwrap();
        assert!(matches!(open.load(), Err(StateError::Damaged { .. })), "{at}");
        assert_eq!(fs::read(&file).unwrap(), bad);
    }
}

#[test]
fn a_newer_agents_state_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let open = StateDir::open(dir.path()).unwrap();
    open.save(&State { format: FORMAT + 1, ..state() }).unwrap();
    assert!(matches!(open.load(), Err(StateError::Newer { .. })));
}

#[test]
fn a_crash_between_two_writes_leaves_the_old_state() {
    let dir = tempfile::tempdir().unwrap();
    let open = StateDir::open(dir.path()).unwrap();
    open.save(&state()).unwrap();
    fs::write(dir.path().join("state.new"), "half").unwrap();
    assert!(open.load().unwrap().is_some());
    open.save(&state()).unwrap();
    assert!(open.load().unwrap().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_loading_fail_otherwise(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("state"), [&MAGIC[..], &Sha256::digest(&bytes), &bytes].concat()).unwrap();
        let loaded = StateDir::look(dir.path()).load();
        let refused = matches!(loaded, Err(StateError::Damaged { .. } | StateError::Newer { .. }));
        prop_assert!(refused);
    }
}
