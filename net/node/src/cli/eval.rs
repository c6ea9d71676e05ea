//! `centauri eval`: decides recorded rounds.

use super::explain::{ExplanationFile, is_same_place};
use super::progress::Progress;
use crate::backends::{self, BackendChoice, OpenOptions};
use anyhow::ensure;
use centauri_engine::{Fleet, Objective, Session, StreamId};
use centauri_files::{
    AtomicFile, DecisionRecord, DecisionWriter, Directory, Format, Readings, Round, RoundCollector, Rounds,
    Spill, locate, parse_model, read_model_text,
};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Decide recorded rounds: a model and readings in, decisions out.
///
/// Readings have the columns stream, round, replica, value; an empty value, or no row, is a missing message. Rows may
/// come in any order: what does not fit in memory is sorted on a disk, in the directory that TMPDIR names or else in that of
/// the output. There is one decision for each round that has a row, in order of stream name and round.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  centauri eval --model model.toml --input readings.csv --output decisions.jsonl

The formats are told by the extensions: .csv, .jsonl or .parquet. `-` as output is standard output, as JSON Lines.")]
pub(super) struct Arguments {
    /// Model file (TOML).
    #[arg(long, value_name = "MODEL.toml")]
    model: PathBuf,
    /// Readings (.csv, .jsonl or .parquet).
    #[arg(long, value_name = "READINGS")]
    input: PathBuf,
    /// Where the decisions go (.csv, .jsonl or .parquet, or - for standard output).
    #[arg(long, value_name = "DECISIONS")]
    output: PathBuf,
    /// What computes: see `centauri backends`.
    #[arg(long, value_name = "NAME", default_value = "auto", value_enum)]
    backend: BackendChoice,
    #[command(flatten)]
    calibration: super::backends::CalibrationFile,
    /// Decide by this objective instead of each model's own: posterior, joint, evidence, marginal or coalition.
    #[arg(long, value_name = "OBJECTIVE")]
    objective: Option<Objective>,
    /// Memory for readings, in MiB; what is beyond it is sorted in a temporary file of 24 bytes a row.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    sort_memory: u32,
    /// Say why each round was decided as it was: for every replica what came, how likely that is from an honest and from
    /// a faulty one, and the decision without it (.jsonl, or - for standard output).
    #[arg(long, value_name = "REASONS.jsonl")]
    explain: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    Format::from_path(&arguments.input)?;
    let output_format = output_format(&arguments.output)?;
    check_places(arguments)?;
    let text = read_model_text(&arguments.model)?;
    let model_name = arguments.model.display().to_string();
    let model = parse_model(&text, &model_name)?;
    let fleet = Fleet::compile(&model).map_err(|error| locate(&error, &text, &model_name))?;
    let options = OpenOptions { calibration: arguments.calibration.file.clone(), ..OpenOptions::default() };
    let opened = backends::open(arguments.backend, &options)?;
    let directory = Directory::new(&model);
    let mut progress = Progress::new(&arguments.output);
    let mut rounds = read_rounds(arguments, &directory, &mut progress)?;

    let reasons = arguments.explain.as_deref().map(|path| ExplanationFile::create(path, &arguments.output));
    let mut reasons = reasons.transpose()?;
    let mut output = AtomicFile::create(&arguments.output)?;
    let session = Session::new(fleet, opened.backend)
        .with_objective(arguments.objective)
        .with_explanations(reasons.is_some());
    let writer = DecisionWriter::new(output_format, &mut output);
    let batch_rounds = opened.batch_rounds;
    let mut evaluation = Evaluation { session, batch_rounds, writer, reasons: reasons.as_mut() };
    progress.begin_rows("deciding", rounds.rows());
    let mut round = Round::default();
    while rounds.read(&mut round)? {
        evaluation.push(&round)?;
        progress.step(|| rounds.rows_read());
    }
    evaluation.finish()?;
    output.commit()?;
    reasons.map_or(Ok(()), ExplanationFile::commit)
}

/// A file that is read would be gone once decisions or reasons have taken its place.
fn check_places(arguments: &Arguments) -> anyhow::Result<()> {
    let written = [("--output", Some(&arguments.output)), ("--explain", arguments.explain.as_ref())];
    for (option, path) in written.into_iter().filter_map(|(option, path)| Some((option, path?))) {
        let read = [&arguments.model, &arguments.input].into_iter().any(|read| is_same_place(path, read));
        ensure!(!read, "{option}: found {}, which is read from, expected another place", path.display());
    }
    Ok(())
}

fn read_rounds<'d>(
    arguments: &Arguments,
    directory: &'d Directory,
    progress: &mut Progress,
) -> anyhow::Result<Rounds<'d>> {
    centauri_files::silence_contained_panics();
    let mut readings = Readings::open(&arguments.input, directory)?;
    progress.begin_bytes("reading", std::fs::metadata(&arguments.input).map_or(0, |found| found.len()));
    let mut collector = RoundCollector::with_spill(directory, spill(arguments));
    while let Some(reading) = readings.next() {
        collector.push(&reading?)?;
        progress.step(|| readings.bytes_read());
    }
    Ok(collector.finish()?)
}

/// Where TMPDIR names no directory the output's disk is the best guess: it must hold the decisions, and `/tmp` may be memory.
fn spill(arguments: &Arguments) -> Spill {
    let memory_bytes = usize::try_from(arguments.sort_memory).unwrap_or(usize::MAX).saturating_mul(1 << 20);
    let output = &arguments.output;
    let beside = match output.parent() {
        Some(parent) if parent == Path::new("") && output.as_os_str() != "-" => Path::new("."),
        Some(parent) if parent.is_dir() && !parent.starts_with("/dev") => parent,
        _ => return Spill { memory_bytes, ..Spill::default() },
    };
    let directory = std::env::var_os("TMPDIR").map_or_else(|| beside.to_owned(), PathBuf::from);
    Spill { memory_bytes, directory }
}

fn output_format(path: &Path) -> anyhow::Result<Format> {
    if path.as_os_str() == "-" { Ok(Format::JsonLines) } else { Ok(Format::from_path(path)?) }
}

struct Evaluation<'a, W: Write> {
    session: Session,
    batch_rounds: usize,
    writer: DecisionWriter<W>,
    reasons: Option<&'a mut ExplanationFile>,
}

impl<W: Write> Evaluation<'_, W> {
    fn push(&mut self, round: &Round) -> anyhow::Result<()> {
        let stream = StreamId(round.stream as u32);
        if self.session.pending().len() >= self.batch_rounds || self.session.must_flush_before(stream) {
            self.flush()?;
        }
        self.session.push(stream, round.round, &round.reports)?;
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.session.flush()?;
        let decided = self.session.decided();
        for (i, &(stream, round)) in self.session.flushed().iter().enumerate() {
            let Some(info) = self.session.fleet().stream(stream) else { continue };
            self.writer.write(&DecisionRecord {
                stream: info.name(),
                round,
                replicas: info.replicas(),
                decision: decided.decision(i),
                honest: decided.honest(i),
            })?;
            if let (Some(file), Some(reasons)) = (&mut self.reasons, self.session.explanations().get(i)) {
                file.write(info, round, reasons)?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.flush()?;
        self.writer.finish()?;
        Ok(())
    }
}
