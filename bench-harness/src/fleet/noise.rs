//! Noise of an honest replica: families of mean 0 and standard deviation 1.

use super::real::{Delays, Residuals};
use centauri_engine::{Computation, Distribution, DistributionError, Family};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp1, Gamma, StandardNormal, StudentT};
use std::f64::consts::SQRT_2;

/// How honest replicas differ from the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// Normal.
    Gaussian,
    /// Laplace.
    Laplace,
    /// Student's t with 4 degrees of freedom.
    StudentT,
    /// Gamma of shape 2, less its mean.
    Gamma,
    /// Exponential, less its mean.
    Exponential,
    /// Normal, with one in ten four times as wide as the others.
    Mixture,
    /// Errors of real replicas.
    Residuals(&'static Residuals),
    /// No noise: messages of the window that came too late, by exponential delays.
    Window(Computation),
    /// The same by real delays.
    LateWindow(Computation, &'static Delays),
}

/// Standard deviation of the narrow part of [`Noise::Mixture`]: 0.9·s² + 0.1·(4s)² = 1.
const NARROW: f64 = 0.632_455_532_033_675_9;

impl Noise {
    /// All that need no readings.
    pub const ALL: [Self; 10] = [
        Self::Gaussian,
        Self::Laplace,
        Self::StudentT,
        Self::Gamma,
        Self::Exponential,
        Self::Mixture,
        Self::Window(Computation::Count),
        Self::Window(Computation::Mean),
        Self::Window(Computation::Last),
        Self::Window(Computation::Min),
    ];

    /// The name in results.
    #[must_use]
    pub fn name(self) -> String {
        let name = match self {
            Self::Gaussian => "gaussian",
            Self::Laplace => "laplace",
            Self::StudentT => "student_t",
            Self::Gamma => "gamma",
            Self::Exponential => "exponential",
            Self::Mixture => "mixture",
            Self::Residuals(residuals) => residuals.name(),
            Self::Window(computation) => return format!("window_{computation}"),
            Self::LateWindow(computation, _) => return format!("window_{computation}_real_delays"),
        };
        name.to_owned()
    }

    /// The computation, for a partial window.
    #[must_use]
    pub fn window(self) -> Option<Computation> {
        if let Self::Window(computation) | Self::LateWindow(computation, _) = self {
            Some(computation)
        } else {
            None
        }
    }

    /// The real delays of a partial window, where it has them.
    #[must_use]
    pub fn delays(self) -> Option<&'static Delays> {
        if let Self::LateWindow(_, delays) = self { Some(delays) } else { None }
    }

    /// Whether what is told of it is learned from readings.
    #[must_use]
    pub fn learned(self) -> bool {
        matches!(self, Self::Residuals(_) | Self::LateWindow(..))
    }

    /// One replica's error; 0 for a partial window.
    pub fn sample(self, rng: &mut ChaCha8Rng) -> f64 {
        match self {
            Self::Gaussian => StandardNormal.sample(rng),
            Self::Laplace => {
                let size: f64 = Exp1.sample(rng);
                if rng.random_bool(0.5) { size / SQRT_2 } else { -size / SQRT_2 }
            }
            Self::StudentT => {
                StudentT::new(4.0)
                    .map_or(f64::NAN, |t| <StudentT<f64> as rand_distr::Distribution<f64>>::sample(&t, rng))
                    / SQRT_2
            }
            Self::Gamma => {
                let gamma = Gamma::new(2.0, 1.0 / SQRT_2);
                gamma.map_or(f64::NAN, |g| <Gamma<f64> as rand_distr::Distribution<f64>>::sample(&g, rng))
                    - SQRT_2
            }
            Self::Exponential => {
                let x: f64 = Exp1.sample(rng);
                x - 1.0
            }
            Self::Mixture => {
                let z: f64 = StandardNormal.sample(rng);
                if rng.random_bool(0.1) { 4.0 * NARROW * z } else { NARROW * z }
            }
            Self::Residuals(residuals) => residuals.sample(rng),
            Self::Window(_) | Self::LateWindow(..) => 0.0,
        }
    }

    /// The engine's distribution of the error, `scale` times as wide; a partial window has a sure 0 of no width instead, which no
    /// model asks for.
    ///
    /// # Errors
    /// A scale that is not positive.
    pub fn distribution(self, scale: f64) -> Result<Distribution, DistributionError> {
        match self {
            Self::Residuals(residuals) => {
                residuals.told(scale).cloned().map_or_else(|| Distribution::normal(0.0, scale), Ok)
            }
            Self::Gaussian | Self::Window(_) | Self::LateWindow(..) => Distribution::normal(0.0, scale),
            Self::Laplace => Distribution::laplace(0.0, scale / SQRT_2),
            Self::StudentT => Distribution::student_t(4.0, 0.0, scale / SQRT_2),
            Self::Gamma => {
                Distribution::new(Family::Gamma { shape: 2.0, scale: scale / SQRT_2 }, -SQRT_2 * scale)
            }
            Self::Exponential => Distribution::new(Family::Exponential { mean: scale }, -scale),
            Self::Mixture => Distribution::mixture(
                vec![0.9, 0.1],
                vec![
                    Distribution::normal(0.0, NARROW * scale)?,
                    Distribution::normal(0.0, 4.0 * NARROW * scale)?,
                ],
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn what_is_drawn_has_the_distribution_that_is_told() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for noise in &Noise::ALL[..6] {
            let told = noise.distribution(1.0).unwrap();
            assert!(told.mean().abs() < 1e-12 && (told.variance() - 1.0).abs() < 1e-12, "{noise:?}");
            let mut drawn: Vec<f64> = (0..20_000).map(|_| noise.sample(&mut rng)).collect();
            drawn.sort_by(f64::total_cmp);
            let distance = drawn
                .iter()
                .enumerate()
                .map(|(i, &x)| (told.cdf(x) - (i as f64 + 0.5) / 20_000.0).abs())
                .fold(0.0, f64::max);
            // The Kolmogorov–Smirnov distance exceeds 1.95/√n once in a thousand.
            assert!(distance < 0.0138, "{noise:?} {distance}");
        }
    }
}
