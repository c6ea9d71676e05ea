//! Instructions of a decision, counted by callgrind: a number that other work on the machine doesn't change.

use super::work::Work;
use crate::result::{By, Instructions};
use anyhow::{Context as _, bail};
use std::process::Command;

/// Times that the batch is decided in the first and in the second count.
const REPEATS: (u64, u64) = (1, 3);

/// Why nothing was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It was.
    Yes,
    /// There is no valgrind here.
    NoValgrind,
}

/// Whether there is a valgrind to count with.
#[must_use]
pub fn available() -> Counted {
    match Command::new("valgrind").arg("--version").output() {
        Ok(output) if output.status.success() => Counted::Yes,
        _ => Counted::NoValgrind,
    }
}

/// Counts the instructions of a decision of `work`: this program under callgrind decides `rounds` rounds once and thrice, and
/// the difference is that of two batches.
///
/// # Errors
/// A valgrind that cannot be run, or that stops, such as at an instruction that it doesn't know.
pub fn count(work: &Work, by: &By, rounds: usize, seed: u64) -> anyhow::Result<Instructions> {
    let (few, many) = (once(work, by, rounds, seed, REPEATS.0)?, once(work, by, rounds, seed, REPEATS.1)?);
    let decisions = (REPEATS.1 - REPEATS.0) * rounds as u64;
    Ok(Instructions {
        work: work.record(),
        by: by.clone(),
        rounds,
        per_decision: many.saturating_sub(few) as f64 / decisions as f64,
        tool: "callgrind".to_owned(),
    })
}

fn once(work: &Work, by: &By, rounds: usize, seed: u64, repeats: u64) -> anyhow::Result<u64> {
    let program = std::env::current_exe().context("finding this program")?;
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["eval", "--once", &repeats.to_string(), "--rounds", &rounds.to_string()])
        .args(["--seed", &seed.to_string(), "--work", &work.name, "--backend", &by.backend]);
    if work.region {
        command.arg("--region");
    }
    if let Some(level) = &by.level {
        command.args(["--level", level]);
    }
    let output = command.output().context("valgrind")?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
        bail!("valgrind ended with {}: {last}", output.status);
    }
    collected(&text)
        .with_context(|| format!("valgrind: found no line with `Collected`, expected one: {text}"))
}

/// The number in callgrind's line `==1== Collected : 123`.
fn collected(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains("Collected"))?;
    line.split(':').nth(1)?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read() {
        let text = "==7== Events    : Ir\n==7== Collected : 123456\n==7== \n==7== I   refs:      123,456\n";
        assert_eq!(collected(text), Some(123_456));
        assert_eq!(collected("==7== Events : Ir"), None);
    }
}
