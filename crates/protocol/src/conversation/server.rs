//! The gateway's side.

use opencpm_domain::{DeploymentId, Generation, InstanceId, JobId, Span, Timestamp};

use super::{Breach, HANDSHAKE_LIMIT, PING_INTERVAL, SILENCE_LIMIT};
use crate::key::VerifyingKey;
use crate::message::{
    Challenge, Enrol, EnrolRequest, Enrolled, Farewell, Goodbye, Hello, JobFrame, KeptJob, Move,
    PROTOCOL_VERSION, ReportsKept, SealingKeyKept, ToAgent, ToServer, Welcome,
};
use crate::node::{CertificateRequest, Certified, Certify};
use crate::report::{Report, SealingCertificate};
use crate::sign::{Signable, SignatureError, Signed};
use crate::statement::TrustStatement;

/// One connection of one agent, seen from the gateway.
#[derive(Debug)]
pub struct ServerConversation {
    deployment: DeploymentId,
    nonce: [u8; 32],
    opened: Timestamp,
    heard: Timestamp,
    next_ping: Timestamp,
    state: State,
}

#[derive(Debug)]
enum State {
    AwaitingHello,
    /// The identity key was asked for.
    Recognising(Box<Signed<Hello>>),
    /// The store was asked to bind the connection.
    Binding(Peer),
    /// The operation was asked to enrol.
    Enrolling,
    /// The operation was asked for a node's certificate.
    Certifying,
    Live(Peer),
    Closed,
}

#[derive(Debug)]
struct Peer {
    instance: InstanceId,
    identity: VerifyingKey,
    generation: Generation,
}

/// What happened.
#[derive(Debug)]
pub enum ServerEvent<'a> {
    /// A frame came.
    Frame(&'a [u8]),
    /// A pong came.
    Pong,
    /// The answer to [`ServerStep::Recognise`].
    Recognised(Recognised),
    /// The answer to [`ServerStep::Bind`]: the connection is the device's own now.
    Bound(Welcome),
    /// The answer to [`ServerStep::Enrol`].
    Enrolled(Enrolled),
    /// The answer to [`ServerStep::Certify`].
    Certified(Box<Certified>),
    /// A job is to go out; its attempt is committed.
    Deliver(Box<JobFrame>),
    /// Reports of this connection are committed.
    ReportsKept(Vec<JobId>),
    /// A sealing key of this connection is committed.
    SealingKeyKept(Generation),
    /// The gateway is going away, and wants the device to be elsewhere by then.
    Move,
    /// The time of [`ServerConversation::due`] has come.
    Tick,
    /// The gateway wants to end it.
    Dismiss(Farewell),
}

/// The identity key that a hello is to be checked with.
#[derive(Clone, Debug)]
pub struct Recognised {
    /// The key in force.
    pub identity: VerifyingKey,
    /// Its generation.
    pub generation: Generation,
}

/// What to do next, in order.
#[derive(Debug)]
pub enum ServerStep {
    /// Send this frame.
    Send(Vec<u8>),
    /// Send a ping.
    Ping,
    /// Look up the identity key in force; answer with `Recognised` or dismiss.
    Recognise(InstanceId),
    /// The hello verified: bind the device to this connection; answer with `Bound` or dismiss.
    Bind(Box<Hello>),
    /// The request's signatures verified: enrol; answer with `Enrolled` or dismiss.
    Enrol {
        /// The token's secret.
        secret: zeroize::Zeroizing<[u8; 32]>,
        /// The request.
        request: Box<EnrolRequest>,
    },
    /// A node's request, whose signature verified: issue a certificate; answer with `Certified` or
    /// dismiss.
    Certify {
        /// The token's secret, of a node that joins.
        secret: Option<zeroize::Zeroizing<[u8; 32]>>,
        /// The request.
        request: Box<CertificateRequest>,
    },
    /// The live device reported.
    Report(Box<Signed<Report>>),
    /// The live device has a new sealing key, certified by its identity key.
    SealingKey(Box<Signed<SealingCertificate>>),
    /// Close the connection; the breach is for the log.
    Close(Option<Breach>),
}

impl ServerConversation {
    /// A new connection: the statement and a challenge go out. The nonce must be random; its
    /// first bytes also spread the pings of many connections over time.
    pub fn open(
        deployment: DeploymentId,
        statement: Signed<TrustStatement>,
        nonce: [u8; 32],
        now: Timestamp,
    ) -> (Self, Vec<ServerStep>) {
        let spread = u64::from(u16::from_le_bytes([nonce[0], nonce[1]]));
        let phase =
            Span::from_micros(PING_INTERVAL.as_micros() * spread / (u64::from(u16::MAX) + 1));
        let conversation = Self {
            deployment,
            nonce,
            opened: now,
            heard: now,
            next_ping: now + phase,
            state: State::AwaitingHello,
        };
        let challenge = Challenge { nonce, version: PROTOCOL_VERSION, time: now };
        let steps = [ToAgent::Statement(statement), ToAgent::Challenge(challenge)];
        (conversation, steps.iter().map(send).collect())
    }

    /// The live device, once there is one.
    pub fn device(&self) -> Option<&InstanceId> {
        match &self.state {
            State::Live(peer) => Some(&peer.instance),
            _ => None,
        }
    }

    /// When to call with [`ServerEvent::Tick`] at the latest.
    pub fn due(&self) -> Timestamp {
        match self.state {
            State::Live(_) => self.next_ping.min(self.heard + SILENCE_LIMIT),
            _ => self.opened + HANDSHAKE_LIMIT,
        }
    }

    /// The next state, and what to do.
    pub fn handle(mut self, event: ServerEvent<'_>, now: Timestamp) -> (Self, Vec<ServerStep>) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        let farewell = farewell(&state, &event);
        if matches!(event, ServerEvent::Frame(_) | ServerEvent::Pong) {
            self.heard = now;
        }
        match self.step(state, event, now) {
            Ok((state, steps)) => {
                self.state = state;
                (self, steps)
            }
            Err(breach) => {
                let goodbye = goodbye(farewell, breach.to_string());
                (self, vec![goodbye, ServerStep::Close(Some(breach))])
            }
        }
    }

    fn step(
        &mut self,
        state: State,
        event: ServerEvent<'_>,
        now: Timestamp,
    ) -> Result<(State, Vec<ServerStep>), Breach> {
        match (state, event) {
            (State::Closed, _) => Ok((State::Closed, Vec::new())),
            (_, ServerEvent::Dismiss(farewell)) => {
                let steps = vec![goodbye(farewell, String::new()), ServerStep::Close(None)];
                Ok((State::Closed, steps))
            }
            (state, ServerEvent::Tick) => self.tick(state, now),
            (state, ServerEvent::Pong) => Ok((state, Vec::new())),
            (state, ServerEvent::Frame(frame)) => match ToServer::decode(frame)? {
                Some(message) => self.message(state, message),
                None => Ok((state, Vec::new())),
            },
            (State::Recognising(hello), ServerEvent::Recognised(known)) => {
                self.recognised(&hello, &known)
            }
            (State::Binding(peer), ServerEvent::Bound(welcome)) => {
                Ok((State::Live(peer), vec![send(&ToAgent::Welcome(welcome))]))
            }
            (State::Enrolling, ServerEvent::Enrolled(enrolled)) => {
                let steps = vec![send(&ToAgent::Enrolled(enrolled)), ServerStep::Close(None)];
                Ok((State::Closed, steps))
            }
            (State::Certifying, ServerEvent::Certified(certified)) => {
                let steps = vec![send(&ToAgent::Certified(*certified)), ServerStep::Close(None)];
                Ok((State::Closed, steps))
            }
            (State::Live(peer), event) => Ok((State::Live(peer), deliver(event))),
            // An answer to a question that this connection no longer asks.
            (state, _) => Ok((state, Vec::new())),
        }
    }

    fn tick(&mut self, state: State, now: Timestamp) -> Result<(State, Vec<ServerStep>), Breach> {
        let live = matches!(state, State::Live(_));
        if !live && now >= self.opened + HANDSHAKE_LIMIT {
            return Err(Breach::SlowHandshake);
        }
        if live && now >= self.heard + SILENCE_LIMIT {
            return Err(Breach::Silence);
        }
        if live && now >= self.next_ping {
            self.next_ping = now + PING_INTERVAL;
            return Ok((state, vec![ServerStep::Ping]));
        }
        Ok((state, Vec::new()))
    }

    fn message(&self, state: State, message: ToServer) -> Result<(State, Vec<ServerStep>), Breach> {
        match (state, message) {
            (State::AwaitingHello, ToServer::Hello(signed)) => {
                let claim = unverified("hello", &signed)?;
                self.check_fresh(&claim.nonce, claim.deployment)?;
                let steps = vec![ServerStep::Recognise(claim.instance)];
                Ok((State::Recognising(Box::new(signed)), steps))
            }
            (State::AwaitingHello, ToServer::Enrol(enrol)) => {
                Ok((State::Enrolling, vec![self.enrolment(enrol)?]))
            }
            (State::AwaitingHello, ToServer::Certify(certify)) => {
                Ok((State::Certifying, vec![self.certification(certify)?]))
            }
            (State::Live(peer), ToServer::Report(report)) => {
                self.check_report(&peer, &report)?;
                Ok((State::Live(peer), vec![ServerStep::Report(Box::new(report))]))
            }
            (State::Live(peer), ToServer::SealingKey(certificate)) => {
                check_certificate(&certificate, &peer.identity)?;
                Ok((State::Live(peer), vec![ServerStep::SealingKey(Box::new(certificate))]))
            }
            (_, ToServer::Hello(_)) => Err(Breach::OutOfTurn("a hello")),
            (_, ToServer::Certify(_)) => Err(Breach::OutOfTurn("a node's request")),
            (_, ToServer::Enrol(_)) => Err(Breach::OutOfTurn("an enrolment")),
            (_, ToServer::Report(_)) => Err(Breach::OutOfTurn("a report")),
            (_, ToServer::SealingKey(_)) => Err(Breach::OutOfTurn("a sealing key")),
        }
    }

    /// A report that was signed before the device enrolled again is let through unchecked: an API
    /// node checks it with the former key, which it keeps.
    fn check_report(&self, peer: &Peer, report: &Signed<Report>) -> Result<(), Breach> {
        let claim = unverified("report", report)?;
        if claim.instance != peer.instance || claim.deployment != self.deployment {
            return Err(Breach::Other("device"));
        }
        if claim.identity_generation < peer.generation {
            return Ok(());
        }
        report.verify(&peer.identity).map_err(|e| Breach::Signature("report", e))?;
        match &claim.next_sealing {
            Some(next) => check_certificate(next, &peer.identity),
            None => Ok(()),
        }
    }

    fn check_fresh(&self, nonce: &[u8; 32], deployment: DeploymentId) -> Result<(), Breach> {
        if nonce != &self.nonce {
            return Err(Breach::Challenge);
        }
        if deployment != self.deployment {
            return Err(Breach::Other("installation"));
        }
        Ok(())
    }

    fn enrolment(&self, enrol: Enrol) -> Result<ServerStep, Breach> {
        let wrong = |e| Breach::Signature("enrolment", e);
        let claim = unverified("enrolment", &enrol.request)?;
        let request = enrol.request.verify(&claim.identity).map_err(wrong)?;
        self.check_fresh(&request.nonce, request.deployment)?;
        check_certificate(&request.sealing, &request.identity)?;
        Ok(ServerStep::Enrol { secret: enrol.secret, request: Box::new(request) })
    }

    fn certification(&self, certify: Certify) -> Result<ServerStep, Breach> {
        let claim = unverified("node's request", &certify.request)?;
        let request = certify.request.verify(&claim.node);
        let request = request.map_err(|e| Breach::Signature("node's request", e))?;
        self.check_fresh(&request.nonce, request.deployment)?;
        Ok(ServerStep::Certify { secret: certify.secret, request: Box::new(request) })
    }

    fn recognised(
        &self,
        hello: &Signed<Hello>,
        known: &Recognised,
    ) -> Result<(State, Vec<ServerStep>), Breach> {
        let hello = hello.verify(&known.identity).map_err(|e| Breach::Signature("hello", e))?;
        if hello.identity_generation != known.generation {
            return Err(Breach::Other("identity key"));
        }
        check_certificate(&hello.sealing, &known.identity)?;
        let peer = Peer {
            instance: hello.instance.clone(),
            identity: known.identity,
            generation: known.generation,
        };
        Ok((State::Binding(peer), vec![ServerStep::Bind(Box::new(hello))]))
    }
}

/// How a breach is called to the peer: whose hello does not verify is not recognised, and who
/// waits for our answer in vain has done nothing wrong.
const fn farewell(state: &State, event: &ServerEvent<'_>) -> Farewell {
    match (state, event) {
        (State::Recognising(_), ServerEvent::Recognised(_)) => Farewell::NotRecognised,
        (
            State::Recognising(_) | State::Binding(_) | State::Enrolling | State::Certifying,
            ServerEvent::Tick,
        ) => Farewell::Unavailable,
        _ => Farewell::Protocol,
    }
}

/// What a message claims, to know which key to check it with.
fn unverified<T: Signable>(what: &'static str, signed: &Signed<T>) -> Result<T, Breach> {
    signed.read_unverified().map_err(|e| Breach::Signature(what, SignatureError::Payload(e)))
}

fn check_certificate(
    certificate: &Signed<SealingCertificate>,
    identity: &VerifyingKey,
) -> Result<(), Breach> {
    let wrong = |e| Breach::Signature("sealing key", e);
    let certificate = certificate.verify(identity).map_err(wrong)?;
    if certificate.identity == *identity { Ok(()) } else { Err(Breach::Other("identity key")) }
}

fn deliver(event: ServerEvent<'_>) -> Vec<ServerStep> {
    let message = match event {
        ServerEvent::Deliver(job) => ToAgent::Job(*job),
        ServerEvent::ReportsKept(jobs) => {
            ToAgent::ReportsKept(ReportsKept { jobs: jobs.into_iter().map(KeptJob).collect() })
        }
        ServerEvent::SealingKeyKept(generation) => {
            ToAgent::SealingKeyKept(SealingKeyKept { generation })
        }
        ServerEvent::Move => ToAgent::Move(Move {}),
        _ => return Vec::new(),
    };
    vec![send(&message)]
}

fn send(message: &ToAgent) -> ServerStep {
    ServerStep::Send(message.encode())
}

fn goodbye(why: Farewell, text: String) -> ServerStep {
    send(&ToAgent::Goodbye(Goodbye { why: why as u16, text, wait: 0 }))
}
