//! Measures of one estimator in one cell, gathered round by round.

pub mod distribution;
pub mod naming;

use crate::estimator::{Decided, Estimate};
use crate::result::{Accuracy, Cell, Levels};
use naming::Naming;

/// The levels of the intervals that are told.
pub const LEVELS: [f64; 3] = [0.5, 0.8, 0.95];
/// Most batches into which the rounds are put for the standard error.
pub const BATCHES_MAX: usize = 20;

/// What is known of a round beside the estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circumstances<'a> {
    /// The ideal output.
    pub truth: f64,
    /// Mean of the honest reports that came, where any did.
    pub honest_mean: Option<f64>,
    /// Direction in which the attack pushes; 0 where it does not push one way.
    pub side: f64,
    /// Who lies.
    pub liars: &'a [bool],
    /// The region, widened by what the honest replicas alone leave open.
    pub region: Option<(f64, f64)>,
}

/// Gathers measures.
#[derive(Clone, Debug)]
pub struct Tally {
    unit: f64,
    chains: Vec<usize>,
    errors: Vec<f64>,
    to_honest: Vec<f64>,
    honest_errors: Vec<f64>,
    pushed: Vec<f64>,
    distributions: Option<Distributions>,
    region: (usize, usize, f64),
    naming: Naming,
}

#[derive(Clone, Debug, Default)]
struct Distributions {
    covered: [usize; 3],
    widths: [f64; 3],
    ln_density: f64,
    /// |2·CDF(truth) − 1|: the level of the least central interval that holds the truth.
    levels: Vec<f64>,
}

impl Tally {
    /// For `n` replicas of which at most `f` lie; lengths are told in `unit`s.
    #[must_use]
    pub fn new(n: usize, f: usize, unit: f64) -> Self {
        Self {
            unit,
            chains: Vec::new(),
            errors: Vec::new(),
            to_honest: Vec::new(),
            honest_errors: Vec::new(),
            pushed: Vec::new(),
            distributions: None,
            region: (0, 0, 0.0),
            naming: Naming::new(n, f),
        }
    }

    /// Begins a new chain.
    pub fn restart(&mut self) {
        self.chains.push(self.errors.len());
        self.naming.restart();
    }

    /// Takes in a round whose judged value is `value`.
    pub fn round(&mut self, value: f64, estimate: &Estimate, about: &Circumstances<'_>) {
        let error = (value - about.truth) / self.unit;
        self.errors.push(error);
        if let Some(honest) = about.honest_mean {
            self.to_honest.push((value - honest) / self.unit);
            self.honest_errors.push((honest - about.truth) / self.unit);
        }
        if about.side.is_nan() {
            self.pushed.push(error.abs());
        } else if about.side != 0.0 {
            self.pushed.push(error * about.side);
        }
        if let Some((low, high)) = about.region {
            self.region.0 += 1;
            self.region.1 += usize::from(low <= about.truth && about.truth <= high);
            self.region.2 += (high - low) / self.unit;
        }
        if let Some(decided) = &estimate.decided {
            let unit = self.unit;
            self.distributions.get_or_insert_default().round(decided, about.truth, unit);
            self.naming.round(decided.honest.as_deref(), about.liars);
        }
    }

    /// The line of the result file.
    #[must_use]
    pub fn line(&self, cell: &Cell, estimator: &str, seed: u64) -> Accuracy {
        let rmse = root_mean_square(&self.errors);
        let share = |part: usize, all: usize| (all > 0).then(|| part as f64 / all as f64);
        let named = self.naming.counts();
        let rounds = self.errors.len();
        let told = self.distributions.as_ref();
        let squares = self.batch_squares();
        Accuracy {
            cell: cell.clone(),
            estimator: estimator.to_owned(),
            rounds,
            rmse_truth: rmse,
            rmse_truth_se: Self::standard_error(rmse, &squares),
            rmse_honest: root_mean_square(&self.to_honest),
            rel_honest_mean: rmse / root_mean_square(&self.honest_errors),
            bias: mean(&self.errors),
            bias_max: (!self.pushed.is_empty()).then(|| mean(&self.pushed)),
            coverage: told.map(|d| Levels::of(d.covered.map(|c| c as f64 / rounds as f64))),
            width: told.map(|d| Levels::of(d.widths.map(|w| w / rounds as f64))),
            region_coverage: share(self.region.1, self.region.0),
            region_width: (self.region.0 > 0).then(|| self.region.2 / self.region.0 as f64),
            log_score: told.map(|d| d.ln_density / rounds as f64),
            calibration: told.map(Distributions::calibration),
            liars_named: share(named.liars_named, named.liars),
            honest_named: share(named.honest_named, named.honest),
            seed,
            batch_squares: squares,
        }
    }

    /// Mean squared errors of batches. Rounds of a chain depend on each other and chains do not, so that a batch is some whole
    /// chains.
    fn batch_squares(&self) -> Vec<f64> {
        let batches = self.chains.len().min(BATCHES_MAX);
        let start =
            |b: usize| self.chains.get(b * self.chains.len() / batches).copied().unwrap_or(self.errors.len());
        (0..batches)
            .map(|b| mean(&self.errors[start(b)..start(b + 1)].iter().map(|e| e * e).collect::<Vec<_>>()))
            .collect()
    }

    fn standard_error(rmse: f64, squares: &[f64]) -> f64 {
        let batches = squares.len();
        if batches < 2 || rmse == 0.0 {
            return 0.0;
        }
        let centre = mean(squares);
        let variance = squares.iter().map(|s| (s - centre).powi(2)).sum::<f64>() / (batches - 1) as f64;
        // d√m = dm/(2√m)
        (variance / batches as f64).sqrt() / (2.0 * rmse)
    }
}

impl Distributions {
    fn round(&mut self, decided: &Decided, truth: f64, unit: f64) {
        for (i, level) in LEVELS.into_iter().enumerate() {
            let (low, high) = decided.distribution.interval(level);
            self.covered[i] += usize::from(low <= truth && truth <= high);
            self.widths[i] += (high - low) / unit;
        }
        // A density per unit, so that cells can be compared.
        self.ln_density += decided.distribution.ln_density(truth) + unit.ln();
        self.levels.push((2.0 * decided.distribution.cdf(truth) - 1.0).abs());
    }

    fn calibration(&self) -> Vec<(f64, f64)> {
        let nominal = (1..20).map(|i| f64::from(i) / 20.0).chain([0.99]);
        let share = |level: f64| {
            let inside = self.levels.iter().filter(|l| **l <= level).count();
            inside as f64 / self.levels.len() as f64
        };
        nominal.map(|level| (level, share(level))).collect()
    }
}

impl Levels {
    fn of(levels: [f64; 3]) -> Self {
        Self { p50: levels[0], p80: levels[1], p95: levels[2] }
    }
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

fn root_mean_square(values: &[f64]) -> f64 {
    mean(&values.iter().map(|v| v * v).collect::<Vec<_>>()).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::distribution::OnGrid;

    fn cell() -> Cell {
        let text = r#"{"noise":"gaussian","attack":"none","n":4,"f":1,"prior":"none","loss":0.0,"drift":"none","model":"right"}"#;
        serde_json::from_str(text).unwrap()
    }

    fn about(truth: f64, honest: f64, side: f64) -> Circumstances<'static> {
        Circumstances { truth, honest_mean: Some(honest), side, liars: &[false; 4], region: None }
    }

    #[test]
    fn errors_by_hand() {
        let mut tally = Tally::new(4, 1, 2.0);
        for (value, truth, honest) in [(3.0, 1.0, 2.0), (1.0, 1.0, 3.0), (-1.0, 3.0, 5.0), (5.0, 3.0, 1.0)] {
            tally.restart();
            tally.round(value, &Estimate::of(value), &about(truth, honest, -1.0));
        }
        let line = tally.line(&cell(), "mean", 7);
        // Errors in units of 2: 1, 0, −2, 1.
        assert!((line.rmse_truth - 1.5f64.sqrt()).abs() < 1e-12);
        assert_eq!((line.bias, line.bias_max), (0.0, Some(0.0)));
        // To the honest mean: ½, −1, −3, 2; the honest mean's errors: ½, 1, 1, −1.
        assert!((line.rmse_honest - (14.25f64 / 4.0).sqrt()).abs() < 1e-12);
        assert!((line.rel_honest_mean - 1.5f64.sqrt() / (3.25f64 / 4.0).sqrt()).abs() < 1e-12);
        // Squares 1, 0, 4, 1: variance 3, standard error of the mean √(3/4), of the root that over 2√1.5.
        assert!((line.rmse_truth_se - 0.75f64.sqrt() / (2.0 * 1.5f64.sqrt())).abs() < 1e-12);
        assert_eq!((line.coverage, line.liars_named, line.region_width), (None, None, None));
    }

    #[test]
    fn coverage_calibration_and_score_by_hand() {
        let mut tally = Tally::new(4, 1, 1.0);
        let distribution = OnGrid { min: 0.0, step: 1.0, probability: vec![0.25; 4] };
        let decided = Decided {
            mode: 0.0,
            distribution,
            region: None,
            honest: Some(vec![0.9; 4]),
            ln_marginal: Vec::new(),
        };
        tally.restart();
        for truth in [0.0, 1.0, 1.5, 3.0] {
            let estimate = Estimate { value: 1.5, interval: None, decided: Some(decided.clone()) };
            let region = Some((0.5, 2.5));
            tally.round(1.5, &estimate, &Circumstances { region, ..about(truth, 0.0, 0.0) });
        }
        let line = tally.line(&cell(), "marginal", 7);
        // 50 %: [0.5, 2.5]; 80 %: [−0.1, 3.1]; 95 %: [−0.4, 3.4].
        assert_eq!(line.coverage, Some(Levels { p50: 0.5, p80: 1.0, p95: 1.0 }));
        let width = line.width.unwrap();
        assert!((width.p50 - 2.0).abs() + (width.p80 - 3.2).abs() + (width.p95 - 3.8).abs() < 1e-12);
        assert_eq!(line.log_score, Some(0.25f64.ln()));
        assert_eq!((line.region_coverage, line.region_width), (Some(0.5), Some(2.0)));
        // CDF at the truths: 0.125, 0.375, 0.5, 0.875, which central intervals of level 0.75, 0.25, 0, 0.75 reach.
        let calibration = line.calibration.unwrap();
        assert_eq!(calibration[3], (0.2, 0.25));
        assert_eq!(calibration[9], (0.5, 0.5));
        assert_eq!(calibration[19], (0.99, 1.0));
        assert_eq!((line.liars_named, line.honest_named), (None, Some(0.0)));
    }

    #[test]
    fn an_attack_that_chooses_its_side_each_round_buys_the_absolute_error() {
        let mut tally = Tally::new(4, 1, 1.0);
        tally.restart();
        for value in [2.0, -4.0] {
            tally.round(value, &Estimate::of(value), &about(0.0, 0.0, f64::NAN));
        }
        assert_eq!(tally.line(&cell(), "mean", 7).bias_max, Some(3.0));
    }
}
