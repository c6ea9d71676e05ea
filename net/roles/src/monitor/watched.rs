//! One distribution that is kept up to date.

use std::collections::BTreeMap;

use centauri_engine::Distribution;
use centauri_wire::NodeId;

use super::drift::differ;
use super::estimate::Profile;
use super::family::Estimator;
use super::fit::fitted;
use super::ring::Ring;
use super::{DriftPolicy, MonitorConfig, Monitored};
use crate::ConfigError;
use crate::distance::distance;

/// What is known of a distribution.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) monitored: Monitored,
    estimator: Estimator,
    rings: BTreeMap<NodeId, Ring>,
    /// What was published last, and when.
    last: Option<(Distribution, i64)>,
    /// When it is to be published again, because it had moved.
    again_ns: Option<i64>,
    /// Whether the senders or their values are others than when it was estimated last.
    is_new: bool,
    /// When it is to be estimated again; `None` for never.
    pub(super) due_ns: Option<i64>,
}

/// What an estimate comes to.
#[derive(Debug, PartialEq)]
pub(super) enum News {
    /// It is to be published.
    Publish(Distribution),
    /// It is much as it was.
    Unchanged,
    /// Too few senders or values, or nothing that can be published.
    Withheld,
}

impl Watched {
    pub(super) fn new(monitored: &Monitored, due_ns: Option<i64>) -> Result<Self, ConfigError> {
        Ok(Self {
            monitored: monitored.clone(),
            estimator: Estimator::new(monitored)?,
            rings: BTreeMap::new(),
            last: None,
            again_ns: None,
            is_new: false,
            due_ns,
        })
    }

    /// Keeps a sender's values, if it may have a say, and looks whether things have changed: how many senders say so
    /// where they are enough to forget what was before.
    pub(super) fn keep(
        &mut self,
        now_ns: i64,
        sender: NodeId,
        values: impl Iterator<Item = f64>,
        config: &MonitorConfig,
    ) -> Outcome {
        let allowed = self.monitored.senders.as_ref().is_none_or(|senders| senders.contains(&sender));
        let is_known = self.rings.contains_key(&sender);
        if !allowed || (!is_known && self.rings.len() >= config.senders_max) {
            return Outcome::Refused;
        }
        let ring = self.rings.entry(sender).or_insert_with(|| Ring::new(config.values_max));
        ring.heard_ns = now_ns;
        for value in values {
            ring.push(now_ns, value);
        }
        self.is_new = true;
        let Some(policy) = config.drift else { return Outcome::Kept };
        test(ring, policy);
        if ring.changed_ns.is_none() {
            return Outcome::Kept;
        }
        self.forget_if_changed().map_or(Outcome::Kept, |senders| Outcome::Changed { senders })
    }

    /// Where a majority of the senders, more than may lie, shows a change, forgets what was before it. Others' values are cut off
    /// at the median time of change.
    fn forget_if_changed(&mut self) -> Option<usize> {
        let mut times: Vec<i64> = self.rings.values().filter_map(|ring| ring.changed_ns).collect();
        let senders = times.len();
        let most_lie = self.monitored.faults.unwrap_or(0);
        if 2 * senders <= self.rings.len() || senders <= most_lie {
            return None;
        }
        times.sort_unstable();
        let median_ns = *times.get(senders / 2)?;
        for ring in self.rings.values_mut() {
            ring.forget(ring.changed_ns.unwrap_or(median_ns));
        }
        Some(senders)
    }

    /// Estimates it and says what is to be done.
    pub(super) fn news(&mut self, now_ns: i64, config: &MonitorConfig) -> News {
        let oldest_ns = now_ns.saturating_sub(config.silent_after_ns);
        let before = self.rings.len();
        // A sender that has fallen silent makes room for another.
        self.rings.retain(|_, ring| ring.heard_ns >= oldest_ns);
        self.is_new |= self.rings.len() != before;
        let age_ns = self.last.as_ref().map(|(_, at_ns)| now_ns.saturating_sub(*at_ns));
        let is_overdue = age_ns.is_none_or(|age| age >= config.publish_every_max_ns)
            || self.again_ns.is_some_and(|again| again <= now_ns);
        if !self.is_new && !is_overdue {
            return News::Unchanged;
        }
        self.is_new = false;
        let Some(estimate) = self.estimate(now_ns, config) else { return News::Withheld };
        let is_near =
            self.last.as_ref().is_some_and(|(last, _)| distance(last, &estimate) <= config.publish_distance);
        if is_near && !is_overdue { News::Unchanged } else { News::Publish(estimate) }
    }

    /// Remembers what was published.
    pub(super) fn published(&mut self, now_ns: i64, distribution: Distribution, config: &MonitorConfig) {
        let far = |(last, _): &(Distribution, i64)| distance(last, &distribution) > config.publish_distance;
        let has_moved = self.last.as_ref().is_none_or(far);
        self.again_ns = if has_moved { now_ns.checked_add(config.publish_again_ns) } else { None };
        self.last = Some((distribution, now_ns));
    }

    /// What was published last, and when.
    pub(super) fn last(&self) -> Option<(&Distribution, i64)> {
        self.last.as_ref().map(|(distribution, at_ns)| (distribution, *at_ns))
    }

    /// Goes on from what was published before a restart.
    pub(super) fn restore(&mut self, distribution: Distribution, at_ns: i64) {
        self.last = Some((distribution, at_ns));
    }

    fn estimate(&self, now_ns: i64, config: &MonitorConfig) -> Option<Distribution> {
        let half_life_ns = config.half_life_ns;
        let worth = self.rings.values().map(|ring| (ring, ring.worth(now_ns, half_life_ns)));
        let enough = worth.filter(|(_, worth)| *worth >= self.monitored.samples_min.max(1));
        let (rings, mut counts): (Vec<_>, Vec<_>) = enough.unzip();
        let faults = self.monitored.faults_of(rings.len())?;
        let profiles = rings.iter().map(|ring| ring.profile(now_ns, half_life_ns));
        match self.monitored.family.fitted() {
            Some(family) => {
                let profiles: Vec<Profile> = profiles.collect();
                // As many values as the median sender has: one with few cannot make the sample small.
                counts.sort_unstable();
                let count = counts.get(counts.len() / 2).copied()?;
                let count = match self.monitored.combination {
                    super::Combination::Trimmed => count,
                    super::Combination::Pooled => count.saturating_mul(rings.len()),
                };
                let values = count.min(config.fit_values_max);
                fitted(&profiles, (faults, values), family, &self.monitored)
            }
            None => {
                let values = profiles.zip(&counts).map(|(profile, count)| profile.quantiles(*count));
                let estimates =
                    values.filter_map(|mut values| self.estimator.of_sender(&mut values, &self.monitored));
                self.estimator.of_senders(&mut estimates.collect::<Vec<_>>(), &self.monitored)
            }
        }
    }
}

/// What became of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Kept,
    /// The sender has no say.
    Refused,
    /// So many senders show a change; what was before it is forgotten.
    Changed {
        senders: usize,
    },
}

/// Tests a sender's newest values, once there are enough.
fn test(ring: &mut Ring, policy: DriftPolicy) {
    if let Some(mut windows) = ring.untested(policy.window) {
        let changed = differ(&mut windows.older, &mut windows.newer, policy.alarm_rate);
        ring.changed_ns = changed.then_some(windows.since_ns);
    }
}
