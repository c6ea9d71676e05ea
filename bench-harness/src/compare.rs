//! `centauri-bench compare`: which differences between two result files exceed the runs' own spread.
//!
//! For each cell and estimator in both, z = (new − old) ∕ √(seₒ² + seₙ²) of the RMSE (on real readings: to the mean of the honest; for
//! routes: of the regret), and its two-sided p-value under a normal law. Of thousands of pairs some are far apart by chance, so the p-values are corrected by Holm's step-down method (S. Holm,
//! “A simple sequentially rejective multiple test procedure”, Scandinavian Journal of Statistics 6, 1979): the chance that
//! even one difference is told where there is none stays below the level, however the pairs depend on each other. Runs of
//! equal seeds see the same rounds, so that their true spread is less than taken here, and the test errs towards silence.

mod speed;

pub use speed::{SpeedComparison, SpeedDifference};

use crate::report::input::{self, InputError, Key, Results, reading_key, route_key};
use crate::report::text::{clip, number, percent};
use crate::result::{Accuracy, Reading, Route};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Tell which differences between two result files exceed the runs' own spread.
///
/// RMSE to the truth of each cell and estimator in both; on real readings to the mean of the honest; of routes the regret. P-values are corrected for their number by Holm's method.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Example:
  centauri-bench compare docs/results/accuracy.jsonl new.jsonl --fail-on-regression")]
#[group(skip)]
pub struct Args {
    /// The results to compare with.
    old: PathBuf,
    /// The new results.
    new: PathBuf,
    /// The chance, over all pairs, to tell a difference where there is none.
    #[arg(long, value_name = "P", default_value_t = 0.05, value_parser = level)]
    level: f64,
    /// Compare only this estimator; may be given again.
    #[arg(long, value_name = "NAME")]
    estimator: Vec<String>,
    /// Exit with 1 if something got worse beyond the spread.
    #[arg(long)]
    fail_on_regression: bool,
}

fn level(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(level) if level > 0.0 && level < 1.0 => Ok(level),
        _ => Err(format!("`{text}`: expected a number between 0 and 1")),
    }
}

/// Runs the subcommand. Exit codes: 0 done, 1 something got worse and `--fail-on-regression` is given, 2 bad input.
#[must_use]
pub fn main(arguments: &Args) -> ExitCode {
    match run(arguments) {
        Ok(comparison) => {
            // A reader that has gone away, such as `head`, has seen what it wanted.
            let _ = std::io::stdout().lock().write_all(comparison.text().as_bytes());
            let worse = comparison.differences.iter().any(|d| d.z > 0.0) || comparison.speed.is_worse();
            let fail = arguments.fail_on_regression && worse;
            ExitCode::from(u8::from(fail))
        }
        Err(error) => {
            eprintln!("centauri-bench: {error}");
            ExitCode::from(2)
        }
    }
}

/// Reads both files and compares them.
///
/// # Errors
/// A file that can't be read, with the line at fault.
pub fn run(arguments: &Args) -> Result<Comparison, InputError> {
    let old = input::read(std::slice::from_ref(&arguments.old))?;
    let new = input::read(std::slice::from_ref(&arguments.new))?;
    let keep = |name: &str| arguments.estimator.is_empty() || arguments.estimator.iter().any(|e| e == name);
    Ok(Comparison::new(&old, &new, arguments.level, keep))
}

/// A number with its spread, and what it is of: less is better.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The estimator.
    pub estimator: String,
    /// The cell in words.
    pub place: String,
    /// The number.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
}

/// What makes two numbers speak of the same thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Cell(Key),
    Reading([String; 5]),
    Route([String; 4], u64),
}

/// A difference beyond the spread.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The estimator.
    pub estimator: String,
    /// The cell in words.
    pub place: String,
    /// Before.
    pub old: f64,
    /// After.
    pub new: f64,
    /// The difference in combined standard errors; positive where it got worse.
    pub z: f64,
    /// The p-value, corrected for the number of pairs.
    pub p: f64,
}

impl Difference {
    /// After over before; infinite where it was 0.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.new / self.old
    }

    fn line(&self) -> String {
        let change = (self.ratio() - 1.0) * 100.0;
        format!(
            "  {:<20} {:>7} → {:<7} {change:>+8.1} %  z = {:>+7.1}  p = {:<8} {}\n",
            short(&self.estimator),
            number(self.old),
            number(self.new),
            self.z,
            number(self.p),
            self.place
        )
    }
}

fn short(text: &str) -> String {
    clip(text, 32)
}

fn of_cell(record: &Accuracy) -> Measured {
    let cell = &record.cell;
    let (noise, attack, prior) = (short(&cell.noise), short(&cell.attack), short(&cell.prior));
    let mut place = format!("{noise}, {attack}, n = {}, f = {}, prior {prior}", cell.n, cell.f);
    if cell.loss > 0.0 {
        place.push_str(&format!(", loss {}", percent(cell.loss)));
    }
    if cell.model != "right" {
        place.push_str(&format!(", model {}", short(&cell.model)));
    }
    if cell.drift != "none" {
        place.push_str(&format!(", drift {}", short(&cell.drift)));
    }
    let (value, error) = (record.rmse_truth, record.rmse_truth_se);
    Measured { estimator: record.estimator.clone(), place, value, error }
}

fn of_reading(record: &Reading) -> Measured {
    let [stream, attack, model, prior, _] = reading_key(record).map(|part| short(&part));
    let place = format!("{stream}, {attack}, model {model}, prior {prior}");
    Measured { estimator: record.estimator.clone(), place, value: record.rmse, error: record.rmse_se }
}

fn of_route(record: &Route) -> Measured {
    let [choice, attack, _, prior] = route_key(record).0.map(|part| short(&part));
    let place = format!("route {choice}, {attack}, prior {prior}, handicap {:.0} s", record.handicap_s);
    Measured { estimator: record.estimator.clone(), place, value: record.regret_s, error: record.regret_se_s }
}

/// Everything in a file that can be compared, of the estimators to keep.
fn index(results: &Results, keep: &dyn Fn(&str) -> bool) -> BTreeMap<Of, Measured> {
    let cells = results.accuracy.iter().map(|r| (Of::Cell(Key::of(r)), of_cell(r)));
    let readings = results.readings.iter().map(|r| (Of::Reading(reading_key(r)), of_reading(r)));
    let routes = results.routes.iter().map(|r| {
        let (names, handicap) = route_key(r);
        (Of::Route(names, handicap), of_route(r))
    });
    cells.chain(readings).chain(routes).filter(|(_, measured)| keep(&measured.estimator)).collect()
}

/// Two result files against each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Pairs tested.
    pub pairs: usize,
    /// Cells and estimators that only the old file has.
    pub missing: usize,
    /// Cells and estimators that only the new file has.
    pub added: usize,
    /// The level of the test.
    pub level: f64,
    /// Differences beyond the spread: what got worse first, the largest change first.
    pub differences: Vec<Difference>,
    /// Speeds.
    pub speed: SpeedComparison,
}

impl Comparison {
    /// Compares the records of estimators to keep.
    #[must_use]
    pub fn new(old: &Results, new: &Results, level: f64, keep: impl Fn(&str) -> bool) -> Self {
        let speed = SpeedComparison::new(old, new);
        let (old, new) = (index(old, &keep), index(new, &keep));
        let mut differences: Vec<Difference> =
            new.iter().filter_map(|(key, new)| Some(difference(old.get(key)?, new))).collect();
        let pairs = differences.len();
        let raw: Vec<f64> = differences.iter().map(|difference| difference.p).collect();
        for (difference, p) in differences.iter_mut().zip(holm(&raw)) {
            difference.p = p;
        }
        differences.retain(|difference| difference.p <= level);
        differences.sort_by(|a, b| {
            let rank = |d: &Difference| (d.z < 0.0, d.ratio().ln().abs());
            let ((a_better, a_size), (b_better, b_size)) = (rank(a), rank(b));
            a_better.cmp(&b_better).then(b_size.total_cmp(&a_size))
        });
        Self { pairs, missing: old.len() - pairs, added: new.len() - pairs, level, differences, speed }
    }

    /// What got worse, and what better.
    #[must_use]
    pub fn split(&self) -> (&[Difference], &[Difference]) {
        self.differences.split_at(self.differences.partition_point(|difference| difference.z > 0.0))
    }

    /// The comparison for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let (worse, better) = self.split();
        if self.pairs + self.missing + self.added == 0 && self.speed.pairs > 0 {
            return self.speed.text().trim_start().to_owned();
        }
        let mut out = format!(
            "{} pairs of cell and estimator compared by RMSE (routes by regret); {} worse and {} better beyond the runs' spread \
             (Holm, level {}), {} not.\n",
            self.pairs,
            worse.len(),
            better.len(),
            self.level,
            self.pairs - self.differences.len()
        );
        if self.missing + self.added > 0 {
            out.push_str(&format!(
                "{} only in the old file, {} only in the new one.\n",
                self.missing, self.added
            ));
        }
        for (title, part) in [("Worse", worse), ("Better", better)] {
            if !part.is_empty() {
                out.push_str(&format!("\n{title}:\n"));
                out.extend(part.iter().map(Difference::line));
            }
        }
        out.push_str(&self.speed.text());
        out
    }
}

/// The difference of a pair, with its p-value yet to be corrected.
fn difference(old: &Measured, new: &Measured) -> Difference {
    let change = new.value - old.value;
    let spread = old.error.hypot(new.error);
    // Without any spread every difference is one.
    let z = if change == 0.0 { 0.0 } else { change / spread };
    let p = libm::erfc(z.abs() / std::f64::consts::SQRT_2);
    let (estimator, place) = (new.estimator.clone(), new.place.clone());
    Difference { estimator, place, old: old.value, new: new.value, z, p }
}

/// Holm's corrected p-values, in the order of the given ones: the k-th smallest of m times m − k + 1, and never less than
/// a smaller one's.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<(f64, usize)> = p.iter().copied().zip(0..).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut corrected = vec![1.0; p.len()];
    let mut least = 0.0_f64;
    for (rank, (p, at)) in order.into_iter().enumerate() {
        let tests = (corrected.len() - rank) as f64;
        least = least.max((p * tests).min(1.0));
        if let Some(slot) = corrected.get_mut(at) {
            *slot = least;
        }
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_is_right_by_hand() {
        // m = 4: 0.005·4, 0.01·3 , 0.03·2 = 0.06, 0.04·1 raised to 0.06.
        let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in corrected.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-15, "{corrected:?}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
