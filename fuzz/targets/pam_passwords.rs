//! See `opencpm_agent::apply::fuzzing::pam_passwords`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| opencpm_agent::apply::fuzzing::pam_passwords(bytes));
