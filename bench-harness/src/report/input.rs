//! Reading result files: JSON Lines from disk into records whose numbers are in range.

mod fleet;
mod speed;

pub use speed::SpeedKey;

use super::text::clip;
use crate::result::{
    Accuracy, By, Fleet, Growth, Influence, Ingest, Instructions, Reading, Route, Run, Speed, Stream,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Longest line taken, in bytes: a record is a few kilobytes at most.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Most lines taken from all files together: a full run has some ten thousand.
const LINES_MAX: usize = 1_000_000;
/// Most distinct kinds of records that are told apart when they are not known.
const OTHER_KINDS_MAX: usize = 100;
/// Most points of one curve.
const POINTS_MAX: usize = 10_000;

/// Why results can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The file can't be opened or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is not a record.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was found and what was expected.
        problem: String,
    },
}

/// Everything that result files say.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// How the runs were made, in the order of the files.
    pub runs: Vec<Run>,
    /// One record for each cell and estimator, in the order of their first appearance.
    pub accuracy: Vec<Accuracy>,
    /// One record for each estimator, n, f and prior, in the order of their first appearance.
    pub influence: Vec<Influence>,
    /// Streams of real readings, in the order of their first appearance.
    pub streams: Vec<Stream>,
    /// One record for each estimator on a stream under an attack, in the order of their first appearance.
    pub readings: Vec<Reading>,
    /// One record for each way to choose a route under an attack, in the order of their first appearance.
    pub routes: Vec<Route>,
    /// One record for each work and backend, in the order of their first appearance.
    pub speed: Vec<Speed>,
    /// One record for each size, objective and backend, likewise.
    pub growth: Vec<Growth>,
    /// One record for each work and backend, likewise.
    pub instructions: Vec<Instructions>,
    /// One record for each work and verifier of signed messages, likewise.
    pub ingest: Vec<Ingest>,
    /// One record for each size and way of serving, likewise.
    pub fleet: Vec<Fleet>,
    /// Records that a later one for the same cell and estimator replaced.
    pub replaced: usize,
    /// Counts of records of kinds that this version doesn't know.
    pub others: BTreeMap<String, usize>,
}

#[derive(serde::Deserialize)]
struct Kind {
    kind: String,
}

/// What makes two accuracy records speak of the same thing: the cell and the estimator, in an order of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The prior, the model's fault and the drift.
    pub circumstances: [String; 3],
    /// Bits of the loss, which is a probability, so that their order is its order.
    loss_bits: u64,
    /// The noise and the attack.
    pub case: [String; 2],
    /// Replicas and liars.
    pub size: [usize; 2],
    /// The estimator.
    pub estimator: String,
}

impl Key {
    /// The key of a record's cell, whatever the estimator.
    #[must_use]
    pub fn of_cell(record: &Accuracy) -> Self {
        Self { estimator: String::new(), ..Self::of(record) }
    }

    /// The key of a record.
    #[must_use]
    pub fn of(record: &Accuracy) -> Self {
        let cell = &record.cell;
        Self {
            circumstances: [cell.prior.clone(), cell.model.clone(), cell.drift.clone()],
            loss_bits: (cell.loss + 0.0).to_bits(),
            case: [cell.noise.clone(), cell.attack.clone()],
            size: [cell.n, cell.f],
            estimator: record.estimator.clone(),
        }
    }
}

/// Reads result files. Of two records for the same cell and estimator the later replaces the earlier.
///
/// # Errors
/// [`InputError`] names the file, and the line that is not a record or has a number out of range.
pub fn read(paths: &[PathBuf]) -> Result<Results, InputError> {
    let mut results = Results::default();
    let mut index = Index::default();
    let mut lines_total = 0;
    for path in paths {
        let file = File::open(path).map_err(|source| InputError::Io { path: path.clone(), source })?;
        let io = |source| InputError::Io { path: path.clone(), source };
        let input: Box<dyn BufRead> = if path.extension().is_some_and(|end| end == "zst") {
            Box::new(BufReader::new(zstd::stream::Decoder::new(file).map_err(io)?))
        } else {
            Box::new(BufReader::new(file))
        };
        read_lines(path, input, &mut lines_total, &mut |text| take(text, &mut results, &mut index))?;
    }
    Ok(results)
}

fn read_lines(
    path: &Path,
    mut input: impl BufRead,
    lines_total: &mut usize,
    each: &mut dyn FnMut(&str) -> Result<(), String>,
) -> Result<(), InputError> {
    let mut bytes = Vec::new();
    let mut line = 0;
    loop {
        bytes.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        let count = (&mut input)
            .take(limit)
            .read_until(b'\n', &mut bytes)
            .map_err(|source| InputError::Io { path: path.to_owned(), source })?;
        if count == 0 {
            return Ok(());
        }
        line += 1;
        *lines_total += 1;
        let at = |problem: String| InputError::Line { path: path.to_owned(), line, problem };
        if count > LINE_BYTES_MAX {
            return Err(at(format!("a line of more than {LINE_BYTES_MAX} bytes; a record is shorter")));
        }
        if *lines_total > LINES_MAX {
            return Err(at(format!("more than {LINES_MAX} lines in all; give fewer files")));
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| at(format!("not UTF-8: {error}")))?;
        let text = text.trim();
        if !text.is_empty() {
            each(text).map_err(at)?;
        }
    }
}

/// Where the record of a key lies.
#[derive(Default)]
struct Index {
    accuracy: BTreeMap<Key, usize>,
    influence: BTreeMap<(String, usize, usize, String), usize>,
    streams: BTreeMap<String, usize>,
    readings: BTreeMap<[String; 5], usize>,
    routes: BTreeMap<([String; 4], u64), usize>,
    speed: BTreeMap<SpeedKey, usize>,
    growth: BTreeMap<(String, String, By), usize>,
    instructions: BTreeMap<SpeedKey, usize>,
    ingest: BTreeMap<[String; 3], usize>,
    fleet: BTreeMap<fleet::FleetKey, usize>,
}

/// What makes two records of real readings speak of the same thing.
#[must_use]
pub fn reading_key(record: &Reading) -> [String; 5] {
    let Reading { stream, attack, model, prior, estimator, .. } = record;
    [stream, attack, model, prior, estimator].map(Clone::clone)
}

/// What makes two records of routes speak of the same thing.
#[must_use]
pub fn route_key(record: &Route) -> ([String; 4], u64) {
    let Route { choice, attack, estimator, prior, .. } = record;
    // Bits of the handicap, so that equal means equal.
    ([choice, attack, estimator, prior].map(Clone::clone), (record.handicap_s + 0.0).to_bits())
}

fn take(text: &str, results: &mut Results, index: &mut Index) -> Result<(), String> {
    let Kind { kind } = parse(text)?;
    match kind.as_str() {
        "run" => results.runs.push(parse(text)?),
        "accuracy" => {
            let record: Accuracy = parse(text)?;
            check_accuracy(&record)?;
            let next = results.accuracy.len();
            let at = *index.accuracy.entry(Key::of(&record)).or_insert(next);
            results.replaced += place(&mut results.accuracy, at, record);
        }
        "influence" => {
            let record: Influence = parse(text)?;
            check_points("points", &record.points)?;
            let key = (record.prior.clone(), record.n, record.f, record.estimator.clone());
            let next = results.influence.len();
            let at = *index.influence.entry(key).or_insert(next);
            results.replaced += place(&mut results.influence, at, record);
        }
        "stream" => {
            let record: Stream = parse(text)?;
            let at = *index.streams.entry(record.stream.clone()).or_insert(results.streams.len());
            results.replaced += place(&mut results.streams, at, record);
        }
        "reading" => {
            let record: Reading = parse(text)?;
            check_reading(&record)?;
            let at = *index.readings.entry(reading_key(&record)).or_insert(results.readings.len());
            results.replaced += place(&mut results.readings, at, record);
        }
        "route" => {
            let record: Route = parse(text)?;
            check_route(&record)?;
            let at = *index.routes.entry(route_key(&record)).or_insert(results.routes.len());
            results.replaced += place(&mut results.routes, at, record);
        }
        "speed" => speed::take_speed(text, results, index)?,
        "growth" => speed::take_growth(text, results, index)?,
        "instructions" => speed::take_instructions(text, results, index)?,
        "ingest" => speed::take_ingest(text, results, index)?,
        "fleet" => fleet::take_fleet(text, results, index)?,
        _ => {
            let name = clip(&kind, 40);
            if results.others.len() >= OTHER_KINDS_MAX && !results.others.contains_key(&name) {
                return Err(format!("more than {OTHER_KINDS_MAX} unknown kinds of records"));
            }
            *results.others.entry(name).or_default() += 1;
        }
    }
    Ok(())
}

/// Puts a record in its place and says how many (0 or 1) it replaced.
fn place<T>(records: &mut Vec<T>, at: usize, record: T) -> usize {
    match records.get_mut(at) {
        Some(old) => {
            *old = record;
            1
        }
        None => {
            records.push(record);
            0
        }
    }
}

fn parse<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string().replace(" at line 1 column", ", column");
        format!("not a record: {}", clip(&message, 300))
    })
}

fn check_accuracy(record: &Accuracy) -> Result<(), String> {
    let cell = &record.cell;
    if cell.n == 0 || cell.f >= cell.n {
        return Err(format!("n = {}, f = {}: expected n ≥ 1 and f < n", cell.n, cell.f));
    }
    share("cell.loss", Some(cell.loss))?;
    for (name, value) in [
        ("rmse_truth", record.rmse_truth),
        ("rmse_truth_se", record.rmse_truth_se),
        ("rmse_honest", record.rmse_honest),
        ("rel_honest_mean", record.rel_honest_mean),
    ] {
        at_least_0(name, value)?;
    }
    if let Some(levels) = record.coverage {
        share("coverage.50", Some(levels.p50))?;
        share("coverage.80", Some(levels.p80))?;
        share("coverage.95", Some(levels.p95))?;
    }
    share("region_coverage", record.region_coverage)?;
    share("liars_named", record.liars_named)?;
    share("honest_named", record.honest_named)?;
    if let Some(points) = &record.calibration {
        check_points("calibration", points)?;
        for &(nominal, observed) in points {
            share("calibration", Some(nominal))?;
            share("calibration", Some(observed))?;
        }
    }
    Ok(())
}

fn check_reading(record: &Reading) -> Result<(), String> {
    if record.n == 0 || record.f >= record.n {
        return Err(format!("n = {}, f = {}: expected n ≥ 1 and f < n", record.n, record.f));
    }
    at_least_0("rmse", record.rmse)?;
    at_least_0("rmse_se", record.rmse_se)?;
    at_least_0("rmse_all", record.rmse_all)?;
    at_least_0("rmse_all_se", record.rmse_all_se)?;
    for levels in [record.coverage, record.coverage_all].into_iter().flatten() {
        share("coverage.50", Some(levels.p50))?;
        share("coverage.80", Some(levels.p80))?;
        share("coverage.95", Some(levels.p95))?;
    }
    share("liars_named", record.liars_named)?;
    share("honest_named", record.honest_named)
}

fn check_route(record: &Route) -> Result<(), String> {
    share("right", Some(record.right))?;
    at_least_0("right_se", record.right_se)?;
    at_least_0("regret_s", record.regret_s)?;
    at_least_0("regret_se_s", record.regret_se_s)
}

fn at_least_0(name: &str, value: f64) -> Result<(), String> {
    if value < 0.0 { Err(format!("{name} = {value}: expected a number of at least 0")) } else { Ok(()) }
}

fn share(name: &str, value: Option<f64>) -> Result<(), String> {
    match value {
        Some(value) if !(0.0..=1.0).contains(&value) => {
            Err(format!("{name} = {value}: expected a share from 0 to 1"))
        }
        _ => Ok(()),
    }
}

fn check_points(name: &str, points: &[(f64, f64)]) -> Result<(), String> {
    if points.len() > POINTS_MAX {
        return Err(format!("{name}: {} points; at most {POINTS_MAX} are taken", points.len()));
    }
    Ok(())
}
