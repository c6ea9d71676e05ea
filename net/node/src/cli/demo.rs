//! `centauri demo`: a whole system on this machine.

use crate::backends::BackendChoice;
use crate::demo::{self, Form, Lie, Options, Replay};
use anyhow::Context;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Watch a whole system work: sources, replicas of which one lies, a monitor and the engine server, on loopback.
///
/// Needs nothing: no configuration, no services. Decisions are shown as they are made; after some 20 seconds a summary
/// says how good they were beside the plain mean and the median, and who lied. Ctrl-C ends it early.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  centauri demo
  centauri demo --replicas 7 --liars 2 --lie collude
  centauri demo --json > decisions.jsonl
  centauri demo --readings FILE.csv --time-column t_s --columns a,b,c --speed 600

A replay: each column is a source, an empty field is a reading that was never made, and the stream is the mean of the
readings of a window over all columns. A window is as long as the median step between two rows. The model's range, spread
and step are read off the whole file beforehand, as a person who knows the instruments would give them. It is told the
loss, too; latencies and spread it then learns from the monitor.")]
pub(super) struct Arguments {
    /// Write the decisions as JSON Lines, as `centauri eval` does; the summary goes to standard error.
    #[arg(long)]
    json: bool,
    /// How long rounds go on, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0)]
    duration: f64,
    /// Replicas of the set: 3 to 32.
    #[arg(long, value_name = "N", default_value_t = 5)]
    replicas: usize,
    /// How many of them lie: less than half.
    #[arg(long, value_name = "N", default_value_t = 1)]
    liars: usize,
    /// Faults that the model assumes, at least the liars and less than half [default: as many as liars, at least 1].
    #[arg(long, value_name = "N")]
    faults: Option<usize>,
    /// How the liars lie.
    #[arg(long, value_enum, default_value_t = LieName::Offset)]
    lie: LieName,
    /// How far a lie is off, in standard deviations of a reading.
    #[arg(long, value_name = "X", default_value_t = 1.0, allow_negative_numbers = true)]
    lie_size: f64,
    /// Share of the datagrams from sources and replicas that is lost, 0 to 0.9.
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    loss: f64,
    /// Mean delay of the others: 25ms, 0.1s; without a unit, milliseconds. Exponentially distributed.
    #[arg(long, value_name = "TIME", default_value = "25ms", value_parser = parse_delay)]
    delay: Duration,
    /// Seed of the readings, of the network's faults and of who lies [default: drawn, and printed at the end].
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Replay the readings of this file (CSV with a line of names).
    #[arg(long, value_name = "FILE.csv", requires = "time_column", requires = "columns")]
    readings: Option<PathBuf>,
    /// The column with the time of each row, in seconds.
    #[arg(long, value_name = "NAME", requires = "readings")]
    time_column: Option<String>,
    /// The columns to replay, each as a source.
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', requires = "readings")]
    columns: Vec<String>,
    /// Seconds of the file that pass in a second [default: so that a window takes 0.4 s].
    #[arg(long, value_name = "X", requires = "readings", allow_negative_numbers = true)]
    speed: Option<f64>,
    /// What decides: see `centauri backends`.
    #[arg(long, value_name = "NAME", default_value = "auto", value_enum)]
    backend: BackendChoice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LieName {
    /// The truth and a constant.
    Offset,
    /// The same value in every round.
    Stuck,
    /// Anything in the range of the values.
    Random,
    /// Nothing.
    Silent,
    /// Two values for one round.
    Equivocate,
    /// A value that the liars have agreed on.
    Collude,
}

impl From<LieName> for Lie {
    fn from(name: LieName) -> Self {
        match name {
            LieName::Offset => Self::Offset,
            LieName::Stuck => Self::Stuck,
            LieName::Random => Self::Random,
            LieName::Silent => Self::Silent,
            LieName::Equivocate => Self::Equivocate,
            LieName::Collude => Self::Collude,
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let options = options(arguments)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The second signal ends the process at once.
        signal_hook::flag::register_conditional_shutdown(signal, 130, stop.clone())
            .and_then(|_| signal_hook::flag::register(signal, stop.clone()))
            .context("handling Ctrl-C")?;
    }
    let (mut out, mut notes) = (std::io::stdout().lock(), std::io::stderr());
    let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let form = if arguments.json { Form::JsonLines } else { Form::Text { colour } };
    let mut run = || demo::run(&options, form, &mut out as &mut dyn Write, &mut notes, &stop);
    // This thread's news (sockets opened) are no part of the show; warnings of the nodes' threads are.
    if std::env::var_os("RUST_LOG").is_some() {
        run()?;
    } else {
        tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), run)?;
    }
    Ok(())
}

fn options(arguments: &Arguments) -> anyhow::Result<Options> {
    let duration = Duration::try_from_secs_f64(arguments.duration)
        .map_err(|_| anyhow::anyhow!("--duration: found {}, expected seconds", arguments.duration))?;
    let seed = match arguments.seed {
        Some(seed) => seed,
        // Half the bits, so that it is short to type.
        None => u64::from(getrandom::u32().map_err(|error| anyhow::anyhow!("drawing a seed: {error}"))?),
    };
    let replay = match (&arguments.readings, &arguments.time_column) {
        (Some(path), Some(time_column)) => Some(Replay {
            path: path.clone(),
            time_column: time_column.clone(),
            columns: arguments.columns.clone(),
            speed: arguments.speed,
        }),
        _ => None,
    };
    let &Arguments { replicas, liars, faults, lie_size, loss, delay, backend, .. } = arguments;
    let lie = arguments.lie.into();
    Ok(Options { duration, replicas, liars, faults, lie, lie_size, loss, delay, seed, replay, backend })
}

fn parse_delay(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => text.strip_suffix('s').map_or((text, 1e-3), |number| (number, 1.0)),
    };
    let seconds = number.trim().parse::<f64>().ok().map(|number| number * unit);
    let delay = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    delay.ok_or_else(|| "expected a time such as 25ms or 0.1s".to_owned())
}
