//! What the client saw of a replica.

use crate::support::Support;

/// What came from one replica for one round, as it was reported.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Report {
    /// No message by the client's deadline: an event with a probability, never a gap to fill.
    #[default]
    Missing,
    /// A value; finite.
    Value(f64),
    /// Two different values, both validly signed: the replica is proven faulty.
    Equivocated,
}

impl Report {
    /// Takes in one more value from the same replica for the same round: a different one is an equivocation, the
    /// same one (as float64, before quantisation) is the same message again.
    pub fn absorb(&mut self, value: f64) {
        *self = match *self {
            Self::Missing => Self::Value(value),
            Self::Value(known) if known == value => Self::Value(known),
            Self::Value(_) | Self::Equivocated => Self::Equivocated,
        };
    }

    /// The report at the resolution of `support`.
    #[must_use]
    pub fn quantise(self, support: &Support) -> Observation {
        match self {
            Self::Missing => Observation::Missing,
            Self::Value(value) => Observation::Bin(support.bin(value)),
            Self::Equivocated => Observation::Equivocated,
        }
    }
}

/// A report quantised to the grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Observation {
    /// No message in time.
    #[default]
    Missing,
    /// The index of the bin, inside the support or not.
    Bin(i64),
    /// Proven faulty: leaves the set, and one fault with it.
    Equivocated,
}
