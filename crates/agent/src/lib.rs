//! Agent: opens what was sealed for this machine and changes root's shadow entry.

#![deny(unsafe_code)]

pub mod apply;
pub mod memory;
