//! The use cases of the service, one file each, and the ports that they need.
//!
//! Job states change only through here; everyone else reports or asks, and asking again is
//! harmless. Never a driver: stores, queues, clocks and keys come in through [`port`].

#![forbid(unsafe_code)]

// What callers ask for.
pub mod administer;
pub mod agent_status;
pub mod authenticate;
pub mod describe_devices;
pub mod operation_log;
pub mod operation_result;
pub mod reset_password;

// What machines, nodes and time do.
pub mod certify_node;
pub mod connect;
pub mod deliver;
pub mod enrol;
pub mod lease;
pub mod record_reports;
pub mod record_sealing_keys;
pub mod reload_trust;
pub mod sweep;

// The deployment itself.
pub mod first_start;
pub mod keyring;

// What they share.
pub mod authentic;
pub mod clock_check;
pub mod cores;
pub mod port;
pub mod quotas;
mod refusal;
pub mod report_proof;
pub mod reset_check;
pub mod role;
pub mod room;
pub mod row;
pub mod seal_jobs;
