//! Becoming a device.

use opencpm_domain::{DeploymentId, Generation, InstanceId, Timestamp};
use opencpm_protocol::conversation::{AgentEvent, AgentStep, Pinned};
use opencpm_protocol::key::{SigningKey, VerifyingKey};
use opencpm_protocol::message::{Enrol, EnrolRequest, Enrolled, PROTOCOL_VERSION};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;
use opencpm_protocol::token::EnrolmentToken;

use crate::address::{Address, InvalidAddress, usable};
use crate::agent::{Agent, Surroundings};
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
    surroundings: Surroundings<'_>,
    directory: StateDir,
    token: &EnrolmentToken,
    server: Option<Address>,
    again: bool,
) -> Result<InstanceId, EnrolError> {
    let machine = Machine::read(&surroundings.root)?;
    let before = directory.load()?;
    if let Some(state) = before.as_ref().filter(|state| state.identity.machine == machine.binding) {
        let same = token.instance.as_ref() == Some(&state.identity.instance);
        if !same && !again {
            return Err(EnrolError::AlreadyEnrolled(state.identity.instance.clone()));
        }
    }
    let Former { mut surroundings, directory, machine, state: before } =
        settle_former(surroundings, directory, machine, before);
    let used = before.as_ref().map(|state| state.identity.signing_key().public());
    let enrolling = begin(&mut surroundings, &directory, token, &machine, used)?;
    let mut applicant = Applicant {
        token,
        enrolling,
        machine: &machine,
        clock: surroundings.clock,
        statement: None,
        answer: None,
    };
    let held = before.as_ref().and_then(|state| held_generation(state, token));
    let at = ask(&mut surroundings, server, held, &mut applicant)?;
    let Applicant { enrolling, statement, answer: Some(answer), .. } = applicant else {
        let address = token.addresses().join(", ");
        return Err(EnrolError::Failed { address, source: EndError::Closed });
    };
    let jobs = kept_jobs(before, token.deployment, &answer.instance);
    let known = statement.as_ref().and_then(|signed| signed.verify(&token.root).ok());
    let learned = moment(surroundings.clock, &machine);
    let time = known.map(|statement| TimeMark { at: statement.valid_from, learned });
    let sealing = enrolling.sealing;
    let identity = identity(token, enrolling.key, answer, &machine, &at);
    let state = State { format: FORMAT, identity, sealing, jobs, statement, time };
    directory.save(&state).map_err(EnrolError::NotSaved)?;
    directory.end_enrolling()?;
    Ok(state.identity.instance)
}

/// What the machine was, and everything else of it.
struct Former<'a> {
    surroundings: Surroundings<'a>,
    directory: StateDir,
    machine: Machine,
    state: Option<State>,
}

/// Has the former device report what a crash left undecided, with the key that it still has: a
/// report is checked with the key to which its job was given.
fn settle_former<'a>(
    surroundings: Surroundings<'a>,
    directory: StateDir,
    machine: Machine,
    before: Option<State>,
) -> Former<'a> {
    let Some(state) = before else {
        return Former { surroundings, directory, machine, state: None };
    };
    let here = state.identity.machine == machine.binding;
    let mut agent = Agent { surroundings, machine, directory, state, skewed: false };
    // The shadow file of another machine says nothing.
    if here {
        agent.recover();
    }
    agent.state.jobs.give_up_unfinished();
    let Agent { surroundings, machine, directory, state, .. } = agent;
    Former { surroundings, directory, machine, state: Some(state) }
}

/// The keys of an enrolment that was begun before, else new ones; on the disk either way. A key
/// that is `used` already belongs to an enrolment that was completed and not tidied up.
fn begin(
    surroundings: &mut Surroundings<'_>,
    directory: &StateDir,
    token: &EnrolmentToken,
    machine: &Machine,
    used: Option<VerifyingKey>,
) -> Result<Enrolling, StateError> {
    let instance = token.instance.as_ref().map(ToString::to_string);
    let fits = |begun: &Enrolling| {
        begun.deployment == token.deployment
            && begun.machine == machine.binding
            && begun.instance == instance
            && Some(begun.signing_key().public()) != used
    };
    if let Some(begun) = directory.load_enrolling()?.filter(fits) {
        return Ok(begun);
    }
    let mut rng = &mut *surroundings.rng;
    let key = SigningKey::generate(&mut rng);
    let sealing = SealingKeys::first(&key, surroundings.clock.now(), rng);
    let key = Seed::new(key.to_bytes());
    let machine = machine.binding.clone();
    let enrolling = Enrolling { key, sealing, deployment: token.deployment, machine, instance };
    directory.save_enrolling(&enrolling)?;
    Ok(enrolling)
}

/// Tries the addresses in order until one answers: that one.
fn ask(
    surroundings: &mut Surroundings<'_>,
    server: Option<Address>,
    held: Option<Generation>,
    applicant: &mut Applicant<'_>,
) -> Result<Address, EnrolError> {
    let addresses = match server {
        Some(server) => vec![server],
        None => applicant.token.addresses().iter().map(|a| a.parse()).collect::<Result<_, _>>()?,
    };
    let clock = surroundings.clock;
    let mut last = EndError::Closed;
    let mut tried = String::new();
    for address in addresses {
        let token = applicant.token;
        let pinned = Pinned { root: token.root, deployment: token.deployment, generation: held };
        let ended = Connection::open(&address, &surroundings.resolver, clock, surroundings.rng)
            .map_err(EndError::from)
            .and_then(|connection| converse(connection, pinned, clock, applicant));
        match ended {
            Ok(()) => return Ok(address),
            Err(source) => (last, tried) = (source, address.to_string()),
        }
    }
    Err(EnrolError::Failed { address: tried, source: last })
}

/// The trust statement that the machine holds of the token's deployment already: an older one is
/// not believed, here neither.
fn held_generation(before: &State, token: &EnrolmentToken) -> Option<Generation> {
    let same = before.identity.deployment == token.deployment && before.identity.root == token.root;
    before.trust().filter(|_| same).map(|statement| statement.generation)
}

/// A device that is enrolled again goes on counting, answers for the jobs that it had, and still
/// has reports to send. (It does not keep the time that it believed: enrolling again is the way out
/// where a server's wrong clock carried it into the future.)
fn kept_jobs(before: Option<State>, deployment: DeploymentId, instance: &InstanceId) -> Jobs {
    let Some(before) = before else { return Jobs::default() };
    if before.identity.deployment == deployment && before.identity.instance == *instance {
        return before.jobs;
    }
    let (former, reports) = (&before.identity.instance, before.jobs.unacknowledged().len());
    if reports > 0 {
        tracing::warn!(%former, reports, "the former device's unsent reports are lost");
    }
    Jobs::default()
}

fn identity(
    token: &EnrolmentToken,
    key: Seed,
    answer: Enrolled,
    machine: &Machine,
    at: &Address,
) -> Identity {
    let at = at.to_string();
    let others = token.addresses().iter().filter(|other| **other != at).cloned();
    let addresses: Vec<_> = std::iter::once(at.clone()).chain(others).collect();
    // Where it enrolled is the best guess when the server names no gateways.
    let gateways = match usable(answer.gateways) {
        none if none.is_empty() => addresses.clone(),
        gateways => gateways,
    };
    Identity {
        key,
        root: token.root,
        deployment: token.deployment,
        instance: answer.instance,
        account: answer.account,
        generation: answer.identity_generation,
        gateways,
        machine: machine.binding.clone(),
        addresses,
    }
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
