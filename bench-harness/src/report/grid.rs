//! Accuracy records in order: cells, each with its estimators, and what objectives and rivals do in them.

use super::input::{Key, Results};
use crate::result::{Accuracy, Cell};
use std::collections::BTreeMap;

/// The objectives of Centauri, which are not rivals of each other.
const OBJECTIVES: [&str; 7] =
    ["marginal", "marginal_mode", "coalition", "coalition_mode", "evidence", "joint", "posterior"];
/// Yardsticks that know who is honest, and so can't be rivals.
const YARDSTICKS: [&str; 3] = ["honest_mean", "honest_optimal", "oracle"];
/// Priors from the least to the most that they tell.
const PRIORS: [&str; 4] = ["none", "weak", "strong", "following"];

/// Which estimators are whose.
#[derive(Clone, Debug)]
pub struct Roles {
    /// The objective that the report judges.
    pub objective: String,
    /// Objectives beside the ones known.
    pub ours: Vec<String>,
}

impl Roles {
    /// Whether it is one of our objectives.
    #[must_use]
    pub fn is_ours(&self, estimator: &str) -> bool {
        estimator == self.objective
            || OBJECTIVES.contains(&estimator)
            || self.ours.iter().any(|name| name == estimator)
    }

    /// Whether it is a rival: neither ours, nor one that knows who is honest.
    #[must_use]
    pub fn is_rival(&self, estimator: &str) -> bool {
        !self.is_ours(estimator) && !YARDSTICKS.contains(&estimator)
    }
}

/// A cell and all that was measured in it.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// The cell.
    pub cell: &'a Cell,
    /// Records by estimator, in the report's order of estimators.
    pub records: Vec<&'a Accuracy>,
}

impl<'a> Row<'a> {
    /// One estimator's record.
    #[must_use]
    pub fn of(&self, estimator: &str) -> Option<&'a Accuracy> {
        self.records.iter().find(|record| record.estimator == estimator).copied()
    }

    /// The rival of the least error.
    #[must_use]
    pub fn best_rival(&self, roles: &Roles) -> Option<&'a Accuracy> {
        self.records
            .iter()
            .filter(|record| roles.is_rival(&record.estimator))
            .min_by(|a, b| a.rmse_truth.total_cmp(&b.rmse_truth))
            .copied()
    }

    /// What the estimators' model gets wrong here, or `None` where it is right and nothing drifts.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let cell = self.cell;
        match (cell.model.as_str(), cell.drift.as_str()) {
            ("right", "none") => None,
            ("right", drift) => Some(format!("drift {drift}")),
            (model, "none") => Some(model.to_owned()),
            (model, drift) => Some(format!("{model}, drift {drift}")),
        }
    }
}

/// All cells, and the orders in which a report names things.
#[derive(Clone, Debug)]
pub struct Grid<'a> {
    /// Cells in the order of their first record.
    pub rows: Vec<Row<'a>>,
    /// Priors: the known ones first.
    pub priors: Vec<&'a str>,
    /// Attacks: none first, then as they come.
    pub attacks: Vec<&'a str>,
    /// Estimators: ours first, then as they come.
    pub estimators: Vec<&'a str>,
    /// Which estimators are whose.
    pub roles: &'a Roles,
}

impl<'a> Grid<'a> {
    /// Puts records in order.
    #[must_use]
    pub fn new(results: &'a Results, roles: &'a Roles) -> Self {
        let mut index = BTreeMap::new();
        let mut rows: Vec<Row<'a>> = Vec::new();
        for record in &results.accuracy {
            let key = Key::of_cell(record);
            let next = rows.len();
            let at = *index.entry(key).or_insert(next);
            match rows.get_mut(at) {
                Some(row) => row.records.push(record),
                None => rows.push(Row { cell: &record.cell, records: vec![record] }),
            }
        }
        let mut grid = Self { rows, priors: Vec::new(), attacks: Vec::new(), estimators: Vec::new(), roles };
        let all = &results.accuracy;
        grid.priors = in_order(all.iter().map(|r| r.cell.prior.as_str()), |prior| {
            PRIORS.iter().position(|known| known == prior).unwrap_or(PRIORS.len())
        });
        grid.attacks =
            in_order(all.iter().map(|r| r.cell.attack.as_str()), |attack| usize::from(*attack != "none"));
        grid.estimators =
            in_order(all.iter().map(|r| r.estimator.as_str()), |name| estimator_rank(roles, name));
        let order: BTreeMap<&str, usize> =
            grid.estimators.iter().enumerate().map(|(i, name)| (*name, i)).collect();
        for row in &mut grid.rows {
            row.records.sort_by_key(|record| order.get(record.estimator.as_str()));
        }
        grid
    }

    /// Cells of a prior in which the model is right and nothing drifts.
    pub fn right(&self, prior: &str) -> impl Iterator<Item = &Row<'a>> {
        self.rows.iter().filter(move |row| row.cell.prior == prior && row.fault().is_none())
    }

    /// The judged objective against another estimator (`None`: the best rival of each cell) in some cells.
    pub fn compare<'b>(&self, rows: impl Iterator<Item = &'b Row<'a>>, other: Option<&str>) -> Comparison<'a>
    where
        'a: 'b,
    {
        let mut ratios = Vec::new();
        for row in rows {
            let other = other.map_or_else(|| row.best_rival(self.roles), |name| row.of(name));
            if let (Some(ours), Some(other)) = (row.of(&self.roles.objective), other) {
                ratios.push(Ratio { ours, other });
            }
        }
        Comparison { ratios }
    }
}

/// Distinct names by rank, then in the order of their first appearance.
pub(super) fn in_order<'a>(
    names: impl Iterator<Item = &'a str>,
    rank: impl Fn(&&'a str) -> usize,
) -> Vec<&'a str> {
    let mut seen = std::collections::BTreeSet::new();
    let mut out: Vec<&str> = names.filter(|name| seen.insert(*name)).collect();
    out.sort_by_key(|name| rank(name));
    out
}

/// The judged objective, then ours, then mean and median, then all others, then the yardsticks.
pub(super) fn estimator_rank(roles: &Roles, name: &str) -> usize {
    if name == roles.objective {
        return 0;
    }
    if let Some(at) = OBJECTIVES.iter().position(|known| *known == name) {
        return 1 + at;
    }
    match name {
        _ if roles.is_ours(name) => 10,
        "mean" => 11,
        "median" => 12,
        _ if roles.is_rival(name) => 13,
        _ => 14,
    }
}

/// Two estimators in one cell.
#[derive(Clone, Copy, Debug)]
pub struct Ratio<'a> {
    /// The judged objective.
    pub ours: &'a Accuracy,
    /// Its rival.
    pub other: &'a Accuracy,
}

impl Ratio<'_> {
    /// Ours over the other's RMSE; 1 where both are 0.
    #[must_use]
    pub fn value(&self) -> f64 {
        if self.ours.rmse_truth == self.other.rmse_truth {
            1.0
        } else {
            self.ours.rmse_truth / self.other.rmse_truth
        }
    }

    /// Whether ours is above by more than two combined standard errors, taken as if the two were independent (they see
    /// the same rounds, so that the true spread is mostly less).
    #[must_use]
    pub fn beyond_spread(&self) -> bool {
        let spread = self.ours.rmse_truth_se.hypot(self.other.rmse_truth_se);
        self.ours.rmse_truth - self.other.rmse_truth > 2.0 * spread
    }
}

/// The judged objective against something in many cells.
#[derive(Clone, Debug)]
pub struct Comparison<'a> {
    /// One for each cell in which both were measured.
    pub ratios: Vec<Ratio<'a>>,
}

impl<'a> Comparison<'a> {
    /// Cells in which both were measured.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.ratios.len()
    }

    /// Share of cells at or below (a rounding error aside).
    #[must_use]
    pub fn at_or_below(&self) -> Option<f64> {
        share(self.ratios.iter().map(|ratio| ratio.value() <= 1.0 + 1e-9))
    }

    /// Share of cells not above by more than the runs' spread.
    #[must_use]
    pub fn within_spread(&self) -> Option<f64> {
        share(self.ratios.iter().map(|ratio| !ratio.beyond_spread()))
    }

    /// The cell of the largest ratio; the first of equals.
    #[must_use]
    pub fn worst(&self) -> Option<Ratio<'a>> {
        self.sorted().first().copied()
    }

    /// From the largest ratio down.
    #[must_use]
    pub fn sorted(&self) -> Vec<Ratio<'a>> {
        let mut ratios = self.ratios.clone();
        ratios.sort_by(|a, b| b.value().total_cmp(&a.value()));
        ratios
    }

    /// Median ratio.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        median(self.ratios.iter().map(Ratio::value))
    }
}

/// The share of `true`; `None` of none.
pub(super) fn share(values: impl Iterator<Item = bool>) -> Option<f64> {
    let (mut hits, mut all) = (0_u32, 0_u32);
    for value in values {
        hits += u32::from(value);
        all += 1;
    }
    (all > 0).then(|| f64::from(hits) / f64::from(all))
}

/// The median, the mean of the middle two of an even count; `None` of none.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get(values.len().checked_sub(1)? / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// The least and the largest; `None` of none.
pub(super) fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((low.min(value), high.max(value))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ranges() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
        assert_eq!(range([3.0, 1.0, 2.0].into_iter()), Some((1.0, 3.0)));
        assert_eq!(share([true, false, true, true].into_iter()), Some(0.75));
    }

    #[test]
    fn roles_tell_rivals_from_ours_and_from_yardsticks() {
        let roles = Roles { objective: "marginal".into(), ours: vec!["fifth".into()] };
        for (name, ours, rival) in [
            ("marginal", true, false),
            ("fifth", true, false),
            ("median", false, true),
            ("honest_mean", false, false),
        ] {
            assert_eq!((roles.is_ours(name), roles.is_rival(name)), (ours, rival), "{name}");
        }
    }
}
