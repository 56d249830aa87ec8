//! See `opencpm_api::fuzzing::request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| opencpm_api::fuzzing::request(bytes));
