//! See `opencpm_api::fuzzing::json_parameters`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| opencpm_api::fuzzing::json_parameters(bytes));
