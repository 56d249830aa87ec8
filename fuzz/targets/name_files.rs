//! See `opencpm_agent::resolve::fuzzing::name_files`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| opencpm_agent::resolve::fuzzing::name_files(bytes));
