//! A node that only counts who comes, and says of itself what the test wants.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub(crate) struct Node {
    pub(crate) api: String,
    pub(crate) agents: String,
    pub(crate) metrics: String,
    /// What `/readyz` says.
    pub(crate) ready: Arc<AtomicBool>,
    /// What `/healthz` says.
    pub(crate) alive: Arc<AtomicBool>,
    /// Of clients and of machines.
    connections: Arc<AtomicUsize>,
}

impl Node {
    pub(crate) fn start() -> Self {
        let (ready, alive) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
        let connections = Arc::new(AtomicUsize::new(0));
        let [api, agents] = [(); 2].map(|()| {
            let connections = Arc::clone(&connections);
            listen(move |_| {
                connections.fetch_add(1, Ordering::SeqCst);
            })
        });
        let (is_ready, is_alive) = (Arc::clone(&ready), Arc::clone(&alive));
        let metrics = listen(move |mut stream| {
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap_or(0);
            let asked =
                if request[..length].starts_with(b"GET /readyz ") { &is_ready } else { &is_alive };
            let status = if asked.load(Ordering::SeqCst) { "200 OK" } else { "503 Unavailable" };
            // A prober may be gone already.
            drop(write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        });
        Self { api, agents, metrics, ready, alive, connections }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Does this with each connection, one after the other, and closes it. Returns where.
fn listen(each: impl Fn(std::net::TcpStream) + Send + 'static) -> String {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("a port").to_string();
    std::thread::spawn(move || socket.incoming().flatten().for_each(each));
    address
}
