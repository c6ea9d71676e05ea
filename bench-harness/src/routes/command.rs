//! `centauri-bench routes`: the choice of routes through the whole system over sockets, beside the offline evaluation.

use super::Options;
use super::data::{self, Routes};
use super::lie::Lie;
use super::live::{self, Live};
use anyhow::{Context as _, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;

/// Arguments of `routes`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Sources replay the measured travel times of two routes; replicas subscribe to them and report the newest time that had been
published to them; the monitor learns from their samples; the engine decides both times for each departure and chooses. All
are nodes of their own on UDP sockets of this machine, and go by one clock that waits for them. Models are made from the first
half of the readings, choices from the second. Each choice is compared with that of the offline evaluation (`accuracy
--readings`), without a prior.

FOLDER has travel_time_s.csv (columns measured_utc, published_utc, and one for each section of road) and routes.csv (choice,
route, sections).

Exit codes: 0 all choices alike, 1 some were not, 2 bad input, or something sent did not arrive so that they cannot be compared.

Example:
  centauri-bench routes --readings uk_journey_times
  centauri-bench routes --readings uk_journey_times --choice birmingham_north --lie push_30sd --json")]
#[group(skip)]
pub struct Args {
    /// Folder of the travel times.
    #[arg(long, value_name = "FOLDER")]
    pub readings: PathBuf,
    /// This choice only.
    #[arg(long, value_name = "NAME")]
    pub choice: Option<String>,
    /// This lie only: none, push_3sd, push_30sd, swap, stuck, yesterday or silent.
    #[arg(long, value_name = "LIE", value_parser = lie)]
    pub lie: Option<Lie>,
    /// Replicas.
    #[arg(long, value_name = "N", default_value_t = Options::default().replicas)]
    pub replicas: usize,
    /// Replicas that lie, and faults that the models allow for.
    #[arg(long, value_name = "F", default_value_t = Options::default().faults)]
    pub faults: usize,
    /// Seed of the delays and of who lies.
    #[arg(long, default_value_t = Options::default().seed)]
    pub seed: u64,
    /// Print the results as JSON Lines.
    #[arg(long)]
    pub json: bool,
}

fn lie(name: &str) -> Result<Lie, String> {
    let known = || Lie::ALL.map(Lie::name).join(", ");
    Lie::ALL.into_iter().find(|lie| lie.name() == name).ok_or_else(|| format!("expected one of {}", known()))
}

/// What came of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All choices were the evaluation's.
    Alike,
    /// Some were not.
    Different,
    /// Something that was sent did not arrive, so choices may differ.
    Lossy,
}

impl Verdict {
    fn of(live: &Live) -> Self {
        if live.lost > 0 {
            Self::Lossy
        } else if live.same == [live.departures; 2] {
            Self::Alike
        } else {
            Self::Different
        }
    }
}

/// Runs every choice under every lie that is asked for, and says the worst that came of it.
///
/// # Errors
/// No such readings or choice, more faults than replicas, what the engine or a socket refuses.
pub fn run(args: &Args) -> anyhow::Result<Verdict> {
    let Args { replicas, faults, seed, .. } = *args;
    ensure!(faults < replicas, "found {faults} faults, expected fewer than the {replicas} replicas");
    let options = Options { replicas, faults, seed, repeats: 1 };
    let folder = data::within(&args.readings)
        .with_context(|| format!("{}: found no travel times there", args.readings.display()))?;
    let mut all = data::read(&folder).with_context(|| folder.display().to_string())?;
    if let Some(choice) = &args.choice {
        let known: Vec<String> = all.iter().map(|routes| routes.choice.clone()).collect();
        all.retain(|routes| routes.choice == *choice);
        ensure!(!all.is_empty(), "found no choice {choice:?}, expected one of {}", known.join(", "));
    }
    let lies = args.lie.map_or_else(|| Lie::ALL.to_vec(), |lie| vec![lie]);
    if !args.json {
        println!("{replicas} replicas, {faults} may lie, seed {seed}");
        println!(
            "{:<20} {:<10} {:>10} {:>7} {:>7} {:>9} {:>12} {:>6}",
            "choice", "lie", "departures", "alike", "even", "reports", "difference", "time"
        );
    }
    let progress = progress(all.len() * lies.len());
    let mut worst = Verdict::Alike;
    for routes in &all {
        for &lie in &lies {
            progress.set_message(format!("{}, {}", routes.choice, lie.name()));
            let live = live::compare(routes, &options, lie)
                .with_context(|| format!("{}, {}", routes.choice, lie.name()))?;
            progress.suspend(|| tell(routes, &live, args));
            progress.inc(1);
            worst = match (worst, Verdict::of(&live)) {
                (Verdict::Different, _) | (_, Verdict::Different) => Verdict::Different,
                (Verdict::Lossy, _) | (_, Verdict::Lossy) => Verdict::Lossy,
                _ => Verdict::Alike,
            };
        }
    }
    progress.finish_and_clear();
    Ok(worst)
}

/// Where the way is long, on a terminal.
fn progress(runs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{pos} of {len} runs, {msg} {wide_bar} {eta} left");
    let bar = ProgressBar::new(runs as u64);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

fn tell(routes: &Routes, live: &Live, args: &Args) {
    let [same, even] = live.same;
    if args.json {
        let line = serde_json::json!({
            "choice": routes.choice,
            "routes": routes.names,
            "lie": live.lie.name(),
            "n": args.replicas,
            "f": args.faults,
            "seed": args.seed,
            "departures": live.departures,
            "alike": same,
            "alike_even": even,
            "reports_alike": live.reports_same,
            "difference_max_s": live.difference_max_s,
            "first": live.first[0],
            "lost": live.lost,
            "distributions_published": live.published,
            "distributions_taken": live.taken,
            "took_s": live.took.as_secs_f64(),
        });
        println!("{line}");
        return;
    }
    println!(
        "{:<20} {:<10} {:>10} {same:>7} {even:>7} {:>9} {:>10.1e} s {:>4.1} s{}",
        routes.choice,
        live.lie.name(),
        live.departures,
        live.reports_same,
        live.difference_max_s,
        live.took.as_secs_f64(),
        if live.lost > 0 { format!("  {} not arrived", live.lost) } else { String::new() },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn lies_are_known_by_their_names_and_a_difference_is_told() {
        assert!(Lie::ALL.into_iter().all(|known| lie(known.name()) == Ok(known)));
        assert!(lie("white").is_err_and(|error| error.contains("push_30sd")));
        let live = Live {
            lie: Lie::None,
            departures: 3,
            same: [3, 3],
            reports_same: 3,
            difference_max_s: 0.0,
            first: [1, 2],
            lost: 0,
            published: 1,
            taken: 1,
            took: Duration::ZERO,
        };
        assert_eq!(Verdict::of(&live), Verdict::Alike);
        assert_eq!(Verdict::of(&Live { same: [3, 2], ..live.clone() }), Verdict::Different);
        assert_eq!(Verdict::of(&Live { same: [3, 2], lost: 1, ..live }), Verdict::Lossy);
    }
}
