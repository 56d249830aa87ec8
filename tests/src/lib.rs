//! What the end-to-end tests share; the tests themselves live in `tests/`.

#![forbid(unsafe_code)]

pub mod binaries;
