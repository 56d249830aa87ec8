//! Choices that a seed repeats.

/// A small generator of its own (xorshift64).
pub struct Dice(u64);

impl Dice {
    /// The same seed makes the same choices. It is never 0, from which the generator would not
    /// get away.
    pub fn new(seed: u64) -> Self {
        // Seeds that differ little are to differ much (the finalizer of splitmix64).
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self((mixed ^ (mixed >> 27)).max(1))
    }

    /// Less than `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    /// One of several, which must not be none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// An index into so many.
    pub fn below(&mut self, number: usize) -> usize {
        usize::try_from(self.roll(number as u64)).expect("less than a number of things")
    }
}
