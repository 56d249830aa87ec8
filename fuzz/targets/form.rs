//! See `opencpm_api::fuzzing::form`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| opencpm_api::fuzzing::form(bytes));
