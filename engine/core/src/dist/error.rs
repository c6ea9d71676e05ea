//! What can be wrong with the parameters of a distribution.

/// A distribution that cannot exist, or is larger than this crate accepts.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DistributionError {
    /// A number outside its domain (or not finite).
    #[error("{family}: {parameter} is {found}, expected {expected}")]
    Parameter {
        /// The family's name, as in a model file.
        family: &'static str,
        /// The parameter, with its index where it is a list: `weights[2]`.
        parameter: String,
        /// The value found.
        found: f64,
        /// The domain.
        expected: &'static str,
    },
    /// A list whose length does not fit the other list of the family.
    #[error("{family}: {parameter} has {found} entries, expected {expected}")]
    Length {
        /// The family's name.
        family: &'static str,
        /// The list.
        parameter: &'static str,
        /// Its length.
        found: usize,
        /// The length that would fit, in words.
        expected: String,
    },
    /// Mixtures nested too deeply.
    #[error("mixture: components nest {found} deep, expected at most {limit} levels of mixtures")]
    Depth {
        /// Levels of mixtures found, this one included.
        found: usize,
        /// The limit, [`MIXTURE_DEPTH_MAX`](super::MIXTURE_DEPTH_MAX).
        limit: usize,
    },
    /// A mixture of too many parts, nested ones included.
    #[error("mixture: {found} components in all, expected at most {limit}")]
    Components {
        /// Components found, counted through all levels.
        found: usize,
        /// The limit, [`MIXTURE_COMPONENTS_MAX`](super::MIXTURE_COMPONENTS_MAX).
        limit: usize,
    },
}
