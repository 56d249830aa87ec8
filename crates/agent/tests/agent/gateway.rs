//! One connection of a gateway, on a thread of its own: the real conversation, and a script.

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use opencpm_agent::clock::{Clock, SystemClock};
use opencpm_domain::{AppId, DeploymentId, Generation};
use opencpm_protocol::conversation::{Recognised, ServerConversation, ServerEvent, ServerStep};
use opencpm_protocol::key::VerifyingKey;
use opencpm_protocol::message::{EnrolRequest, Enrolled, Farewell, Hello, JobFrame, Welcome};
use opencpm_protocol::report::Report;
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tungstenite::{Message, WebSocket};

use crate::deployment::instance;

/// What a connection does.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) deployment: DeploymentId,
    pub(crate) statement: Signed<TrustStatement>,
    pub(crate) tls: Arc<ServerConfig>,
    /// The identity key that a hello must be signed with.
    pub(crate) identity: Option<VerifyingKey>,
    pub(crate) gateways: Vec<String>,
    pub(crate) sealing_generation: Generation,
    /// Sent after the welcome.
    pub(crate) jobs: Vec<JobFrame>,
    /// It closes after so many reports.
    pub(crate) reports: usize,
    pub(crate) acknowledge: bool,
    /// After so many reports it asks the agent to move.
    pub(crate) moves: Option<usize>,
    /// Is told each welcome, and each time that an agent left.
    pub(crate) journal: Arc<Mutex<Vec<String>>>,
    /// It waits for a new sealing key before it closes.
    pub(crate) new_key: bool,
    pub(crate) enrolment: Enrolment,
    /// The identity key's generation.
    pub(crate) generation: Generation,
    /// The identity key that reports from before the last enrolment are signed with.
    pub(crate) former: Option<VerifyingKey>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Enrolment {
    Accept,
    Refuse,
    /// The answer gets lost.
    Forget,
}

/// What the gateway saw.
#[derive(Default)]
pub(crate) struct Seen {
    /// Every frame of the WebSocket, a farewell included, before anything was made of it.
    pub(crate) frames: usize,
    pub(crate) hello: Option<Box<Hello>>,
    pub(crate) request: Option<Box<EnrolRequest>>,
    pub(crate) reports: Vec<Report>,
    pub(crate) keys: Vec<Generation>,
}

/// Serves the next connection.
pub(crate) fn serve(listener: &TcpListener, script: Script) -> JoinHandle<Seen> {
    let listener = listener.try_clone().unwrap();
    thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        drop(listener);
        hold(tcp, script)
    })
}

/// Serves the next two connections, each in its own way, also both at once.
pub(crate) fn serve_both(listener: TcpListener, scripts: [Script; 2]) -> JoinHandle<[Seen; 2]> {
    thread::spawn(move || {
        let served = scripts.map(|script| {
            let (tcp, _) = listener.accept().unwrap();
            thread::spawn(move || hold(tcp, script))
        });
        drop(listener);
        served.map(|seen| seen.join().unwrap())
    })
}

fn hold(tcp: TcpStream, script: Script) -> Seen {
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let tls = ServerConnection::new(script.tls.clone()).unwrap();
    let mut seen = Seen::default();
    if let Ok(socket) = tungstenite::accept(StreamOwned::new(tls, tcp)) {
        Session { socket, script, seen: &mut seen }.run();
    }
    seen
}

struct Session<'a> {
    socket: WebSocket<StreamOwned<ServerConnection, TcpStream>>,
    script: Script,
    seen: &'a mut Seen,
}

impl Session<'_> {
    fn run(mut self) {
        let now = || SystemClock.now();
        let statement = self.script.statement.clone();
        let (mut conversation, mut steps) =
            ServerConversation::open(self.script.deployment, statement, [5; 32], now());
        loop {
            let mut events = Vec::new();
            for step in steps {
                match self.take(step) {
                    Some(more) => events.extend(more),
                    None => return self.drain(),
                }
            }
            steps = Vec::new();
            for event in events {
                let (next, more) = conversation.handle(event, now());
                conversation = next;
                steps.extend(more);
            }
            if steps.is_empty() {
                let Ok(message) = self.socket.read() else { return self.note("left") };
                self.seen.frames += 1;
                let Message::Binary(frame) = message else { continue };
                let (next, more) = conversation.handle(ServerEvent::Frame(&frame), now());
                conversation = next;
                steps = more;
            }
        }
    }

    /// `None` at the end.
    fn take(&mut self, step: ServerStep) -> Option<Vec<ServerEvent<'static>>> {
        Some(match step {
            ServerStep::Send(frame) => {
                self.socket.send(Message::binary(frame)).ok()?;
                Vec::new()
            }
            ServerStep::Recognise(_) => {
                let identity = self.script.identity.unwrap();
                let generation = self.script.generation;
                vec![ServerEvent::Recognised(Recognised { identity, generation })]
            }
            ServerStep::Bind(hello) => {
                self.seen.hello = Some(hello);
                self.welcome()
            }
            ServerStep::Enrol { request, .. } => {
                self.seen.request = Some(request);
                match self.script.enrolment {
                    Enrolment::Accept => vec![ServerEvent::Enrolled(self.enrolled())],
                    Enrolment::Refuse => vec![ServerEvent::Dismiss(Farewell::TokenRefused)],
                    Enrolment::Forget => return None,
                }
            }
            ServerStep::Report(report) => self.report(&report),
            ServerStep::SealingKey(certificate) => {
                let generation = certificate.read_unverified().unwrap().generation;
                self.seen.keys.push(generation);
                let kept = ServerEvent::SealingKeyKept(generation);
                vec![kept, ServerEvent::Dismiss(Farewell::Draining)]
            }
            ServerStep::Ping => Vec::new(),
            // What nodes ask for, an agent never does.
            ServerStep::Certify { .. } | ServerStep::Close(_) => return None,
        })
    }

    fn welcome(&self) -> Vec<ServerEvent<'static>> {
        let welcome = Welcome {
            sealing_generation: self.script.sealing_generation,
            account: AppId::new(1).unwrap(),
            gateways: self.script.gateways.clone(),
        };
        self.note("welcome");
        let mut events = vec![ServerEvent::Bound(welcome)];
        events.extend(self.moves());
        let jobs = self.script.jobs.iter().cloned();
        events.extend(jobs.map(|job| ServerEvent::Deliver(Box::new(job))));
        let waits = self.script.moves.is_some() || self.script.new_key;
        if self.script.reports == 0 && !waits {
            events.push(ServerEvent::Dismiss(Farewell::Draining));
        }
        events
    }

    fn moves(&self) -> Option<ServerEvent<'static>> {
        (self.script.moves == Some(self.seen.reports.len())).then_some(ServerEvent::Move)
    }

    fn note(&self, what: &str) {
        let at = self.socket.get_ref().sock.local_addr().unwrap();
        self.script.journal.lock().unwrap().push(format!("{what} {}", at.port()));
    }

    fn enrolled(&self) -> Enrolled {
        Enrolled {
            instance: instance(),
            account: AppId::new(1).unwrap(),
            identity_generation: self.script.generation,
            gateways: self.script.gateways.clone(),
        }
    }

    fn report(&mut self, signed: &Signed<Report>) -> Vec<ServerEvent<'static>> {
        let generation = signed.read_unverified().unwrap().identity_generation;
        let key = match self.script.former {
            Some(former) if generation < self.script.generation => former,
            _ => self.script.identity.unwrap(),
        };
        let report = signed.verify(&key).unwrap();
        let job = report.job;
        self.seen.reports.push(report);
        let mut events = Vec::new();
        if self.script.acknowledge {
            events.push(ServerEvent::ReportsKept(vec![job]));
        }
        events.extend(self.moves());
        if self.seen.reports.len() == self.script.reports {
            events.push(ServerEvent::Dismiss(Farewell::Draining));
        }
        events
    }

    /// Closing with unread bytes would take back what was sent last.
    fn drain(mut self) {
        if self.socket.close(None).is_ok() {
            while self.socket.read().is_ok() {}
        }
    }
}
