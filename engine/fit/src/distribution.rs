//! Fitting a distribution to a sample.

use crate::bins::{Bins, quantile};
use crate::error::FitError;
use crate::family::{FamilyName, Frame, decode};
use crate::minimise::minimise;
use crate::objective::{Objective, Score, excess};
use crate::starts::starts;
use crate::uncertainty::standard_errors;
use centauri_engine::{Distribution, Family};

/// Default share of the samples that may be an adversary's.
pub const CONTAMINATION_DEFAULT: f64 = 0.2;
/// Fewest samples that are fitted.
const SAMPLES_MIN: usize = 10;
/// Samples at which densities and distribution functions are looked at: of a larger sample every so manieth.
const LOOKS_MAX: usize = 8_192;
/// Bins of a histogram.
const HISTOGRAM_BINS: usize = 64;
/// Most trials of a binomial, in units of the mean: beyond, it is a Poisson distribution.
const TRIALS_PER_MEAN: f64 = 300.0;
/// What a continuous family must be better by, in natural-log units a sample, to be picked for counts.
const ROUNDED_PENALTY: f64 = 0.02;

/// What a family must be better by in its criterion, where there are lies, for each e-fold that it is wider. Found by trial
/// on samples of other seeds than those that figures are told of: less follows lies inside a tail to a skewed family,
/// more takes a slightly narrower family for the true one when lies are far away.
const PER_LN_WIDTH: f64 = 64.0;
/// The share of the adversary's allowance that must be found before lies are thought to be there.
const LIES_FOUND: f64 = 0.6;

/// What is assumed of the sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitOptions {
    /// ε, the share of the samples that may be an adversary's, in `[0, 0.5)`. A bound: there may be fewer.
    pub contamination: f64,
    /// The family; `None` picks one.
    pub family: Option<FamilyName>,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { contamination: CONTAMINATION_DEFAULT, family: None }
    }
}

/// A distribution fitted to a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The family.
    pub family: FamilyName,
    /// The distribution.
    pub distribution: Distribution,
    /// Standard errors of the parameters, by sandwich; a binomial's `trials` and a histogram have none. Empty where
    /// the sample does not determine a parameter.
    pub standard_errors: Vec<(&'static str, f64)>,
    /// The number of samples.
    pub n: usize,
    /// How many of them, rounded, were taken to be an adversary's.
    pub trimmed: usize,
    /// Kolmogorov and Smirnov's distance between the distribution and the samples that were kept.
    pub ks: f64,
    /// Akaike's criterion of the samples that were kept: `2k − 2 Σ w·ln f(x)`, `w` the share kept of a sample's bin.
    /// Families that keep different samples cannot be compared by it; see [`Alternative::criterion`].
    pub aic: f64,
    /// The robust deviance of the whole sample, with `ln n` for each parameter: see [`Alternative::criterion`]; 0 for a
    /// histogram.
    pub criterion: f64,
    /// Where the family was picked: all that were tried, the best first.
    pub alternatives: Vec<Alternative>,
}

/// A family that was tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    /// The family.
    pub family: FamilyName,
    /// Its best distribution.
    pub distribution: Distribution,
    /// What the families are compared by, least first: the robust deviance of the whole sample, with `ln n` for each
    /// parameter.
    pub criterion: f64,
    /// How many samples, rounded, it takes to be an adversary's.
    pub trimmed: usize,
    /// Kolmogorov and Smirnov's distance from the samples that it keeps.
    pub ks: f64,
    /// Akaike's criterion of the samples that it keeps.
    pub aic: f64,
}

/// Fits a distribution to `samples`, of which up to `contamination` may be an adversary's, anywhere.
///
/// The sample is counted in bins of about equal numbers, and the distribution is the one under which
/// the bins hold least too *few* samples: an adversary adds samples, but cannot take honest ones away. Bins that hold
/// too many count against it only a little. So a clump in the tail pulls no more than far outliers do, where quantiles or trimmed
/// likelihoods would follow it. On a clean sample the estimate is that of maximum likelihood but for the binning.
///
/// The time does not depend on the number of samples, but for sorting them.
///
/// # Errors
/// Fewer than 10 samples, one that is not finite, a contamination outside `[0, 0.5)`; a sample of which all but an
/// adversary's share are equal (for counts: all); more samples that the family cannot give than an adversary's share.
///
/// ```
/// use centauri_fit::{FamilyName, FitOptions, fit_distribution};
/// use centauri_engine::Distribution;
///
/// // 400 honest delays and 100 lies that say 9 s.
/// let honest = Distribution::gamma(2.0, 0.03)?;
/// let mut samples: Vec<f64> = (0..400).map(|i| honest.quantile((f64::from(i) + 0.5) / 400.0)).collect();
/// samples.extend([9.0; 100]);
///
/// let options = FitOptions { family: Some(FamilyName::Gamma), ..FitOptions::default() };
/// let fitted = fit_distribution(&samples, &options)?;
/// assert_eq!(fitted.trimmed, 100);
/// assert!((fitted.distribution.mean() - 0.06).abs() < 0.003);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fit_distribution(samples: &[f64], options: &FitOptions) -> Result<Fitted, FitError> {
    let sample = Sample::new(samples, options.contamination)?;
    match options.family {
        Some(family) => sample.fitted(family),
        None => sample.pick(),
    }
}

/// A sample that can be fitted.
struct Sample {
    sorted: Vec<f64>,
    contamination: f64,
    bins: Bins,
    frame: Frame,
    /// The most frequent value, and how often it comes.
    mode: (f64, usize),
}

/// Free numbers, with what they give.
struct Best {
    family: FamilyName,
    free: Vec<f64>,
    frame: Frame,
    distribution: Distribution,
    score: Score,
}

impl Sample {
    fn new(samples: &[f64], contamination: f64) -> Result<Self, FitError> {
        if !(0.0..0.5).contains(&contamination) {
            return Err(FitError::Contamination(contamination));
        }
        if samples.len() < SAMPLES_MIN {
            return Err(FitError::TooFew { found: samples.len(), expected: SAMPLES_MIN });
        }
        if let Some(index) = samples.iter().position(|x| !x.is_finite()) {
            return Err(FitError::NotFinite {
                index,
                value: samples.get(index).copied().unwrap_or(f64::NAN),
            });
        }
        let mut sorted: Vec<f64> = samples.iter().map(|x| x + 0.0).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let runs = sorted.chunk_by(|a, b| a == b);
        let mode = runs.filter_map(|run| Some((*run.first()?, run.len()))).max_by_key(|run| run.1);
        let mode = mode.unwrap_or((0.0, 0));
        let frame = Frame { centre: quantile(&sorted, 0.5), scale: scale(&sorted), trials: 0 };
        Ok(Self { bins: Bins::of(&sorted), frame, mode, contamination, sorted })
    }

    fn objective(&self) -> Objective<'_> {
        Objective { bins: &self.bins, contamination: self.contamination }
    }

    /// The most samples that an adversary may have.
    fn liars(&self) -> usize {
        (self.sorted.len() as f64 * self.contamination) as usize
    }

    fn check(&self, family: FamilyName) -> Result<(), FitError> {
        let of = self.sorted.len();
        let found = self.sorted.iter().filter(|x| !family.admits(**x)).count();
        if found > self.liars() {
            return Err(FitError::Outside {
                family,
                found,
                of,
                limit: self.liars(),
                expected: family.gives(),
            });
        }
        // A discrete family may have nearly all of its mass on one count.
        let lies = if family.is_discrete() || family == FamilyName::Empirical { 0 } else { self.liars() };
        let (value, count) = self.mode;
        if count + lies >= of {
            return Err(FitError::Degenerate { value, count, of });
        }
        Ok(())
    }

    fn best(&self, family: FamilyName) -> Result<Best, FitError> {
        self.check(family)?;
        let found = if family == FamilyName::Binomial {
            self.best_binomial()
        } else {
            self.search(family, self.frame)
        };
        found.ok_or(FitError::NoFit(family))
    }

    /// Free numbers of the least deviance, in this frame.
    fn search(&self, family: FamilyName, frame: Frame) -> Option<Best> {
        let objective = self.objective();
        let mut masses = Vec::with_capacity(self.bins.counts.len());
        let mut score = |free: &[f64]| match decode(family, free, &frame) {
            Ok(distribution) => {
                objective.masses(&distribution, &mut masses);
                Some((objective.score(&masses), distribution))
            }
            Err(_) => None,
        };
        let mut value = |free: &[f64]| score(free).map_or(f64::INFINITY, |found| found.0.deviance);
        let mut from: Vec<(f64, Vec<f64>)> = starts(family, &self.sorted, self.contamination, &frame)
            .into_iter()
            .map(|start| (value(&start), start))
            .collect();
        from.sort_by(|a, b| a.0.total_cmp(&b.0));
        from.dedup_by(|a, b| a.1 == b.1);
        let searches = from.iter().take(2).map(|(_, start)| {
            let coarse = minimise(&mut value, start, 0.3, 1e-3, 150);
            minimise(&mut value, &coarse.at, 0.05, 1e-5, 200)
        });
        let least = searches.min_by(|a, b| a.value.total_cmp(&b.value)).filter(|m| m.value.is_finite())?;
        let (score, distribution) = score(&least.at)?;
        Some(Best { family, free: least.at, frame, distribution, score })
    }

    /// Trials are integers: a coarse search over their logarithm, then finer ones around the best.
    fn best_binomial(&self) -> Option<Best> {
        let kept = self.sorted.len() - self.liars();
        let most = quantile(self.sorted.get(..kept)?, 1.0).max(1.0);
        let mean = quantile(&self.sorted, 0.5).max(1.0);
        let (mut low, mut high) =
            (mean.floor().min(most), (TRIALS_PER_MEAN * mean).max(2.0 * most).min(1e15));
        let mut best: Option<Best> = None;
        for _ in 0..4 {
            let ratio = high / low;
            let mut grid: Vec<u64> =
                (0..=14).map(|i| (low * ratio.powf(f64::from(i) / 14.0)).round() as u64).collect();
            grid.dedup();
            for &trials in &grid {
                let found = self.search(FamilyName::Binomial, Frame { trials, ..self.frame });
                best = [best, found]
                    .into_iter()
                    .flatten()
                    .min_by(|a, b| a.score.deviance.total_cmp(&b.score.deviance));
            }
            let at = best.as_ref().map_or(0, |b| b.frame.trials);
            let place = grid.partition_point(|&t| t < at);
            let neighbour = |i: usize| grid.get(i).copied().unwrap_or(at) as f64;
            let (below, above) = (neighbour(place.saturating_sub(1)), neighbour(place + 1));
            if above - below <= 2.0 {
                break;
            }
            (low, high) = (below.max(1.0), above);
        }
        best
    }

    fn fitted(&self, family: FamilyName) -> Result<Fitted, FitError> {
        if family == FamilyName::Empirical {
            return self.histogram();
        }
        let best = self.best(family)?;
        Ok(self.report(&best, Vec::new()))
    }

    /// What is left of each bin when the adversary's share is taken away.
    fn kept(&self, best: &Best) -> Vec<f64> {
        let mut masses = Vec::new();
        self.objective().masses(&best.distribution, &mut masses);
        let expected = masses.iter().map(|mass| best.score.honest * mass);
        let share = |(&o, e): (&f64, f64)| if excess(o, e) { e / o } else { 1.0 };
        self.bins.counts.iter().zip(expected).map(share).collect()
    }

    fn report(&self, best: &Best, alternatives: Vec<Alternative>) -> Fitted {
        let kept = self.kept(best);
        let own = self.alternative(best, &kept);
        let errors =
            standard_errors(best.family, &self.objective(), &best.frame, &best.free, best.score.honest);
        Fitted {
            family: best.family,
            distribution: best.distribution.clone(),
            standard_errors: errors.unwrap_or_default(),
            n: self.sorted.len(),
            trimmed: own.trimmed,
            ks: own.ks,
            aic: own.aic,
            criterion: own.criterion,
            alternatives,
        }
    }

    fn alternative(&self, best: &Best, kept: &[f64]) -> Alternative {
        let removed: f64 = self.bins.counts.iter().zip(kept).map(|(o, share)| o * (1.0 - share)).sum();
        let k = best.family.parameters() as f64;
        let (ks, ln_likelihood) = self.against(&best.distribution, kept);
        Alternative {
            family: best.family,
            distribution: best.distribution.clone(),
            criterion: 2.0 * best.score.deviance + k * (self.sorted.len() as f64).ln(),
            trimmed: removed.round() as usize,
            ks,
            aic: 2.0 * k - 2.0 * ln_likelihood,
        }
    }

    /// KS distance from the samples that are kept, and their log-likelihood.
    fn against(&self, distribution: &Distribution, kept: &[f64]) -> (f64, f64) {
        let stride = self.sorted.len().div_ceil(LOOKS_MAX);
        let looked: Vec<f64> = self.sorted.iter().copied().step_by(stride).collect();
        let share = |x: f64| kept.get(self.bins.index(x)).copied().unwrap_or(1.0);
        let total: f64 = looked.iter().map(|&x| share(x)).sum();
        let (mut below, mut ks, mut ln_likelihood) = (0.0, 0.0_f64, 0.0);
        for run in looked.chunk_by(|a, b| a == b) {
            let Some(&x) = run.first() else { continue };
            let ln = distribution.ln_density(x);
            let weight = if ln.is_finite() { share(x) * run.len() as f64 } else { 0.0 };
            if weight > 0.0 {
                ln_likelihood += weight * ln;
            }
            let cdf = distribution.cdf(x);
            if !distribution.is_discrete() {
                ks = ks.max((cdf - below / total).abs());
            }
            below += share(x) * run.len() as f64;
            ks = ks.max((cdf - below / total).abs());
        }
        (ks, ln_likelihood * stride as f64)
    }

    /// The best of all families that can give the sample.
    fn pick(&self) -> Result<Fitted, FitError> {
        let counts = self.check(FamilyName::Poisson).is_ok();
        let mut tried: Vec<(Best, Alternative)> = Vec::new();
        let mut refused = None;
        for family in FamilyName::ALL {
            if family == FamilyName::Empirical || family.is_discrete() && !counts {
                continue;
            }
            match self.best(family) {
                Ok(best) => {
                    let mut own = self.alternative(&best, &self.kept(&best));
                    if counts && !family.is_discrete() {
                        own.criterion += 2.0 * ROUNDED_PENALTY * self.sorted.len() as f64;
                    }
                    tried.push((best, own));
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        tried.sort_by(|a, b| a.1.criterion.total_cmp(&b.1.criterion));
        self.prefer_narrow(&mut tried);
        let alternatives = tried.iter().map(|(_, own)| own.clone()).collect();
        match tried.first() {
            Some((best, _)) => Ok(self.report(best, alternatives)),
            None => Err(refused.unwrap_or(FitError::NoFit(FamilyName::Normal))),
        }
    }

    /// Where the best family finds lies, the order takes the widths in: a clump in a tail makes the sample look like that
    /// of a wider family, never of a narrower one, and a wider family then needs better evidence.
    fn prefer_narrow(&self, tried: &mut [(Best, Alternative)]) {
        let Some(found) = tried.first().map(|(_, own)| own.trimmed as f64) else { return };
        // Without an allowance there are no lies to be found, not even none of none.
        if found <= self.sorted.len() as f64 * self.contamination * LIES_FOUND {
            return;
        }
        let price = |own: &Alternative| {
            let width = own.distribution.quantile(0.975) - own.distribution.quantile(0.025);
            // Without any width (a count that never varies) there is nothing to prefer.
            own.criterion + PER_LN_WIDTH * width.max(f64::MIN_POSITIVE).ln()
        };
        tried.sort_by(|a, b| price(&a.1).total_cmp(&price(&b.1)));
    }

    /// Everything as it is, in bins of equal numbers.
    fn histogram(&self) -> Result<Fitted, FitError> {
        self.check(FamilyName::Empirical)?;
        let mut edges: Vec<f64> =
            (0..=HISTOGRAM_BINS).map(|i| quantile(&self.sorted, i as f64 / HISTOGRAM_BINS as f64)).collect();
        edges.dedup();
        let upto = |edge: f64| self.sorted.partition_point(|&x| x <= edge) as f64;
        let counts = edges.windows(2).enumerate().map(|(i, pair)| match pair {
            [low, high] => upto(*high) - if i == 0 { 0.0 } else { upto(*low) },
            _ => 0.0,
        });
        let counts: Vec<f64> = counts.collect();
        let distribution = Distribution::new(Family::Empirical { edges, counts }, 0.0)?;
        let (ks, ln_likelihood) = self.against(&distribution, &vec![1.0; self.bins.counts.len()]);
        Ok(Fitted {
            family: FamilyName::Empirical,
            distribution,
            standard_errors: Vec::new(),
            n: self.sorted.len(),
            trimmed: 0,
            ks,
            aic: -2.0 * ln_likelihood,
            criterion: 0.0,
            alternatives: Vec::new(),
        })
    }
}

/// A length that the sample's spread is measured in: the distance of its quartiles, or what comes next.
fn scale(sorted: &[f64]) -> f64 {
    let between = |tail: f64| quantile(sorted, 1.0 - tail) - quantile(sorted, tail);
    let spreads = [0.25, 0.1, 0.02, 0.0].map(between);
    spreads.into_iter().find(|spread| *spread > 0.0 && spread.is_finite()).unwrap_or(1.0)
}
