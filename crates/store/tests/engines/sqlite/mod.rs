//! The contract on SQLite, and what SQLite does besides.

mod files;
mod plans;
mod upgrades;
pub(crate) mod world;

use crate::contract;

contract::suite!(crate::sqlite::world::world, crate::sqlite::world::world);
