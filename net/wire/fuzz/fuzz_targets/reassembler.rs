//! Divides the input as a byte stream in chunks and at once.
#![no_main]

#[path = "../checks/reassembler.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::check_input(input));
