//! The command line.

mod backends;
mod check;
mod demo;
mod eval;
mod explain;
mod fit;
mod journal;
mod keygen;
mod node;
mod progress;
mod serve;
mod signals;
mod token;
mod verify_proof;
mod watch;

use anyhow::Context;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// Proximal consensus: an answer at the deadline, whatever has come, with the quorum that speaks for it and an honest
/// confidence.
#[derive(Debug, Parser)]
#[command(name = "centauri", version, max_term_width = 100, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Backends(backends::Arguments),
    Check(check::Arguments),
    Demo(demo::Arguments),
    Eval(eval::Arguments),
    Fit(fit::Arguments),
    Journal(journal::Arguments),
    Keygen(keygen::Arguments),
    Node(node::Arguments),
    Serve(serve::Arguments),
    Token(token::Arguments),
    VerifyProof(verify_proof::Arguments),
    Watch(watch::Arguments),
}

/// Runs the command line of this process. Exit codes: 0 done, 2 bad input or arguments (one line on standard error says
/// which and what was expected).
#[must_use]
pub fn main() -> ExitCode {
    log_to_standard_error();
    let result = match Arguments::parse().command {
        Command::Backends(arguments) => backends::run(&arguments),
        Command::Check(arguments) => match check::run(&arguments) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Fit(arguments) => fit::run(&arguments),
        Command::Journal(arguments) => journal::run(&arguments),
        Command::Keygen(arguments) => keygen::run(&arguments),
        Command::Node(arguments) => node::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
        Command::VerifyProof(arguments) => verify_proof::run(&arguments),
        Command::Watch(arguments) => watch::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("centauri: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Prints a whole text.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever read the output has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.context("standard output"),
    }
}

/// Warnings and what the server says go to standard error; `RUST_LOG` chooses.
fn log_to_standard_error() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let color = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(color).init();
}
