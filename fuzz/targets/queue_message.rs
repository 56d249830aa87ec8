//! See `opencpm_queue::fuzzing::queue_message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| opencpm_queue::fuzzing::queue_message(bytes));
