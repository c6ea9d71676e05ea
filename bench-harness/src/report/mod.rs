//! A page and Markdown made of a result file.

use std::path::PathBuf;

/// Arguments of `report`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Result file (JSON Lines).
    pub results: PathBuf,
}

/// Makes the report.
///
/// # Errors
/// What cannot be read or written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    anyhow::bail!("{}: reports are not part of this build", args.results.display())
}
