//! `centauri-bench`: what Centauri is worth, beside every rival and under every attack.
#![forbid(unsafe_code)]

use centauri_bench::{accuracy, compare, report};
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
    /// Make a page and Markdown of a result file.
    Report(report::Args),
    /// Tell which differences between two result files exceed the runs' own spread.
    Compare(compare::Args),
}

/// Exit codes: 0 done, 1 `compare --fail-on-regression` found one, 2 bad input or arguments.
fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Accuracy(args) => match accuracy::run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("centauri-bench: {error:#}");
                ExitCode::from(2)
            }
        },
        Command::Report(args) => report::main(&args),
        Command::Compare(args) => compare::main(&args),
    }
}
