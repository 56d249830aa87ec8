//! The keys that open jobs: one in use, older ones until nothing can be sealed to them any more.

use minicbor::{Decode, Encode};
use opencpm_domain::{Generation, Span, Timestamp};
use opencpm_protocol::key::{InvalidKey, SealingKey, SigningKey};
use opencpm_protocol::report::SealingCertificate;
use opencpm_protocol::sign::Signed;
use rand_core::CryptoRng;

use super::Seed;
use crate::clock::Moment;

/// A key is replaced after this long, also when no job did it.
pub(super) const LIFETIME: Span = Span::from_secs(7 * 24 * 3600);

/// One sealing key.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Slot {
    /// Counts the keys of one identity key.
    #[cbor(n(0), with = "opencpm_protocol::wire")]
    pub generation: Generation,
    #[n(1)]
    seed: Seed,
    /// When it was made, by the agent's time.
    #[cbor(n(2), with = "opencpm_protocol::wire")]
    pub made: Timestamp,
    /// The identity key vouches for it.
    #[n(3)]
    pub certificate: Signed<SealingCertificate>,
    /// When the server was first known to use it or a later one.
    #[n(4)]
    kept: Option<Moment>,
}

/// The keys by generation.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub struct SealingKeys {
    #[n(0)]
    newest: Slot,
    /// Oldest first.
    #[n(1)]
    older: Vec<Slot>,
}

impl SealingKeys {
    /// The first key of an identity.
    pub fn first(identity: &SigningKey, made: Timestamp, rng: &mut dyn CryptoRng) -> Self {
        Self { newest: slot(identity, Generation::FIRST, made, rng), older: Vec::new() }
    }

    /// The key that the agent wants the server to use.
    pub fn newest(&self) -> &Slot {
        &self.newest
    }

    /// The key of this generation, if it is still there.
    pub fn key(&self, generation: Generation) -> Option<Result<SealingKey, InvalidKey>> {
        let found = self.slots().find(|slot| slot.generation == generation);
        found.map(|slot| SealingKey::from_bytes(slot.seed.expose()))
    }

    /// Makes the next key.
    pub fn advance(&mut self, identity: &SigningKey, made: Timestamp, rng: &mut dyn CryptoRng) {
        let next = slot(identity, self.newest.generation.next(), made, rng);
        self.older.push(std::mem::replace(&mut self.newest, next));
    }

    /// Forgets the newest key, which nobody has heard of yet.
    pub fn take_back(&mut self) {
        if let Some(before) = self.older.pop() {
            self.newest = before;
        }
    }

    /// The server uses the key of this generation from now on. True when that is news.
    pub fn acknowledge(&mut self, generation: Generation, now: &Moment) -> bool {
        let mut known = self.older.iter_mut().chain([&mut self.newest]);
        match known.rfind(|slot| slot.generation <= generation) {
            Some(slot) if slot.generation == generation && slot.kept.is_none() => {
                slot.kept = Some(now.clone());
                true
            }
            _ => false,
        }
    }

    /// Destroys keys whose successor was acknowledged at least `longest` ago: no job that is
    /// sealed to them can still be open. True when there were any.
    pub fn destroy_worn(&mut self, longest: Span, now: &Moment) -> bool {
        let worn = |slot: &Slot| slot.kept.as_ref().is_some_and(|kept| kept.until(now) >= longest);
        let in_use = self.slots().filter(|slot| worn(slot)).map(|slot| slot.generation).max();
        let before = self.older.len();
        self.older.retain(|slot| in_use.is_none_or(|in_use| slot.generation >= in_use));
        self.older.len() < before
    }

    /// True when the newest key is in use and old enough to be replaced.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.newest.kept.is_some() && self.newest.made.distance(now) >= LIFETIME
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.older.iter().chain([&self.newest])
    }
}

fn slot(
    identity: &SigningKey,
    generation: Generation,
    made: Timestamp,
    mut rng: &mut dyn CryptoRng,
) -> Slot {
    let key = SealingKey::generate(&mut rng);
    let certificate =
        SealingCertificate { identity: identity.public(), generation, key: key.public(), made };
    let certificate = Signed::sign(&certificate, identity);
    Slot { generation, seed: Seed::new(key.to_bytes()), made, certificate, kept: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use getrandom::SysRng;
    use rand_core::UnwrapErr;

    const DAY: Span = Span::from_secs(24 * 3600);

    fn at(secs: u64) -> Moment {
        Moment { boot: "boot".into(), since_boot: Span::from_secs(secs) }
    }

    fn generation(number: u32) -> Generation {
        Generation::new(number).unwrap()
    }

    fn three() -> SealingKeys {
        let mut rng = UnwrapErr(SysRng);
        let identity = SigningKey::generate(&mut rng);
        let mut keys = SealingKeys::first(&identity, Timestamp::from_secs(0), &mut rng);
        keys.advance(&identity, Timestamp::from_secs(1), &mut rng);
        keys.advance(&identity, Timestamp::from_secs(2), &mut rng);
        keys
    }

    #[test]
    fn an_old_key_stays_until_its_successor_is_known_and_the_longest_deadline_over() {
        let mut keys = three();
        assert!(!keys.destroy_worn(DAY, &at(1_000_000)));
        assert!(keys.acknowledge(generation(2), &at(100)));
        assert!(!keys.acknowledge(generation(2), &at(200)), "the first time counts");
        assert!(!keys.destroy_worn(DAY, &at(100 + 86_399)));
        assert!(keys.key(generation(1)).is_some());
        assert!(keys.destroy_worn(DAY, &at(100 + 86_400)));
        assert!(keys.key(generation(1)).is_none());
        assert!(keys.key(generation(2)).is_some() && keys.key(generation(3)).is_some());
    }

    #[test]
    fn a_later_acknowledgement_covers_the_keys_before_it() {
        let mut keys = three();
        assert!(keys.acknowledge(generation(3), &at(0)));
        assert!(keys.destroy_worn(DAY, &at(86_400)));
        assert!(keys.key(generation(1)).is_none() && keys.key(generation(2)).is_none());
    }

    #[test]
    fn an_acknowledgement_of_an_unknown_key_changes_nothing() {
        let mut keys = three();
        assert!(!keys.acknowledge(generation(9), &at(0)));
        assert!(!keys.destroy_worn(DAY, &at(1_000_000)));
    }

    #[test]
    fn a_key_in_use_is_replaced_weekly() {
        let mut keys = three();
        let later = Timestamp::from_secs(2) + LIFETIME;
        assert!(!keys.is_due(later), "an unacknowledged key is not replaced");
        keys.acknowledge(generation(3), &at(0));
        assert!(keys.is_due(later) && !keys.is_due(Timestamp::from_secs(3)));
    }

    #[test]
    fn a_key_that_was_taken_back_is_gone() {
        let mut keys = three();
        keys.take_back();
        assert_eq!(keys.newest().generation, generation(2));
        assert!(keys.key(generation(3)).is_none());
    }
}
