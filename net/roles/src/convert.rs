//! Distributions between the wire and the engine.

use centauri_engine::{Distribution, DistributionError, Family};
use centauri_wire::{DistributionBody, DistributionFamily, MIXTURE_DEPTH_MAX};
use thiserror::Error;

/// A distribution that the other side does not know.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// Its parameters make no distribution.
    #[error(transparent)]
    Distribution(#[from] DistributionError),
    /// A number of trials that is no whole number within reach.
    #[error("binomial: found {found} trials, expected a whole number from 0 to 2^53")]
    Trials {
        /// The number found.
        found: f64,
    },
    /// Mixtures nested deeper than a message can carry.
    #[error("mixtures are nested deeper than {MIXTURE_DEPTH_MAX}")]
    Depth,
    /// A family that messages have no code for.
    #[error("found the family {name}, expected one that messages can carry")]
    Family {
        /// The family's name.
        name: &'static str,
    },
}

/// The engine's distribution of a received body.
///
/// # Errors
/// Parameters that make no distribution.
///
/// ```
/// use centauri_roles::{from_wire, to_wire};
/// let hop = centauri_engine::Distribution::exponential(0.02)?;
/// assert_eq!(from_wire(&to_wire(&hop)?)?, hop);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn from_wire(body: &DistributionBody) -> Result<Distribution, ConvertError> {
    read(body, 0)
}

/// The body to send for a distribution of the engine.
///
/// # Errors
/// Mixtures nested too deep. Other limits of messages are checked when the message is encoded.
pub fn to_wire(distribution: &Distribution) -> Result<DistributionBody, ConvertError> {
    write(distribution, 0)
}

fn read(body: &DistributionBody, depth: usize) -> Result<Distribution, ConvertError> {
    use DistributionFamily as Wire;
    let family = match body.family {
        Wire::Normal { mean, sd } => Family::Normal { mean, sd },
        Wire::Lognormal { mu, sigma } => Family::Lognormal { mu, sigma },
        Wire::Exponential { mean } => Family::Exponential { mean },
        Wire::Gamma { shape, scale } => Family::Gamma { shape, scale },
        Wire::Weibull { shape, scale } => Family::Weibull { shape, scale },
        Wire::Uniform { low, high } => Family::Uniform { low, high },
        Wire::Laplace { mean, scale } => Family::Laplace { mean, scale },
        Wire::Logistic { mean, scale } => Family::Logistic { mean, scale },
        Wire::StudentT { df, mean, scale } => Family::StudentT { df, mean, scale },
        Wire::Poisson { mean } => Family::Poisson { mean },
        Wire::Binomial { trials, p } => Family::Binomial { trials: trials_of(trials)?, p },
        Wire::Geometric { p } => Family::Geometric { p },
        Wire::NegativeBinomial { r, p } => Family::NegativeBinomial { r, p },
        Wire::Empirical { ref edges, ref counts } => {
            Family::Empirical { edges: edges.clone(), counts: counts.clone() }
        }
        Wire::Mixture { ref components } => {
            check_depth(depth)?;
            let weights = components.iter().map(|(weight, _)| *weight).collect();
            let components = components.iter().map(|(_, body)| read(body, depth + 1));
            Family::Mixture { weights, components: components.collect::<Result<_, _>>()? }
        }
    };
    Ok(Distribution::new(family, body.offset)?)
}

fn write(distribution: &Distribution, depth: usize) -> Result<DistributionBody, ConvertError> {
    use DistributionFamily as Wire;
    let family = match *distribution.family() {
        Family::Normal { mean, sd } => Wire::Normal { mean, sd },
        Family::Lognormal { mu, sigma } => Wire::Lognormal { mu, sigma },
        Family::Exponential { mean } => Wire::Exponential { mean },
        Family::Gamma { shape, scale } => Wire::Gamma { shape, scale },
        Family::Weibull { shape, scale } => Wire::Weibull { shape, scale },
        Family::Uniform { low, high } => Wire::Uniform { low, high },
        Family::Laplace { mean, scale } => Wire::Laplace { mean, scale },
        Family::Logistic { mean, scale } => Wire::Logistic { mean, scale },
        Family::StudentT { df, mean, scale } => Wire::StudentT { df, mean, scale },
        Family::Poisson { mean } => Wire::Poisson { mean },
        Family::Binomial { trials, p } => Wire::Binomial { trials: trials as f64, p },
        Family::Geometric { p } => Wire::Geometric { p },
        Family::NegativeBinomial { r, p } => Wire::NegativeBinomial { r, p },
        Family::Empirical { ref edges, ref counts } => {
            Wire::Empirical { edges: edges.clone(), counts: counts.clone() }
        }
        Family::Mixture { ref weights, ref components } => {
            check_depth(depth)?;
            let parts = weights.iter().zip(components);
            let parts = parts.map(|(&weight, part)| Ok((weight, write(part, depth + 1)?)));
            Wire::Mixture { components: parts.collect::<Result<_, ConvertError>>()? }
        }
        ref other => return Err(ConvertError::Family { name: other.name() }),
    };
    Ok(DistributionBody { offset: distribution.offset(), family })
}

/// Bounds the recursion whoever made the tree.
fn check_depth(depth: usize) -> Result<(), ConvertError> {
    if depth < MIXTURE_DEPTH_MAX { Ok(()) } else { Err(ConvertError::Depth) }
}

fn trials_of(found: f64) -> Result<u64, ConvertError> {
    const TRIALS_MAX: f64 = (1_u64 << 53) as f64;
    if found.fract() == 0.0 && (0.0..=TRIALS_MAX).contains(&found) {
        Ok(found as u64)
    } else {
        Err(ConvertError::Trials { found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_family() -> Vec<Distribution> {
        let normal = Distribution::normal(1.0, 2.0).unwrap();
        let mixture = Distribution::mixture(
            vec![1.0, 3.0],
            vec![normal.clone(), Distribution::new(Family::Poisson { mean: 2.0 }, 7.0).unwrap()],
        );
        let made = [
            Distribution::lognormal(0.5, 0.25),
            Distribution::exponential(0.02),
            Distribution::gamma(2.0, 0.03),
            Distribution::weibull(1.5, 2.0),
            Distribution::uniform(-1.0, 1.0),
            Distribution::laplace(0.0, 0.7),
            Distribution::logistic(3.0, 0.1),
            Distribution::student_t(4.0, 1.0, 2.0),
            Distribution::poisson(0.0),
            Distribution::binomial(1 << 53, 0.25),
            Distribution::geometric(0.5),
            Distribution::negative_binomial(2.5, 0.5),
            Distribution::empirical(vec![0.0, 1.0, 4.0], vec![2.0, 1.0]),
            mixture,
            Distribution::new(Family::Gamma { shape: 2.0, scale: 1.0 }, -3.5),
        ];
        let mut all: Vec<_> = made.into_iter().map(Result::unwrap).collect();
        all.push(normal);
        all
    }

    #[test]
    fn every_family_goes_there_and_back() {
        for distribution in every_family() {
            assert_eq!(from_wire(&to_wire(&distribution).unwrap()).unwrap(), distribution);
        }
    }

    #[test]
    fn what_makes_no_distribution_is_refused() {
        let of = |family| from_wire(&DistributionBody { offset: 0.0, family });
        assert!(of(DistributionFamily::Normal { mean: 0.0, sd: 0.0 }).is_err());
        for trials in [-1.0, 0.5, 1e300] {
            let refused = of(DistributionFamily::Binomial { trials, p: 0.5 });
            assert_eq!(refused, Err(ConvertError::Trials { found: trials }));
        }
        let mut nested = DistributionBody { offset: 0.0, family: DistributionFamily::Poisson { mean: 1.0 } };
        for _ in 0..100 {
            let components = vec![(1.0, nested)];
            nested = DistributionBody { offset: 0.0, family: DistributionFamily::Mixture { components } };
        }
        assert_eq!(from_wire(&nested), Err(ConvertError::Depth));
    }
}
