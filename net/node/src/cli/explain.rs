//! The explanations of `centauri eval --explain`: one JSON object a round, beside the decisions.

use anyhow::{bail, ensure};
use centauri_engine::{Explanation, ReplicaReason, Report, Status, Stream, Without};
use centauri_files::{AtomicFile, Format};
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// Writes explanations to a file that appears whole or not at all.
#[derive(Debug)]
pub(super) struct ExplanationFile {
    out: AtomicFile,
}

impl ExplanationFile {
    /// Begins the file at `path`, which is not where the decisions go.
    pub(super) fn create(path: &Path, decisions: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        if !is_standard_output(path) && Format::from_path(path)? != Format::JsonLines {
            bail!("--explain: found {shown}, expected a name that ends in .jsonl, or - for standard output");
        }
        ensure!(
            !is_same_place(path, decisions),
            "--explain: found {shown}, where the decisions go too, expected another place"
        );
        Ok(Self { out: AtomicFile::create(path)? })
    }

    /// Adds the explanation of one round.
    pub(super) fn write(
        &mut self,
        stream: &Stream,
        round: i64,
        explanation: &Explanation,
    ) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.out, &RoundRow::new(stream, round, explanation))?;
        self.out.write_all(b"\n")?;
        Ok(())
    }

    /// Puts the file in its place.
    pub(super) fn commit(self) -> anyhow::Result<()> {
        Ok(self.out.commit()?)
    }
}

/// Whether both are standard output, or lead to one file.
pub(super) fn is_same_place(a: &Path, b: &Path) -> bool {
    if is_standard_output(a) || is_standard_output(b) {
        return is_standard_output(a) && is_standard_output(b);
    }
    let absolute = |path: &Path| std::path::absolute(path).ok();
    // A link may lead to a file under another name; pipes and devices may well be written to twice.
    let target = |path: &Path| path.canonicalize().ok().filter(|target| target.is_file());
    match (target(a), target(b)) {
        (Some(a), Some(b)) => a == b,
        _ => !a.exists() && absolute(a) == absolute(b),
    }
}

fn is_standard_output(path: &Path) -> bool {
    path == Path::new("-") || path == Path::new("/dev/stdout")
}

#[derive(Serialize)]
struct RoundRow<'a> {
    stream: &'a str,
    round: i64,
    status: &'static str,
    objective: &'static str,
    value: f64,
    confidence: f64,
    low: f64,
    high: f64,
    quorum: Vec<&'a str>,
    replicas_left: usize,
    units_left: usize,
    faults_left: usize,
    replicas: Vec<ReplicaRow<'a>>,
}

#[derive(Serialize)]
struct ReplicaRow<'a> {
    name: &'a str,
    observed: &'static str,
    value: Option<f64>,
    log_likelihood: Option<f64>,
    log_faulty: Option<f64>,
    honest: Option<f64>,
    in_quorum: bool,
    expected_mean: Option<f64>,
    expected_sd: Option<f64>,
    best_fit: Option<f64>,
    best_fit_log_likelihood: Option<f64>,
    without: WithoutRow<'a>,
    reason: String,
}

#[derive(Serialize)]
struct WithoutRow<'a> {
    status: &'static str,
    value: f64,
    confidence: f64,
    low: f64,
    high: f64,
    quorum: Vec<&'a str>,
}

fn names(quorum: centauri_engine::Quorum, stream: &Stream) -> Vec<&str> {
    quorum.positions().filter_map(|position| stream.replicas().get(position)).map(String::as_str).collect()
}

impl<'a> RoundRow<'a> {
    fn new(stream: &'a Stream, round: i64, explanation: &Explanation) -> Self {
        let decision = &explanation.decision;
        let row = |(position, (name, reason)): (usize, (&'a String, &ReplicaReason))| {
            ReplicaRow::new(stream, name, reason, explanation.sentence(position))
        };
        Self {
            stream: stream.name(),
            round,
            status: decision.status.name(),
            objective: explanation.objective.name(),
            value: decision.value,
            confidence: decision.confidence,
            low: decision.low,
            high: decision.high,
            quorum: names(decision.quorum, stream),
            replicas_left: explanation.replicas_left,
            units_left: explanation.units_left,
            faults_left: explanation.faults_left,
            replicas: stream.replicas().iter().zip(&explanation.replicas).enumerate().map(row).collect(),
        }
    }
}

impl<'a> ReplicaRow<'a> {
    fn new(stream: &'a Stream, name: &'a str, reason: &ReplicaReason, sentence: String) -> Self {
        let (observed, value) = match reason.report {
            Report::Missing => ("missing", None),
            Report::Value(value) => ("value", Some(value)),
            Report::Equivocated => ("equivocated", None),
        };
        Self {
            name,
            observed,
            value,
            log_likelihood: reason.ln_likelihood,
            log_faulty: reason.ln_faulty,
            honest: reason.honest,
            in_quorum: reason.in_quorum,
            expected_mean: reason.expected.map(|(mean, _)| mean),
            expected_sd: reason.expected.map(|(_, sd)| sd),
            best_fit: reason.best_fit.map(|(at, _)| at),
            best_fit_log_likelihood: reason.best_fit.map(|(_, ln)| ln),
            without: WithoutRow::new(stream, &reason.without),
            reason: sentence,
        }
    }
}

impl<'a> WithoutRow<'a> {
    fn new(stream: &'a Stream, without: &Without) -> Self {
        let Without { status, value, confidence, low, high, quorum } = *without;
        let quorum = if status == Status::Decided { names(quorum, stream) } else { Vec::new() };
        Self { status: status.name(), value, confidence, low, high, quorum }
    }
}
