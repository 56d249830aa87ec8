//! A device and its connection to a gateway; two of them while it moves.

use std::error::Error;

use opencpm_domain::{Generation, Span, Timestamp};
use opencpm_protocol::conversation::{AgentEvent, AgentStep, Pinned};
use opencpm_protocol::message::{Challenge, Facts, Hello, PROTOCOL_VERSION, Welcome};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;

use crate::address::{Address, usable};
use crate::agent::{Agent, Surroundings};
use crate::clock::{Moment, SKEW};
use crate::connection::Connection;
use crate::converse::{EndError, Party, Talk};
use crate::machine::Machine;
use crate::moves::Moves;

/// How a session went.
#[derive(Debug)]
pub struct Ended {
    /// The gateway on whose connection it ended.
    pub gateway: Address,
    /// How long it was live; `None` where the server never said welcome.
    pub lived: Option<Span>,
    /// True where the server said more than welcome: it gave a job, or acknowledged something.
    pub useful: bool,
    /// Why it ended.
    pub why: EndError,
}

/// Before an address is tried, what came on the connection meanwhile is dealt with.
const GLANCE: Span = Span::from_micros(10_000);

/// Connects to a gateway and serves, there and wherever the gateways ask it to move, until the
/// connection ends.
pub fn session(agent: &mut Agent<'_>, address: &Address) -> Ended {
    let mut device = Device {
        agent,
        gateway: address.clone(),
        welcomed: None,
        useful: false,
        moves: Moves::default(),
    };
    let why = match device.dial(address) {
        Ok(talk) => device.serve(talk),
        Err(error) => error,
    };
    let now = device.agent.surroundings.clock.since_boot().as_micros();
    let lived = device.welcomed.map(|at| Span::from_micros(now.saturating_sub(at.as_micros())));
    Ended { gateway: device.gateway, lived, useful: device.useful, why }
}

struct Device<'a, 's> {
    agent: &'a mut Agent<'s>,
    gateway: Address,
    /// Time since boot.
    welcomed: Option<Span>,
    useful: bool,
    /// Where to go, once a gateway has asked for it.
    moves: Moves,
}

impl<'s> Device<'_, 's> {
    /// A connection on which nothing was said yet.
    fn dial(&mut self, address: &Address) -> Result<Talk<'s>, EndError> {
        let Surroundings { clock, rng, resolver, .. } = &mut self.agent.surroundings;
        let clock = *clock;
        let connection = Connection::open(address, resolver, clock, *rng)?;
        let pinned = Pinned {
            root: self.agent.state.identity.root,
            deployment: self.agent.state.identity.deployment,
            generation: self.agent.state.trust().map(|trust| trust.generation),
        };
        Ok(Talk::open(connection, pinned, clock))
    }

    fn serve(&mut self, mut talk: Talk<'s>) -> EndError {
        loop {
            let patience = self.moves.wait(self.since_boot()).map(|wait| wait.max(GLANCE));
            if let Err(why) = talk.turn(self, patience) {
                talk.close();
                return why;
            }
            let Some(next) = self.moves.next(self.since_boot()) else { continue };
            match self.arrive(&next) {
                Ok(there) => {
                    tracing::info!(from = %self.gateway, to = %next, "moved to another gateway");
                    // What was on its way here comes again there.
                    std::mem::replace(&mut talk, there).close();
                    self.gateway = next;
                    self.moves.arrived();
                }
                Err(error) => {
                    let error = &error as &dyn Error;
                    tracing::info!(gateway = %next, error, "cannot move there");
                }
            }
        }
    }

    fn since_boot(&self) -> Timestamp {
        Timestamp::from_micros(self.agent.surroundings.clock.since_boot().as_micros())
    }

    /// A second connection, on which the device is welcome.
    fn arrive(&mut self, address: &Address) -> Result<Talk<'s>, EndError> {
        let here = self.welcomed;
        let mut there = self.dial(address)?;
        while !there.is_live() {
            if let Err(error) = there.turn(self, None) {
                there.close();
                self.welcomed = here;
                return Err(error);
            }
        }
        Ok(there)
    }
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
            AgentStep::Move => {
                let to = self.agent.elsewhere(&self.gateway);
                self.moves.ask(self.since_boot(), to);
                Vec::new()
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
        let Moment { boot, since_boot } = self.moment();
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
            since_boot: (!boot.is_empty()).then_some(since_boot.as_micros()),
            boot,
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
