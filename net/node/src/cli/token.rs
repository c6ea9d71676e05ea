//! `centauri token`: makes a token for a client of the HTTP side.

use crate::http::tokens;
use anyhow::{Context, bail};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Make a token with which a client may read by HTTP what the engine server decides.
///
/// The token is for the client and is kept nowhere. The server keeps the line with its hash, in the file that `tokens` in the
/// configuration's table `[http]` names.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  centauri token --name dashboard                       # prints the token, then the line for the file
  centauri token --name dashboard --append tokens.toml  # adds the line to the file, prints the token alone")]
pub(super) struct Arguments {
    /// The client's name: letters, digits, _ and -.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The token file to add the line to, instead of printing it; it is made if there is none.
    #[arg(long, value_name = "FILE")]
    append: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut random = zeroize::Zeroizing::new([0u8; 32]);
    if let Err(error) = getrandom::fill(&mut *random) {
        bail!("the operating system gives no randomness: {error}");
    }
    let made = tokens::make(&arguments.name, &random)?;
    let Some(file) = &arguments.append else {
        println!("{}\n{}", *made.token, made.line);
        return Ok(());
    };
    let name = || file.display().to_string();
    let mut text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(name),
    };
    // What was typed by hand may lack its last line break.
    let start = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let line = format!("{start}{}\n", made.line);
    text.push_str(&line);
    tokens::check(&text).with_context(name)?;
    let mut out = OpenOptions::new().append(true).create(true).mode(0o600).open(file).with_context(name)?;
    out.write_all(line.as_bytes()).and_then(|()| out.sync_all()).with_context(name)?;
    println!("{}", *made.token);
    Ok(())
}
