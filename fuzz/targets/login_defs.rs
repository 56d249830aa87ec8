//! See `opencpm_agent::apply::fuzzing::login_defs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| opencpm_agent::apply::fuzzing::login_defs(bytes));
