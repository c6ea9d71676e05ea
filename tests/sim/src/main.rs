//! `centauri-sim`: whole systems in simulated time, one a seed.
#![forbid(unsafe_code)]

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use centauri_sim::{Plan, Sabotage, Violation, run_seed, sweep};
use clap::Parser;

/// Runs whole systems of sources, replicas, a monitor and a client in simulated time and checks what they do after every step.
///
/// A seed determines everything: topology, liars, clocks, loss, partitions, crashes, an outsider who forges and replays. Some seeds
/// have computations on request that two clients share, a later stage of replicas that decide themselves, replicas that wait for
/// each other in a circle, followers of the client, and replicas that fail together. Equal seeds give equal runs, on any machine. Where an invariant does not hold, the seed, the step and the command that shows the
/// run again are told.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Examples:
  centauri-sim --seeds 1000                     a minute's check
  centauri-sim --seeds 100000 --threads 16      more seeds than the tests run
  centauri-sim --first-seed 5000 --seeds 1000   other seeds
  centauri-sim --seed 42 --verbose              one run, every step on standard output
  centauri-sim --sabotage closes-late           a client with a known bug: it has to be found
  centauri-sim --sabotage revives-cancelled     the same of a node that is asked for something

Exit codes: 0 every invariant held, 1 one did not, 2 bad arguments."
)]
struct Cli {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    seeds: u64,
    /// The first of them; the others follow it.
    #[arg(long, default_value_t = 0, value_name = "S")]
    first_seed: u64,
    /// Run this seed alone, and say what came of it.
    #[arg(long, value_name = "S", conflicts_with_all = ["seeds", "first_seed"])]
    seed: Option<u64>,
    /// With --seed: print the plan and every step.
    #[arg(long, requires = "seed")]
    verbose: bool,
    /// How many threads; as many as there are cores where it is not given.
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    threads: Option<u16>,
    /// Put a known bug around the client: nonce-before-signature, closes-late, counts-late, spares-equivocators, no-floor,
    /// forgets-reservation; or around the others: runs-on, revives-cancelled, forgets-spread, answers-from-anybody.
    #[arg(long, default_value_t = Sabotage::None, value_name = "BUG")]
    sabotage: Sabotage,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.seed {
        Some(seed) => one(&cli, seed),
        None => many(&cli),
    }
}

fn one(cli: &Cli, seed: u64) -> ExitCode {
    let mut out = std::io::stdout().lock();
    if cli.verbose {
        // Whoever reads it may have stopped reading; the run goes on.
        let _ = writeln!(out, "{:#?}", Plan::of_seed(seed));
    }
    let log: Option<&mut dyn Write> = if cli.verbose { Some(&mut out) } else { None };
    let ran = run_seed(seed, cli.sabotage, log);
    match ran {
        Ok(outcome) => {
            let (steps, rounds, trace) = (outcome.steps, outcome.decisions.len(), outcome.trace.value());
            println!(
                "seed {seed}: {steps} steps, {rounds} decisions, every invariant held; trace {trace:016x}"
            );
            outcome.tally.iter().for_each(|(name, count)| println!("  {count:>8}  {name}"));
            ExitCode::SUCCESS
        }
        Err(violation) => broken(&violation),
    }
}

fn many(cli: &Cli) -> ExitCode {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = cli.threads.map_or(cores, usize::from);
    let begun = Instant::now();
    let told = std::sync::Mutex::new(begun);
    let on_terminal = std::io::stderr().is_terminal();
    // A line that is written over on a terminal; elsewhere a line now and then.
    let every = if on_terminal { Duration::from_millis(200) } else { Duration::from_secs(30) };
    let progress = |done: u64| {
        let Ok(mut told) = told.lock() else { return };
        if told.elapsed() >= every {
            *told = Instant::now();
            let end = if on_terminal { "\r" } else { "\n" };
            eprint!("{done} of {} seeds, {:.0} s{end}", cli.seeds, begun.elapsed().as_secs_f64());
        }
    };
    let swept = sweep(cli.first_seed, cli.seeds, threads, cli.sabotage, &progress);
    if on_terminal {
        eprint!("{:60}\r", "");
    }
    if let Some(violation) = &swept.violation {
        return broken(violation);
    }
    let (seeds, steps, time) = (swept.seeds, swept.steps, begun.elapsed().as_secs_f64());
    println!("{seeds} seeds, {steps} steps, {time:.1} s on {threads} threads: every invariant held");
    swept.tally.iter().for_each(|(name, count)| println!("  {count:>10}  {name}"));
    ExitCode::SUCCESS
}

fn broken(violation: &Violation) -> ExitCode {
    eprintln!("centauri-sim: {violation}");
    ExitCode::FAILURE
}
