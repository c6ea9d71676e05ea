//! `centauri keygen`: makes a node's key pair.

use anyhow::{Context, bail};
use centauri_wire::KeyFile;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Make a node's key pair: the private key goes into a file that only its owner can read, the public key is printed.
///
/// The public key belongs into the registry file of every node that is to believe this one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  centauri keygen --output replica-1.key

Registry entry:
  [[node]]
  id = 1
  name = \"replica-1\"
  role = \"replica\"
  key = \"<what was printed>\"")]
pub(super) struct Arguments {
    /// The key file to write; one that is there already is left alone.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut seed = [0u8; 32];
    if let Err(error) = getrandom::fill(&mut seed) {
        bail!("the operating system gives no randomness: {error}");
    }
    let key = KeyFile::generate(seed);
    let name = || arguments.output.display().to_string();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&arguments.output)
        .with_context(name)?;
    file.write_all(key.to_text().as_bytes()).and_then(|()| file.sync_all()).with_context(name)?;
    println!("{}", key.public_key().to_hex());
    Ok(())
}
