//! See `opencpm_agent::resolve::fuzzing::dns_answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| opencpm_agent::resolve::fuzzing::dns_answer(bytes));
