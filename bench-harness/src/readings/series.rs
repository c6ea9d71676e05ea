//! Readings of one stream, round by round.

use super::table::Wide;

/// Replicas of a stream, at least.
pub const REPLICAS_MIN: usize = 3;

/// What the replicas measured in one round.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Number of the round.
    pub number: i64,
    /// Each replica's reading.
    pub values: Vec<Option<f64>>,
    /// Whether a known fault has all replicas, so that nothing can be judged.
    pub excluded: bool,
}

impl Measured {
    /// Mean of the readings that are there, of those that `keep` keeps.
    #[must_use]
    pub fn mean(&self, keep: impl Fn(usize) -> bool) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0usize);
        for (_, value) in self.values.iter().enumerate().filter(|(i, _)| keep(*i)) {
            if let Some(value) = value {
                sum += value;
                count += 1;
            }
        }
        (count > 0).then(|| sum / count as f64)
    }
}

/// A stream's readings.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// The replicas.
    pub replicas: Vec<String>,
    /// Seconds from one round to the next.
    pub step_s: f64,
    /// The rounds that have a reading, in ascending order of their numbers.
    pub rounds: Vec<Measured>,
    /// What was done to the readings before.
    pub notes: Vec<String>,
}

impl Series {
    /// A series of a table. A round is as long as the median distance of neighbouring rows; a row without any value is no
    /// round.
    ///
    /// # Errors
    /// Fewer than 3 replicas or fewer than 2 rows.
    pub fn new(name: impl Into<String>, wide: Wide) -> anyhow::Result<Self> {
        let (n, rows) = (wide.columns.len(), wide.times.len());
        anyhow::ensure!(
            n >= REPLICAS_MIN,
            "found {n} replicas, expected at least {REPLICAS_MIN} columns of readings"
        );
        anyhow::ensure!(rows >= 2, "found {rows} rows, expected at least 2");
        let mut steps: Vec<f64> = wide.times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        steps.sort_by(f64::total_cmp);
        let step_s = steps[steps.len() / 2];
        let mut rounds: Vec<Measured> = Vec::with_capacity(rows);
        let mut last = i64::MIN;
        for (time, values) in wide.times.iter().zip(wide.values) {
            let number = (((time - wide.times[0]) / step_s).round() as i64).max(last.saturating_add(1));
            last = number;
            if values.iter().any(Option::is_some) {
                rounds.push(Measured { number, values, excluded: false });
            }
        }
        Ok(Self { name: name.into(), replicas: wide.columns, step_s, rounds, notes: Vec::new() })
    }

    /// Liars that are put into it: ⌊(n − 1)/3⌋, and at least 1.
    #[must_use]
    pub fn faults(&self) -> usize {
        ((self.replicas.len() - 1) / 3).max(1)
    }

    /// The first half of the rounds, to which models are fitted, and the second, on which they are judged.
    #[must_use]
    pub fn halves(&self) -> (&[Measured], &[Measured]) {
        self.rounds.split_at(self.rounds.len() / 2)
    }

    /// Standard deviation of a replica's distance to the mean of all, over `rounds`; a constant bias counts.
    #[must_use]
    pub fn spread(rounds: &[Measured]) -> f64 {
        let (mut sum, mut count) = (0.0, 0usize);
        for round in rounds.iter().filter(|round| !round.excluded) {
            let Some(mean) = round.mean(|_| true) else { continue };
            if round.values.iter().flatten().count() < 2 {
                continue;
            }
            sum += round.values.iter().flatten().map(|v| (v - mean).powi(2)).sum::<f64>();
            count += round.values.iter().flatten().count();
        }
        if count == 0 { 0.0 } else { (sum / count as f64).sqrt() }
    }

    /// The reading of replica `i` in round `number`, or the last before it within `back` rounds.
    #[must_use]
    pub fn reading(&self, i: usize, number: i64, back: i64) -> Option<f64> {
        let end = self.rounds.partition_point(|round| round.number <= number);
        let near = self.rounds[..end].iter().rev().take_while(|round| number - round.number <= back);
        near.filter(|round| !round.excluded).find_map(|round| round.values.get(i).copied().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readings::table::parse;

    #[test]
    fn rounds_have_numbers_and_gaps() {
        let text = "t,a,b,c\n0,1,2,3\n10,,,\n20,2,4,\n50,7,7,7\n60,1,1,1\n70,2,2,2\n";
        let series = Series::new("s", parse(text, None, &[]).unwrap()).unwrap();
        assert_eq!(series.step_s, 10.0);
        assert_eq!(series.rounds.iter().map(|r| r.number).collect::<Vec<_>>(), [0, 2, 5, 6, 7]);
        assert_eq!((series.faults(), series.halves().0.len()), (1, 2));
        assert_eq!(series.rounds[0].mean(|i| i != 2), Some(1.5));
        // Distances −1, 0, 1 and −1, 1: 4/5.
        assert!((Series::spread(&series.rounds[..2]) - 0.8f64.sqrt()).abs() < 1e-12);
        assert_eq!(series.reading(2, 4, 10), Some(3.0), "the last before that is there");
        assert_eq!(series.reading(2, 4, 2), None);
        assert!(Series::new("s", parse("t,a,b\n0,1,2\n1,1,2\n", None, &[]).unwrap()).is_err());
    }
}
