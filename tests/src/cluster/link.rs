//! The connection between two parts, as a TCP proxy that can be cut, held and slowed down.

use std::net::Ipv4Addr;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::port::free_port;

/// How a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It passes everything at once.
    Good,
    /// Each portion waits so long before it is passed on.
    Slow(Duration),
    /// It takes connections and what is sent, and passes nothing: like a firewall that drops.
    Held,
    /// What was connected is closed, and so is whoever connects.
    Cut,
}

/// A link. It stays as long as the process.
#[derive(Clone)]
pub struct Link {
    port: u16,
    condition: watch::Sender<Condition>,
}

/// A good part of what TLS sends at once.
const PORTION: usize = 16 * 1024;

impl Link {
    /// Leads a port of its own to another one on loopback.
    pub fn to(port: u16) -> Self {
        let (condition, watched) = watch::channel(Condition::Good);
        let own = free_port();
        let listener = RUNTIME.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, own)));
        RUNTIME.spawn(accept(listener.expect("a free port"), port, watched));
        Self { port: own, condition }
    }

    /// The port on 127.0.0.1 where one connects.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same as `host:port`.
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Changes how it is, for connections that exist and those to come.
    pub fn set(&self, condition: Condition) {
        self.condition.send_replace(condition);
    }
}

/// One for all links: they are many, and each does little.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).thread_name("links").enable_all().build().expect("a runtime")
});

async fn accept(listener: TcpListener, to: u16, condition: watch::Receiver<Condition>) {
    loop {
        if let Ok((client, _)) = listener.accept().await {
            // Whoever hangs up in the middle has his reasons.
            let lead = lead(client, to, condition.clone());
            tokio::spawn(async move { drop(lead.await) });
        }
    }
}

async fn lead(
    client: TcpStream,
    to: u16,
    mut condition: watch::Receiver<Condition>,
) -> io::Result<()> {
    pass(&mut condition).await?;
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let cut = condition.clone();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let both = async {
        tokio::join!(
            pump(from_client, to_server, condition.clone()),
            pump(from_server, to_client, condition.clone()),
        )
    };
    tokio::select! {
        _ = both => {}
        () = is_cut(cut) => {}
    }
    Ok(())
}

async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut condition: watch::Receiver<Condition>,
) -> io::Result<()> {
    let mut portion = vec![0; PORTION];
    loop {
        let length = from.read(&mut portion).await?;
        pass(&mut condition).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&portion[..length]).await?;
    }
}

/// Returns when something may pass.
async fn pass(condition: &mut watch::Receiver<Condition>) -> io::Result<()> {
    let now = *condition.borrow_and_update();
    match now {
        Condition::Good => Ok(()),
        Condition::Slow(delay) => {
            tokio::time::sleep(delay).await;
            Ok(())
        }
        Condition::Held => {
            let then = condition.wait_for(|it| *it != Condition::Held).await;
            match then.map(|it| *it) {
                Ok(Condition::Cut) | Err(_) => Err(io::ErrorKind::ConnectionAborted.into()),
                Ok(_) => Ok(()),
            }
        }
        Condition::Cut => Err(io::ErrorKind::ConnectionRefused.into()),
    }
}

async fn is_cut(mut condition: watch::Receiver<Condition>) {
    if condition.wait_for(|it| *it == Condition::Cut).await.is_err() {
        // The link's owner has gone; its connections may go on.
        std::future::pending::<()>().await;
    }
}
