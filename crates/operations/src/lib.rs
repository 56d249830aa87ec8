//! The use cases of the service, one file each, and the ports that they need.
//!
//! Job states change only through here; everyone else reports or asks, and asking again is
//! harmless. Never a driver: stores, queues, clocks and keys come in through [`port`].

#![forbid(unsafe_code)]

pub mod port;
pub mod row;
