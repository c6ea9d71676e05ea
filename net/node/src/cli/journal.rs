//! `centauri journal`: reads what a server has kept.

mod export;
mod info;
mod time;

use std::path::PathBuf;

/// Read the journal of a server that does not run: its decisions, and what else it keeps.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Export(export::Arguments),
    Info(info::Arguments),
}

/// Which journal.
#[derive(Debug, clap::Args)]
struct JournalPath {
    /// The journal, as `path` of the table [journal] in the server's configuration says. No server may have it open.
    #[arg(long = "journal", value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.command {
        Command::Export(arguments) => export::run(arguments),
        Command::Info(arguments) => info::run(arguments),
    }
}
