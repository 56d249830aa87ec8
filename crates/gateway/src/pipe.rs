use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{Sink, SinkExt, Stream};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::PollSender;

/// One end of a connection within the process: what a WebSocket carries, without a socket.
/// Answers pings by itself, as a WebSocket does.
pub struct Pipe {
    incoming: Receiver<Message>,
    outgoing: PollSender<Message>,
    pong: Sender<Message>,
}

impl Pipe {
    /// Both ends. In each direction so many messages fit before a sender waits.
    pub fn pair(capacity: usize) -> (Self, Self) {
        let (to_b, from_a) = channel(capacity);
        let (to_a, from_b) = channel(capacity);
        (Self::new(from_b, to_b), Self::new(from_a, to_a))
    }

    fn new(incoming: Receiver<Message>, outgoing: Sender<Message>) -> Self {
        Self { incoming, pong: outgoing.clone(), outgoing: PollSender::new(outgoing) }
    }
}

impl Stream for Pipe {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let message = self.incoming.poll_recv(cx);
        if let Poll::Ready(Some(Message::Ping(data))) = &message {
            // A peer that does not read its pongs has no room for this one and hears no more.
            let _ = self.pong.try_send(Message::Pong(data.clone()));
        }
        message.map(|message| message.map(Ok))
    }
}

impl Sink<Message> for Pipe {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.outgoing.poll_ready_unpin(cx).map_err(|_| gone())
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.outgoing.start_send_unpin(message).map_err(|_| gone())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.outgoing.poll_flush_unpin(cx).map_err(|_| gone())
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let _ = self.pong.try_send(Message::Close(None));
        self.outgoing.close();
        Poll::Ready(Ok(()))
    }
}

fn gone() -> Error {
    Error::Io(io::ErrorKind::BrokenPipe.into())
}
