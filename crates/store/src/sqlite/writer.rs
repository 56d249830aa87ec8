//! The one writer, with group commit: requests that arrive together share a commit, each in its
//! own savepoint, and are answered after it.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use opencpm_operations::port::StoreError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::open::FileLock;
use crate::engine::Outcome;
use crate::session::Session;
use crate::statement::query;

/// The sending end of the writer's queue, and the writer itself.
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    task: Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
}

impl Writer {
    /// Starts the task that owns the connection. It holds the lock as long as it may write.
    pub(super) fn start(session: Session, lock: FileLock) -> Self {
        let (queue, requests) = mpsc::channel(WAITING);
        let task = Mutex::new(Some(tokio::spawn(run(session, requests, lock))));
        Self { queue, task }
    }

    /// Runs a change in a savepoint of its own and returns after its commit is durable.
    pub(super) async fn write<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<Outcome<T>, StoreError>>
            + Send
            + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let write = Write { change: Some(change), result: None, reply };
        self.send(Message::Write(Box::new(write))).await?;
        answer.await.map_err(|_| stopped())?
    }

    /// Runs a statement between two transactions and returns its first row's first number.
    pub(super) async fn between(&self, statement: &'static str) -> Result<i64, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Between(statement, reply)).await?;
        answer.await.map_err(|_| stopped())?
    }

    /// Finishes what was sent, closes the connection and joins the task, so that a panic is seen.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(task) = task else { return Ok(()) };
        // When nobody listens any more, joining tells why.
        self.send(Message::Stop).await.ok();
        task.await.map_err(|e| StoreError::Unavailable(Box::new(e)))?
    }

    /// Returns when the task has ended, whatever ended it.
    pub(super) async fn stopped(&self) {
        self.queue.closed().await;
    }

    async fn send(&self, message: Message) -> Result<(), StoreError> {
        self.queue.send(message).await.map_err(|_| stopped())
    }
}

/// Requests that may wait; further ones wait at the door.
const WAITING: usize = 1024;

/// Requests that share a commit at most, so that the first is not kept waiting for long.
const GROUP: usize = 256;

enum Message {
    Write(Box<dyn Request>),
    Between(&'static str, oneshot::Sender<Result<i64, StoreError>>),
    Stop,
}

/// A change whose answer's type is hidden.
trait Request: Send {
    /// Makes the change. False asks for its undoing.
    fn apply<'s>(&'s mut self, session: &'s mut Session) -> BoxFuture<'s, bool>;
    /// Tells the result; `failure` when the commit did not happen.
    fn answer(self: Box<Self>, failure: Option<&Arc<StoreError>>);
}

struct Write<T, F> {
    change: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Request for Write<T, F>
where
    T: Send,
    F: for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<Outcome<T>, StoreError>> + Send,
{
    fn apply<'s>(&'s mut self, session: &'s mut Session) -> BoxFuture<'s, bool> {
        Box::pin(async move {
            let Some(change) = self.change.take() else { return false };
            let (keep, result) = match change(session).await {
                Ok(Outcome::Keep(value)) => (true, Ok(value)),
                Ok(Outcome::Undo(value)) => (false, Ok(value)),
                Err(error) => (false, Err(error)),
            };
            self.result = Some(result);
            keep
        })
    }

    fn answer(self: Box<Self>, failure: Option<&Arc<StoreError>>) {
        let result = match (self.result, failure) {
            (Some(Err(own)), _) => Err(own),
            (Some(Ok(value)), None) => Ok(value),
            (_, Some(shared)) => Err(StoreError::Unavailable(Box::new(Arc::clone(shared)))),
            (None, None) => Err(stopped()),
        };
        // A caller that went away does not want to know.
        self.reply.send(result).ok();
    }
}

async fn run(
    mut session: Session,
    mut messages: mpsc::Receiver<Message>,
    lock: FileLock,
) -> Result<(), StoreError> {
    let mut last = false;
    while !last && let Some(message) = messages.recv().await {
        let mut group = Vec::new();
        let mut between = Vec::new();
        let mut next = Some(message);
        while let Some(message) = next.take() {
            match message {
                Message::Write(request) => group.push(request),
                Message::Between(statement, reply) => between.push((statement, reply)),
                Message::Stop => last = true,
            }
            if !last && group.len() < GROUP {
                next = messages.try_recv().ok();
            }
        }
        commit_together(&mut session, group).await;
        for (statement, reply) in between {
            reply.send(first_number(&mut session, statement).await).ok();
        }
    }
    let closed = session.close().await;
    drop(lock);
    closed
}

async fn commit_together(session: &mut Session, mut group: Vec<Box<dyn Request>>) {
    if group.is_empty() {
        return;
    }
    let failure = match transaction(session, &mut group).await {
        Ok(()) => None,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a commit failed");
            // After some errors SQLite has rolled back already, and says so by another one.
            session.run(query("ROLLBACK")).await.ok();
            session.meter().set_remains(true);
            Some(Arc::new(error))
        }
    };
    for request in group {
        request.answer(failure.as_ref());
    }
}

async fn transaction(
    session: &mut Session,
    group: &mut [Box<dyn Request>],
) -> Result<(), StoreError> {
    session.run(query("BEGIN IMMEDIATE")).await?;
    for request in group {
        session.run(query("SAVEPOINT request")).await?;
        if !request.apply(session).await {
            session.run(query("ROLLBACK TO request")).await?;
        }
        session.run(query("RELEASE request")).await?;
    }
    session.run(query("COMMIT")).await?;
    Ok(())
}

async fn first_number(session: &mut Session, statement: &'static str) -> Result<i64, StoreError> {
    let row = session.row(query(statement)).await?;
    let row = row.ok_or(StoreError::Corrupt("a statement without an answer"))?;
    row.first_number()
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the store's writer has stopped".into())
}

#[cfg(test)]
mod tests {
    use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

    use super::*;

    async fn writer() -> Writer {
        let options = SqliteConnectOptions::new().in_memory(true);
        let session = Session::writer(options.connect().await.unwrap(), Arc::default());
        let writer = Writer::start(session, FileLock(tempfile::tempfile().unwrap()));
        writer
            .write(|s| Box::pin(async { keep(s.run(query("CREATE TABLE t (n)")).await) }))
            .await
            .unwrap();
        writer
    }

    fn keep<T>(result: Result<T, StoreError>) -> Result<Outcome<T>, StoreError> {
        result.map(Outcome::Keep)
    }

    async fn insert(writer: &Writer) -> Result<u64, StoreError> {
        let insert = query("INSERT INTO t VALUES (1)");
        writer.write(|s| Box::pin(async { keep(s.run(insert).await) })).await
    }

    #[tokio::test]
    async fn a_commit_that_fails_is_told_to_all_that_shared_it() {
        let writer = writer().await;
        // Ends the transaction, as SQLite itself does when the disk is full.
        let spoil = writer.write(|s| Box::pin(async { keep(s.run(query("ROLLBACK")).await) }));
        let (first, spoilt, last) =
            futures_util::future::join3(insert(&writer), spoil, insert(&writer)).await;
        for answer in [first, spoilt, last] {
            assert!(matches!(answer, Err(StoreError::Unavailable(_))));
        }
        assert_eq!(insert(&writer).await.unwrap(), 1);
        assert_eq!(writer.between("SELECT count(*) FROM t").await.unwrap(), 1);
        writer.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_seen_at_once_and_told_when_the_writer_is_closed() {
        let writer = writer().await;
        let panicking = writer.write(|_| {
            Box::pin(async {
                assert!(std::hint::black_box(false), "on purpose");
                Ok(Outcome::Keep(()))
            })
        });
        assert!(matches!(panicking.await, Err(StoreError::Unavailable(_))));
        assert!(matches!(insert(&writer).await, Err(StoreError::Unavailable(_))));
        writer.stopped().await;
        assert!(writer.close().await.is_err());
    }
}
