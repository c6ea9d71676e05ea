//! The `centauri` command.
#![deny(unsafe_code)]

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    quiet_device_selection();
    centauri::cli::main()
}

/// Mesa's layer that picks a default graphics card asks the desktop which one it uses, and where there is no desktop complains on
/// standard error, in the middle of a command's own words. Nothing here asks for a default card.
#[expect(unsafe_code, reason = "the environment may be changed only while no other thread reads it")]
fn quiet_device_selection() {
    // SAFETY: the process has one thread yet.
    unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
}
