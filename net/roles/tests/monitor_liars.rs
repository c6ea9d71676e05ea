//! What liars among the senders can do to a published distribution: a search over what they may say.

mod common;

use centauri_engine::Distribution;
use centauri_roles::*;
use centauri_wire::{NodeId, Sample, SampleKind};
use common::*;

/// Values of each honest sender.
const VALUES: usize = 500;

/// What all liars do alike. Lengths are in standard deviations of the truth.
#[derive(Debug, Clone, Copy)]
enum Lie {
    None,
    Silence,
    /// The truth, moved.
    Shift(f64),
    /// The truth, so many times as far from its median.
    Scale(f64),
    /// One quantile of the truth, always.
    Constant(f64),
    /// So far below and above the mean in turns.
    Bimodal(f64),
    /// Evenly between two quantiles: for instance just inside a tail.
    Between(f64, f64),
    /// The truth, moved more and more, up to so far.
    Drift(f64),
    /// Four times as many values, moved.
    Flood(f64),
}

fn lies() -> Vec<Lie> {
    let shifts = [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 10.0, 1e6];
    let mut all = vec![Lie::Silence];
    all.extend(shifts.iter().flat_map(|by| [Lie::Shift(*by), Lie::Shift(-by)]));
    all.extend([0.0, 0.1, 0.3, 0.5, 0.7, 1.5, 2.0, 5.0, 1e6].map(Lie::Scale));
    all.extend([0.001, 0.02, 0.1, 0.25, 0.4, 0.5, 0.75, 0.9, 0.98, 0.999].map(Lie::Constant));
    all.extend([0.5, 1.0, 2.0, 3.0].map(Lie::Bimodal));
    let tails = [(0.975, 0.999), (0.9, 0.999), (0.5, 0.999), (0.001, 0.025), (0.001, 0.5), (0.25, 0.75)];
    all.extend(tails.map(|(low, high)| Lie::Between(low, high)));
    all.extend([Lie::Drift(1.0), Lie::Drift(3.0), Lie::Drift(-3.0), Lie::Flood(1.0), Lie::Flood(-2.0)]);
    all
}

impl Lie {
    fn values(self, truth: &Distribution, rng: &mut SplitMix64) -> Vec<f64> {
        let (mean, median, sd) = (truth.mean(), truth.median(), truth.variance().sqrt());
        let count = match self {
            Self::Silence => 0,
            Self::Flood(_) => 4 * VALUES,
            _ => VALUES,
        };
        let value = |at: usize, honest: f64, even: f64| match self {
            Self::None | Self::Silence => honest,
            Self::Shift(by) | Self::Flood(by) => honest + by * sd,
            Self::Scale(by) => median + by * (honest - median),
            Self::Constant(p) => truth.quantile(p),
            Self::Bimodal(by) => mean + if at.is_multiple_of(2) { by * sd } else { -by * sd },
            Self::Between(low, high) => {
                let (low, high) = (truth.quantile(low), truth.quantile(high));
                low + even * (high - low)
            }
            Self::Drift(to) => honest + to * sd * at as f64 / count as f64,
        };
        (0..count).map(|at| value(at, truth.quantile(rng.unit()), rng.unit())).collect()
    }
}

fn tell(monitor: &mut Monitor, from: NodeId, values: &[f64], kept_ns: &mut i64) {
    let mut bytes = Vec::new();
    for values in values.chunks(500) {
        *kept_ns += 1;
        let sample = Sample { kind: SampleKind::Output, distribution: "d", values };
        sample.encode(*kept_ns, &identity(from), &mut bytes).unwrap();
        monitor.handle(*kept_ns, address(from), &bytes, &mut Effects::new());
    }
}

/// What is published of `senders` of whom the first `faults` lie.
fn published(
    way: (Estimated, Combination),
    truth: &Distribution,
    (senders, faults): (usize, usize),
    lie: Lie,
    seed: u64,
) -> Option<Distribution> {
    let (family, combination) = way;
    let named =
        Monitored { faults: Some(faults), combination, ..Monitored::new("d", SampleKind::Output, family) };
    let config = MonitorConfig { monitored: vec![named], ..MonitorConfig::default() };
    let mut monitor = Monitor::new(&config, registry(), identity(MONITOR), 0).unwrap();
    let mut rng = SplitMix64::new(seed);
    let mut now_ns = 0;
    for (at, node) in REPLICAS.into_iter().chain(SOURCES).take(senders).enumerate() {
        let says = if at < faults { lie } else { Lie::None };
        tell(&mut monitor, node, &says.values(truth, &mut rng), &mut now_ns);
    }
    let mut effects = Effects::new();
    monitor.tick(monitor.next_deadline().unwrap(), &mut effects);
    effects.iter().find_map(|effect| match effect {
        Effect::Published { distribution, .. } => Some(distribution.clone()),
        _ => None,
    })
}

/// Kolmogorov's distance over a fine grid of the truth's quantiles.
fn distance(found: &Distribution, truth: &Distribution) -> f64 {
    let places = (1..500).map(|i| f64::from(i) / 500.0);
    places.map(|p| (found.cdf(truth.quantile(p)) - p).abs()).fold(0.0, f64::max)
}

/// The distance without lies, and the worst over all lies with the lie.
fn search(
    way: (Estimated, Combination),
    truth: &Distribution,
    fleet: (usize, usize),
    seeds: std::ops::Range<u64>,
) -> (f64, f64, Lie) {
    let (mut clean, mut worst) = (0.0_f64, (0.0, Lie::None));
    for seed in seeds {
        let of = |lie| {
            // Where all senders are needed one that is silent, or says nothing possible, keeps anything from being
            // published, and a client keeps what it has.
            let without = if fleet.0 > 2 * fleet.1 + 1 || matches!(lie, Lie::None) { 1.0 } else { 0.0 };
            published(way, truth, fleet, lie, seed).map_or(without, |found| distance(&found, truth))
        };
        clean = clean.max(of(Lie::None));
        for lie in lies() {
            let found = of(lie);
            if found > worst.0 {
                worst = (found, lie);
            }
        }
    }
    (clean, worst.0, worst.1)
}

/// A way of estimating a family.
type Way = (&'static str, fn(FamilyName) -> (Estimated, Combination));

const TRIMMED: Way = ("trimmed", |family| (Estimated::Fitted(family), Combination::Trimmed));
const AUTO: Way = ("auto", |_| (Estimated::Auto, Combination::Trimmed));
const POOLED: Way = ("pooled", |family| (Estimated::Fitted(family), Combination::Pooled));
const QUANTILES: Way = ("quantiles", |family| {
    let estimated = match family {
        FamilyName::Exponential => Estimated::Exponential,
        FamilyName::Gamma => Estimated::Gamma,
        _ => Estimated::Normal,
    };
    (estimated, Combination::Trimmed)
});

/// Prints the table, and gives the worst distance that each way came to.
fn table(fleets: &[(usize, usize)], ways: &[Way], seeds: &std::ops::Range<u64>) -> Vec<f64> {
    let truths = [
        (FamilyName::Normal, Distribution::normal(10.0, 2.0)),
        (FamilyName::Exponential, Distribution::exponential(0.02)),
        (FamilyName::Gamma, Distribution::gamma(2.0, 0.03)),
    ];
    let mut most = vec![0.0_f64; ways.len()];
    println!("truth       n  f  way        no lies  worst  by");
    for (family, truth) in truths {
        let truth = truth.unwrap();
        for (senders, faults) in fleets {
            for (most, (name, way)) in most.iter_mut().zip(ways) {
                let fleet = (*senders, *faults);
                let (clean, worst, lie) = search(way(family), &truth, fleet, seeds.clone());
                let family = family.name();
                println!("{family:<11} {senders}  {faults}  {name:<10} {clean:.3}    {worst:.3}  {lie:?}");
                *most = most.max(worst);
            }
        }
    }
    most
}

/// What fewer than a third of liars among senders with 500 values each may do to a fit of a known family: the largest difference of the
/// distribution functions.
const BOUND: f64 = 0.05;
/// What they may do where the family is looked for or the estimate is one by quantiles, or where all but half lie.
const BOUND_OTHERWISE: f64 = 0.08;

#[test]
fn no_lie_that_was_tried_moves_a_published_distribution_by_more_than_the_bound() {
    let most = table(&[(7, 2)], &[TRIMMED, QUANTILES], &(1..2));
    assert!(most[0] < BOUND && most[1] < BOUND_OTHERWISE, "{most:?}");
    // What trimming is for: one of the same lies moves a pooled sample much farther.
    let truth = Distribution::normal(10.0, 2.0).unwrap();
    let pooled = published(POOLED.1(FamilyName::Normal), &truth, (7, 2), Lie::Shift(-2.0), 1).unwrap();
    let pooled = distance(&pooled, &truth);
    println!("pooled, the same sender moved by -2 sd: {pooled:.3}");
    assert!(pooled > 2.0 * BOUND);
}

#[test]
#[ignore = "minutes; SEEDS=20 for twenty of them"]
fn no_lie_that_was_tried_does_on_many_seeds() {
    let seeds = std::env::var("SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let seeds = 100..100 + seeds;
    let most = table(&[(4, 1), (7, 2)], &[TRIMMED, AUTO, QUANTILES, POOLED], &seeds);
    assert!(most[0] < BOUND && most[1].max(most[2]) < BOUND_OTHERWISE, "{most:?}");
    let most = table(&[(5, 2)], &[TRIMMED, AUTO, QUANTILES], &seeds);
    assert!(most.iter().all(|worst| *worst < BOUND_OTHERWISE), "{most:?}");
}
