//! Parses the input as a frame and reads all that it says.
#![no_main]

#[path = "../checks/frame.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::check_input(input));
