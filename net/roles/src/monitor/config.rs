//! What a monitor is told.

use std::net::SocketAddr;

use centauri_engine::Distribution;
use centauri_wire::{Limits, NodeId, SampleKind};

use super::Estimated;
use crate::error::check_number;
use crate::{ConfigError, RING_VALUES_MAX};

/// How the values of several senders become one sample to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Combination {
    /// Quantile by quantile, the mean over the senders without the `f` lowest and the `f` highest. What is fitted lies, at
    /// each probability, between the honest senders' least and largest quantile, whatever `f` senders say.
    #[default]
    Trimmed,
    /// Equally many values of each sender, fitted as a sample of which the share `f/n` is an adversary's. For senders that
    /// honestly differ from each other, of whom the mixture is wanted; lies move it further (`docs/NUMERICS.md`, "What the monitor publishes").
    Pooled,
}

/// A distribution that the monitor keeps up to date.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitored {
    /// Its name.
    pub name: String,
    /// Whether it is one of outputs or of latencies: samples of the other kind are dropped.
    pub kind: SampleKind,
    /// Its family, and how it is estimated.
    pub family: Estimated,
    /// Forces the centre to 0 (normal, Laplace, logistic and Student's t only).
    pub centred: bool,
    /// No scale below this is published: identical samples make no distribution. For families of positive
    /// numbers, the least mean (lognormal: median). A fitted distribution that is narrower (half of the distance between its
    /// 16th and 84th percentiles) is not published.
    pub scale_min: f64,
    /// A sender with fewer values has no say. Values that have faded count for less.
    pub samples_min: usize,
    /// With fewer senders nothing is published. `2f + 1` keeps `f` of them from moving the estimate at will.
    pub senders_min: usize,
    /// How many senders may lie, `f`; `None` for fewer than a third of those that have a say, `⌊(n − 1)/3⌋`. Where it is
    /// given, nothing is published with fewer than `2f + 1` senders.
    pub faults: Option<usize>,
    /// How senders are combined where the family is fitted.
    pub combination: Combination,
    /// Who may have a say; `None` for every registered node whose role may send such samples.
    pub senders: Option<Vec<NodeId>>,
}

impl Monitored {
    /// A distribution with the defaults: scale at least 1e-9, 32 values a sender, one sender, anybody, fewer than a third liars.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: SampleKind, family: Estimated) -> Self {
        Self {
            name: name.into(),
            kind,
            family,
            centred: false,
            scale_min: 1e-9,
            samples_min: 32,
            senders_min: 1,
            faults: None,
            combination: Combination::default(),
            senders: None,
        }
    }

    /// How many of so many senders may lie; `None` where there are too few to publish anything.
    pub(super) fn faults_of(&self, senders: usize) -> Option<usize> {
        if senders < self.senders_min.max(1) {
            return None;
        }
        match self.faults {
            Some(faults) => (senders > faults.saturating_mul(2)).then_some(faults),
            None => Some((senders - 1) / 3),
        }
    }
}

/// How a jump is told from chance.
///
/// Whenever a sender has sent `window` values or more since its last test, these are held against the older ones that are kept of it, by
/// Kolmogorov and Smirnov's test of two samples. Where more than half of the senders, and more than `f`, showed a change in their
/// last test, older values are forgotten.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriftPolicy {
    /// The least number of values tested, from 8; half of the values kept at most.
    pub window: usize,
    /// The chance at most that a test shows a change where there is none, of independent values: between 0 and 1.
    pub alarm_rate: f64,
}

impl Default for DriftPolicy {
    /// 64 values; one in ten thousand.
    fn default() -> Self {
        Self { window: 64, alarm_rate: 1e-4 }
    }
}

/// What a monitor is told.
#[derive(Debug, Clone)]
pub struct MonitorConfig {
    /// The distributions.
    pub monitored: Vec<Monitored>,
    /// The newest values kept for each distribution and sender.
    pub values_max: usize,
    /// The most senders per distribution.
    pub senders_max: usize,
    /// A sender that has not been heard for this long has no say, in nanoseconds.
    pub silent_after_ns: i64,
    /// A value this old counts half of a new one, one twice as old a quarter, in nanoseconds.
    pub half_life_ns: i64,
    /// How jumps are found; `None` for not at all.
    pub drift: Option<DriftPolicy>,
    /// The most values that a fit looks at: 10 to 16,384.
    pub fit_values_max: usize,
    /// The least time between two publications of a distribution, in nanoseconds. It is estimated anew that often.
    pub publish_every_min_ns: i64,
    /// The most time between two publications of a distribution of which there are samples, in nanoseconds: so often clients hear that
    /// it still holds.
    pub publish_every_max_ns: i64,
    /// In between it is published when it has moved by more than this since the last time: the largest difference of the two
    /// distribution functions, 0 to 1.
    pub publish_distance: f64,
    /// So long after it has moved it is published once more, in nanoseconds: datagrams get lost, and a client that doubts a large move
    /// wants to hear it twice.
    pub publish_again_ns: i64,
    /// Who is told, in best effort.
    pub targets: Vec<SocketAddr>,
    /// What an earlier monitor published last, by name, and when: it is published again when it has moved, or when its time has come.
    pub restored: Vec<(String, Distribution, i64)>,
    /// The acceptance of frames.
    pub limits: Limits,
}

impl Default for MonitorConfig {
    /// Nothing to monitor; 1,024 values of at most 1,024 senders heard within a minute, each worth half after five; published every
    /// second if it has moved by 0.02, once more three seconds later, and every half a minute if not.
    fn default() -> Self {
        Self {
            monitored: Vec::new(),
            values_max: 1_024,
            senders_max: 1_024,
            silent_after_ns: 60_000_000_000,
            half_life_ns: 300_000_000_000,
            drift: Some(DriftPolicy::default()),
            fit_values_max: 512,
            publish_every_min_ns: 1_000_000_000,
            publish_every_max_ns: 30_000_000_000,
            publish_distance: 0.02,
            publish_again_ns: 3_000_000_000,
            targets: Vec::new(),
            restored: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl MonitorConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let good = (1..=RING_VALUES_MAX).contains(&self.values_max);
        check_number("values_max", self.values_max as i128, good, "1 to 1,048,576")?;
        let good = (10..=16_384).contains(&self.fit_values_max);
        check_number("fit_values_max", self.fit_values_max as i128, good, "10 to 16,384")?;
        for (key, value) in [
            ("silent_after_ns", self.silent_after_ns),
            ("half_life_ns", self.half_life_ns),
            ("publish_every_min_ns", self.publish_every_min_ns),
            ("publish_again_ns", self.publish_again_ns),
        ] {
            check_number(key, value, value > 0, "at least 1")?;
        }
        let (key, most) = ("publish_every_max_ns", self.publish_every_max_ns);
        check_number(key, most, most >= self.publish_every_min_ns, "at least publish_every_min_ns")?;
        check_real("publish_distance", self.publish_distance, 0.0..=1.0, "a number from 0 to 1")?;
        if let Some(DriftPolicy { window, alarm_rate }) = self.drift {
            let good = window >= 8 && window <= self.values_max / 2;
            check_number("drift.window", window as i128, good, "8 to half of values_max")?;
            let range = f64::MIN_POSITIVE..=1.0 - f64::EPSILON;
            check_real("drift.alarm_rate", alarm_rate, range, "a number between 0 and 1")?;
        }
        Ok(())
    }
}

fn check_real(
    key: &'static str,
    found: f64,
    range: std::ops::RangeInclusive<f64>,
    expected: &'static str,
) -> Result<(), ConfigError> {
    if range.contains(&found) { Ok(()) } else { Err(ConfigError::Real { key, found, expected }) }
}
