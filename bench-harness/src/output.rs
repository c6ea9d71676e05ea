//! Where the results of a measurement go: a file, and the terminal.

use crate::result::Line;
use anyhow::Context as _;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

/// Measures, writes the lines to the file at `out` if there is one, and prints them: as JSON Lines, or as what `table` makes of
/// them.
///
/// # Errors
/// A file that cannot be had, which is found before anything is measured; what `measure` says; standard output.
pub fn measured(
    out: Option<&Path>,
    json: bool,
    measure: impl FnOnce() -> anyhow::Result<Vec<Line>>,
    table: impl FnOnce(&[Line]) -> String,
) -> anyhow::Result<()> {
    // The file is opened before minutes are spent on what goes into it.
    let file = out.map(|path| {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        anyhow::Ok((path, BufWriter::new(file)))
    });
    let file = file.transpose()?;
    let lines = measure()?;
    if let Some((path, mut file)) = file {
        write(&mut file, &lines).with_context(|| path.display().to_string())?;
    }
    let mut out = std::io::stdout().lock();
    let told = if json { write(&mut out, &lines) } else { out.write_all(table(&lines).as_bytes()) };
    printed(told)
}

/// What came of writing to standard output. That whoever read it has seen enough is no error.
pub(crate) fn printed(told: std::io::Result<()>) -> anyhow::Result<()> {
    match told {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        told => told.context("standard output"),
    }
}

fn write(out: &mut impl Write, lines: &[Line]) -> std::io::Result<()> {
    for line in lines {
        serde_json::to_writer(&mut *out, line)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}
