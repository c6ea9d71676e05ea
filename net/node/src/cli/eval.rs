//! `centauri eval`: decides recorded rounds.

use anyhow::Context;
use centauri_engine::{Backend, Fleet, Objective, ScalarBackend, Session, StreamId};
use centauri_files::{
    AtomicFile, DecisionRecord, DecisionWriter, Directory, Format, Readings, Round, collect_rounds, locate,
    parse_model,
};
use std::io::Write;
use std::path::PathBuf;

/// Decide recorded rounds: a model and readings in, decisions out.
///
/// Readings have the columns stream, round, replica, value; an empty value, or no row, is a missing message. Rows may
/// come in any order. There is one decision for each round that has a row, in order of stream name and round.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  centauri eval --model model.toml --input readings.csv --output decisions.jsonl

The formats are told by the extensions: .csv or .jsonl. `-` as output is standard output, as JSON Lines.")]
pub(super) struct Arguments {
    /// Model file (TOML).
    #[arg(long, value_name = "MODEL.toml")]
    model: PathBuf,
    /// Readings (.csv or .jsonl).
    #[arg(long, value_name = "READINGS")]
    input: PathBuf,
    /// Where the decisions go (.csv or .jsonl, or - for standard output).
    #[arg(long, value_name = "DECISIONS")]
    output: PathBuf,
    /// What computes: `scalar` is float64, one round at a time; `auto` takes the fastest there is.
    #[arg(long, default_value = "auto", value_enum)]
    backend: BackendChoice,
    /// Decide by this objective instead of each model's own: posterior, joint, evidence or marginal.
    #[arg(long, value_name = "OBJECTIVE")]
    objective: Option<Objective>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum BackendChoice {
    Auto,
    Scalar,
}

impl BackendChoice {
    fn open(self) -> Box<dyn Backend> {
        match self {
            Self::Auto | Self::Scalar => Box::new(ScalarBackend::new()),
        }
    }
}

/// Rounds that are evaluated together.
const BATCH_ROUNDS: usize = 4_096;

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    Format::from_path(&arguments.input)?;
    let output_format = output_format(&arguments.output)?;
    let text = read_text(&arguments.model)?;
    let model_name = arguments.model.display().to_string();
    let model = parse_model(&text, &model_name)?;
    let fleet = Fleet::compile(&model).map_err(|error| locate(&error, &text, &model_name))?;
    let directory = Directory::new(&model);
    let readings = Readings::open(&arguments.input, &directory)?;
    let rounds = collect_rounds(readings, &directory)?;

    let mut output = AtomicFile::create(&arguments.output)?;
    let session = Session::new(fleet, arguments.backend.open()).with_objective(arguments.objective);
    let mut evaluation = Evaluation { session, writer: DecisionWriter::new(output_format, &mut output) };
    for round in rounds {
        evaluation.push(&round?)?;
    }
    evaluation.finish()?;
    output.commit()?;
    Ok(())
}

fn output_format(path: &std::path::Path) -> anyhow::Result<Format> {
    if path.as_os_str() == "-" { Ok(Format::JsonLines) } else { Ok(Format::from_path(path)?) }
}

/// The text of a file, with the file's name in the error.
pub(super) fn read_text(path: &std::path::Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

struct Evaluation<W: Write> {
    session: Session,
    writer: DecisionWriter<W>,
}

impl<W: Write> Evaluation<W> {
    fn push(&mut self, round: &Round) -> anyhow::Result<()> {
        let stream = StreamId(round.stream as u32);
        if self.session.pending().len() >= BATCH_ROUNDS || self.session.must_flush_before(stream) {
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
        }
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.flush()?;
        self.writer.finish()?;
        Ok(())
    }
}
