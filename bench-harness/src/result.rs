//! The lines of a result file: JSON Lines, the first of which says how the run was made.
//!
//! Every length is in standard deviations of an honest replica's error (for a partial window: of what such a replica reports
//! about the ideal output), so that cells of different noise can be compared.

mod fleet;
mod ingest;
mod speed;

pub use fleet::Fleet;
pub use ingest::Ingest;
pub use speed::{Agreement, By, Growth, Instructions, Settled, Speed, SpeedWork};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// One line of a result file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    /// How the run was made; the first line.
    Run(Run),
    /// One estimator in one cell.
    Accuracy(Box<Accuracy>),
    /// One estimator's decision against one liar's value.
    Influence(Influence),
    /// Real readings that were measured.
    Stream(Stream),
    /// One estimator on real readings under one attack.
    Reading(Box<Reading>),
    /// One way to choose a route, under one attack.
    Route(Route),
    /// One backend's speed at one work.
    Speed(Box<Speed>),
    /// How one backend's time grows with one size.
    Growth(Box<Growth>),
    /// One backend's instructions at one work.
    Instructions(Box<Instructions>),
    /// How fast signed messages are taken in.
    Ingest(Box<Ingest>),
    /// How punctual a server was under the traffic of a fleet.
    Fleet(Box<Fleet>),
}

/// How a run was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Version of the harness.
    pub version: String,
    /// Commit of the working tree, or `unknown`.
    pub commit: String,
    /// The command line.
    pub command: String,
    /// Processor, cores and system.
    pub machine: String,
    /// Seed of the whole run.
    pub seed: u64,
    /// Date as `YYYY-MM-DD`.
    pub date: String,
    /// Whether it was a short run.
    pub quick: bool,
}

/// A combination of circumstances in which every estimator is measured on the same rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Noise of an honest replica, or `window_` and the computation of a partial window.
    pub noise: String,
    /// What the liars do.
    pub attack: String,
    /// Replicas.
    pub n: usize,
    /// Liars, and the number of faults that the estimators are told.
    pub f: usize,
    /// `none`, `weak` (6 sd), `strong` (1 sd) or `following`.
    pub prior: String,
    /// Probability that an honest replica's report is lost.
    pub loss: f64,
    /// How honest replicas change unmodelled while the run lasts: `none`, `bias` or `scale`.
    pub drift: String,
    /// What is wrong with the model that the estimators are told: `right`, `scale_x2`, `scale_half`, `wrong_family`,
    /// `prior_shifted`, or `fitted` where it was learned from one half of readings and is judged on the other.
    pub model: String,
}

/// One estimator's measures in one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// The cell.
    pub cell: Cell,
    /// The estimator's name.
    pub estimator: String,
    /// Rounds measured.
    pub rounds: usize,
    /// Root of the mean squared error to the truth.
    pub rmse_truth: f64,
    /// Standard error of `rmse_truth`, from the means of batches of rounds.
    pub rmse_truth_se: f64,
    /// Root of the mean squared distance to the mean of the honest reports that came.
    pub rmse_honest: f64,
    /// `rmse_truth` over that of the mean of the honest reports that came.
    pub rel_honest_mean: f64,
    /// Mean error, estimate − truth.
    pub bias: f64,
    /// Mean error in the attack's direction, where the attack pushes one way; for `omniscient`, which chooses its side anew
    /// each round, the mean absolute error.
    pub bias_max: Option<f64>,
    /// Share of rounds in which the central credible interval holds the truth, the distribution being flat within each bin of
    /// its grid.
    pub coverage: Option<Levels>,
    /// Mean width of these intervals.
    pub width: Option<Levels>,
    /// Share of rounds in which the region holds the truth. For our objectives: the region of the decision, widened on each
    /// side by as much as the 95 % interval given the honest replicas alone reaches beyond its peak; for Marzullo,
    /// Brooks–Iyengar and Pyth the interval that they give.
    pub region_coverage: Option<f64>,
    /// Mean width of the region.
    pub region_width: Option<f64>,
    /// Mean natural logarithm of the density that the reported distribution gives the truth (at least −60 a round).
    pub log_score: Option<f64>,
    /// Pairs of a level and the share of rounds in which the central interval of this level holds the truth.
    pub calibration: Option<Vec<(f64, f64)>>,
    /// Share of liars' rounds in which the liar is named: P(honest) < 0.05 over the last three rounds.
    pub liars_named: Option<f64>,
    /// Share of honest replicas' rounds in which an honest one is named.
    pub honest_named: Option<f64>,
    /// Seed of the cell's rounds.
    pub seed: u64,
    /// Mean squared errors of batches of whole chains, by which estimators that played the same rounds are compared in pairs.
    /// Not kept in files.
    #[serde(skip)]
    pub batch_squares: Vec<f64>,
}

/// A stream of real readings, and how its model was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// Its name.
    pub stream: String,
    /// The replicas.
    pub replicas: Vec<String>,
    /// Liars, and the number of faults that the estimators are told.
    pub f: usize,
    /// Seconds from round to round.
    pub step_s: f64,
    /// Rounds from which the model was fitted.
    pub fitted: usize,
    /// Rounds that were judged.
    pub judged: usize,
    /// Rounds of the judged stretches that were left out, because a known fault had all replicas.
    pub excluded: usize,
    /// Standard deviation, in the stream's unit, of a replica's distance to the mean of all in the fitted half: the unit of
    /// lengths in [`Reading`].
    pub sd: f64,
    /// How old a replayed value is, in seconds.
    pub lag_s: f64,
    /// Whether the fit itself chose a prior that follows.
    pub follows: bool,
    /// What was done to the readings before.
    pub notes: Vec<String>,
}

/// One estimator's measures on a stream of real readings under one attack. There is no truth to be had; the yardstick is
/// the mean of the honest replicas' readings, liars' own readings not counted, and, beside it, the mean of all replicas'
/// readings as they were before any was replaced by a lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The stream.
    pub stream: String,
    /// What the liars do.
    pub attack: String,
    /// Replicas.
    pub n: usize,
    /// Liars, and the number of faults that the estimators are told.
    pub f: usize,
    /// The model that our objectives were told: `fitted`, each replica with a bias and a noise of its own, or `alike`, all replicas
    /// with the same normal noise. Rivals are told neither.
    pub model: String,
    /// `none` or `following`.
    pub prior: String,
    /// The estimator's name.
    pub estimator: String,
    /// Rounds measured.
    pub rounds: usize,
    /// Root of the mean squared distance to the mean of the honest, in sd.
    pub rmse: f64,
    /// Its standard error, from the means of batches of rounds.
    pub rmse_se: f64,
    /// Root of the mean squared distance to the mean of all, in sd.
    pub rmse_all: f64,
    /// Its standard error.
    pub rmse_all_se: f64,
    /// Share of rounds in which the central credible interval holds the mean of the honest.
    pub coverage: Option<Levels>,
    /// Share of rounds in which it holds the mean of all.
    pub coverage_all: Option<Levels>,
    /// Mean width of the intervals, in sd.
    pub width: Option<Levels>,
    /// Share of liars' rounds in which the liar is named.
    pub liars_named: Option<f64>,
    /// Share of honest replicas' rounds in which an honest one is named.
    pub honest_named: Option<f64>,
    /// Seed of who lies when.
    pub seed: u64,
}

/// One way to choose between two routes, under one attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Which routes there are to choose from.
    pub choice: String,
    /// The two routes.
    pub routes: [String; 2],
    /// What the liar does.
    pub attack: String,
    /// Replicas.
    pub n: usize,
    /// Faults.
    pub f: usize,
    /// How a route's travel time is estimated.
    pub estimator: String,
    /// The prior of our objectives; `none` for all others.
    pub prior: String,
    /// Seconds by which the first route counts as longer than it is.
    pub handicap_s: f64,
    /// Choices made.
    pub rounds: usize,
    /// Share of choices that took the truly faster route.
    pub right: f64,
    /// Its standard error, from the means of batches of neighbouring rounds.
    pub right_se: f64,
    /// Mean of how much longer the chosen route took than the faster one, in seconds.
    pub regret_s: f64,
    /// Its standard error.
    pub regret_se_s: f64,
    /// Root of the mean squared error of the two routes' times, in seconds; none where no time is estimated.
    pub rmse_s: Option<f64>,
    /// Seed of the delays and of who lies.
    pub seed: u64,
}

/// A number for each of three levels of credibility.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Levels {
    /// Of the 50 % interval.
    #[serde(rename = "50")]
    pub p50: f64,
    /// Of the 80 % interval.
    #[serde(rename = "80")]
    pub p80: f64,
    /// Of the 95 % interval.
    #[serde(rename = "95")]
    pub p95: f64,
}

/// An influence curve: the decision as a function of one liar's value, all other replicas being honest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Influence {
    /// The estimator's name.
    pub estimator: String,
    /// Replicas, the liar among them.
    pub n: usize,
    /// Faults that the estimator is told.
    pub f: usize,
    /// The prior, as in a [`Cell`].
    pub prior: String,
    /// Pairs of the liar's value and the decision, both relative to the truth.
    pub points: Vec<(f64, f64)>,
}

/// Digits of the numbers in a result file, which no run's spread reaches.
const DIGITS: usize = 6;

/// Where the lines of a run go.
#[derive(Debug)]
pub struct Output(Option<(PathBuf, PathBuf, File)>);

impl Output {
    /// Opens a file beside `path`, before hours are spent on what goes into it; without one the lines go nowhere. An older file stays
    /// as it is until the new one is whole.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self(None)) };
        let name = path.file_name().with_context(|| format!("{}: expected a file's name", path.display()))?;
        let mut part = std::ffi::OsString::from(".");
        part.push(name);
        part.push(".part");
        let part = path.with_file_name(part);
        let file = File::create(&part).with_context(|| path.display().to_string())?;
        Ok(Self(Some((path.to_owned(), part, file))))
    }

    /// Writes the lines: JSON Lines, their numbers rounded to six digits, what is not there left out; compressed by Zstandard if the
    /// file's name ends in `.zst`.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(self, lines: &[Line]) -> anyhow::Result<()> {
        let Some((path, part, file)) = self.0 else { return Ok(()) };
        let mut text = Vec::new();
        for line in lines {
            let mut value = serde_json::to_value(line)?;
            tidy(&mut value);
            serde_json::to_writer(&mut text, &value)?;
            text.push(b'\n');
        }
        let mut file = BufWriter::new(file);
        let written = if path.extension().is_some_and(|end| end == "zst") {
            zstd::stream::copy_encode(text.as_slice(), &mut file, 19)
        } else {
            file.write_all(&text)
        };
        let written = written.and_then(|()| file.flush()).and_then(|()| std::fs::rename(&part, &path));
        written.with_context(|| path.display().to_string())
    }
}

/// Rounds numbers and takes out what is null.
fn tidy(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            if let Some(rounded) = number.as_f64().map(rounded).and_then(serde_json::Number::from_f64) {
                *number = rounded;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(tidy),
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

fn rounded(x: f64) -> f64 {
    format!("{x:.*e}", DIGITS - 1).parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_and_read_back() {
        let text =
            r#"{"kind":"influence","estimator":"median","n":7,"f":2,"prior":"none","points":[[1.0,0.5]]}"#;
        let line: Line = serde_json::from_str(text).unwrap();
        assert!(matches!(&line, Line::Influence(i) if i.points == [(1.0, 0.5)]));
        assert_eq!(serde_json::to_string(&line).unwrap(), text);
        let levels = Levels { p50: 0.5, p80: 0.8, p95: 0.95 };
        assert_eq!(serde_json::to_string(&levels).unwrap(), r#"{"50":0.5,"80":0.8,"95":0.95}"#);
    }

    #[test]
    fn a_file_is_replaced_when_it_is_whole_and_its_numbers_are_rounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.jsonl");
        std::fs::write(&path, "old").unwrap();
        let output = Output::open(Some(&path)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        let points = vec![(1.0 / 3.0, -123_456_789.0), (2e-9, 0.0)];
        let (estimator, prior) = ("mean".to_owned(), "none".to_owned());
        output.write(&[Line::Influence(Influence { estimator, n: 7, f: 2, prior, points })]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("[[0.333333,-123457000.0],[2e-9,0.0]]"), "{text}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half-written is left");
    }
}
