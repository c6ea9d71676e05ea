//! The output of `centauri check --json`.

use centauri_engine::{
    Checked, CheckedModel, Finding, ModelFacts, OutputFacts, PriorFacts, ReplicaKind, Spread,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

/// Writes one object and a line's end.
pub(super) fn write(mut out: impl Write, file: &str, checked: &Checked) -> anyhow::Result<()> {
    let root = Root {
        file,
        streams: checked.models.iter().map(|model| model.streams.len()).sum(),
        table_bytes: checked.table_bytes,
        findings: checked.findings.iter().map(FindingRow::from).collect(),
        models: checked.models.iter().map(ModelRow::from).collect(),
    };
    serde_json::to_writer(&mut out, &root)?;
    Ok(out.write_all(b"\n")?)
}

#[derive(Serialize)]
struct Root<'a> {
    file: &'a str,
    streams: usize,
    table_bytes: usize,
    findings: Vec<FindingRow<'a>>,
    models: Vec<ModelRow<'a>>,
}

#[derive(Serialize)]
struct ModelRow<'a> {
    streams: &'a [String],
    replicas: &'a [String],
    groups: BTreeMap<&'a str, Vec<&'a str>>,
    units: usize,
    faults: usize,
    quorum_size: usize,
    quorums: Option<u64>,
    objective: &'static str,
    credible: f64,
    silence: f64,
    support: SupportRow,
    prior: PriorRow<'a>,
    output: OutputRow<'a>,
    reports: Vec<KindRow<'a>>,
    table_bytes: usize,
    words: Vec<String>,
    findings: Vec<FindingRow<'a>>,
}

#[derive(Serialize)]
struct SupportRow {
    min: f64,
    max: f64,
    step: f64,
    points: usize,
}

#[derive(Serialize)]
struct SpreadRow<'a> {
    name: Option<&'a str>,
    family: &'static str,
    mean: Option<f64>,
    sd: Option<f64>,
}

#[derive(Serialize)]
struct PriorRow<'a> {
    distribution: Option<SpreadRow<'a>>,
    mean: f64,
    sd: f64,
    below: f64,
    above: f64,
    follows: bool,
    step: Option<SpreadRow<'a>>,
    leak: Option<f64>,
}

#[derive(Serialize)]
struct OutputRow<'a> {
    computation: &'static str,
    messages: usize,
    first_offset: Option<f64>,
    last_offset: Option<f64>,
    arrival: Option<SpreadRow<'a>>,
    deadline: Option<f64>,
    in_time_least: Option<f64>,
    in_time_most: Option<f64>,
    expected_readings: f64,
    nothing: f64,
    source: Option<SpreadRow<'a>>,
}

#[derive(Serialize)]
struct KindRow<'a> {
    replicas: Vec<&'a str>,
    on_time: Option<f64>,
    missing: f64,
    noise: Option<SpreadRow<'a>>,
}

#[derive(Serialize)]
struct FindingRow<'a> {
    stream: Option<&'a str>,
    key: &'a str,
    kind: &'static str,
    text: &'a str,
}

impl<'a> From<&'a Finding> for FindingRow<'a> {
    fn from(finding: &'a Finding) -> Self {
        let stream = (!finding.stream.is_empty()).then_some(finding.stream.as_str());
        Self { stream, key: &finding.key, kind: finding.kind.name(), text: &finding.text }
    }
}

impl<'a> From<&'a Spread> for SpreadRow<'a> {
    fn from(spread: &'a Spread) -> Self {
        Self { name: spread.name.as_deref(), family: spread.family, mean: spread.mean, sd: spread.sd }
    }
}

impl<'a> From<&'a PriorFacts> for PriorRow<'a> {
    fn from(prior: &'a PriorFacts) -> Self {
        Self {
            distribution: prior.distribution.as_ref().map(SpreadRow::from),
            mean: prior.mean,
            sd: prior.sd,
            below: prior.below,
            above: prior.above,
            follows: prior.step.is_some(),
            step: prior.step.as_ref().map(SpreadRow::from),
            leak: prior.leak,
        }
    }
}

impl<'a> From<&'a OutputFacts> for OutputRow<'a> {
    fn from(output: &'a OutputFacts) -> Self {
        Self {
            computation: output.computation.name(),
            messages: output.messages,
            first_offset: output.offsets.map(|(first, _)| first),
            last_offset: output.offsets.map(|(_, last)| last),
            arrival: output.arrival.as_ref().map(SpreadRow::from),
            deadline: output.deadline,
            in_time_least: output.in_time.map(|(least, _)| least),
            in_time_most: output.in_time.map(|(_, most)| most),
            expected_readings: output.expected_readings,
            nothing: output.nothing,
            source: output.source.as_ref().map(SpreadRow::from),
        }
    }
}

/// The replicas of each fault group.
fn groups(facts: &ModelFacts) -> BTreeMap<&str, Vec<&str>> {
    let names = |members: &[usize]| {
        members.iter().filter_map(|&position| facts.replicas.get(position)).map(String::as_str).collect()
    };
    facts.groups.iter().map(|(name, members)| (name.as_str(), names(members))).collect()
}

impl<'a> KindRow<'a> {
    fn new(facts: &'a ModelFacts, kind: &'a ReplicaKind) -> Self {
        let names = kind.positions.iter().filter_map(|&position| facts.replicas.get(position));
        Self {
            replicas: names.map(String::as_str).collect(),
            on_time: kind.on_time,
            missing: kind.missing,
            noise: kind.noise.as_ref().map(SpreadRow::from),
        }
    }
}

impl<'a> From<&'a CheckedModel> for ModelRow<'a> {
    fn from(model: &'a CheckedModel) -> Self {
        let facts = &model.facts;
        let support = &facts.support;
        Self {
            streams: &model.streams,
            replicas: &facts.replicas,
            groups: groups(facts),
            units: facts.units,
            faults: facts.faults,
            quorum_size: facts.quorum_size,
            quorums: facts.quorums,
            objective: facts.objective.name(),
            credible: facts.credible,
            silence: facts.silence,
            support: SupportRow {
                min: support.min(),
                max: support.point(support.points() - 1),
                step: support.step(),
                points: support.points(),
            },
            prior: PriorRow::from(&facts.prior),
            output: OutputRow::from(&facts.output),
            reports: facts.kinds.iter().map(|kind| KindRow::new(facts, kind)).collect(),
            table_bytes: facts.table_bytes,
            words: facts.words().into_iter().map(|(heading, words)| format!("{heading}: {words}")).collect(),
            findings: model.findings.iter().map(FindingRow::from).collect(),
        }
    }
}
