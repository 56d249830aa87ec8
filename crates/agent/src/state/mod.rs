//! What the agent must not forget, in one file that is replaced as a whole.
//!
//! The file is a map with integer keys (see [`State`]): a newer agent reads an older one's, and
//! fields that are added later get new keys and must be optional.

mod file;
mod identity;
mod jobs;
mod sealing;

use minicbor::{Decode, Encode};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;

use crate::clock::TimeMark;

pub use file::{StateDir, StateError};
pub use identity::{Enrolling, Identity, Seed};
pub use jobs::{JobRecord, Jobs, Phase, StoredIntent};
pub use sealing::{SealingKeys, Slot};

/// The layout that this version writes. Raised only when an older agent must not read the state.
pub const FORMAT: u16 = 1;

/// All of it.
#[derive(Encode, Decode)]
#[cbor(map)]
pub struct State {
    /// [`FORMAT`] of the agent that wrote it.
    #[n(0)]
    pub format: u16,
    /// Which device this is.
    #[n(1)]
    pub identity: Identity,
    /// The keys that open jobs.
    #[n(2)]
    pub sealing: SealingKeys,
    /// The jobs that it was given.
    #[n(3)]
    pub jobs: Jobs,
    /// The newest trust statement; none before the first connection.
    #[n(4)]
    pub statement: Option<Signed<TrustStatement>>,
    /// The highest authenticated time.
    #[n(5)]
    pub time: Option<TimeMark>,
}

impl State {
    /// The trust statement, checked under the pinned root key.
    pub fn trust(&self) -> Option<TrustStatement> {
        self.statement.as_ref()?.verify(&self.identity.root).ok()
    }
}
