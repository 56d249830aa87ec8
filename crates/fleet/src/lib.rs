//! A simulated fleet: devices that speak the real protocol with real keys, without machines.
//!
//! | file | what |
//! | --- | --- |
//! | `fleet` | so many devices: enrols them, and keeps them connected |
//! | `wire` | one connection of one device, as the gateway's session sees it; no socket, no task |
//! | `device` | what a device knows, and what it does with a job |
//! | `fault` | what is wrong with a device that is not good |
//! | `seed` | where the devices' keys come from |
//!
//! What a simulated device has in common with an agent is in the protocol: the conversation, the
//! rules by which a job is taken, seals and signatures. What it lacks is a machine: it changes no
//! file, and remembers nothing beyond its process.

#![forbid(unsafe_code)]

mod device;
mod fault;
mod fleet;
mod seed;
mod wire;

pub use fault::{Fault, UnknownFault};
pub use fleet::{Fleet, FleetError, Plan};
pub use seed::Seed;
pub use wire::Wire;
