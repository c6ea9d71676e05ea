//! `centauri-bench`: what Centauri is worth, beside every rival and under every attack.
#![deny(unsafe_code)]

use centauri_bench::routes::command::{self as routes, Verdict};
use centauri_bench::{accuracy, compare, ingest, report, serving, speed};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Measures Centauri and tells what was measured.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure estimators on fleets with known truth, under attack.
    Accuracy(accuracy::Args),
    /// Measure how fast backends decide, and how their time grows.
    Eval(speed::Args),
    /// Measure how fast signed messages are taken in, from the datagram to decided rounds.
    Ingest(ingest::Args),
    /// Measure how punctual `centauri serve` is under the traffic of a fleet, and what that takes.
    Fleet(serving::Args),
    /// Choose routes through the whole system over sockets, and compare with the offline evaluation.
    Routes(routes::Args),
    /// Make a page and Markdown of a result file.
    Report(report::Args),
    /// Tell which differences between two result files exceed the runs' own spread.
    Compare(compare::Args),
}

/// Exit codes: 0 done, 1 `compare --fail-on-regression` found one or `routes` a difference, 2 bad input or arguments.
fn main() -> ExitCode {
    quiet_device_selection();
    match Cli::parse().command {
        Command::Accuracy(args) => ended(accuracy::run(&args)),
        Command::Eval(args) => ended(speed::run(&args)),
        Command::Ingest(args) => ended(ingest::run(&args)),
        Command::Fleet(args) => ended(serving::run(&args)),
        Command::Routes(args) => match routes::run(&args) {
            Ok(Verdict::Alike) => ExitCode::SUCCESS,
            Ok(Verdict::Different) => ExitCode::from(1),
            Ok(Verdict::Lossy) => {
                ended(Err(anyhow::anyhow!("in some runs something did not arrive: those are not compared")))
            }
            Err(error) => ended(Err(error)),
        },
        Command::Report(args) => report::main(&args),
        Command::Compare(args) => compare::main(&args),
    }
}

fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("centauri-bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// As the `centauri` command does: Mesa's layer that picks a default graphics card complains on standard error where there is no
/// desktop. Nothing here asks for a default card.
#[expect(unsafe_code, reason = "the environment may be changed only while no other thread reads it")]
fn quiet_device_selection() {
    // SAFETY: the process has one thread yet.
    unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
}
