//! How a run was made: what the first line of a result file says.

use crate::result::Run;
use std::process::Command;

/// The first line of a run that is being made by this process.
#[must_use]
pub fn head(seed: u64, date: Option<&str>, quick: bool) -> Run {
    let command: Vec<String> = std::env::args().skip(1).collect();
    Run {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: said(Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"])),
        command: format!("centauri-bench {}", command.join(" ")),
        machine: machine(),
        seed,
        date: date.map_or_else(|| said(Command::new("date").args(["-u", "+%Y-%m-%d"])), str::to_owned),
        quick,
    }
}

/// What a command prints, or `unknown`.
fn said(command: &mut Command) -> String {
    let output = command.output().ok().filter(|o| o.status.success());
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    text.filter(|t| !t.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|l| l.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let system = said(Command::new("uname").args(["-sr"]));
    format!("{}, {cores} cores, {system}", model.unwrap_or("unknown processor").trim())
}
