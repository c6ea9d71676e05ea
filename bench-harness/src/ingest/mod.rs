//! `centauri-bench ingest`: how fast signed messages are taken in, from the datagram to decided rounds.

pub mod cores;
pub mod fleet;
pub mod measure;
pub mod receive;
pub mod send;
pub mod soak;
pub mod table;
pub mod traffic;
pub mod verify;
pub mod work;

use crate::output::{measured, printed};
use crate::provenance;
use crate::result::Line;
use centauri_uring::{DriverChoice, DriverConfig};
use measure::Effort;
use soak::Soak;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;
use work::{ALL, NAMES, VERIFY};

/// Arguments of `ingest`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Works:
  verify         signatures over 200 bytes alone, each of a key of its own: ours, and dalek's verify_batch beside it
  single         one record a datagram (132 bytes)
  message        five records a datagram (276 bytes)
  forged-1       message, 1 % of the datagrams forged
  forged-50      message, 50 % of the datagrams forged
  hostile        message, 5 % forged and 30 % more: replays, stale, malformed, misdirected and badly signed ones
  packed         37 records a datagram (1,428 bytes)
  strict         message, one signature at a time, as on a processor without AVX-512
  single-strict  single, likewise
  tcp-message    message, on a TCP connection
  tcp            1,816 records a frame (65,472 bytes) on a TCP connection, of 28 replicas with 7,264 streams

A fleet of 896 replicas with a key each, in groups of seven, signs its frames beforehand and sends them over loopback from one
core; on another core runs the node that `centauri serve` runs: driver, checks, signatures, rounds, and a decision for each round
(work A of `eval`) when its last datagram is in. Rates are per second of the receiving thread's processor time, user and
system, medians of samples in turns: first for all up to the table of open rounds, then with deciding, which `centauri serve` does
on all cores, on this thread too. Nothing may be lost, and every counter has to be what was sent, or the run fails.

Example:
  centauri-bench ingest --work message --work forged-50
  centauri-bench ingest --out ingest.jsonl && centauri-bench report ingest.jsonl --html ingest.html")]
#[group(skip)]
pub struct Args {
    /// Measure this work; may be given again. Without it: all.
    #[arg(long, value_name = "NAME", value_parser = NAMES)]
    pub work: Vec<String>,
    /// How datagrams are received: auto, io_uring or epoll.
    #[arg(long, value_name = "DRIVER", default_value_t = DriverChoice::Auto)]
    pub driver: DriverChoice,
    /// Samples of each work [default: 9, with --quick 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub samples: Option<u16>,
    /// Instead: 1,800 rounds, half an hour of the fleet's time, in three minutes, with losses, duplicates, reordering, late
    /// and hostile frames, on datagrams and on connections that come, go and misbehave. Fails if a counter is not what was
    /// sent, if a round has no decision, or if memory grows after the first fifth. With --quick: 60 rounds.
    #[arg(long, conflicts_with_all = ["work", "samples", "out", "date"])]
    pub soak: bool,
    /// Print the results as JSON Lines.
    #[arg(long)]
    pub json: bool,
    /// A small fleet and short samples: some seconds, to see that it works.
    #[arg(long)]
    pub quick: bool,
    /// Seed of keys, values and order.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where the results go, too (JSON Lines).
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Date that the results bear, instead of today's.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: Option<String>,
}

/// Measures, writes the results and prints what they come to.
///
/// # Errors
/// A socket or file that cannot be had, datagrams that were lost, a counter that is not what was sent.
pub fn run(args: &Args) -> anyhow::Result<()> {
    if args.soak {
        return run_soak(args);
    }
    measured(args.out.as_deref(), args.json, || lines(args), table::of)
}

fn run_soak(args: &Args) -> anyhow::Result<()> {
    let (rounds, pace, groups) = if args.quick { (60, 0, 8) } else { (1_800, 100, 64) };
    let soak = Soak {
        rounds,
        pace: Duration::from_millis(pace),
        groups,
        streams_each: 5,
        driver: DriverConfig { choice: args.driver, ..DriverConfig::default() },
        seed: args.seed,
    };
    eprintln!("soak: {rounds} rounds of {groups} groups, seed {}", args.seed);
    let outcome = soak.run(|rounds, resident| {
        eprintln!("soak: {rounds} rounds, {:.1} MiB resident", resident as f64 / f64::from(1 << 20));
    })?;
    let json = serde_json::to_string(&outcome)?;
    let text = if args.json { json } else { outcome.text() };
    printed(writeln!(std::io::stdout(), "{text}"))
}

fn lines(args: &Args) -> anyhow::Result<Vec<Line>> {
    let effort = if args.quick { Effort::QUICK } else { Effort::FULL };
    let effort = Effort { samples: args.samples.map_or(effort.samples, usize::from), ..effort };
    let wanted = |name: &str| args.work.is_empty() || args.work.iter().any(|work| work == name);
    let mut lines = vec![Line::Run(provenance::head(args.seed, args.date.as_deref(), args.quick))];
    if cores::two().is_none() {
        eprintln!("ingest: one core for sender and receiver; what the one does disturbs the other");
    }
    if wanted(VERIFY) {
        lines.extend(measure::verification(&effort, args.seed)?.into_iter().map(line));
    }
    let works: Vec<_> = ALL.into_iter().filter(|work| wanted(work.name)).collect();
    let driver = DriverConfig { choice: args.driver, ..DriverConfig::default() };
    lines.extend(measure::works(&works, driver, &effort, args.seed)?.into_iter().map(line));
    Ok(lines)
}

fn line(ingest: crate::result::Ingest) -> Line {
    Line::Ingest(Box::new(ingest))
}
