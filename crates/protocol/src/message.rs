//! The messages of the control channel, both directions.
//!
//! A frame is a CBOR array of two: the message's number, and an array that holds the message. The
//! message is a map with integer keys, without those fields that are not there; a signed one is
//! the array that [`Signed`] makes. So `[6, [{0: 7}]]` says that sealing key 7 is kept. A reader
//! skips fields that it does not know and ignores messages whose number it does not know; a writer
//! only ever adds fields and messages. `docs/decisions/` says how old agents and new servers get
//! along.

use minicbor::{Decode, Decoder, Encode};
use opencpm_domain::{DeploymentId, Generation, InstanceId, JobId, Sequence, Timestamp};
use zeroize::Zeroizing;

use crate::key::{KeyId, VerifyingKey};
use crate::node::{Certified, Certify};
use crate::report::{Report, SealingCertificate};
use crate::seal::SealedJob;
use crate::sign::{Signable, Signed};
use crate::statement::TrustStatement;

/// The version of the protocol that this code speaks.
pub const PROTOCOL_VERSION: u16 = 1;

/// The path of the WebSocket on the agents' listener.
pub const WEBSOCKET_PATH: &str = "/agent/v1";

/// The largest frame that either side accepts, in bytes.
pub const MAX_FRAME: usize = 64 * 1024;

/// From the gateway to the agent.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ToAgent {
    /// Always the first frame, before the agent has said anything.
    #[n(0)]
    Statement(#[n(0)] Signed<TrustStatement>),
    /// To be answered with [`ToServer::Hello`] or [`ToServer::Enrol`].
    #[n(1)]
    Challenge(#[n(0)] Challenge),
    /// The machine is a device now; it connects anew with a hello.
    #[n(2)]
    Enrolled(#[n(0)] Enrolled),
    /// The hello was accepted.
    #[n(3)]
    Welcome(#[n(0)] Welcome),
    /// A job to do, or to answer from the record.
    #[n(4)]
    Job(#[n(0)] JobFrame),
    /// These reports are committed.
    #[n(5)]
    ReportsKept(#[n(0)] ReportsKept),
    /// The sealing key of this generation is committed.
    #[n(6)]
    SealingKeyKept(#[n(0)] SealingKeyKept),
    /// The last frame before the server closes.
    #[n(7)]
    Goodbye(#[n(0)] Goodbye),
    /// A node's certificate; the server closes.
    #[n(8)]
    Certified(#[n(0)] Certified),
    /// The gateway is going away. The agent connects to another one and leaves this one once it
    /// is welcome there; until then, and where there is none, everything goes on here.
    #[n(9)]
    Move(#[n(0)] Move),
}

/// From the agent to the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ToServer {
    /// A machine asks to become a device.
    #[n(0)]
    Enrol(#[n(0)] Enrol),
    /// A device proves that it is itself.
    #[n(1)]
    Hello(#[n(0)] Signed<Hello>),
    /// What became of a job.
    #[n(2)]
    Report(#[n(0)] Signed<Report>),
    /// A new sealing key, without a job.
    #[n(3)]
    SealingKey(#[n(0)] Signed<SealingCertificate>),
    /// A node without the API role asks for its certificate.
    #[n(4)]
    Certify(#[n(0)] Certify),
}

/// Something fresh to sign.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Challenge {
    /// Random, used once.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub nonce: [u8; 32],
    /// The server's protocol version.
    #[n(1)]
    pub version: u16,
    /// The server's clock, for the report of a skew. Not authenticated beyond TLS.
    #[cbor(n(2), with = "crate::wire")]
    pub time: Timestamp,
}

/// What a machine is, as it says itself. Never used to recognise a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Facts {
    /// The machine's name.
    #[n(0)]
    pub hostname: String,
    /// Its addresses, without loopback.
    #[n(1)]
    pub addresses: Vec<String>,
    /// `PRETTY_NAME` of os-release.
    #[n(2)]
    pub os: String,
    /// Kernel release.
    #[n(3)]
    pub kernel: String,
    /// Processor architecture.
    #[n(4)]
    pub arch: String,
    /// SHA-256 of the machine's id, hexadecimal.
    #[n(5)]
    pub machine: String,
    /// The agent's version.
    #[n(6)]
    pub agent: String,
}

/// Asks to become a device.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Enrol {
    /// The token's secret.
    #[cbor(n(0), with = "crate::wire")]
    pub secret: Zeroizing<[u8; 32]>,
    /// Signed by the identity key that it names.
    #[n(1)]
    pub request: Signed<EnrolRequest>,
}

impl std::fmt::Debug for Enrol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrol").field("request", &self.request).finish_non_exhaustive()
    }
}

/// What the identity key of a new device signs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EnrolRequest {
    /// From the challenge.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub nonce: [u8; 32],
    /// Which installation.
    #[cbor(n(1), with = "crate::wire")]
    pub deployment: DeploymentId,
    /// The machine's new identity key.
    #[n(2)]
    pub identity: VerifyingKey,
    /// Its first sealing key.
    #[n(3)]
    pub sealing: Signed<SealingCertificate>,
    /// What the machine is.
    #[n(4)]
    pub facts: Facts,
    /// The agent's protocol version.
    #[n(5)]
    pub version: u16,
}

impl Signable for EnrolRequest {
    const CONTEXT: &'static str = "opencpm enrol v1";
}

/// The answer to an enrolment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Enrolled {
    /// Which device the machine is from now on.
    #[cbor(n(0), with = "crate::wire")]
    pub instance: InstanceId,
    /// The account, part of the associated data of its jobs.
    #[cbor(n(1), with = "crate::wire")]
    pub account: opencpm_domain::AppId,
    /// The generation of its identity key.
    #[cbor(n(2), with = "crate::wire")]
    pub identity_generation: Generation,
    /// `host:port` of the gateways to connect to.
    #[n(3)]
    pub gateways: Vec<String>,
}

/// A device proves that it is itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hello {
    /// From the challenge.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub nonce: [u8; 32],
    /// Which installation.
    #[cbor(n(1), with = "crate::wire")]
    pub deployment: DeploymentId,
    /// Which device.
    #[cbor(n(2), with = "crate::wire")]
    pub instance: InstanceId,
    /// The generation of the identity key that signs.
    #[cbor(n(3), with = "crate::wire")]
    pub identity_generation: Generation,
    /// The agent's protocol version.
    #[n(4)]
    pub version: u16,
    /// The generation of the trust statement that it holds.
    #[cbor(n(5), with = "crate::wire")]
    pub statement_generation: Generation,
    /// The highest sequence that it was ever given.
    #[cbor(n(6), with = "crate::wire")]
    pub highest_sequence: Sequence,
    /// Its current sealing key.
    #[n(7)]
    pub sealing: Signed<SealingCertificate>,
    /// Random at each boot of the machine.
    #[n(8)]
    pub boot: String,
    /// The machine's clock.
    #[cbor(n(9), with = "crate::wire")]
    pub time: Timestamp,
    /// What the machine is.
    #[n(10)]
    pub facts: Facts,
    /// When it was made: microseconds since the boot that is named. Of two hellos of one boot the
    /// later one tells where the device is, whichever arrives first. `None` where the machine does
    /// not know its boot, and from agents of former versions.
    #[n(11)]
    pub since_boot: Option<u64>,
}

impl Hello {
    /// Whether the machine made this one before the other, in the same boot. False where it does
    /// not tell.
    pub fn is_older_than(&self, other: &Self) -> bool {
        let since_boot = self.since_boot.zip(other.since_boot);
        self.boot == other.boot && since_boot.is_some_and(|(this, that)| this < that)
    }
}

impl Signable for Hello {
    const CONTEXT: &'static str = "opencpm hello v1";
}

/// The hello was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Welcome {
    /// The sealing key that the server uses from now on.
    #[cbor(n(0), with = "crate::wire")]
    pub sealing_generation: Generation,
    /// The account, should the device have changed hands.
    #[cbor(n(1), with = "crate::wire")]
    pub account: opencpm_domain::AppId,
    /// `host:port` of the gateways to connect to next time.
    #[n(2)]
    pub gateways: Vec<String>,
}

/// A job, sealed to the device. Everything here is associated data of the seal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct JobFrame {
    /// Which job.
    #[cbor(n(0), with = "crate::wire")]
    pub job: JobId,
    /// Its place in the device's order.
    #[cbor(n(1), with = "crate::wire")]
    pub sequence: Sequence,
    /// The identity key's generation when it was sealed.
    #[cbor(n(2), with = "crate::wire")]
    pub identity_generation: Generation,
    /// Which sealing key opens it.
    #[cbor(n(3), with = "crate::wire")]
    pub sealing_generation: Generation,
    /// What to do: a [`Verb`](crate::seal::Verb)'s number. An agent refuses one that it does not
    /// know with a signed report.
    #[n(4)]
    pub verb: u8,
    /// When it was sealed.
    #[cbor(n(5), with = "crate::wire")]
    pub issued_at: Timestamp,
    /// Not to be applied later.
    #[cbor(n(6), with = "crate::wire")]
    pub not_after: Timestamp,
    /// Which authority sealed it.
    #[n(7)]
    pub authority: KeyId,
    /// The sealed password.
    #[n(8)]
    pub sealed: SealedJob,
}

/// Reports that need not be sent again.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ReportsKept {
    /// The jobs whose reports are committed.
    #[n(0)]
    pub jobs: Vec<KeptJob>,
}

/// One job of [`ReportsKept`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct KeptJob(#[cbor(n(0), with = "crate::wire")] pub JobId);

/// A sealing key that the server uses from now on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealingKeyKept {
    /// Its generation.
    #[cbor(n(0), with = "crate::wire")]
    pub generation: Generation,
}

/// Go to another gateway.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Move {}

/// Why the server closes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Goodbye {
    /// Stable number, see [`Farewell`].
    #[n(0)]
    pub why: u16,
    /// One sentence for the agent's log.
    #[n(1)]
    pub text: String,
    /// Seconds to wait at least before connecting again; 0 for the agent's own backoff.
    #[n(2)]
    pub wait: u32,
}

/// The reasons of [`Goodbye`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// The gateway is going away; others are there.
    Draining = 1,
    /// A newer connection of the same device took over.
    Replaced = 2,
    /// The device, its key or its generation is unknown, or the signature is wrong.
    NotRecognised = 3,
    /// The enrolment token is unknown, used up, expired or made for another device.
    TokenRefused = 4,
    /// The peer broke the protocol.
    Protocol = 5,
    /// The service cannot look at this now.
    Unavailable = 6,
    /// The device was retired.
    Retired = 7,
}

impl Farewell {
    /// The farewell with this number; `None` when a newer server sent it.
    pub const fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Draining,
            2 => Self::Replaced,
            3 => Self::NotRecognised,
            4 => Self::TokenRefused,
            5 => Self::Protocol,
            6 => Self::Unavailable,
            7 => Self::Retired,
            _ => return None,
        })
    }
}

/// A frame that is no message.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Over [`MAX_FRAME`].
    #[error("the frame has {0} bytes, more than {MAX_FRAME}")]
    TooLarge(usize),
    /// Not the CBOR of a message.
    #[error("the frame is not a message")]
    Malformed(#[source] minicbor::decode::Error),
}

impl ToAgent {
    /// The frame's bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a frame; `None` for a message of a newer version.
    pub fn decode(frame: &[u8]) -> Result<Option<Self>, FrameError> {
        decode(frame, 9)
    }
}

impl ToServer {
    /// The frame's bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a frame; `None` for a message of a newer version.
    pub fn decode(frame: &[u8]) -> Result<Option<Self>, FrameError> {
        decode(frame, 4)
    }
}

fn encode<T: Encode<()>>(message: &T) -> Vec<u8> {
    // Writing to memory cannot fail, and no value of ours refuses to be encoded.
    minicbor::to_vec(message).unwrap_or_default()
}

fn decode<'b, T: Decode<'b, ()>>(frame: &'b [u8], highest: u32) -> Result<Option<T>, FrameError> {
    if frame.len() > MAX_FRAME {
        return Err(FrameError::TooLarge(frame.len()));
    }
    let mut head = Decoder::new(frame);
    head.array().map_err(FrameError::Malformed)?;
    if head.u32().map_err(FrameError::Malformed)? > highest {
        return Ok(None);
    }
    minicbor::decode(frame).map(Some).map_err(FrameError::Malformed)
}
