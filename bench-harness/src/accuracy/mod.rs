//! `centauri-bench accuracy`: every estimator in every cell.

pub mod cells;
pub mod influence;
pub mod runner;
pub mod summary;

use crate::fleet::noise::Noise;
use crate::fleet::real::{Delays, Residuals};
use crate::provenance;
use crate::readings;
use crate::result::{Line, Output};
use anyhow::Context as _;
use cells::Plan;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use runner::Effort;
use std::path::PathBuf;

/// Arguments of `accuracy`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Readings:
  A CSV file in wide form has a heading, a column of times (seconds, or like 2024-05-01T12:00:00) and a column for each replica,
  at least three; an empty cell is a reading that is not there:
    time,north,middle,south
    2024-05-01T12:00:00,20.1,20.4,19.8
    2024-05-01T12:10:00,20.3,,20.0
  A model is fitted to the first half; in the second, a third of the replicas less one lie (at least one does).
  Folders named metr_la_week, met_mast, epa_colocation and uk_journey_times (for the choice of a route), or a folder that
  holds them, are known, and prepared as their readings need.

Examples:
  centauri-bench accuracy --quick --seed 1 --out results.jsonl
  centauri-bench accuracy --readings sensors.csv --columns north,middle,south --out readings.jsonl
  centauri-bench accuracy --residuals sensors.csv --delays latencies.csv --out results.jsonl
  centauri-bench accuracy --cells noise=gaussian,n=7,f=2,prior=strong --rounds 10000")]
pub struct Args {
    /// Few cells and few rounds: under a minute.
    #[arg(long)]
    pub quick: bool,
    /// Seed of the run; one seed gives one result.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where the results go (JSON Lines); nowhere but the summary if left out.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Only cells whose description holds each of these words, such as `noise=gaussian,attack=none,n=7`.
    #[arg(long, value_name = "FILTER", value_delimiter = ',')]
    pub cells: Vec<String>,
    /// Rounds of a cell (with --readings: of a stream), instead of 200 in a short run and up to 600 in a full one; costly cells then get them all.
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Print the cells' descriptions and measure nothing.
    #[arg(long)]
    pub list: bool,
    /// Date that the results bear, instead of today's.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: Option<String>,
    /// Measure on real readings instead of generated fleets: folders or CSV files (see below).
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub readings: Vec<PathBuf>,
    /// Columns of a CSV file of readings to take as replicas, instead of all but the first.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Take the errors of these readings (folders or CSV files, see below) as a noise of generated fleets, beside the others.
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "readings")]
    pub residuals: Vec<PathBuf>,
    /// Take the delays of this CSV file as those of partial windows, beside the generated ones.
    #[arg(long, value_name = "FILE", conflicts_with = "readings")]
    pub delays: Option<PathBuf>,
    /// The column of the delays; their unit does not matter, for they are scaled to a mean of 0.2 s.
    #[arg(long, value_name = "NAME", default_value = "sample", requires = "delays")]
    pub delay_column: String,
    /// Threads; all cores if left out. It changes no number.
    #[arg(long)]
    pub threads: Option<usize>,
}

/// Measures, writes the results and prints what they come to.
///
/// # Errors
/// A result file that cannot be written, a filter that no cell passes, or a round that the engine refuses.
pub fn run(args: &Args) -> anyhow::Result<()> {
    if !args.readings.is_empty() {
        return on_readings(args);
    }
    let plans = chosen(args)?;
    if args.list {
        plans.iter().for_each(|p| println!("{}", p.label()));
        return Ok(());
    }
    let head = provenance::head(args.seed, args.date.as_deref(), args.quick);
    println!("centauri-bench accuracy: seed {}, {} cells", args.seed, plans.len());
    let out = Output::open(args.out.as_deref())?;
    let effort = effort(args);
    let mut lines = vec![Line::Run(head)];
    lines.extend(measured(&plans, &effort, args)?);
    lines.extend(influence::curves()?.into_iter().map(Line::Influence));
    out.write(&lines)?;
    print!("{}", summary::of(&lines));
    Ok(())
}

/// Measures on real readings.
fn on_readings(args: &Args) -> anyhow::Result<()> {
    let found = readings::find(&args.readings, &args.columns)?;
    let head = provenance::head(args.seed, args.date.as_deref(), args.quick);
    println!(
        "centauri-bench accuracy: seed {}, {} streams and {} route choices",
        args.seed,
        found.series.len(),
        found.routes.len()
    );
    if args.list {
        found.series.iter().for_each(|s| println!("{} ({} rounds)", s.name, s.rounds.len()));
        found.routes.iter().for_each(|r| println!("{} ({} measurements)", r.choice, r.samples.len()));
        return Ok(());
    }
    let out = Output::open(args.out.as_deref())?;
    let rounds = if args.quick { readings::runner::ROUNDS_QUICK } else { readings::runner::ROUNDS_FULL };
    let options = readings::runner::Options { seed: args.seed, rounds: args.rounds.unwrap_or(rounds) };
    let bar = bar(readings::steps(&found))?;
    let measured = pool(args)?.install(|| readings::measure(&found, &options, &|| bar.inc(1)));
    bar.finish_and_clear();
    let mut lines = vec![Line::Run(head)];
    lines.extend(measured?);
    out.write(&lines)?;
    print!("{}", readings::summary::of(&lines));
    Ok(())
}

fn effort(args: &Args) -> Effort {
    let effort = if args.quick { Effort::QUICK } else { Effort::FULL };
    match args.rounds {
        Some(rounds) => Effort { rounds: rounds.max(runner::CHAIN), steps: f64::INFINITY, ..effort },
        None => effort,
    }
}

fn chosen(args: &Args) -> anyhow::Result<Vec<Plan>> {
    let mut plans = if args.quick { cells::quick() } else { cells::full() };
    plans.extend(cells::real(&noises(args)?, args.quick));
    plans.retain(|plan| {
        let label = plan.label();
        args.cells.iter().all(|word| label.split(' ').any(|part| part == word))
    });
    anyhow::ensure!(!plans.is_empty(), "--cells {}: found no such cell; see --list", args.cells.join(","));
    Ok(plans)
}

/// Noises made from readings that the user gives. They are kept as long as the process lives, so that a scenario can be copied.
fn noises(args: &Args) -> anyhow::Result<Vec<Noise>> {
    let mut noises = Vec::new();
    for series in readings::find(&args.residuals, &args.columns)?.series {
        let residuals = Residuals::of(&series).with_context(|| series.name.clone())?;
        noises.push(Noise::Residuals(Box::leak(Box::new(residuals))));
    }
    if let Some(path) = &args.delays {
        let samples =
            readings::table::column(path, &args.delay_column).and_then(|samples| Delays::of(&samples));
        let delays: &'static Delays =
            Box::leak(Box::new(samples.with_context(|| path.display().to_string())?));
        let late = |window: Noise| window.window().map(|computation| Noise::LateWindow(computation, delays));
        noises.extend(Noise::ALL.into_iter().filter_map(late));
    }
    Ok(noises)
}

fn measured(plans: &[Plan], effort: &Effort, args: &Args) -> anyhow::Result<Vec<Line>> {
    let bar = bar(plans.len())?;
    let all = || {
        plans
            .par_iter()
            .map(|plan| {
                let lines = runner::measure(plan, effort, args.seed).with_context(|| plan.label());
                bar.inc(1);
                lines
            })
            .collect::<anyhow::Result<Vec<_>>>()
    };
    let lines = pool(args)?.install(all)?;
    bar.finish_and_clear();
    Ok(lines.into_iter().flatten().map(|line| Line::Accuracy(Box::new(line))).collect())
}

/// A progress bar, which draws only on a terminal.
fn bar(steps: usize) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len}, {elapsed} gone, {eta} left")?;
    Ok(ProgressBar::new(steps as u64).with_style(style))
}

fn pool(args: &Args) -> anyhow::Result<rayon::ThreadPool> {
    Ok(rayon::ThreadPoolBuilder::new().num_threads(args.threads.unwrap_or(0)).build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(threads: usize, cells: &[&str]) -> Args {
        Args {
            quick: true,
            seed: 4,
            out: None,
            cells: cells.iter().map(|&c| c.to_owned()).collect(),
            rounds: None,
            list: false,
            date: None,
            readings: Vec::new(),
            columns: Vec::new(),
            residuals: Vec::new(),
            delays: None,
            delay_column: String::new(),
            threads: Some(threads),
        }
    }

    #[test]
    fn the_number_of_threads_and_the_choice_of_cells_change_nothing() {
        let effort = Effort { rounds: 25, searched: 25, steps: 1e6 };
        let of = |threads, cells: &[&str]| {
            let args = args(threads, cells);
            let plans = chosen(&args).unwrap();
            measured(&plans, &effort, &args).unwrap()
        };
        let few = ["noise=gaussian", "n=4", "prior=following"];
        let lines = of(1, &few);
        assert_eq!(lines, of(3, &few));
        let alone = of(2, &["noise=gaussian", "n=4", "prior=following", "attack=far"]);
        assert!(alone.len() > 10 && alone.iter().all(|line| lines.contains(line)));
    }

    #[test]
    fn a_filter_that_nothing_passes_is_an_error() {
        assert!(chosen(&args(1, &["noise=pink"])).unwrap_err().to_string().contains("noise=pink"));
    }

    #[test]
    fn without_attack_or_noise_model_errors_the_marginal_covers_as_it_says() {
        let plan = *cells::quick().iter().find(|p| p.label().contains("attack=none")).unwrap();
        let effort = Effort { rounds: 1_000, searched: 25, steps: 1e9 };
        let lines = runner::measure(&plan, &effort, 3).unwrap();
        let of = |name: &str| lines.iter().find(|l| l.estimator == name).unwrap();
        let coverage = of("marginal").coverage.unwrap();
        assert!((0.92..=0.98).contains(&coverage.p95), "{coverage:?}");
        // n = 4 honest Gaussians, one report in twenty lost: about 1/√3.8.
        assert!((of("mean").rmse_truth - 0.515).abs() < 0.04);
        assert!((of("mean").rel_honest_mean - 1.0).abs() < 1e-12);
    }
}
