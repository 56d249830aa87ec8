//! See `opencpm_agent::advice::fuzzing::logins`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| opencpm_agent::advice::fuzzing::logins(bytes));
