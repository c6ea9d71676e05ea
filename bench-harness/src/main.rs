//! `centauri-bench`: what Centauri is worth, beside every rival and under every attack.
#![forbid(unsafe_code)]

use centauri_bench::{accuracy, compare, report};
use clap::{Parser, Subcommand};

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

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Accuracy(args) => accuracy::run(&args),
        Command::Report(args) => Ok(report::run(&args)?),
        Command::Compare(args) => Ok(compare::run(&args).map(|_| ())?),
    }
}
