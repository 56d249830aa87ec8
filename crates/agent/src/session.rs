//! A device on one connection to a gateway.

use std::error::Error;

use opencpm_domain::{Generation, Span, Timestamp};
use opencpm_protocol::conversation::{AgentEvent, AgentStep, Pinned};
use opencpm_protocol::message::{Challenge, Facts, Hello, PROTOCOL_VERSION, Welcome};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;

use crate::address::{Address, usable};
use crate::agent::Agent;
use crate::clock::SKEW;
use crate::connection::Connection;
use crate::converse::{EndError, Party, converse};
use crate::machine::Machine;

/// How a session went.
#[derive(Debug)]
pub struct Ended {
    /// How long it was live; `None` where the server never said welcome.
    pub lived: Option<Span>,
    /// True where the server said more than welcome: it gave a job, or acknowledged something.
    pub useful: bool,
    /// Why it ended.
    pub why: EndError,
}

/// Connects to a gateway and serves until the connection ends.
pub fn session(agent: &mut Agent<'_>, address: &Address) -> Ended {
    let clock = agent.surroundings.clock;
    let opened =
        Connection::open(address, &agent.surroundings.resolver, clock, agent.surroundings.rng);
    let connection = match opened {
        Ok(connection) => connection,
        Err(error) => return Ended { lived: None, useful: false, why: error.into() },
    };
    let pinned = Pinned {
        root: agent.state.identity.root,
        deployment: agent.state.identity.deployment,
        generation: agent.state.trust().map(|trust| trust.generation),
    };
    let mut device = Device { agent, welcomed: None, useful: false };
    let ended = converse(connection, pinned, clock, &mut device);
    let now = clock.since_boot().as_micros();
    let lived = device.welcomed.map(|at| Span::from_micros(now.saturating_sub(at.as_micros())));
    Ended { lived, useful: device.useful, why: ended.err().unwrap_or(EndError::Closed) }
}

struct Device<'a, 's> {
    agent: &'a mut Agent<'s>,
    /// Time since boot.
    welcomed: Option<Span>,
    useful: bool,
}

impl Party for Device<'_, '_> {
    fn learn(&mut self, signed: Signed<TrustStatement>, statement: &TrustStatement) -> Timestamp {
        self.agent.learn_statement(signed, statement);
        self.agent.time()
    }

    fn step(
        &mut self,
        step: AgentStep,
        connection: &Connection<'_>,
    ) -> Result<Vec<AgentEvent<'static>>, EndError> {
        self.useful |= self.welcomed.is_some();
        Ok(match step {
            AgentStep::Answer(challenge) => {
                let facts = facts(&self.agent.machine, connection);
                let hello = self.agent.hello(&challenge, facts);
                vec![AgentEvent::Hello(Box::new(hello))]
            }
            AgentStep::Welcome(welcome) => {
                self.welcomed = Some(self.agent.surroundings.clock.since_boot());
                self.agent.welcome(welcome)
            }
            AgentStep::Job(frame) => {
                let report = self.agent.job(&frame);
                report.map(|report| AgentEvent::Report(Box::new(report))).into_iter().collect()
            }
            AgentStep::ReportsKept(jobs) => {
                #[cfg(feature = "fault-points")]
                crate::fault::reached("acknowledged");
                self.agent.reports_kept(&jobs);
                Vec::new()
            }
            AgentStep::SealingKeyKept(generation) => {
                self.agent.sealing_key_kept(generation);
                Vec::new()
            }
            _ => Vec::new(),
        })
    }

    fn rest(&mut self) -> Vec<AgentEvent<'static>> {
        self.agent.tend_keys()
    }
}

impl Agent<'_> {
    /// Keeps a statement that verified under the root key and is not older than the one held.
    fn learn_statement(&mut self, signed: Signed<TrustStatement>, statement: &TrustStatement) {
        if self.state.statement.as_ref() == Some(&signed) {
            return;
        }
        self.learn_time(statement.valid_from);
        self.state.statement = Some(signed);
        self.save_soon();
        tracing::info!(generation = statement.generation.get(), "a new trust statement");
    }

    fn hello(&mut self, challenge: &Challenge, facts: Facts) -> Signed<Hello> {
        let time = self.time();
        self.skewed = time.distance(challenge.time) > SKEW;
        if self.skewed {
            let seconds = time.distance(challenge.time).as_secs();
            tracing::warn!(seconds, "this machine's clock and the server's differ");
        }
        let identity = &self.state.identity;
        let hello = Hello {
            nonce: challenge.nonce,
            deployment: identity.deployment,
            instance: identity.instance.clone(),
            identity_generation: identity.generation,
            version: PROTOCOL_VERSION,
            statement_generation: self.state.trust().map_or(Generation::FIRST, |t| t.generation),
            highest_sequence: self.state.jobs.highest,
            sealing: self.state.sealing.newest().certificate.clone(),
            boot: self.machine.boot.clone(),
            time: self.surroundings.clock.now(),
            facts,
        };
        Signed::sign(&hello, &identity.signing_key())
    }

    /// Everything that the server may not have heard yet.
    fn welcome(&mut self, welcome: Welcome) -> Vec<AgentEvent<'static>> {
        tracing::info!(device = %self.state.identity.instance, "connected");
        let identity = &mut self.state.identity;
        let mut news = identity.account != welcome.account;
        identity.account = welcome.account;
        let gateways = usable(welcome.gateways);
        if !gateways.is_empty() && identity.gateways != gateways {
            identity.gateways = gateways;
            news = true;
        }
        if welcome.sealing_generation > self.state.sealing.newest().generation {
            tracing::error!(
                "the server uses a newer key than this machine has: its state was set back. \
                 Enrol it again with a token for this device"
            );
        }
        let now = self.moment();
        news |= self.state.sealing.acknowledge(welcome.sealing_generation, &now);
        if news {
            self.save_soon();
        }
        self.recover();
        let reports = self.state.jobs.unacknowledged().into_iter();
        let mut events: Vec<_> = reports.map(|r| AgentEvent::Report(Box::new(r))).collect();
        if self.state.sealing.newest().generation > welcome.sealing_generation {
            events.push(self.sealing_key());
        }
        events
    }

    fn reports_kept(&mut self, jobs: &[opencpm_domain::JobId]) {
        let now = self.moment();
        let identity = self.state.identity.signing_key().public();
        let mut news = false;
        for job in jobs {
            let report = self.state.jobs.find(*job).and_then(|record| record.phase.report());
            let next = report.and_then(|report| report.read_unverified().ok()?.next_sealing);
            // A report from before the last enrolment names a key that went with its identity.
            if let Some(certificate) = next.and_then(|next| next.verify(&identity).ok()) {
                news |= self.state.sealing.acknowledge(certificate.generation, &now);
            }
        }
        news |= self.state.jobs.acknowledge(jobs);
        if news {
            self.save_soon();
        }
    }

    fn sealing_key_kept(&mut self, generation: Generation) {
        let now = self.moment();
        if self.state.sealing.acknowledge(generation, &now) {
            self.save_soon();
        }
    }

    /// Destroys worn sealing keys and makes a new one each week.
    fn tend_keys(&mut self) -> Vec<AgentEvent<'static>> {
        let Some(trust) = self.state.trust() else { return Vec::new() };
        let now = self.moment();
        if self.state.sealing.destroy_worn(trust.longest_deadline, &now) {
            self.save_soon();
        }
        if !self.state.sealing.is_due(self.time()) {
            return Vec::new();
        }
        self.advance_sealing();
        if let Err(error) = self.save() {
            let error = &error as &dyn Error;
            tracing::error!(error, "the new sealing key could not be saved, so it is not used");
            self.state.sealing.take_back();
            return Vec::new();
        }
        vec![self.sealing_key()]
    }

    fn sealing_key(&self) -> AgentEvent<'static> {
        AgentEvent::SealingKey(Box::new(self.state.sealing.newest().certificate.clone()))
    }
}

/// The machine's facts, with the address on the way to this gateway first.
pub(crate) fn facts(machine: &Machine, connection: &Connection<'_>) -> Facts {
    let mut facts = machine.facts.clone();
    if let Some(local) = connection.local().filter(|local| !local.is_loopback()) {
        let local = local.to_string();
        facts.addresses.retain(|address| *address != local);
        facts.addresses.insert(0, local);
    }
    facts
}
