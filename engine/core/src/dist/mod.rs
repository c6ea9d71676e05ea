//! Probability distributions whose masses hold in both tails.
//!
//! A [`Distribution`] is a [`Family`] with its parameters, moved by an offset. What the rest of the engine
//! asks of it is [`Distribution::ln_mass`], the logarithm of the mass of a bin: right to a relative 1e-10 (an
//! absolute 1e-10 where the logarithm is between −1 and 0) over the centre and both tails, 40 standard deviations
//! out and beyond, for bins from 1e-6 to 10 standard deviations wide. It is never one minus a distribution
//! function: a mass is taken from the smaller tail, and where two tails would cancel the density is integrated
//! relative to itself, so that nothing is lost or underflows.
//!
//! Limits against hostile models: [`MIXTURE_DEPTH_MAX`], [`MIXTURE_COMPONENTS_MAX`], [`EMPIRICAL_BINS_MAX`],
//! [`TRIALS_MAX`]; every parameter is finite. No operation takes more than some thousand terms.

mod atoms;
mod beta;
mod build;
mod closed;
mod counts;
mod empirical;
mod error;
mod family;
mod gamma;
mod kernel;
mod logs;
mod moments;
mod normal;
pub(crate) mod quadrature;
mod quantile;
mod student;
mod validate;

pub use error::DistributionError;
pub use family::Family;
pub use validate::{EMPIRICAL_BINS_MAX, MIXTURE_COMPONENTS_MAX, MIXTURE_DEPTH_MAX, TRIALS_MAX};

use empirical::Histogram;

/// A family with legal parameters, and an offset added to the variable.
///
/// ```
/// use centauri_engine::dist::{Distribution, Family};
///
/// let noise = Distribution::normal(0.0, 2.0)?;
/// // 30 standard deviations out a mass is far below the smallest f64, its logarithm is not.
/// assert!((noise.ln_mass(60.0, 60.1) - -454.5729).abs() < 1e-3);
///
/// let late = Distribution::new(Family::Gamma { shape: 2.0, scale: 0.03 }, 0.01)?;
/// assert_eq!(late.cdf(0.01), 0.0);
/// assert!((late.mean() - 0.07).abs() < 1e-15);
/// # Ok::<(), centauri_engine::dist::DistributionError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    family: Family,
    offset: f64,
    /// What the counts or weights add up to; 1 where there are none.
    total: f64,
}

impl Distribution {
    /// A distribution of `family`, moved by `offset`.
    ///
    /// # Errors
    /// A parameter outside its domain (each is given at its [`Family`]), lists that don't fit each other, or more
    /// components, bins or levels than the limits allow. The error names the parameter, what was found and
    /// what was expected.
    pub fn new(family: Family, offset: f64) -> Result<Self, DistributionError> {
        let total = validate::check(&family, offset)?;
        Ok(Self { family, offset, total })
    }

    /// The family and its parameters.
    #[must_use]
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// What is added to the family's variable.
    #[must_use]
    pub fn offset(&self) -> f64 {
        self.offset
    }

    /// The family's name as in a model file: `normal`, `student_t` ….
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.family.name()
    }

    /// Whether all mass is on atoms; a mixture is discrete if all of its components are.
    #[must_use]
    pub fn is_discrete(&self) -> bool {
        match &self.family {
            Family::Mixture { components, .. } => components.iter().all(Self::is_discrete),
            Family::Poisson { .. }
            | Family::Binomial { .. }
            | Family::Geometric { .. }
            | Family::NegativeBinomial { .. } => true,
            _ => false,
        }
    }

    /// Whether there are no atoms, not even in a component of a mixture.
    #[must_use]
    pub fn is_continuous(&self) -> bool {
        !self.has_atoms()
    }

    fn has_atoms(&self) -> bool {
        match &self.family {
            Family::Mixture { components, .. } => components.iter().any(Self::has_atoms),
            _ => self.is_discrete(),
        }
    }

    /// `P(D ≤ x)`.
    ///
    /// An `x` that is at most 1e-12 below an atom counts as the atom, here and in [`Self::sf`].
    #[must_use]
    pub fn cdf(&self, x: f64) -> f64 {
        self.ln_cdf(x).exp()
    }

    /// `P(D > x)`.
    #[must_use]
    pub fn sf(&self, x: f64) -> f64 {
        self.ln_sf(x).exp()
    }

    /// `ln P(D ≤ x)`, minus infinity where that is impossible. NaN for NaN only.
    #[must_use]
    pub fn ln_cdf(&self, x: f64) -> f64 {
        if x.is_nan() { x } else { self.tails(x).lower }
    }

    /// `ln P(D > x)`, minus infinity where that is impossible. NaN for NaN only.
    #[must_use]
    pub fn ln_sf(&self, x: f64) -> f64 {
        if x.is_nan() { x } else { self.tails(x).upper }
    }

    /// `ln P(a ≤ D < b)`; minus infinity where that is impossible, `a ≥ b` or an end is NaN. The ends may be
    /// infinite.
    ///
    /// The atoms of a discrete family are in the bin that starts at them, or at most 1e-12 above them:
    /// `k` with `⌈a − 1e-12⌉ ≤ k < ⌈b − 1e-12⌉`.
    ///
    /// ```
    /// use centauri_engine::dist::Distribution;
    ///
    /// let coin = Distribution::binomial(2, 0.5)?;
    /// assert!((coin.ln_mass(0.5, 1.5) - 0.5_f64.ln()).abs() < 1e-15);
    /// assert_eq!(coin.ln_mass(3.0, 9.0), f64::NEG_INFINITY);
    /// # Ok::<(), centauri_engine::dist::DistributionError>(())
    /// ```
    #[must_use]
    pub fn ln_mass(&self, a: f64, b: f64) -> f64 {
        if a < b {
            impossible_if_nan(kernel::ln_mass(self, a - self.offset, b - self.offset, b - a)).min(0.0)
        } else {
            f64::NEG_INFINITY
        }
    }

    /// Logarithm of the density at `x`, or for a discrete family of the mass of the atom at `x`.
    ///
    /// Plus infinity at a pole (a gamma of shape below 1 at 0). A mixture of continuous and discrete components
    /// has no density; this gives the logarithm of the sum of its parts' densities and masses.
    #[must_use]
    pub fn ln_density(&self, x: f64) -> f64 {
        if x.is_nan() { x } else { impossible_if_nan(kernel::ln_density(self, x - self.offset)) }
    }

    /// The smallest `x` with `P(D ≤ x) ≥ p`; the ends of the support for `p ≤ 0` and `p ≥ 1`, NaN for NaN.
    ///
    /// With atoms, a probability that is reached within a relative 1e-13 is reached.
    #[must_use]
    pub fn quantile(&self, p: f64) -> f64 {
        quantile::quantile(self, p)
    }

    /// `quantile(½)`.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The mean. Infinite where there is none: `student_t` with `df ≤ 1`, or beyond the range of `f64`.
    #[must_use]
    pub fn mean(&self) -> f64 {
        moments::mean(self) + self.offset
    }

    /// The variance. Infinite where there is none: `student_t` with `df ≤ 2`, or beyond the range of `f64`.
    #[must_use]
    pub fn variance(&self) -> f64 {
        moments::variance(self)
    }

    /// Both tails at `x`.
    fn tails(&self, x: f64) -> logs::Tails {
        kernel::tails(self, x - self.offset)
    }

    /// The ends between which all mass lies, perhaps infinite.
    fn support(&self) -> (f64, f64) {
        let (low, high) = kernel::support(self);
        (low + self.offset, high + self.offset)
    }

    /// The histogram of an empirical distribution.
    fn histogram(&self) -> Option<Histogram<'_>> {
        match &self.family {
            Family::Empirical { edges, counts } => Some(Histogram { edges, counts, total: self.total }),
            _ => None,
        }
    }

    /// The components of a mixture that have weight, with their shares; empty for other families.
    fn parts(&self) -> impl Iterator<Item = (f64, &Self)> + Clone {
        let (weights, components) = match &self.family {
            Family::Mixture { weights, components } => (weights.as_slice(), components.as_slice()),
            _ => (&[][..], &[][..]),
        };
        let share = |(&weight, part): (&f64, _)| (weight / self.total, part);
        weights.iter().zip(components).map(share).filter(|(share, _)| *share > 0.0)
    }
}

/// Parameters at the ends of the range of `f64` (a scale of 1e300, 1e-300 degrees of freedom) can overflow on the
/// way to a logarithm; what can't be told then counts as impossible rather than as certain.
fn impossible_if_nan(ln: f64) -> f64 {
    if ln.is_nan() { f64::NEG_INFINITY } else { ln }
}
