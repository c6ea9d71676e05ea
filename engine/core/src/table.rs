//! Tables of log-likelihoods: a row for each quantised report, a column for each grid point.

use crate::honest::Honest;
use crate::limits::{LN_LIKELIHOOD_FLOOR, TABLE_CELLS_MAX, TABLE_STEPS_MAX};
use crate::observation::Observation;
use crate::support::Support;
use std::ops::Range;

/// A message's chance `a` to reach the client in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OnTime {
    pub(crate) p: f64,
    pub(crate) ln: f64,
}

/// `L(x) = ln P(report | X = x)` of the replicas that share a link and a noise.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    honest: Honest,
    ln_in_time: f64,
    ln_missing: f64,
    rows: Rows,
}

/// What was computed when the model was compiled.
#[derive(Clone, Debug)]
pub(crate) enum Rows {
    /// Cell `t − from` is L at the distance of `t = s − i` steps, so that a row is a slice.
    Translated { from: i64, cells: Vec<f64> },
    /// A row for each report in `reports`.
    Each { reports: Range<i64>, cells: Vec<f64> },
    /// Nothing: every row is computed when it is needed.
    None,
}

/// Everything below the floor is impossible.
fn floored(ln: f64) -> f64 {
    if ln < LN_LIKELIHOOD_FLOOR { f64::NEG_INFINITY } else { ln }
}

impl Table {
    /// `ln_nothing` is the log-probability π that the replica has nothing to report. P(missing) = 1 − a·(1 − π) as float64
    /// has it: what cannot be told from 0 is impossible.
    pub(crate) fn new(honest: Honest, ln_nothing: f64, on_time: OnTime, points: usize) -> Self {
        let ln_missing = floored((1.0 - on_time.p * (1.0 - ln_nothing.exp())).ln());
        let mut table = Self { honest, ln_in_time: on_time.ln, ln_missing, rows: Rows::None };
        table.rows = table.precompute(points);
        table
    }

    fn precompute(&self, points: usize) -> Rows {
        let reach = points as i64;
        // Reports up to a support's width outside it have rows of their own; farther ones are rare.
        let reports = -reach..2 * reach;
        if let Honest::Translated(model) = &self.honest {
            let from = 1 - reports.end;
            let distances = from..points as i64 - reports.start;
            let cells = distances.map(|t| floored(self.ln_in_time + model.ln_mass(-t))).collect();
            return Rows::Translated { from, cells };
        }
        let cells = points.saturating_mul(3 * points);
        if cells > TABLE_CELLS_MAX || cells.saturating_mul(self.honest.steps_per_cell()) > TABLE_STEPS_MAX {
            return Rows::None;
        }
        let mut rows = vec![0.0; cells];
        for (row, i) in rows.chunks_exact_mut(points).zip(reports.clone()) {
            self.compute(i, row);
        }
        Rows::Each { reports, cells: rows }
    }

    fn compute(&self, i: i64, row: &mut [f64]) {
        self.honest.row(i, row);
        for cell in row {
            *cell = floored(self.ln_in_time + *cell);
        }
    }

    /// Writes L for every grid point into `row`. `Equivocated` has none and is treated like a missing message.
    pub(crate) fn likelihood(&self, observation: Observation, row: &mut [f64]) {
        let Observation::Bin(i) = observation else {
            row.fill(self.ln_missing);
            return;
        };
        let points = row.len();
        let known = match &self.rows {
            Rows::Translated { from, cells } => {
                usize::try_from(-i - from).ok().and_then(|start| cells.get(start..start + points))
            }
            Rows::Each { reports, cells } if reports.contains(&i) => {
                let start = (i - reports.start) as usize * points;
                cells.get(start..start + points)
            }
            Rows::Each { .. } | Rows::None => None,
        };
        match known {
            Some(cells) => row.copy_from_slice(cells),
            None => self.compute(i, row),
        }
    }

    /// The rows that were computed when the model was compiled.
    pub(crate) fn rows(&self) -> &Rows {
        &self.rows
    }

    /// `L` of a missing message, the same for every grid point.
    pub(crate) fn ln_missing(&self) -> f64 {
        self.ln_missing
    }

    /// Mean and standard deviation of the report when `X` is grid point `s`, where it is known.
    pub(crate) fn moments(&self, support: &Support, s: usize) -> Option<(f64, f64)> {
        self.honest.moments(support, s)
    }

    /// Whether L depends on the report's distance from the grid point only.
    pub(crate) fn is_translated(&self) -> bool {
        matches!(self.honest, Honest::Translated(_))
    }

    /// Bytes of the table's cells.
    pub(crate) fn bytes(&self) -> usize {
        match &self.rows {
            Rows::Translated { cells, .. } | Rows::Each { cells, .. } => cells.len() * size_of::<f64>(),
            Rows::None => 0,
        }
    }
}
