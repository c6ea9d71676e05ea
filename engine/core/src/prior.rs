//! What is known of the ideal output before anybody reports.

use crate::dist::Distribution;
use crate::error::{ModelError, problem};
use crate::limits::PRIOR_MASS_FLOOR;
use crate::number::{ln_add_exp, ln_sum_exp};
use crate::support::Support;

/// Natural log-masses of the support's bins under `prior` (`None`: every point the same), normalised over the
/// support; then a mass below 1e-300 becomes 0.
pub(crate) fn ln_masses(
    key: &str,
    prior: Option<&Distribution>,
    support: &Support,
) -> Result<Vec<f64>, ModelError> {
    let half = support.step() / 2.0;
    let mut ln: Vec<f64> = match prior {
        None => vec![0.0; support.points()],
        Some(prior) => support.iter().map(|x| prior.ln_mass(x - half, x + half)).collect(),
    };
    let total = ln_sum_exp(ln.iter().copied());
    if total == f64::NEG_INFINITY {
        let (low, high) = (support.min() - half, support.point(support.points() - 1) + half);
        return Err(problem(
            key,
            format!("found a distribution without mass on the support ({low} to {high})"),
        ));
    }
    for mass in &mut ln {
        *mass -= total;
        if *mass < PRIOR_MASS_FLOOR.ln() {
            *mass = f64::NEG_INFINITY;
        }
    }
    Ok(ln)
}

/// A prior that follows the stream: each round moves the last round's distribution by a step.
#[derive(Clone, Debug)]
pub(crate) struct Following {
    /// Log-mass of a move by `d` steps, at index `d + points − 1`.
    ln_move: Vec<f64>,
    /// The masses themselves, in reverse.
    reversed: Vec<f64>,
    leak: f64,
}

impl Following {
    pub(crate) fn new(step: &Distribution, leak: f64, support: &Support) -> Result<Self, ModelError> {
        let reach = support.points() as i64 - 1;
        let (width, half) = (support.step(), support.step() / 2.0);
        let ln_move: Vec<f64> = (-reach..=reach)
            .map(|d| step.ln_mass(d as f64 * width - half, d as f64 * width + half))
            .collect();
        // Where no move at all stays on the support, no point of it can be reached from any other.
        if ln_move.iter().all(|&ln| ln == f64::NEG_INFINITY) {
            return Err(problem("prior.step", "found a step that always leaves the support"));
        }
        let reversed = ln_move.iter().rev().map(|ln| ln.exp()).collect();
        Ok(Self { ln_move, reversed, leak })
    }

    /// Moves `ln_prior` on by `rounds` rounds, at least one and at most as many as there are points.
    pub(crate) fn advance(&self, ln_prior: &mut Vec<f64>, rounds: u64) {
        let rounds = rounds.clamp(1, ln_prior.len() as u64);
        for _ in 0..rounds {
            *ln_prior = self.moved(ln_prior);
        }
    }

    fn moved(&self, ln_prior: &[f64]) -> Vec<f64> {
        let points = ln_prior.len();
        let mut moved = self.convolved(ln_prior);
        let total = ln_sum_exp(moved.iter().copied());
        if total == f64::NEG_INFINITY {
            // Every possible value has left the support: what remains known is the leak's, or nothing.
            return vec![-(points as f64).ln(); points];
        }
        let (ln_kept, ln_leaked) = ((-self.leak).ln_1p(), (self.leak / points as f64).ln());
        for mass in &mut moved {
            *mass = ln_add_exp(ln_kept + *mass - total, ln_leaked);
        }
        moved
    }

    /// `ln Σ_x' P(x')·mass of a move from x' to x`.
    fn convolved(&self, ln_prior: &[f64]) -> Vec<f64> {
        let points = ln_prior.len();
        let from_here = |to: usize| {
            // The move to − x' at index to − x' + points − 1.
            ln_prior.iter().enumerate().map(move |(from, ln)| ln + self.ln_move[to + points - 1 - from])
        };
        // With a leak, masses that underflow beside the largest do not show; the linear form is many times faster.
        if self.leak > 0.0 {
            let top = ln_prior.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let prior: Vec<f64> = ln_prior.iter().map(|ln| (ln - top).exp()).collect();
            let sums = (0..points).map(|to| {
                let moves = &self.reversed[points - 1 - to..2 * points - 1 - to];
                prior.iter().zip(moves).map(|(p, m)| p * m).sum::<f64>()
            });
            let sums: Vec<f64> = sums.map(|sum| top + sum.ln()).collect();
            // The leak is small beside this only if the sums themselves have not underflowed as a whole.
            if ln_sum_exp(sums.iter().copied()) > top - 500.0 {
                return sums;
            }
        }
        (0..points).map(|to| ln_sum_exp(from_here(to))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_move_agree() {
        let support = Support::new(-3.0, 0.5, 30).unwrap();
        let step = Distribution::laplace(0.3, 0.8).unwrap();
        let following = Following::new(&step, 1e-6, &support).unwrap();
        let exact = Following { leak: 0.0, ..following.clone() };
        let prior = ln_masses("prior", Some(&Distribution::normal(2.0, 1.5).unwrap()), &support).unwrap();
        for (a, b) in following.convolved(&prior).iter().zip(exact.convolved(&prior)) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
    }

    #[test]
    fn a_moved_prior_is_a_distribution() {
        let support = Support::new(0.0, 1.0, 12).unwrap();
        for leak in [0.0, 1e-6, 0.3, 1.0] {
            let following = Following::new(&Distribution::poisson(2.0).unwrap(), leak, &support).unwrap();
            let mut prior = ln_masses("prior", None, &support).unwrap();
            following.advance(&mut prior, 3);
            assert!(ln_sum_exp(prior.iter().copied()).abs() < 1e-12);
        }
    }

    #[test]
    fn a_prior_without_mass_on_the_support_is_an_error() {
        let support = Support::new(0.0, 1.0, 5).unwrap();
        let far = Distribution::uniform(100.0, 101.0).unwrap();
        assert!(ln_masses("prior", Some(&far), &support).is_err());
    }
}
