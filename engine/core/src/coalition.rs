//! What the `coalition` objective takes liars to say, and how much it takes replicas to err together.
//!
//! A liar who says nearly the truth moves nothing, and one far away is found out: lies that pay are a few standard deviations
//! off. And liars who want to be believed say the same. See `docs/NUMERICS.md`, section "The coalition model".

use crate::observation::Observation;
use crate::support::Support;
use crate::table::Table;
use std::f64::consts::{PI, SQRT_2};

/// Share of the lies that lie where it pays; the others are anywhere on the support.
pub const PAYING_SHARE: f64 = 0.75;
/// Scale of the paying lies' distance, in standard deviations of an honest report; their density peaks at √2 of it.
pub const PAYING_SDS: f64 = 2.0;
/// Probability that the liars echo one of the reports rather than lie each on its own.
pub const ECHO_PROBABILITY: f64 = 0.5;
/// Share of an echo's reports that is one; the others are anywhere on the support.
pub const ECHO_SHARE: f64 = 0.9;
/// Share of the echoes that are exact; the others are normal around what they echo.
pub const EXACT_SHARE: f64 = 0.5;
/// Standard deviation of an echo that is not exact, in those of an honest report.
pub const ECHO_SDS: f64 = 0.5;
/// Reports that are tried as the one that is echoed, at most.
pub const LEADERS_MAX: usize = 8;

/// Honest reports whose standard deviation is less than so many steps are all alike: where lies pay cannot be said.
pub(crate) const SD_LEAST: f64 = 1e-4;

/// The exponent τ = 1/(1 + (m − 1)·ρ), m = n − f/2 being the mean number of honest replicas: with errors of correlation ρ,
/// m replicas are worth m·τ independent ones.
#[must_use]
pub fn tempering(correlation: f64, replicas: usize, faults: usize) -> f64 {
    tempered(correlation, replicas as f64 - faults as f64 / 2.0)
}

/// The same for `honest` honest replicas on average.
pub(crate) fn tempered(correlation: f64, honest: f64) -> f64 {
    1.0 / (1.0 + (honest - 1.0).max(0.0) * correlation)
}

/// Lies and echoes of the replicas that share a table.
#[derive(Clone, Debug)]
pub(crate) struct Lies {
    /// Mean and standard deviation of an honest report for each grid point, where they are known.
    honest: Vec<Option<(f64, f64)>>,
    /// `ln c` by distance, where it depends on that only: cell `t − from` is that of `t = s − i` steps.
    translated: Option<(i64, Vec<f64>)>,
    /// `ln` of an echo's probability, by the number of steps between echo and echoed.
    ln_echo: Vec<f64>,
    speaks: Speaks,
}

/// What a faulty replica that speaks shows, apart from what it says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Speaks {
    /// `ln` of the probability that it is silent.
    pub(crate) ln_silent: f64,
    /// `ln` of the probability that it shows one value of the support, all alike.
    pub(crate) ln_flat: f64,
}

impl Lies {
    pub(crate) fn new(table: &Table, support: &Support, speaks: Speaks) -> Self {
        let points = support.points();
        let least = SD_LEAST * support.step();
        let honest = (0..points).map(|s| table.moments(support, s).filter(|&(_, sd)| sd > least)).collect();
        let mut lies = Self { honest, translated: None, ln_echo: Vec::new(), speaks };
        if table.is_translated() {
            let reach = points as i64;
            // As far as the honest table reaches; what lies farther out is all but flat.
            let from = 1 - 2 * reach;
            let cell = |t: i64| lies.ln_lie(support, -t, 0);
            lies.translated = Some((from, (from..2 * reach).map(cell).collect()));
            lies.ln_echo = (0..2 * reach).map(|d| lies.ln_echo_at(support, d)).collect();
        }
        lies
    }

    /// Writes `ln c(x)` for every grid point into `row`.
    pub(crate) fn lie(&self, support: &Support, observation: Observation, row: &mut [f64]) {
        let Observation::Bin(i) = observation else {
            row.fill(self.speaks.ln_silent);
            return;
        };
        if let Some((from, cells)) = &self.translated {
            let start = usize::try_from(-i - from).ok();
            if let Some(known) = start.and_then(|start| cells.get(start..start + row.len())) {
                row.copy_from_slice(known);
                return;
            }
        }
        row.iter_mut().enumerate().for_each(|(s, cell)| *cell = self.ln_lie(support, i, s));
    }

    /// `ln` of the probability of an echo `distance` steps away from what it echoes.
    pub(crate) fn ln_echo(&self, support: &Support, distance: i64) -> f64 {
        let away = usize::try_from(distance.unsigned_abs()).ok().and_then(|d| self.ln_echo.get(d));
        away.copied().unwrap_or_else(|| self.ln_echo_at(support, distance))
    }

    fn ln_lie(&self, support: &Support, i: i64, s: usize) -> f64 {
        let Some((mean, sd)) = self.honest[s] else { return self.speaks.ln_flat };
        let (centre, half, scale) = (support.centre(i) - mean, support.step() / 2.0, PAYING_SDS * sd);
        let paying = paying_mass((centre - half) / scale, (centre + half) / scale);
        self.mixed(support, PAYING_SHARE, paying)
    }

    fn ln_echo_at(&self, support: &Support, distance: i64) -> f64 {
        let exact = if distance == 0 { EXACT_SHARE } else { 0.0 };
        let near = self.honest[0].map_or(0.0, |(_, sd)| {
            let scale = ECHO_SDS * sd;
            let (away, half) = (distance as f64 * support.step(), support.step() / 2.0);
            (1.0 - EXACT_SHARE) * normal_mass((away - half) / scale, (away + half) / scale)
        });
        self.mixed(support, ECHO_SHARE, exact + near)
    }

    /// `ln` of: it speaks, and says what has `mass` with probability `share` and else anything.
    fn mixed(&self, support: &Support, share: f64, mass: f64) -> f64 {
        let points = support.points() as f64;
        self.speaks.ln_flat + (1.0 - share + share * mass * points).ln()
    }

    pub(crate) fn bytes(&self) -> usize {
        let translated = self.translated.as_ref().map_or(0, |(_, cells)| cells.len());
        (translated + self.ln_echo.len()) * size_of::<f64>() + size_of_val(self.honest.as_slice())
    }
}

/// Mass of [a, b) under the density y²·φ(y), φ being the standard normal's: its CDF is Φ(y) − y·φ(y).
fn paying_mass(a: f64, b: f64) -> f64 {
    let moment = |y: f64| y * (-y * y / 2.0).exp() / (2.0 * PI).sqrt();
    (normal_mass(a, b) - (moment(b) - moment(a))).max(0.0)
}

fn normal_mass(a: f64, b: f64) -> f64 {
    let upper = |y: f64| libm::erfc(y / SQRT_2) / 2.0;
    if a > 0.0 { upper(a) - upper(b) } else { upper(-b) - upper(-a) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paying_lie_is_neither_at_the_truth_nor_far_away() {
        // ∫ y²φ over everything is 1; by Simpson's rule on [1, 2].
        assert!((paying_mass(-9.0, 9.0) - 1.0).abs() < 1e-14);
        let density = |y: f64| y * y * (-y * y / 2.0).exp() / (2.0 * PI).sqrt();
        let simpson: f64 = (0..=1000)
            .map(|k| {
                let weight = if k == 0 || k == 1000 {
                    1.0
                } else if k % 2 == 1 {
                    4.0
                } else {
                    2.0
                };
                weight * density(1.0 + f64::from(k) / 1000.0) / 3000.0
            })
            .sum();
        assert!((paying_mass(1.0, 2.0) - simpson).abs() < 1e-12);
        assert!((paying_mass(-2.0, -1.0) - simpson).abs() < 1e-12);
        assert!(paying_mass(0.0, 0.1) < 1e-3 && paying_mass(1.4, 1.5) > 0.029);
    }

    #[test]
    fn correlated_replicas_are_worth_fewer() {
        assert_eq!(tempering(0.0, 7, 2), 1.0);
        assert_eq!(tempering(1.0, 7, 2), 1.0 / 6.0);
        assert!((7.0 * tempering(0.25, 7, 0) - 2.8).abs() < 1e-12);
        assert_eq!(tempering(0.5, 1, 0), 1.0);
        assert_eq!(tempering(0.5, 1, 1), 1.0);
    }
}
