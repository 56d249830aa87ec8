//! Becoming a device.

use opencpm_domain::{InstanceId, Timestamp};
use opencpm_protocol::conversation::{AgentEvent, AgentStep, Pinned};
use opencpm_protocol::key::SigningKey;
use opencpm_protocol::message::{Enrol, EnrolRequest, Enrolled, PROTOCOL_VERSION};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;
use opencpm_protocol::token::EnrolmentToken;

use crate::address::{Address, InvalidAddress};
use crate::agent::Surroundings;
use crate::clock::{Clock, Moment, TimeMark, agent_time};
use crate::connection::Connection;
use crate::converse::{EndError, Party, converse};
use crate::machine::{Machine, MachineError};
use crate::session::facts;
use crate::state::{
    Enrolling, FORMAT, Identity, Jobs, SealingKeys, Seed, State, StateDir, StateError,
};

/// Why the machine did not become a device.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The machine cannot be told from others.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// It is one already, and the token is not for this device.
    #[error(
        "this machine is enrolled already, as {0}: to enrol that device again use a token made for \
         it; to make this machine a new device add --again"
    )]
    AlreadyEnrolled(InstanceId),
    /// An address in the token is none.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// No address led to an enrolment; the last one's error.
    #[error("enrolling at {address} failed")]
    Failed {
        /// Where it was tried last.
        address: String,
        /// What happened.
        source: EndError,
    },
    /// The server answered, and the answer could not be kept. Asking again enrols the same device.
    #[error("the server enrolled this machine, but the answer could not be saved")]
    NotSaved(#[source] StateError),
}

/// Asks the server to make this machine a device, and keeps the answer.
///
/// `server` takes the place of the token's addresses. An enrolled machine is enrolled again only
/// with a token for its device, or where `again` says to make a new one.
pub fn enrol(
    surroundings: &mut Surroundings<'_>,
    directory: &StateDir,
    token: &EnrolmentToken,
    server: Option<Address>,
    again: bool,
) -> Result<InstanceId, EnrolError> {
    let machine = Machine::read(&surroundings.root)?;
    let before = directory.load()?.filter(|state| state.identity.machine == machine.binding);
    if let Some(state) = &before {
        let same = token.instance.as_ref() == Some(&state.identity.instance);
        if !same && !again {
            return Err(EnrolError::AlreadyEnrolled(state.identity.instance.clone()));
        }
    }
    let enrolling = begin(surroundings, directory, token, &machine)?;
    let mut applicant = Applicant {
        token,
        enrolling,
        machine: &machine,
        clock: surroundings.clock,
        statement: None,
        answer: None,
    };
    ask(surroundings, server, &mut applicant)?;
    let Applicant { enrolling, statement, answer: Some(answer), .. } = applicant else {
        let address = token.addresses().join(", ");
        return Err(EnrolError::Failed { address, source: EndError::Closed });
    };
    let state = enrolled(token, enrolling, statement, answer, &machine, before, surroundings.clock);
    directory.save(&state).map_err(EnrolError::NotSaved)?;
    directory.end_enrolling()?;
    Ok(state.identity.instance)
}

/// The keys of an enrolment that was begun before, else new ones; on the disk either way.
fn begin(
    surroundings: &mut Surroundings<'_>,
    directory: &StateDir,
    token: &EnrolmentToken,
    machine: &Machine,
) -> Result<Enrolling, StateError> {
    let begun = directory.load_enrolling()?;
    if let Some(begun) =
        begun.filter(|b| b.deployment == token.deployment && b.machine == machine.binding)
    {
        return Ok(begun);
    }
    let mut rng = &mut *surroundings.rng;
    let key = SigningKey::generate(&mut rng);
    let sealing = SealingKeys::first(&key, surroundings.clock.now(), rng);
    let key = Seed::new(key.to_bytes());
    let machine = machine.binding.clone();
    let enrolling = Enrolling { key, sealing, deployment: token.deployment, machine };
    directory.save_enrolling(&enrolling)?;
    Ok(enrolling)
}

/// Tries the addresses in order until one answers.
fn ask(
    surroundings: &mut Surroundings<'_>,
    server: Option<Address>,
    applicant: &mut Applicant<'_>,
) -> Result<(), EnrolError> {
    let addresses = match server {
        Some(server) => vec![server],
        None => applicant.token.addresses().iter().map(|a| a.parse()).collect::<Result<_, _>>()?,
    };
    let clock = surroundings.clock;
    let mut last = Ok(());
    for address in addresses {
        let token = applicant.token;
        let pinned = Pinned { root: token.root, deployment: token.deployment, generation: None };
        let ended = Connection::open(&address, &surroundings.resolver, clock, surroundings.rng)
            .map_err(EndError::from)
            .and_then(|connection| converse(connection, pinned, clock, applicant));
        match ended {
            Ok(()) => return Ok(()),
            Err(source) => last = Err(EnrolError::Failed { address: address.to_string(), source }),
        }
    }
    last
}

/// What the agent keeps from now on. A device that is enrolled again goes on counting.
fn enrolled(
    token: &EnrolmentToken,
    enrolling: Enrolling,
    statement: Option<Signed<TrustStatement>>,
    answer: Enrolled,
    machine: &Machine,
    before: Option<State>,
    clock: &dyn Clock,
) -> State {
    let same = before.filter(|state| {
        state.identity.deployment == token.deployment && state.identity.instance == answer.instance
    });
    let mut jobs = Jobs::default();
    let mut time = None;
    if let Some(before) = same {
        jobs.raise(before.jobs.highest);
        time = before.time;
    }
    let learned = moment(clock, machine);
    let issued = statement.as_ref().and_then(|s| s.verify(&token.root).ok()).map(|s| s.valid_from);
    if let Some(at) = issued
        && time.as_ref().is_none_or(|mark: &TimeMark| mark.earliest(&learned) < at)
    {
        time = Some(TimeMark { at, learned });
    }
    // Where it enrolled is the best guess when the server names no gateways.
    let gateways = match answer.gateways {
        none if none.is_empty() => token.addresses().to_vec(),
        gateways => gateways,
    };
    let identity = Identity {
        key: enrolling.key,
        root: token.root,
        deployment: token.deployment,
        instance: answer.instance,
        account: answer.account,
        generation: answer.identity_generation,
        gateways,
        machine: machine.binding.clone(),
    };
    State { format: FORMAT, identity, sealing: enrolling.sealing, jobs, statement, time }
}

fn moment(clock: &dyn Clock, machine: &Machine) -> Moment {
    Moment { boot: machine.boot.clone(), since_boot: clock.since_boot() }
}

/// A machine that wants to become a device.
struct Applicant<'a> {
    token: &'a EnrolmentToken,
    enrolling: Enrolling,
    machine: &'a Machine,
    clock: &'a dyn Clock,
    statement: Option<Signed<TrustStatement>>,
    answer: Option<Enrolled>,
}

impl Party for Applicant<'_> {
    fn learn(&mut self, signed: Signed<TrustStatement>, statement: &TrustStatement) -> Timestamp {
        self.statement = Some(signed);
        let learned = moment(self.clock, self.machine);
        let mark = TimeMark { at: statement.valid_from, learned: learned.clone() };
        agent_time(self.clock.now(), Some(&mark), &learned)
    }

    fn step(
        &mut self,
        step: AgentStep,
        connection: &Connection<'_>,
    ) -> Result<Vec<AgentEvent<'static>>, EndError> {
        match step {
            AgentStep::Answer(challenge) => {
                let key = self.enrolling.signing_key();
                let request = EnrolRequest {
                    nonce: challenge.nonce,
                    deployment: self.token.deployment,
                    identity: key.public(),
                    sealing: self.enrolling.sealing.newest().certificate.clone(),
                    facts: facts(self.machine, connection),
                    version: PROTOCOL_VERSION,
                };
                let request = Signed::sign(&request, &key);
                let enrol = Enrol { secret: (*self.token.secret()).into(), request };
                Ok(vec![AgentEvent::Enrol(Box::new(enrol))])
            }
            AgentStep::Enrolled(answer) => {
                self.answer = Some(answer);
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }
}
