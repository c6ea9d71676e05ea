//! What a replica computes on the readings of a window.

use centauri_engine::Computation;

/// A reading as a replica holds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The source's place in the stream's list of sources.
    pub source: u32,
    /// The reading's number at its source.
    pub sequence: i64,
    /// When the source took it, in nanoseconds since the Unix epoch.
    pub at_ns: i64,
    /// Its value.
    pub value: f64,
    /// How sure it is.
    pub certainty: Certainty,
}

/// How sure a value is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Certainty {
    /// The standard deviation of what it may be in truth; 0 where nothing is known of that.
    pub sd: f64,
    /// The probability that it is right as it stands.
    pub confidence: f64,
}

impl Certainty {
    /// That of a source's reading: it is what it is.
    pub const OF_A_READING: Self = Self { sd: 0.0, confidence: 1.0 };

    /// That of a computation's result, by the table of [`crate::Relay`]; nothing is sure of a result of nothing.
    pub(crate) fn of(computation: Computation, readings: &[Reading]) -> Self {
        if readings.is_empty() {
            return Self { sd: 0.0, confidence: 0.0 };
        }
        let confidence = readings.iter().map(|reading| reading.certainty.confidence).fold(1.0, f64::min);
        let squares = readings.iter().map(|reading| reading.certainty.sd.powi(2)).sum::<f64>();
        let doubt = |reading: &Reading| reading.certainty.confidence * (1.0 - reading.certainty.confidence);
        let by_value = |a: &&Reading, b: &&Reading| a.value.total_cmp(&b.value);
        let chosen = match computation {
            Computation::Mean => {
                return Self { sd: squares.sqrt() / readings.len().max(1) as f64, confidence };
            }
            Computation::Sum => return Self { sd: squares.sqrt(), confidence },
            Computation::Count => {
                return Self { sd: readings.iter().map(doubt).sum::<f64>().sqrt(), confidence };
            }
            Computation::Min => readings.iter().min_by(by_value),
            Computation::Max => readings.iter().max_by(by_value),
            Computation::Last | Computation::Identity => newest(readings),
        };
        chosen.map_or(Self { sd: 0.0, confidence: 0.0 }, |reading| reading.certainty)
    }
}

fn newest(readings: &[Reading]) -> Option<&Reading> {
    readings.iter().max_by_key(|reading| (reading.at_ns, reading.source, reading.sequence))
}

/// The result of `computation` on the readings, or `None` where there is none.
///
/// | computation | result | on no readings |
/// |---|---|---|
/// | `count` | the number of readings above 0.5 (a success is sent as 1, a failure as 0) | 0 |
/// | `sum` | Σ values | 0 |
/// | `mean` | Σ values / k | none |
/// | `min`, `max` | the extreme value | none |
/// | `last`, `identity` | the newest reading; among equally old ones the last source's last | none |
///
/// `identity` is meant for windows of one reading. Replicas that hold the same readings in the same order
/// (by source and sequence, as [`crate::Replica`] keeps them) agree to the last bit. A sum that overflows
/// gives `None`: it is no number that could be sent.
///
/// ```
/// use centauri_engine::Computation;
/// use centauri_roles::{Certainty, Reading, compute};
/// let certainty = Certainty::OF_A_READING;
/// let reading = |sequence, value| Reading { source: 0, sequence, at_ns: 10 * sequence, value, certainty };
/// let window = [reading(0, 1.0), reading(1, 4.0)];
/// assert_eq!(compute(Computation::Mean, &window), Some(2.5));
/// assert_eq!(compute(Computation::Count, &[]), Some(0.0));
/// assert_eq!(compute(Computation::Max, &[]), None);
/// ```
#[must_use]
pub fn compute(computation: Computation, readings: &[Reading]) -> Option<f64> {
    compute_above(computation, 0.5, readings)
}

/// As [`compute`], where `count` counts readings above `above`.
pub(crate) fn compute_above(computation: Computation, above: f64, readings: &[Reading]) -> Option<f64> {
    let values = readings.iter().map(|reading| reading.value);
    let result = match computation {
        Computation::Count => Some(values.filter(|&value| value > above).count() as f64),
        Computation::Sum => Some(values.fold(0.0, |sum, value| sum + value)),
        Computation::Mean => mean(readings),
        Computation::Min => values.reduce(f64::min),
        Computation::Max => values.reduce(f64::max),
        Computation::Last | Computation::Identity => newest(readings).map(|reading| reading.value),
    };
    result.filter(|value| value.is_finite())
}

/// The mean, or `None` for no readings.
pub(crate) fn mean(readings: &[Reading]) -> Option<f64> {
    let sum = readings.iter().fold(0.0, |sum, reading| sum + reading.value);
    (!readings.is_empty()).then(|| sum / readings.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(values: &[(u32, i64, i64, f64)]) -> Vec<Reading> {
        let certainty = Certainty::OF_A_READING;
        let reading =
            |&(source, sequence, at_ns, value)| Reading { source, sequence, at_ns, value, certainty };
        values.iter().map(reading).collect()
    }

    #[test]
    fn each_computation_on_a_window() {
        let readings = window(&[(0, 1, 50, 3.0), (0, 2, 90, -1.0), (1, 7, 90, 0.5), (2, 0, 20, 6.0)]);
        let expected = [(0.5, "identity"), (2.0, "count"), (8.5, "sum"), (2.125, "mean"), (0.5, "last")];
        for (value, name) in expected.into_iter().chain([(-1.0, "min"), (6.0, "max")]) {
            assert_eq!(compute(name.parse().unwrap(), &readings), Some(value), "{name}");
        }
    }

    #[test]
    fn nothing_and_overflow() {
        for computation in Computation::ALL {
            let empty = matches!(computation, Computation::Count | Computation::Sum).then_some(0.0);
            assert_eq!(compute(computation, &[]), empty);
        }
        let huge = window(&[(0, 0, i64::MIN, f64::MAX), (0, 1, i64::MAX, f64::MAX)]);
        assert_eq!(compute(Computation::Sum, &huge), None);
        assert_eq!(compute(Computation::Mean, &huge), None);
        assert_eq!(compute(Computation::Last, &huge), Some(f64::MAX));
    }
}
