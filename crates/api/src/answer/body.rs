//! The bytes of an answer. A long list in it is written while it is sent, so that an answer about
//! a hundred thousand devices takes no more memory than one about a thousand.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Bytes, Frame, SizeHint};
use zeroize::Zeroizing;

/// So many items of a long list are written at a time: some 20 KiB.
const AT_A_TIME: usize = 500;

/// An answer in the making. Wiped when dropped: it may hold a new key's secret.
pub(crate) struct Writing {
    done: Vec<Piece>,
    text: Zeroizing<Vec<u8>>,
}

enum Piece {
    Text(Zeroizing<Vec<u8>>),
    /// Of a text that many answers share.
    Shared(Bytes),
    Many(Many),
}

/// A list that is written while it is sent.
pub(super) struct Many {
    count: usize,
    next: usize,
    write: WriteItem,
}

type WriteItem = Box<dyn Fn(usize, &mut Writing) + Send + Sync>;

impl Writing {
    pub(super) fn new() -> Self {
        // Answers with a secret in them are shorter: growing would leave copies behind.
        Self { done: Vec::new(), text: Zeroizing::new(Vec::with_capacity(1024)) }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    /// A JSON string.
    pub(super) fn text(&mut self, text: &str) {
        // Writing a text into memory cannot fail.
        serde_json::to_writer(&mut *self.text, text).unwrap_or_default();
    }

    pub(super) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        write: impl Fn(&mut Self, T),
    ) {
        self.push(b"[");
        for (place, item) in items.into_iter().enumerate() {
            if place > 0 {
                self.push(b",");
            }
            write(self, item);
        }
        self.push(b"]");
    }

    pub(super) fn later(&mut self, many: Many) {
        self.push(b"[");
        self.done.push(Piece::Text(std::mem::take(&mut self.text)));
        self.done.push(Piece::Many(many));
        self.push(b"]");
    }

    pub(super) fn finish(mut self) -> Body {
        self.done.push(Piece::Text(self.text));
        self.done.reverse();
        Body(self.done)
    }
}

impl Many {
    pub(super) fn new(count: usize, write: WriteItem) -> Self {
        Self { count, next: 0, write }
    }

    /// Writes the next items; `None` after the last.
    fn some(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let end = self.count.min(self.next + AT_A_TIME);
        if self.next == end {
            return None;
        }
        let mut writing = Writing::new();
        for place in self.next..end {
            if place > 0 {
                writing.push(b",");
            }
            (self.write)(place, &mut writing);
        }
        self.next = end;
        Some(writing.text)
    }
}

/// A whole answer, last piece first.
pub(crate) struct Body(Vec<Piece>);

impl Body {
    /// All of it.
    pub(crate) fn into_bytes(mut self) -> Zeroizing<Vec<u8>> {
        let mut all = Zeroizing::new(Vec::new());
        while let Some(piece) = self.next() {
            all.extend_from_slice(&piece);
        }
        all
    }

    fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.0.pop()? {
                Piece::Text(text) => return Some(Bytes::from_owner(text)),
                Piece::Shared(text) => return Some(text),
                Piece::Many(mut many) => {
                    if let Some(text) = many.some() {
                        self.0.push(Piece::Many(many));
                        return Some(Bytes::from_owner(text));
                    }
                }
            }
        }
    }
}

impl From<Bytes> for Body {
    fn from(text: Bytes) -> Self {
        Self(vec![Piece::Shared(text)])
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|text| Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    /// Exact where nothing is written later: then the answer has a `Content-Length`.
    fn size_hint(&self) -> SizeHint {
        match self.0.as_slice() {
            [] => SizeHint::with_exact(0),
            [Piece::Text(text)] => SizeHint::with_exact(text.len() as u64),
            [Piece::Shared(text)] => SizeHint::with_exact(text.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
