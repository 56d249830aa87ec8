//! The store's contract, kept by SQLite, and what SQLite does besides.

#[cfg(test)]
#[path = "../contract/mod.rs"]
mod contract;
#[cfg(test)]
mod files;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod upgrades;
#[cfg(test)]
mod world;

#[cfg(test)]
contract::suite!(crate::world::world);
