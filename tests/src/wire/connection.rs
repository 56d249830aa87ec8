use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::Reply;

/// A server that says nothing for so long has not answered.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to `host:port`.
pub fn connect(authority: &str) -> io::Result<TcpStream> {
    connect_with(authority, PATIENCE)
}

fn connect_with(authority: &str, patience: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(stream)
}

/// Sends bytes on a connection of their own and reads the answer.
pub fn exchange(authority: &str, bytes: &[u8]) -> io::Result<Reply> {
    exchange_within(authority, bytes, PATIENCE)
}

/// The same with a server that may be silent for so long.
pub fn exchange_within(authority: &str, bytes: &[u8], patience: Duration) -> io::Result<Reply> {
    let mut stream = connect_with(authority, patience)?;
    // A server may answer and close before it has read everything.
    drop(stream.write_all(bytes));
    answer_on(&mut stream)
}

/// Reads until the server closes.
pub fn answer_on(stream: &mut TcpStream) -> io::Result<Reply> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Reply::read(&bytes)
}
