//! A way to a server that can go silent, as when a firewall forgets its connections.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Between a store and its server.
pub(crate) struct Proxy {
    port: u16,
    silent: watch::Sender<()>,
}

impl Proxy {
    pub(crate) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (silent, silenced) = watch::channel(());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, silenced.clone()));
            }
        });
        Self { port, silent }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Nothing passes any more on the connections of now, and neither end is told. Later ones
    /// work.
    pub(crate) fn silence(&self) {
        self.silent.send_replace(());
    }
}

async fn carry(mut client: TcpStream, server: u16, mut silenced: watch::Receiver<()>) {
    silenced.mark_unchanged();
    let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        Ok(()) = silenced.changed() => std::future::pending().await,
    }
}
