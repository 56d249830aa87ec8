use std::time::Duration;

use jiff::tz::Offset;
use opencpm_domain::{PasswordPolicy, Span};

/// What an operator can choose about the edge.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which passwords are accepted (contract section 6).
    pub policy: PasswordPolicy,
    /// How far a request's timestamp may be from the server's clock, either way (contract 2.6).
    pub clock_window: Span,
    /// Whether a 2.0 POST may leave values that begin with `@` unsigned (contract 2.5).
    pub at_sign_rule: bool,
    /// Whether a TC3 request may leave its payload unsigned (contract 2.3).
    pub unsigned_payload: bool,
    /// Hosts that a signature may name, with or without port; empty for any (contract section 1).
    pub hosts: Vec<String>,
    /// The zone of times in answers and of dates in requests (contract section 3).
    pub offset: Offset,
    /// What one client may use up.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: PasswordPolicy::Seed,
            clock_window: Span::from_secs(300),
            at_sign_rule: true,
            unsigned_payload: true,
            hosts: Vec::new(),
            offset: Offset::UTC,
            limits: Limits::default(),
        }
    }
}

/// Bounds on size, number and time, so that no client can use up the server.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a body; 10 MiB (contract section 1).
    pub body: usize,
    /// Bytes of a request line; 64 KiB (contract section 1). At most 65,536: beyond, the HTTP
    /// library refuses on its own.
    pub request_line: usize,
    /// Connections at a time; more wait in the kernel's queue.
    pub connections: usize,
    /// Bytes of all bodies in memory at a time, without the first 64 KiB of each, from their
    /// arrival to their answer; more wait within `body_time`. At least one of the largest size
    /// fits. What is decoded from them comes on top, at most some three times as much.
    pub body_memory: usize,
    /// Requests at a time on one HTTP/2 connection.
    pub streams: u32,
    /// For the TLS handshake.
    pub handshake_time: Duration,
    /// For the head of a request, and for the next one on an idle connection; on HTTP/2 at most
    /// twice as long.
    pub head_time: Duration,
    /// For the body of a request.
    pub body_time: Duration,
    /// How long a client may take nothing of its answer.
    pub stall_time: Duration,
    /// After the last answer, for what the client still sends: a reset connection could take the
    /// answer away from it.
    pub linger_time: Duration,
    /// A connection that is older ends after its current request.
    pub connection_age: Duration,
    /// For taking the last answers on a connection that is to end.
    pub farewell_time: Duration,
    /// At shutdown, for requests that are under way.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 10 << 20,
            request_line: 64 << 10,
            connections: 4096,
            body_memory: 160 << 20,
            streams: 32,
            handshake_time: Duration::from_secs(10),
            head_time: Duration::from_secs(15),
            body_time: Duration::from_secs(30),
            stall_time: Duration::from_secs(30),
            linger_time: Duration::from_secs(2),
            connection_age: Duration::from_secs(3600),
            farewell_time: Duration::from_secs(300),
            drain_time: Duration::from_secs(20),
        }
    }
}
