//! See `opencpm_api::fuzzing::form_parameters`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| opencpm_api::fuzzing::form_parameters(bytes));
