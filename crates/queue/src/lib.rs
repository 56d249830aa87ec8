//! The Queue port in process.
