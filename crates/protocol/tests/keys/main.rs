//! What the rest relies on: seals open only where they should, signatures hold, tokens survive
//! being copied.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

mod sealing;
mod signing;
mod token;

use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

/// Not random at all: every test run is the same.
struct Counter(u8);

impl TryRng for Counter {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        rand_core::utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        rand_core::utils::next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
        Ok(())
    }
}

impl TryCryptoRng for Counter {}
