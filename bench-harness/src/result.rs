//! The lines of a result file: JSON Lines, the first of which says how the run was made.
//!
//! Every length is in standard deviations of an honest replica's error (for a partial window: of what such a replica reports
//! about the ideal output), so that cells of different noise can be compared.

use serde::{Deserialize, Serialize};

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
    /// What is wrong with the model that the estimators are told: `right`, `scale_x2`, `scale_half`, `wrong_family` or
    /// `prior_shifted`.
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
}
