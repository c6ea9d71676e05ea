//! `centauri check`: what a model says, and what is foolish in it.

mod json;

use centauri_engine::{Checked, CheckedModel, Finding, FindingKind, ModelError, check};
use centauri_files::{locate, parse_model, read_model_text};
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Say in plain words what a model file says, and warn of what is legal in it but foolish.
///
/// Streams that share a model are told once. An illegal model is an error, with file, line and what was expected.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  centauri check model.toml --strict

Exit codes: 0 a legal model, with or without warnings; 1 warnings, with --strict; 2 an illegal model.")]
pub(super) struct Arguments {
    /// Model file (TOML).
    #[arg(value_name = "MODEL.toml")]
    model: PathBuf,
    /// Leave with 1 if there are warnings.
    #[arg(long)]
    strict: bool,
    /// Write one JSON object instead of words.
    #[arg(long)]
    json: bool,
    /// Tell every model and warning, however many there are.
    #[arg(long)]
    all: bool,
}

/// Models told in words unless all are asked for.
const MODELS_TOLD: usize = 20;
/// Warnings told in words unless all are asked for.
const WARNINGS_TOLD: usize = 100;
/// Streams named where several share a model or a warning.
const STREAMS_TOLD: usize = 5;

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let text = read_model_text(&arguments.model)?;
    let file = arguments.model.display().to_string();
    let model = parse_model(&text, &file)?;
    let checked = check(&model).map_err(|error| locate(&error, &text, &file))?;
    let mut out = BufWriter::new(io::stdout().lock());
    if arguments.json {
        json::write(&mut out, &file, &checked)?;
    } else {
        Words { file: &file, text: &text, all: arguments.all, out: &mut out }.tell(&checked)?;
    }
    out.flush()?;
    let warned = checked.all_findings().next().is_some();
    Ok(if arguments.strict && warned { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

struct Words<'a, W> {
    file: &'a str,
    text: &'a str,
    all: bool,
    out: W,
}

impl<W: Write> Words<'_, W> {
    fn tell(&mut self, checked: &Checked) -> io::Result<()> {
        let streams: usize = checked.models.iter().map(|model| model.streams.len()).sum();
        let models = checked.models.len();
        writeln!(self.out, "{}: {} of {}", self.file, plural(streams, "stream"), plural(models, "model"))?;
        let told = if self.all { models } else { models.min(MODELS_TOLD) };
        for model in checked.models.iter().take(told) {
            self.model(model)?;
        }
        if told < models {
            writeln!(self.out, "\n… and {} (--all tells them)", plural(models - told, "more model"))?;
        }
        self.warnings(checked)
    }

    fn model(&mut self, model: &CheckedModel) -> io::Result<()> {
        let shared = match model.streams.len() {
            1 => String::new(),
            n => format!(" ({n} streams)"),
        };
        writeln!(self.out, "\n{}{shared}", some(&model.streams))?;
        for (heading, sentence) in model.facts.words() {
            writeln!(self.out, "  {heading:<12} {sentence}")?;
        }
        Ok(())
    }

    fn warnings(&mut self, checked: &Checked) -> io::Result<()> {
        let grouped = grouped(checked);
        if grouped.is_empty() {
            return writeln!(self.out, "\nno warnings");
        }
        writeln!(self.out, "\n{}:", plural(grouped.len(), "warning"))?;
        let told = if self.all { grouped.len() } else { grouped.len().min(WARNINGS_TOLD) };
        for (first, others) in grouped.iter().take(told) {
            writeln!(self.out, "  {}", self.located(first))?;
            if !others.is_empty() {
                writeln!(
                    self.out,
                    "    the same in {}: {}",
                    plural(others.len(), "other model"),
                    some(others)
                )?;
            }
        }
        if told < grouped.len() {
            let left = plural(grouped.len() - told, "more warning");
            writeln!(self.out, "  … and {left} (--all tells them)")?;
        }
        Ok(())
    }

    /// The finding with file and line.
    fn located(&self, finding: &Finding) -> String {
        let Finding { stream, key, kind, text } = finding;
        let as_error =
            ModelError { stream: stream.clone(), key: key.clone(), problem: format!("{text} [{kind}]") };
        locate(&as_error, self.text, self.file).to_string()
    }
}

/// Findings of one kind and key told once, in the order of the first, with the first streams of the other models.
fn grouped(checked: &Checked) -> Vec<(&Finding, Vec<&str>)> {
    let mut groups: Vec<(&Finding, Vec<&str>)> = Vec::new();
    let mut known: BTreeMap<(FindingKind, &str), usize> = BTreeMap::new();
    for finding in checked.all_findings() {
        let index = *known.entry((finding.kind, &finding.key)).or_insert(groups.len());
        match groups.get_mut(index) {
            // Two of one kind and key in one model differ in their text.
            Some((first, _)) if first.stream == finding.stream => groups.push((finding, Vec::new())),
            Some((_, others)) => others.push(&finding.stream),
            None => groups.push((finding, Vec::new())),
        }
    }
    groups
}

fn some<S: AsRef<str>>(names: &[S]) -> String {
    let told: Vec<&str> = names.iter().take(STREAMS_TOLD).map(AsRef::as_ref).collect();
    let told = told.join(", ");
    match names.len().saturating_sub(STREAMS_TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
