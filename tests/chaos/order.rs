//! What was asked for on the command line.

use opencpm_tests::Dice;

/// So many rounds from one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) rounds: u64,
    pub(crate) seed: u64,
    /// With the engines that need nothing installed, and one node.
    pub(crate) embedded: bool,
    /// Ends with the first round that fails.
    pub(crate) stop: bool,
}

const USAGE: &str = "usage: chaos --rounds N [--seed S] [--embedded] [--stop]";

impl Order {
    /// Without a seed, the process's id is one.
    pub(crate) fn read(arguments: &[String]) -> Result<Self, &'static str> {
        let mut order =
            Self { rounds: 0, seed: u64::from(std::process::id()), embedded: false, stop: false };
        let mut arguments = arguments.iter().map(String::as_str);
        while let Some(name) = arguments.next() {
            let mut number = || arguments.next().and_then(|text| text.parse().ok()).ok_or(USAGE);
            match name {
                "--rounds" => order.rounds = number()?,
                "--seed" => order.seed = number()?,
                "--embedded" => order.embedded = true,
                "--stop" => order.stop = true,
                _ => return Err(USAGE),
            }
        }
        if order.rounds == 0 { Err(USAGE) } else { Ok(order) }
    }

    /// Dice of their own for each purpose.
    pub(crate) fn dice(&self, purpose: u64) -> Dice {
        Dice::new(self.seed.wrapping_mul(1_000_003).wrapping_add(purpose))
    }
}
