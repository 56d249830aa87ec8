//! Ports of the tests' own servers.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// A port on loopback that is free, and stays so while its service is away: it is outside the range
/// from which the kernel takes ports for others (from 32768, ip(7)).
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test processes that run at the same time begin at different places.
    let first = 10_000 + std::process::id() * 50 % 20_000;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(port).expect("fewer services than ports");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
