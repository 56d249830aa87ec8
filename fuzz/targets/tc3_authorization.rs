//! See `opencpm_api::fuzzing::tc3_authorization`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| opencpm_api::fuzzing::tc3_authorization(text));
