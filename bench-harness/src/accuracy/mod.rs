//! `centauri-bench accuracy`: every estimator in every cell.

pub mod cells;
pub mod influence;
pub mod runner;
pub mod summary;

use crate::provenance;
use crate::result::Line;
use anyhow::Context as _;
use cells::Plan;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use runner::Effort;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `accuracy`.
#[derive(Clone, Debug, clap::Args)]
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
    /// Rounds of a cell, instead of 200 in a short run and up to 1,000 in a full one; costly cells then get them all.
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Print the cells' descriptions and measure nothing.
    #[arg(long)]
    pub list: bool,
    /// Date that the results bear, instead of today's.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: Option<String>,
    /// Threads; all cores if left out. It changes no number.
    #[arg(long)]
    pub threads: Option<usize>,
}

/// Measures, writes the results and prints what they come to.
///
/// # Errors
/// A result file that cannot be written, a filter that no cell passes, or a round that the engine refuses.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let plans = chosen(args)?;
    if args.list {
        plans.iter().for_each(|p| println!("{}", p.label()));
        return Ok(());
    }
    let head = provenance::head(args.seed, args.date.as_deref(), args.quick);
    println!("centauri-bench accuracy: seed {}, {} cells", args.seed, plans.len());
    // The file is opened before hours are spent on what goes into it.
    let mut file = match &args.out {
        Some(path) => {
            let file = std::fs::File::create(path).with_context(|| format!("{}", path.display()))?;
            Some(std::io::BufWriter::new(file))
        }
        None => None,
    };
    let effort = effort(args);
    let mut lines = vec![Line::Run(head)];
    lines.extend(measured(&plans, &effort, args)?);
    lines.extend(influence::curves()?.into_iter().map(Line::Influence));
    if let Some(file) = &mut file {
        for line in &lines {
            serde_json::to_writer(&mut *file, line)?;
            file.write_all(b"\n")?;
        }
        file.flush()?;
    }
    print!("{}", summary::of(&lines));
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
    plans.retain(|plan| {
        let label = plan.label();
        args.cells.iter().all(|word| label.split(' ').any(|part| part == word))
    });
    anyhow::ensure!(!plans.is_empty(), "--cells {}: found no such cell; see --list", args.cells.join(","));
    Ok(plans)
}

fn measured(plans: &[Plan], effort: &Effort, args: &Args) -> anyhow::Result<Vec<Line>> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} cells, {elapsed} gone, {eta} left")?;
    // Draws only on a terminal.
    let bar = ProgressBar::new(plans.len() as u64).with_style(style);
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
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads.unwrap_or(0)).build()?;
    let lines = pool.install(all)?;
    bar.finish_and_clear();
    Ok(lines.into_iter().flatten().map(|line| Line::Accuracy(Box::new(line))).collect())
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
