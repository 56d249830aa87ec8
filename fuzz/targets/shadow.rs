//! See `opencpm_agent::apply::fuzzing::shadow`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| opencpm_agent::apply::fuzzing::shadow(bytes));
