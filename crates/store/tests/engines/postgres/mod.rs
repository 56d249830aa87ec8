//! The contract on PostgreSQL, and what PostgreSQL does besides.

mod durable;
mod faults;
mod jams;
mod leases;
mod plans;
mod proxy;
mod quotas;
mod schemas;
mod tls;
pub(crate) mod world;

use crate::contract;

contract::suite!(crate::postgres::world::world, crate::postgres::world::mortal_world);
