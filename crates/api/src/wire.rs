//! The stream below the HTTP library, with what the library leaves out:
//!
//! - What it refuses on its own (400, 414, 431) is answered in the API's form with status 200:
//!   clients lose the reason of any other status (contract section 1).
//! - A connection that says nothing, or takes nothing of its answer, ends.
//! - After the last answer, what the client still sends is read and thrown away for a while, so
//!   that a reset connection does not take the answer away from it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use opencpm_domain::{Condition, Refusal};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::dialect::Dialect;
use crate::{Edge, answer};

/// The library tells HTTP/2 from HTTP/1 by so many bytes; from then on it watches the time.
const FIRST_BYTES: usize = 24;

pub(crate) struct Wire<S> {
    stream: S,
    edge: Arc<Edge>,
    /// The first bytes that were read, at most [`FIRST_BYTES`].
    seen: Vec<u8>,
    first_bytes_by: Pin<Box<Sleep>>,
    /// Runs while the client takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
    stall_time: Duration,
    /// Our answer in place of the library's refusal, and how much of it is written.
    instead: Option<(Vec<u8>, usize)>,
    /// Runs after our sending side was shut down.
    linger: Option<Pin<Box<Sleep>>>,
    linger_time: Duration,
}

impl<S> Wire<S> {
    pub(crate) fn new(stream: S, edge: Arc<Edge>) -> Self {
        let limits = &edge.settings().limits;
        Self {
            stream,
            seen: Vec::with_capacity(FIRST_BYTES),
            first_bytes_by: Box::pin(sleep(limits.head_time)),
            stall: None,
            stall_time: limits.stall_time,
            instead: None,
            linger: None,
            linger_time: limits.linger_time,
            edge,
        }
    }

    /// The dialect of the connection's first request, as far as it can be told without reading it.
    fn dialect(&self) -> Dialect {
        let target = self.seen.split(|b| *b == b' ').nth(1).unwrap_or_default();
        let path = target.split(|b| *b == b'?').next().unwrap_or_default();
        match path == Dialect::V3.path().as_bytes() {
            true => Dialect::V3,
            false => Dialect::V2,
        }
    }

    /// The whole answer in place of what the library was about to say; `None` for anything that
    /// is not a refusal of its own. We never answer with these statuses.
    fn instead_of(&self, head: &[u8]) -> Option<Vec<u8>> {
        let refusal = refusal_in(head)?;
        let body = answer::failure(&refusal, self.dialect(), &self.edge.request_id()).into_bytes();
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            answer::CONTENT_TYPE,
            body.len()
        )
        .into_bytes();
        answer.extend_from_slice(&body);
        Some(answer)
    }

    /// Ends a write that makes no progress.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let stall_time = self.stall_time;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(stall_time)));
        ready!(stall.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// What the library refuses on its own.
fn refusal_in(head: &[u8]) -> Option<Refusal> {
    let status = head.strip_prefix(b"HTTP/1.1 ").or_else(|| head.strip_prefix(b"HTTP/1.0 "))?;
    match status.get(..4)? {
        b"400 " => {
            Some(Refusal::new(Condition::Malformed, "this is not a well-formed HTTP request"))
        }
        b"414 " | b"431 " => {
            let why = "the request line or the headers are too long";
            Some(Refusal::new(Condition::TooLarge, why))
        }
        _ => None,
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if self.seen.len() >= FIRST_BYTES {
            return read;
        }
        if read.is_ready() {
            let missing = FIRST_BYTES - self.seen.len();
            self.seen.extend(buffer.filled()[before..].iter().take(missing));
            return read;
        }
        ready!(self.first_bytes_by.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.instead.is_none() {
            this.instead = this.instead_of(bytes).map(|answer| (answer, 0));
        }
        let Some((answer, written)) = &mut this.instead else {
            let written = Pin::new(&mut this.stream).poll_write(context, bytes);
            return this.watch(context, written);
        };
        while *written < answer.len() {
            let more = Pin::new(&mut this.stream).poll_write(context, &answer[*written..]);
            match more {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => *written += count,
                other => return this.watch(context, other),
            }
        }
        // The library closes the connection after such a refusal; nothing else is to be written.
        this.stall = None;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            let shut = Pin::new(&mut this.stream).poll_shutdown(context);
            ready!(this.watch(context, shut))?;
        }
        let linger_time = this.linger_time;
        let linger = this.linger.get_or_insert_with(|| Box::pin(sleep(linger_time)));
        let mut waste = [0; 4096];
        loop {
            if linger.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut waste);
            match ready!(Pin::new(&mut this.stream).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}
