//! The queue's contract, kept by RabbitMQ, and what RabbitMQ does besides. Each test has a
//! deployment of its own at a broker that all share; those who harm a broker have another one.

#[cfg(test)]
mod access;
#[cfg(test)]
#[path = "../contract/mod.rs"]
mod contract;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod world;

#[cfg(test)]
contract::suite!(crate::world::world);
