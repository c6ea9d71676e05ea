//! Errors and delays of real readings, as noise and latency of generated fleets.
//!
//! What is drawn comes from the second half of the readings, what the estimators are told from the first, as it would be
//! in life; so no model here is quite right.

use super::window::LATENCY;
use crate::readings::series::Series;
use centauri_engine::{Distribution, Family};
use centauri_fit::{FitOptions, fit_distribution};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// Fewest numbers of each half.
const HALF_MIN: usize = 50;
/// Most numbers that a distribution is fitted to.
const FITTED_MAX: usize = 4_000;
/// How many times as wide as they are errors may be said to be.
const SCALES: [f64; 3] = [1.0, 2.0, 0.5];
/// Bins of the delays that are told.
const BINS: usize = 40;

/// Errors of real replicas, in their standard deviation.
#[derive(Clone, PartialEq)]
pub struct Residuals {
    name: String,
    drawn: Vec<f64>,
    told: Vec<Distribution>,
}

impl std::fmt::Debug for Residuals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Residuals({})", self.name)
    }
}

impl Eq for Residuals {}

impl Residuals {
    /// The errors of `series`: each reading's distance to the mean of all in its round, less the replica's own mean distance, divided by
    /// their standard deviation. The name in results is `residuals_` and the series'.
    ///
    /// What is told is the family that fits the first half best, by `centauri-fit`.
    ///
    /// # Errors
    /// Fewer than 50 errors in a half, or errors that no distribution fits.
    pub fn of(series: &Series) -> anyhow::Result<Self> {
        let (first, second) = series.halves();
        let biases: Vec<f64> = (0..series.replicas.len())
            .map(|i| {
                let own = first.iter().filter_map(|round| Some(round.values[i]? - round.mean(|_| true)?));
                let (sum, count) = own.fold((0.0, 0.0), |(sum, count), d| (sum + d, count + 1.0));
                if count > 0.0 { sum / count } else { 0.0 }
            })
            .collect();
        let errors = |rounds: &[crate::readings::series::Measured]| -> Vec<f64> {
            let rounds = rounds.iter().filter(|r| !r.excluded && r.values.iter().flatten().count() > 1);
            let of = |r: &crate::readings::series::Measured| {
                let mean = r.mean(|_| true).unwrap_or(0.0);
                let own = r.values.iter().zip(&biases).filter_map(|(v, bias)| Some((*v)? - mean - bias));
                own.collect::<Vec<_>>()
            };
            rounds.flat_map(of).collect()
        };
        let (known, drawn) = (errors(first), errors(second));
        enough(known.len().min(drawn.len()))?;
        let (mean, sd) = mean_and_sd(&drawn);
        anyhow::ensure!(sd > 0.0, "{}: found errors that do not vary", series.name);
        let drawn = drawn.iter().map(|e| (e - mean) / sd).collect();
        let known: Vec<f64> = thinned(&known).map(|e| e / sd).collect();
        let told = SCALES.map(|scale| {
            let scaled: Vec<f64> = known.iter().map(|e| e * scale).collect();
            let options = FitOptions { contamination: 0.0, family: None };
            fit_distribution(&scaled, &options).map(|fitted| fitted.distribution)
        });
        let told = told.into_iter().collect::<Result<_, _>>()?;
        let plain = |c: char| if c.is_alphanumeric() { c } else { '_' };
        Ok(Self {
            name: format!("residuals_{}", series.name.chars().map(plain).collect::<String>()),
            drawn,
            told,
        })
    }

    /// The name in results.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One of the errors.
    pub fn sample(&self, rng: &mut ChaCha8Rng) -> f64 {
        self.drawn[rng.random_range(0..self.drawn.len())]
    }

    /// What is told of them, said to be `scale` (1, 2 or ½) times as wide.
    #[must_use]
    pub fn told(&self, scale: f64) -> Option<&Distribution> {
        SCALES.iter().position(|s| *s == scale).and_then(|at| self.told.get(at))
    }
}

/// Real delays, in proportion: their mean is [`LATENCY`].
#[derive(Clone, PartialEq)]
pub struct Delays {
    drawn: Vec<f64>,
    told: Distribution,
}

impl std::fmt::Debug for Delays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Delays")
    }
}

impl Eq for Delays {}

impl Delays {
    /// Of samples in the order in which they were taken. What is told is a histogram of the first half, with bins of equal counts.
    ///
    /// # Errors
    /// Fewer than 50 samples in a half, samples below 0 or all the same.
    pub fn of(samples: &[f64]) -> anyhow::Result<Self> {
        enough(samples.len() / 2)?;
        anyhow::ensure!(samples.iter().all(|s| *s >= 0.0), "found a delay below 0, expected none");
        let (mean, sd) = mean_and_sd(samples);
        anyhow::ensure!(sd > 0.0, "found delays that do not vary");
        let scaled: Vec<f64> = samples.iter().map(|s| s * LATENCY / mean).collect();
        let (known, drawn) = scaled.split_at(scaled.len() / 2);
        let mut sorted = known.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len() - 1;
        let mut edges: Vec<f64> = (0..=BINS).map(|k| sorted[k * last / BINS]).collect();
        edges.dedup();
        // The tail of what comes later may be longer than that of what was seen.
        edges.push(edges[edges.len() - 1] * 2.0 + LATENCY);
        edges[0] = (edges[0] - 1e-9).max(0.0);
        let below = |x: f64| sorted.partition_point(|s| *s <= x) as f64;
        let counts = edges.windows(2).map(|pair| below(pair[1]) - below(pair[0]) + 0.5).collect();
        Ok(Self { drawn: drawn.to_vec(), told: Distribution::new(Family::Empirical { edges, counts }, 0.0)? })
    }

    /// One of the delays, in seconds.
    pub fn sample(&self, rng: &mut ChaCha8Rng) -> f64 {
        self.drawn[rng.random_range(0..self.drawn.len())]
    }

    /// What is told of them.
    #[must_use]
    pub fn told(&self) -> &Distribution {
        &self.told
    }
}

fn enough(count: usize) -> anyhow::Result<()> {
    anyhow::ensure!(count >= HALF_MIN, "found {count} numbers in a half, expected at least {HALF_MIN}");
    Ok(())
}

fn mean_and_sd(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt())
}

fn thinned(values: &[f64]) -> impl Iterator<Item = f64> {
    values.iter().copied().step_by(values.len().div_ceil(FITTED_MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::seed;
    use crate::readings::table::parse;

    #[test]
    fn residuals_have_no_bias_and_the_spread_of_the_second_half() {
        // Replica c is 5 above the others; all err by a sawtooth that differs from replica to replica.
        let mut text = "t,a,b,c\n".to_owned();
        for t in 0..400 {
            let saw = |k: i32| f64::from((t * 7 + k * 5) % 11) / 11.0 - 0.5;
            text += &format!("{t},{},{},{}\n", 20.0 + saw(0), 20.0 + saw(1), 25.0 + saw(2));
        }
        let series = Series::new("x/y", parse(&text, None, &[]).unwrap()).unwrap();
        let residuals = Residuals::of(&series).unwrap();
        assert_eq!(residuals.name(), "residuals_x_y");
        let mut rng = seed::generator(1);
        let drawn: Vec<f64> = (0..4_000).map(|_| residuals.sample(&mut rng)).collect();
        let (mean, sd) = mean_and_sd(&drawn);
        assert!(mean.abs() < 0.06 && (sd - 1.0).abs() < 0.05, "{mean} {sd}");
        let told = residuals.told(1.0).unwrap();
        assert!(told.mean().abs() < 0.15 && (told.variance().sqrt() - 1.0).abs() < 0.25, "{told:?}");
        assert!((residuals.told(2.0).unwrap().variance() / told.variance() - 4.0).abs() < 1.0);
        assert!(residuals.told(3.0).is_none());
    }

    #[test]
    fn delays_are_told_from_the_first_half_and_drawn_from_the_second() {
        let samples: Vec<f64> = (0..1_000).map(|k| 3.0 + f64::from(k * 37 % 100) / 50.0).collect();
        let delays = Delays::of(&samples).unwrap();
        // From 3 to 5 with a mean of 4: scaled from 0.15 to 0.25.
        let mut rng = seed::generator(1);
        assert!((0..200).all(|_| (0.149..0.251).contains(&delays.sample(&mut rng))));
        assert!((delays.told().cdf(0.2) - 0.5).abs() < 0.03 && delays.told().cdf(0.26) > 0.97);
        assert!(Delays::of(&[1.0; 99]).is_err() && Delays::of(&[1.0; 200]).is_err());
        assert!(Delays::of(&[-1.0; 200]).is_err());
    }
}
