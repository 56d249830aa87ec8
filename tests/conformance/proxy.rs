//! A proxy for clients whose host is fixed: whatever name they ask for, they meet the lab.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A proxy that runs until the suite ends.
pub(crate) struct Proxy {
    /// For `HTTPS_PROXY`.
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Leads everything to one address (`host:port`).
    pub(crate) fn start(to: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its own address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (to, seen) = (to.to_owned(), Arc::clone(&asked));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (to, seen) = (to.clone(), Arc::clone(&seen));
                // A client that hangs up in the middle is its own affair.
                std::thread::spawn(move || drop(lead(client, &to, &seen)));
            }
        });
        Self { url, asked }
    }

    /// For which targets it was asked, each once.
    pub(crate) fn targets(&self) -> Vec<String> {
        let mut all = self.asked.lock().expect("no thread panics with it").clone();
        all.sort();
        all.dedup();
        all
    }
}

/// One `CONNECT` (RFC 9110, section 9.3.6), then bytes both ways.
fn lead(client: TcpStream, to: &str, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let target = request.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let Some(target) = target else { return Err(io::ErrorKind::InvalidData.into()) };
    seen.lock().expect("no thread panics with it").push(target.to_owned());
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let mut server = TcpStream::connect(to)?;
    (&client).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut back, mut answers) = (client, server.try_clone()?);
    let backwards = std::thread::spawn(move || {
        drop(io::copy(&mut answers, &mut back));
        drop(back.shutdown(Shutdown::Write));
    });
    io::copy(&mut reader, &mut server)?;
    server.shutdown(Shutdown::Write)?;
    drop(backwards.join());
    Ok(())
}
