//! The agent's parts in one place: what a session and a job work with.

use std::path::Path;

use opencpm_domain::Timestamp;
use rand_core::CryptoRng;

use crate::apply::{ReadError, Root};
use crate::clock::{Clock, Moment, TimeMark, agent_time};
use crate::machine::{Machine, MachineError};
use crate::resolve::Resolver;
use crate::state::{State, StateDir, StateError};

/// What an agent takes from its surroundings. Tests bring their own.
pub struct Surroundings<'a> {
    /// Time.
    pub clock: &'a dyn Clock,
    /// Randomness fit for keys.
    pub rng: &'a mut dyn CryptoRng,
    /// Names.
    pub resolver: Resolver,
    /// The machine's tree.
    pub root: Root,
}

impl<'a> Surroundings<'a> {
    /// The system's own, for the tree below `root`.
    pub fn system(
        root: &Path,
        clock: &'a dyn Clock,
        rng: &'a mut dyn CryptoRng,
    ) -> Result<Self, StartError> {
        let root = Root::open(root).map_err(StartError::Root)?;
        Ok(Self { clock, rng, resolver: Resolver::default(), root })
    }
}

/// An enrolled agent.
pub struct Agent<'a> {
    pub(crate) surroundings: Surroundings<'a>,
    pub(crate) machine: Machine,
    pub(crate) directory: StateDir,
    pub(crate) state: State,
    /// True when the server's last challenge told a time far from the agent's.
    pub(crate) skewed: bool,
}

/// Why the agent does not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The tree is not there.
    #[error(transparent)]
    Root(ReadError),
    /// The machine cannot be told from others.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is no state yet.
    #[error("this machine is not enrolled: run `opencpm-agent enroll` with a token")]
    NotEnrolled,
    /// The state was copied here from another machine, or this machine's mainboard was changed.
    #[error(
        "cloned_identity: the agent's state is that of device {0} and was made on another machine. \
         If this machine is a copy, enrol it with a new token. If it is that device after a change \
         of hardware, enrol it with a token made for {0}"
    )]
    ClonedIdentity(opencpm_domain::InstanceId),
}

impl<'a> Agent<'a> {
    /// Loads the state and checks that it belongs to this machine.
    pub fn load(surroundings: Surroundings<'a>, directory: StateDir) -> Result<Self, StartError> {
        let machine = Machine::read(&surroundings.root)?;
        let state = directory.load()?.ok_or(StartError::NotEnrolled)?;
        if state.identity.machine != machine.binding {
            return Err(StartError::ClonedIdentity(state.identity.instance));
        }
        Ok(Self { surroundings, machine, directory, state, skewed: false })
    }

    /// What the agent keeps.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Now, for measuring.
    pub(crate) fn moment(&self) -> Moment {
        let since_boot = self.surroundings.clock.since_boot();
        Moment { boot: self.machine.boot.clone(), since_boot }
    }

    /// The agent's time (see [`agent_time`]).
    pub(crate) fn time(&self) -> Timestamp {
        time_of(self.surroundings.clock, &self.machine, &self.state)
    }

    /// Somebody whom the agent trusts said that it is at least `at`.
    pub(crate) fn learn_time(&mut self, at: Timestamp) {
        let learned = self.moment();
        if self.state.time.as_ref().is_none_or(|mark| mark.earliest(&learned) < at) {
            self.state.time = Some(TimeMark { at, learned });
        }
    }

    /// Makes the next sealing key. It must be saved before anybody hears of it.
    pub(crate) fn advance_sealing(&mut self) {
        let (key, made) = (self.state.identity.signing_key(), self.time());
        self.state.sealing.advance(&key, made, self.surroundings.rng);
    }

    /// Makes the state durable.
    pub(crate) fn save(&self) -> Result<(), StateError> {
        self.directory.save(&self.state)
    }

    /// Makes the state durable where nothing depends on it: if it fails, the next save has it.
    pub(crate) fn save_soon(&self) {
        if let Err(error) = self.save() {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "the state could not be saved");
        }
    }
}

/// The agent's time, from the parts.
pub(crate) fn time_of(clock: &dyn Clock, machine: &Machine, state: &State) -> Timestamp {
    let now = Moment { boot: machine.boot.clone(), since_boot: clock.since_boot() };
    agent_time(clock.now(), state.time.as_ref(), &now)
}
