//! `accuracy`.
/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}
/// Runs.
///
/// # Errors
/// None yet.
pub fn run(_: &Args) -> anyhow::Result<()> {
    Ok(())
}
