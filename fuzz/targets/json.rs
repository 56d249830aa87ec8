//! See `opencpm_api::fuzzing::json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| opencpm_api::fuzzing::json(bytes));
