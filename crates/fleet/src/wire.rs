use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::{Sink, Stream};
use opencpm_protocol::conversation::{AgentConversation, AgentEvent, AgentStep};
use tokio::time::{Sleep, sleep};
use tungstenite::{Error, Message};

use crate::device::{Act, Device};

/// One connection of one device: the transport of a gateway's session, and the device at its other
/// end at once. What the session sends is taken when the session listens next, and what the device
/// says comes out there. So a device needs no task, no channel and no buffers of its own.
///
/// A gateway in the same process does not fall silent, so nothing waits for that.
pub struct Wire {
    device: Arc<Mutex<Device>>,
    /// `None` once the device has hung up.
    conversation: Option<AgentConversation>,
    incoming: VecDeque<Message>,
    outgoing: VecDeque<Message>,
    /// Until the device says what it owes.
    owes: Option<Pin<Box<Sleep>>>,
    /// The session will send nothing more.
    closed: bool,
    listener: Option<Waker>,
}

impl Wire {
    /// The device's next connection.
    pub(crate) fn new(device: Arc<Mutex<Device>>) -> Self {
        let conversation = {
            let mut device = lock(&device);
            AgentConversation::open(device.dial(), (device.site.clock)())
        };
        Self {
            device,
            conversation: Some(conversation),
            incoming: VecDeque::new(),
            outgoing: VecDeque::new(),
            owes: None,
            closed: false,
            listener: None,
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Binary(frame) => self.tell(AgentEvent::Frame(&frame)),
            Message::Ping(data) => {
                self.outgoing.push_back(Message::Pong(data));
                self.tell(AgentEvent::Ping);
            }
            Message::Close(_) => self.conversation = None,
            _ => {}
        }
    }

    /// Tells the conversation, and has done what follows from it.
    fn tell(&mut self, event: AgentEvent<'_>) {
        let Some(conversation) = self.conversation.take() else { return };
        let now = (lock(&self.device).site.clock)();
        let (conversation, steps) = conversation.handle(event, now);
        self.conversation = Some(conversation);
        for step in steps {
            if let AgentStep::Send(frame) = step {
                self.outgoing.push_back(Message::Binary(frame.into()));
                continue;
            }
            let acts = lock(&self.device).step(step, now);
            acts.into_iter().for_each(|act| self.act(act));
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Say(event) => self.tell(event),
            Act::Owe(after) => self.owes = Some(Box::pin(sleep(after))),
            Act::HangUp => self.conversation = None,
        }
    }

    fn pay(&mut self) {
        self.owes = None;
        let owed = lock(&self.device).owed();
        owed.into_iter().for_each(|event| self.tell(event));
    }

    fn is_due(&mut self, cx: &mut Context<'_>) -> bool {
        self.owes.as_mut().is_some_and(|owes| owes.as_mut().poll(cx).is_ready())
    }
}

impl Stream for Wire {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let wire = self.get_mut();
        loop {
            if let Some(message) = wire.outgoing.pop_front() {
                return Poll::Ready(Some(Ok(message)));
            }
            if wire.conversation.is_none() {
                return Poll::Ready(None);
            }
            match wire.incoming.pop_front() {
                Some(message) => wire.take(message),
                None if wire.closed => return Poll::Ready(None),
                None if wire.is_due(cx) => wire.pay(),
                None => {
                    wire.listener = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        }
    }
}

impl Sink<Message> for Wire {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let open = self.conversation.is_some() && !self.closed;
        Poll::Ready(if open { Ok(()) } else { Err(Error::ConnectionClosed) })
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.incoming.push_back(message);
        self.listener.take().into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.closed = true;
        self.listener.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }
}

/// A device has two connections while it moves, and both in one task: nobody waits here.
pub(crate) fn lock(device: &Mutex<Device>) -> MutexGuard<'_, Device> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}
