//! What a round takes from a model, made once: ratios of honest to faulty likelihood, linear, in float32 and float64.
//!
//! Every quorum's evidence has the factor `Π u_i` over all replicas in common. What is left is
//! `Σ_x P(x) Π_{i∈q} r_i(x)`, `r_i(x) = exp(L_i(x))/u_i`. All quorums of a round have the same size, so that dividing every
//! ratio by one constant `c` changes no comparison either. With `c` the largest ratio in the model's tables all cells
//! lie in 0 … 1, and no product overflows.

use super::lanes::{LANES_MAX, Real, normal, padded};
use crate::compile::CompiledModel;
use crate::observation::Observation;
use crate::table::{Rows, Table};
use std::ops::Range;
use std::sync::{Arc, Weak};

/// The tables of one model.
#[derive(Debug)]
pub(super) struct Ratios {
    source: Weak<CompiledModel>,
    pub(super) tables: Vec<RatioTable>,
    /// P(x), then zeros up to whole vectors: they hide whatever rows hold beyond the support.
    pub(super) prior: Cells,
    /// `ln c`.
    pub(super) ln_unit: f64,
    /// Whether float32 is likely to hold a round's products.
    pub(super) fits_single: bool,
    /// Logarithm of the smallest cell of the tables and mass of the prior that is not 0.
    pub(super) ln_least: f64,
}

/// The same numbers in both precisions, 0 or normal.
#[derive(Debug, Default)]
pub(super) struct Cells {
    pub(super) single: Vec<f32>,
    pub(super) double: Vec<f64>,
}

impl Cells {
    pub(super) fn clear(&mut self) {
        self.single.clear();
        self.double.clear();
    }

    fn of(mut double: Vec<f64>) -> Self {
        double.iter_mut().for_each(|x| *x = normal(*x));
        Self { single: double.iter().map(|&x| normal(x)).collect(), double }
    }
}

#[derive(Debug)]
pub(super) struct RatioTable {
    layout: Layout,
    pub(super) cells: Cells,
    /// Where the row of a replica that is silent begins: one ratio all along.
    pub(super) missing: usize,
    ln_least: f64,
}

/// The smallest that is not −∞; 0 if that is more.
pub(super) fn least(ln: impl Iterator<Item = f64>) -> f64 {
    ln.filter(|&ln| ln > f64::NEG_INFINITY).fold(0.0, f64::min)
}

/// Where the row of a report is.
#[derive(Debug)]
enum Layout {
    Translated { from: i64, rows: usize },
    Each { reports: Range<i64>, points: usize },
    None,
}

/// Most replicas whose products are tried in float32.
const SINGLE_REPLICAS_MAX: usize = 24;
/// A round whose likeliest products are below exp of this is not tried in float32.
const LN_SINGLE_MIN: f64 = -30.0;

impl Ratios {
    pub(super) fn new(model: &Arc<CompiledModel>) -> Self {
        let points = model.support().points();
        let ln_spoke = model.ln_faulty(Observation::Bin(0));
        let ln_silent = model.ln_faulty(Observation::Missing);
        let tops: Vec<f64> =
            model.tables().iter().map(|t| (top(t) - ln_spoke).max(t.ln_missing() - ln_silent)).collect();
        let ln_unit = tops.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let ln_unit = if ln_unit.is_finite() { ln_unit } else { 0.0 };
        let tables: Vec<RatioTable> = model
            .tables()
            .iter()
            .map(|t| RatioTable::new(t, points, ln_spoke + ln_unit, ln_silent + ln_unit))
            .collect();
        let mut prior: Vec<f64> = model.ln_prior().iter().map(|ln| ln.exp()).collect();
        prior.resize(padded(points), 0.0);
        let ln_typical: f64 = model.table_of().iter().map(|&t| tops[usize::from(t)] - ln_unit).sum();
        let ln_least = least(model.ln_prior().iter().copied());
        let ln_least = tables.iter().map(|t| t.ln_least).fold(ln_least, f64::min);
        Self {
            source: Arc::downgrade(model),
            ln_unit,
            fits_single: ln_typical > LN_SINGLE_MIN && model.replicas() <= SINGLE_REPLICAS_MAX,
            ln_least,
            tables,
            prior: Cells::of(prior),
        }
    }

    /// Whether these are of `model`, which is the same as long as it is the same allocation.
    pub(super) fn is_of(&self, model: &Arc<CompiledModel>) -> bool {
        std::ptr::eq(self.source.as_ptr(), Arc::as_ptr(model))
    }

    /// Whether the model is still held by somebody.
    pub(super) fn is_current(&self) -> bool {
        self.source.strong_count() > 0
    }
}

/// The largest `L` of a table; 0, which none exceeds, where it is not known.
fn top(table: &Table) -> f64 {
    match table.rows() {
        Rows::Translated { cells, .. } | Rows::Each { cells, .. } => {
            cells.iter().copied().fold(f64::NEG_INFINITY, f64::max)
        }
        Rows::None => 0.0,
    }
}

impl RatioTable {
    fn new(table: &Table, points: usize, ln_value: f64, ln_missing: f64) -> Self {
        let ln_rest = table.ln_missing() - ln_missing;
        let linear = |cells: &[f64]| {
            let mut linear: Vec<f64> = cells.iter().map(|ln| (ln - ln_value).exp()).collect();
            // The last rows are read in whole vectors too.
            linear.resize(cells.len() + LANES_MAX, 0.0);
            let missing = linear.len();
            linear.resize(missing + padded(points), ln_rest.exp());
            (missing, Cells::of(linear))
        };
        let (layout, (missing, cells)) = match table.rows() {
            Rows::Translated { from, cells } => {
                (Layout::Translated { from: *from, rows: cells.len() + 1 - points }, linear(cells))
            }
            Rows::Each { reports, cells } => {
                (Layout::Each { reports: reports.clone(), points }, linear(cells))
            }
            Rows::None => (Layout::None, linear(&[])),
        };
        let ln_least = match table.rows() {
            Rows::Translated { cells, .. } | Rows::Each { cells, .. } => {
                least(cells.iter().map(|ln| ln - ln_value))
            }
            Rows::None => 0.0,
        };
        let ln_least = least([ln_least, ln_rest].into_iter());
        Self { layout, cells, missing, ln_least }
    }

    /// Where the row of a report in bin `i` begins; `None` where the model must compute it.
    pub(super) fn row(&self, i: i64) -> Option<usize> {
        match &self.layout {
            Layout::Translated { from, rows } => usize::try_from(-i - from).ok().filter(|start| start < rows),
            Layout::Each { reports, points } => {
                reports.contains(&i).then(|| (i - reports.start) as usize * points)
            }
            Layout::None => None,
        }
    }
}

/// The cells of a table in one precision.
pub(super) trait InCells: Real {
    fn cells(cells: &Cells) -> &[Self];
}

impl InCells for f32 {
    fn cells(cells: &Cells) -> &[Self] {
        &cells.single
    }
}

impl InCells for f64 {
    fn cells(cells: &Cells) -> &[Self] {
        &cells.double
    }
}
