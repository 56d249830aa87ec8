//! A name server that knows one name.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Answers on port 53 of a loopback address of its own.
pub(crate) struct NameServer {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    ended: AtomicBool,
    answered: AtomicUsize,
}

impl NameServer {
    /// Where it listens.
    pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 9, 8, 9);

    /// Starts one by which `name` is 127.0.0.1.
    pub(crate) fn start(name: &str) -> Self {
        let socket = UdpSocket::bind((Self::ADDRESS, 53)).expect("port 53 needs root");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a time-out");
        let state = Arc::new(State::default());
        let (shared, name) = (Arc::clone(&state), wire_name(name));
        let thread = std::thread::spawn(move || serve(&socket, &name, &shared));
        Self { state, thread: Some(thread) }
    }

    /// How often it told the name's address.
    pub(crate) fn answered(&self) -> usize {
        self.state.answered.load(Ordering::Relaxed)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(socket: &UdpSocket, name: &[u8], state: &State) {
    let mut buffer = [0; 512];
    while !state.ended.load(Ordering::Relaxed) {
        // An error is a time-out, or a client that is gone.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let Some(answer) = answer(&buffer[..length], name) else { continue };
        if answer[ANSWERS] == 1 {
            state.answered.fetch_add(1, Ordering::Relaxed);
        }
        drop(socket.send_to(&answer, from));
    }
}

/// Where the count of answers ends in the header (RFC 1035 section 4.1.1).
const ANSWERS: usize = 7;
const HEADER: usize = 12;
const NO_SUCH_NAME: u8 = 3;

/// The message that answers a question; `None` where it is none.
fn answer(query: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let asked = query.get(HEADER..)?;
    let end = asked.iter().position(|&byte| byte == 0)? + 1;
    let (asked, kind) = (asked.get(..end)?, asked.get(end..end + 4)?);
    let known = asked.eq_ignore_ascii_case(name);
    let found = known && kind == [0, 1, 0, 1];
    // A recursive server's answer: the asker's number, one question, and one answer or none.
    let code = if known { 0 } else { NO_SUCH_NAME };
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(found), 0, 0, 0, 0]);
    answer.extend(asked);
    answer.extend(kind);
    if found {
        // The name of the question, an IPv4 address, good for a minute.
        answer.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(Ipv4Addr::LOCALHOST.octets());
    }
    Some(answer)
}

/// Each label after its length, then the root's empty one.
fn wire_name(name: &str) -> Vec<u8> {
    let label =
        |label: &str| [&[u8::try_from(label.len()).expect("short")], label.as_bytes()].concat();
    name.split('.').map(label).chain([vec![0]]).flatten().collect()
}
