//! `centauri-bench eval`: how fast backends decide, and how their time grows.

pub mod clock;
pub mod contenders;
pub mod export;
pub mod growth;
pub mod instructions;
pub mod measure;
pub mod table;
pub mod work;

use crate::output::measured;
use crate::provenance;
use crate::result::Line;
use centauri::backends::BackendChoice;
use contenders::Wanted;
use instructions::Counted;
use measure::{Contender, Effort};
use std::path::PathBuf;
use work::Work;

/// Arguments of `eval`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Works: 4,096 streams of 8 models on 64 points, values mixed with missing, liars in half of the rounds; every field of a
decision but the region.
  A  n = 7, f = 2, evidence          B  n = 7, f = 2, marginal
  C  n = 16, f = 5, evidence         D  n = 64, f = 21, marginal

Example:
  centauri-bench eval --work A --backend simd --level avx2
  centauri-bench eval --out speed.jsonl && centauri-bench report speed.jsonl --html speed.html

Each backend is timed in turns with the scalar one, on the same rounds. Figures are per second of processor time, medians.")]
#[group(skip)]
pub struct Args {
    /// Measure this work, and neither growth nor instructions unless they are asked for; may be given again. Without it:
    /// all four, A with the region, growth and instructions.
    #[arg(long, value_name = "A|B|C|D", value_parser = ["A", "B", "C", "D"])]
    pub work: Vec<String>,
    /// Measure this backend beside the scalar one; may be given again. Without it: SIMD at each level there is, and the GPU
    /// where there is one.
    #[arg(long, value_name = "NAME", value_enum)]
    pub backend: Vec<BackendChoice>,
    /// SIMD at this level of instructions, instead of each there is: see `centauri backends`.
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<String>,
    /// Threads of SIMD, beside one [default: as many as there are cores].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// With the region, which is otherwise measured for A alone.
    #[arg(long)]
    pub region: bool,
    /// Measure how time grows with streams, n, f, points and quorums.
    #[arg(long)]
    pub growth: bool,
    /// Count instructions of a decision with callgrind.
    #[arg(long)]
    pub instructions: bool,
    /// Print the results as JSON Lines.
    #[arg(long)]
    pub json: bool,
    /// Few and short samples: half a minute.
    #[arg(long)]
    pub quick: bool,
    /// Seed of the rounds; one seed gives one digest.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where the results go, too (JSON Lines).
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Date that the results bear, instead of today's.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: Option<String>,
    /// Write tables, rounds and decisions of the works into folders here, for programs in other languages, and measure
    /// nothing.
    #[arg(long, value_name = "DIR")]
    pub export: Option<PathBuf>,
    /// Decide the rounds of one work so many times, and neither measure nor print: for callgrind.
    #[arg(long, value_name = "TIMES", hide = true)]
    pub once: Option<usize>,
    /// Rounds of a batch with --once.
    #[arg(long, value_name = "N", hide = true, default_value_t = 256)]
    pub rounds: usize,
}

/// Measures, writes the results and prints what they come to.
///
/// # Errors
/// A backend that is not to be had, a result file that cannot be written, or what a backend says.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let works = chosen(args);
    if let Some(folder) = &args.export {
        return works.iter().try_for_each(|work| export::write(work, args.seed, folder));
    }
    if let Some(times) = args.once {
        return once(args, &works, times);
    }
    let wanted = wanted(args);
    let mut contenders = contenders::open(&wanted)?;
    measured(args.out.as_deref(), args.json, || lines(args, &works, &mut contenders), table::of)
}

fn chosen(args: &Args) -> Vec<Work> {
    let named = |name: &str| Work::named(name).map(|work| Work { region: args.region, ..work });
    if !args.work.is_empty() {
        return args.work.iter().filter_map(|name| named(name)).collect();
    }
    let mut works: Vec<Work> = work::NAMES.iter().filter_map(|name| named(name)).collect();
    if !args.region && args.export.is_none() {
        works.extend(Work::named("A").map(|work| Work { region: true, ..work }));
    }
    works
}

fn wanted(args: &Args) -> Wanted<'_> {
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    Wanted { backends: &args.backend, level: args.level.as_deref(), threads: threads.max(1) }
}

fn once(args: &Args, works: &[Work], times: usize) -> anyhow::Result<()> {
    let mut contenders = contenders::alone(&Wanted { threads: 1, ..wanted(args) })?;
    for work in works {
        let (fleet, batch) = (work.fleet()?, work.batch(args.rounds, args.seed)?);
        for Contender { backend, decisions, .. } in &mut contenders {
            (0..times).try_for_each(|_| backend.evaluate(&fleet, &batch, decisions))?;
        }
    }
    Ok(())
}

fn lines(args: &Args, works: &[Work], contenders: &mut [Contender]) -> anyhow::Result<Vec<Line>> {
    let effort = if args.quick { Effort::QUICK } else { Effort::FULL };
    let everything = args.work.is_empty();
    let mut lines = vec![Line::Run(provenance::head(args.seed, args.date.as_deref(), args.quick))];
    let progress = |text: &str| {
        if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
            eprintln!("{text}");
        }
    };
    for work in works {
        progress(&format!("work {}", work.name));
        let speeds = measure::speeds(contenders, work, args.seed, &effort)?;
        lines.extend(speeds.into_iter().map(|speed| Line::Speed(Box::new(speed))));
    }
    if everything || args.growth {
        let mut alone = contenders::alone(&wanted(args))?;
        let effort = Effort { samples: effort.samples.min(5), sample_s: effort.sample_s / 2.0, ..effort };
        for sweep in growth::sweeps() {
            progress(&format!("growth {}", sweep.name()));
            let growth = growth::measure(&mut alone, &sweep, args.seed, &effort)?;
            lines.extend(growth.into_iter().map(|growth| Line::Growth(Box::new(growth))));
        }
    }
    if everything || args.instructions {
        lines.extend(counted(args, works, contenders)?);
    }
    Ok(lines)
}

/// Instructions of each work and each backend on the processor, on one thread.
fn counted(args: &Args, works: &[Work], contenders: &[Contender]) -> anyhow::Result<Vec<Line>> {
    if instructions::available() == Counted::NoValgrind {
        eprintln!("instructions: skipped, there is no valgrind here");
        return Ok(Vec::new());
    }
    let mut lines = Vec::new();
    for work in works {
        // Scalar decisions of the larger works take a long time under callgrind; the SIMD ones tell enough.
        let large = work.n > 8;
        let rounds = if large || args.quick { 64 } else { 256 };
        for Contender { by, .. } in contenders {
            let countable =
                contenders::countable(by) && by.threads == 1 && !(large && by.backend == "scalar");
            if countable {
                let counted = instructions::count(work, by, rounds, args.seed)?;
                lines.push(Line::Instructions(Box::new(counted)));
            }
        }
    }
    Ok(lines)
}
