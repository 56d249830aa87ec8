//! What the store is asked, in SQL: each file is named after what it is about. Both engines run
//! these; see `statement.rs` for how a statement has two texts where they differ.

pub(crate) mod accept;
pub(crate) mod account;
pub(crate) mod administer;
mod columns;
pub(crate) mod deployment;
pub(crate) mod device;
pub(crate) mod device_list;
mod device_write;
pub(crate) mod enrol;
pub(crate) mod gateway;
pub(crate) mod job;
pub(crate) mod job_change;
pub(crate) mod maintenance;
pub(crate) mod node;
pub(crate) mod replay;
pub(crate) mod retention;
mod scope;
