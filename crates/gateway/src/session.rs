//! One connection: drives the conversation over a stream and a sink of WebSocket messages.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use opencpm_domain::{AppId, Generation, InstanceId, Span, Timestamp};
use opencpm_operations::connect::Arrival;
use opencpm_operations::record_reports::Delivered;
use opencpm_operations::record_sealing_keys::NewSealingKey;
use opencpm_protocol::conversation::{Breach, ServerConversation, ServerEvent, ServerStep};
use opencpm_protocol::message::{EnrolRequest, Enrolled, Farewell, Hello};
use opencpm_protocol::node::{CertificateRequest, Certified};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Error as TransportError, Message};
use zeroize::Zeroizing;

use crate::line::{Command, Kept, Line};
use crate::listener::Admission;
use crate::operations::Operations;
use crate::term::{BindRequest, Claim, Seat, Sent, Term};

/// Records of one session that are not settled at most. Then its socket is not read any further,
/// and the agent's own socket fills up.
const UNSETTLED: usize = 8;

/// So long a closed connection is still read, so that the farewell is not lost in a reset.
const LINGER: Duration = Duration::from_secs(1);

/// What a session runs over: a WebSocket, or anything that carries its messages. The other end
/// answers pings, as every WebSocket library does by itself.
pub trait Transport:
    Stream<Item = Result<Message, TransportError>>
    + Sink<Message, Error = TransportError>
    + Send
    + Unpin
    + 'static
{
}

impl<T> Transport for T where
    T: Stream<Item = Result<Message, TransportError>>
        + Sink<Message, Error = TransportError>
        + Send
        + Unpin
        + 'static
{
}

/// One connection, from the upgrade to its end.
pub(crate) struct Session<T> {
    pub(crate) transport: T,
    pub(crate) term: Arc<Term>,
    pub(crate) operations: Arc<dyn Operations>,
    pub(crate) write_limit: Duration,
    /// When the connection was accepted: the handshake's limit counts from then.
    pub(crate) accepted: Instant,
    /// Given back once the device is live.
    pub(crate) admission: Option<Admission>,
}

/// The connection's clock: the time of day when it was accepted, and from then on the monotonic
/// clock. So nobody is closed because a clock was set.
#[derive(Clone, Copy)]
struct Pace {
    wall: Timestamp,
    accepted: Instant,
}

impl Pace {
    fn now(self) -> Timestamp {
        let passed = self.accepted.elapsed().as_micros();
        self.wall + Span::from_micros(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    fn instant(self, at: Timestamp) -> Instant {
        self.accepted + Duration::from_micros(at.distance(self.wall).as_micros())
    }
}

/// The answer to a question of the conversation.
enum Answer {
    Enrolled(Box<Enrolled>),
    Certified(Box<Certified>),
    Refused(Farewell),
}

enum Happening {
    Message(Option<Result<Message, TransportError>>),
    Command(Command),
    Answer(Answer),
    Due,
    Cut,
}

/// Why a session ends.
enum End {
    /// The peer closed, or the network did.
    Gone(Option<TransportError>),
    /// The peer does not take what is sent.
    Slow,
    /// The gateway lets go without a word.
    Cut,
    /// As the conversation says; a farewell was sent.
    Closed(Option<Breach>),
}

/// What a running session has besides its conversation.
struct Desk<T> {
    session: Session<T>,
    line: Line,
    commands: Receiver<Command>,
    /// What the conversation asked for, while it is looked up.
    asked: Option<BoxFuture<'static, Answer>>,
    /// The account of the device that tries to prove itself.
    account: Option<AppId>,
    /// The device and its identity key's generation, once the hello verified.
    peer: Option<(InstanceId, Generation)>,
    seat: Option<Box<Seat>>,
    unsettled: usize,
    farewell: Option<Farewell>,
}

impl<T: Transport> Session<T> {
    /// Holds the conversation until it ends. The device is unbound by then, or about to be.
    pub(crate) async fn run(self) {
        let (line, commands) = Line::new(self.term.cut.child_token());
        let mut desk = Desk {
            session: self,
            line,
            commands,
            asked: None,
            account: None,
            peer: None,
            seat: None,
            unsettled: 0,
            farewell: None,
        };
        let end = desk.converse().await;
        desk.log(&end);
        // Unbound at once, also when the seat has not been looked at; the farewell may take its
        // time.
        desk.commands.close();
        while desk.commands.try_recv().is_ok() {}
        desk.seat = None;
        if let End::Closed(_) = end {
            desk.linger().await;
        }
    }
}

impl<T: Transport> Desk<T> {
    async fn converse(&mut self) -> End {
        let operations = &self.session.operations;
        let accepted = self.session.accepted;
        let before = u64::try_from(accepted.elapsed().as_micros()).unwrap_or(u64::MAX);
        let pace = Pace { wall: operations.now() - Span::from_micros(before), accepted };
        let (mut conversation, mut steps) = ServerConversation::open(
            operations.deployment(),
            operations.statement(),
            operations.random(),
            pace.wall,
        );
        loop {
            for step in steps {
                if let Err(end) = self.perform(step).await {
                    return end;
                }
            }
            let happening = self.happening(pace.instant(conversation.due())).await;
            (conversation, steps) = match self.event(conversation, happening, pace.now()) {
                Ok(next) => next,
                Err(end) => return end,
            };
        }
    }

    /// Waits for the next thing to happen.
    async fn happening(&mut self, due: Instant) -> Happening {
        let asked = async {
            match &mut self.asked {
                Some(asked) => asked.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.line.cut() => Happening::Cut,
            Some(command) = self.commands.recv() => Happening::Command(command),
            answer = asked => Happening::Answer(answer),
            () = self.session.term.draining.cancelled(), if self.seat.is_none() => {
                Happening::Command(Command::Dismiss(self.session.term.farewell()))
            }
            () = sleep_until(due) => Happening::Due,
            message = self.session.transport.next(), if self.unsettled < UNSETTLED => {
                Happening::Message(message)
            }
        }
    }

    /// Tells the conversation what happened.
    fn event(
        &mut self,
        conversation: ServerConversation,
        happening: Happening,
        now: Timestamp,
    ) -> Result<(ServerConversation, Vec<ServerStep>), End> {
        let event = match happening {
            Happening::Cut => return Err(End::Cut),
            Happening::Message(None | Some(Ok(Message::Close(_)))) => return Err(End::Gone(None)),
            Happening::Message(Some(Err(error))) => return Err(End::Gone(Some(error))),
            Happening::Message(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => ServerEvent::Pong,
            Happening::Message(Some(Ok(message))) => {
                return Ok(conversation.handle(ServerEvent::Frame(&message.into_data()), now));
            }
            Happening::Due => ServerEvent::Tick,
            Happening::Command(command) => match self.command(command) {
                Some(event) => event,
                None => return Ok((conversation, Vec::new())),
            },
            Happening::Answer(answer) => self.answer(answer),
        };
        Ok(conversation.handle(event, now))
    }

    fn command(&mut self, command: Command) -> Option<ServerEvent<'static>> {
        Some(match command {
            Command::Recognised(candidate) => {
                self.account = Some(candidate.account);
                ServerEvent::Recognised(candidate.recognised)
            }
            Command::Bound(seat, welcome) => {
                self.seat = Some(seat);
                self.session.admission = None;
                ServerEvent::Bound(*welcome)
            }
            Command::Deliver(frame) => ServerEvent::Deliver(frame),
            Command::Move => ServerEvent::Move,
            Command::Dismiss(farewell) => self.dismiss(farewell),
            Command::Settled(kept) => {
                self.unsettled = self.unsettled.saturating_sub(1);
                match kept? {
                    Kept::Report(job) => ServerEvent::ReportsKept(vec![job]),
                    Kept::SealingKey(generation) => ServerEvent::SealingKeyKept(generation),
                }
            }
        })
    }

    fn answer(&mut self, answer: Answer) -> ServerEvent<'static> {
        self.asked = None;
        match answer {
            Answer::Enrolled(enrolled) => ServerEvent::Enrolled(*enrolled),
            Answer::Certified(certified) => ServerEvent::Certified(certified),
            Answer::Refused(farewell) => self.dismiss(farewell),
        }
    }

    fn dismiss(&mut self, farewell: Farewell) -> ServerEvent<'static> {
        self.farewell = Some(farewell);
        ServerEvent::Dismiss(farewell)
    }

    /// Does what the conversation says.
    async fn perform(&mut self, step: ServerStep) -> Result<(), End> {
        match step {
            ServerStep::Send(frame) => self.send(Message::Binary(frame.into())).await?,
            ServerStep::Ping => self.send(Message::Ping(Vec::new().into())).await?,
            ServerStep::Recognise(instance) => self.recognise(instance)?,
            ServerStep::Bind(hello) => self.bind(*hello)?,
            ServerStep::Enrol { secret, request } => self.enrol(secret, request),
            ServerStep::Certify { secret, request } => self.certify(secret, request),
            ServerStep::Report(report) => {
                if let Some((instance, _)) = self.peer.clone() {
                    let (line, what) = (self.line.clone(), Delivered { instance, report: *report });
                    self.record(self.session.term.reports.send(Sent { line, what }).is_ok())?;
                }
            }
            ServerStep::SealingKey(certificate) => {
                if let Some((instance, identity_generation)) = self.peer.clone() {
                    let line = self.line.clone();
                    let what =
                        NewSealingKey { instance, identity_generation, certificate: *certificate };
                    self.record(self.session.term.sealing_keys.send(Sent { line, what }).is_ok())?;
                }
            }
            ServerStep::Close(breach) => return Err(End::Closed(breach)),
        }
        Ok(())
    }

    fn recognise(&self, instance: InstanceId) -> Result<(), End> {
        let (term, line) = (&self.session.term, self.line.clone());
        if !term.takes_devices {
            line.tell(Command::Dismiss(Farewell::Draining));
            return Ok(());
        }
        // Fails only when nobody works for the term any more.
        term.claims.send(Claim { line, instance }).map_err(|_| End::Cut)
    }

    fn enrol(&mut self, secret: Zeroizing<[u8; 32]>, request: Box<EnrolRequest>) {
        let operations = Arc::clone(&self.session.operations);
        self.asked = Some(Box::pin(async move {
            match operations.enrol(&secret, &request).await {
                Ok(enrolled) => Answer::Enrolled(Box::new(enrolled)),
                Err(farewell) => Answer::Refused(farewell),
            }
        }));
    }

    fn certify(&mut self, secret: Option<Zeroizing<[u8; 32]>>, request: Box<CertificateRequest>) {
        let operations = Arc::clone(&self.session.operations);
        self.asked = Some(Box::pin(async move {
            match operations.certify(secret.as_deref(), &request).await {
                Ok(certified) => Answer::Certified(Box::new(certified)),
                Err(farewell) => Answer::Refused(farewell),
            }
        }));
    }

    fn bind(&mut self, hello: Hello) -> Result<(), End> {
        let Some(account) = self.account else { return Err(End::Cut) };
        self.peer = Some((hello.instance.clone(), hello.identity_generation));
        let request =
            BindRequest { line: self.line.clone(), arrival: Box::new(Arrival { hello, account }) };
        self.session.term.binds.send(request).map_err(|_| End::Cut)
    }

    /// One record more is under way, if anybody works on it.
    fn record(&mut self, sent: bool) -> Result<(), End> {
        self.unsettled += 1;
        if sent { Ok(()) } else { Err(End::Cut) }
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        let Session { transport, write_limit, .. } = &mut self.session;
        tokio::select! {
            biased;
            sent = timeout(*write_limit, transport.send(message)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(End::Gone(Some(error))),
                Err(_) => Err(End::Slow),
            },
            () = self.line.cut() => Err(End::Cut),
        }
    }

    /// Closes, and reads on until the peer has closed too: bytes that nobody read would make the
    /// network forget the farewell.
    async fn linger(&mut self) {
        let transport = &mut self.session.transport;
        let closed = async {
            if transport.close().await.is_ok() {
                while let Some(Ok(_)) = transport.next().await {}
            }
        };
        tokio::select! {
            _ = timeout(LINGER, closed) => {}
            () = self.line.cut() => {}
        }
    }

    fn log(&self, end: &End) {
        let instance = self.peer.as_ref().map(|(instance, _)| tracing::field::display(instance));
        let farewell = self.farewell.map(tracing::field::debug);
        match end {
            End::Gone(None) => tracing::debug!(instance, "the peer closed"),
            End::Gone(Some(error)) => {
                tracing::debug!(
                    instance,
                    error = error as &dyn std::error::Error,
                    "the connection broke"
                );
            }
            End::Slow => tracing::info!(instance, "closed a peer that does not read"),
            End::Cut => tracing::debug!(instance, "let go"),
            End::Closed(None) => tracing::debug!(instance, farewell, "said goodbye"),
            End::Closed(Some(breach)) => {
                tracing::info!(
                    instance,
                    error = breach as &dyn std::error::Error,
                    "the peer broke the protocol"
                );
            }
        }
    }
}
