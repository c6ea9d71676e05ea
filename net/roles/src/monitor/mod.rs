//! The monitor: samples in, distributions out.

mod combine;
mod config;
mod drift;
mod estimate;
mod family;
mod fit;
mod ring;
mod watched;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use centauri_engine::Distribution;
use centauri_wire::{MessageView, NodeId, Registry, SampleView, SigningIdentity, Verifier};

pub use config::{Combination, DriftPolicy, MonitorConfig, Monitored};
pub use family::Estimated;
use watched::{News, Outcome, Watched};

use crate::counters::counters;
use crate::error::check_name;
use crate::signer::Signer;
use crate::{ConfigError, Effects, Note, Role, to_wire};

counters! {
    /// What became of samples and estimates.
    MonitorCounters {
        values_kept,
        values_unknown_name,
        values_wrong_kind,
        values_sender_refused,
        distributions_published,
        distributions_unchanged,
        distributions_withheld,
        distributions_reset,
        frames_unexpected,
    }
}

/// A monitor: keeps the newest samples of each sender apart, and publishes what the senders together say, as often as it changes.
///
/// A sender counts once however much it sends. While at most `f` of the senders lie, fewer than half, what they can do is bounded:
///
/// - Estimates by quantiles ([`Estimated::Normal`] and the like): each sender's values give one estimate of the family's two
///   parameters, and what is published is, parameter by parameter, the median over the senders. Every parameter stays between the
///   honest senders' smallest and largest estimates.
/// - Fits ([`Estimated::Fitted`], [`Estimated::Auto`]): what is fitted is the senders' quantiles without the `f` lowest and highest at
///   each probability ([`Combination::Trimmed`]). Each stays between the honest senders' smallest and largest quantile, so that
///   the sample is no farther from the truth than the worst honest sender's, by Kolmogorov's distance.
///
/// Values fade with time, and are forgotten where a majority of the senders shows a jump ([`DriftPolicy`], [`Note::Changed`]).
/// `docs/NUMERICS.md`, "What the monitor publishes", has the figures.
///
/// A tick estimates one distribution at most; what is left is due at once, so the driver comes back after it has looked at its
/// socket.
#[derive(Debug)]
pub struct Monitor {
    watched: BTreeMap<String, Watched>,
    config: MonitorConfig,
    verifier: Verifier,
    signer: Signer,
    counters: MonitorCounters,
}

impl Monitor {
    /// A monitor at time `now_ns`, which publishes for the first time the least period later.
    ///
    /// # Errors
    /// A number out of its range, a name that no message can carry or that is given twice, a centre forced
    /// on a family without one.
    pub fn new(
        config: &MonitorConfig,
        registry: Arc<Registry>,
        identity: SigningIdentity,
        now_ns: i64,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let due_ns = now_ns.checked_add(config.publish_every_min_ns);
        let mut watched = BTreeMap::new();
        for monitored in &config.monitored {
            check_name("monitored", &monitored.name)?;
            let entry = Watched::new(monitored, due_ns)?;
            if watched.insert(monitored.name.clone(), entry).is_some() {
                return Err(ConfigError::NameTwice { key: "monitored", name: monitored.name.clone() });
            }
        }
        for (name, distribution, at_ns) in &config.restored {
            if let Some(watched) = watched.get_mut(name) {
                watched.restore(distribution.clone(), *at_ns);
            }
        }
        Ok(Self {
            watched,
            config: config.clone(),
            verifier: Verifier::new(registry, config.limits).for_node(identity.id()),
            signer: Signer::new(identity),
            counters: MonitorCounters::default(),
        })
    }

    /// Accepts no timestamp from now on that is both after `reserved_ns` and ahead of the clock.
    pub fn reserve_until(&mut self, reserved_ns: i64) {
        self.verifier.reserve_until(reserved_ns);
    }

    /// The newest timestamp of a frame that was accepted.
    #[must_use]
    pub fn newest_accepted_ns(&self) -> Option<i64> {
        self.verifier.newest_accepted_ns()
    }

    /// What was published last under each name, and when: for [`MonitorConfig::restored`].
    pub fn published(&self) -> impl Iterator<Item = (&str, &Distribution, i64)> {
        self.watched.iter().filter_map(|(name, watched)| {
            let (distribution, at_ns) = watched.last()?;
            Some((name.as_str(), distribution, at_ns))
        })
    }

    fn keep(&mut self, now_ns: i64, sender: NodeId, sample: &SampleView<'_>, effects: &mut Effects) {
        let count = sample.values.len() as u64;
        let Some(watched) = self.watched.get_mut(sample.distribution) else {
            self.counters.values_unknown_name += count;
            return;
        };
        if watched.monitored.kind != sample.kind {
            self.counters.values_wrong_kind += count;
            return;
        }
        match watched.keep(now_ns, sender, sample.values.iter(), &self.config) {
            Outcome::Refused => self.counters.values_sender_refused += count,
            Outcome::Kept => self.counters.values_kept += count,
            Outcome::Changed { senders } => {
                self.counters.values_kept += count;
                self.counters.distributions_reset += 1;
                effects.note(Note::Changed { name: sample.distribution.to_owned(), senders });
            }
        }
    }

    /// Estimates the distribution that has been due for longest, and publishes it if there is something new to tell.
    fn estimate(&mut self, now_ns: i64, effects: &mut Effects) {
        let due =
            self.watched.iter_mut().filter(|(_, watched)| watched.due_ns.is_some_and(|due| due <= now_ns));
        let Some((name, watched)) = due.min_by_key(|(_, watched)| watched.due_ns) else { return };
        watched.due_ns = now_ns.checked_add(self.config.publish_every_min_ns);
        let distribution = match watched.news(now_ns, &self.config) {
            News::Publish(distribution) => distribution,
            News::Unchanged => {
                self.counters.distributions_unchanged += 1;
                return;
            }
            News::Withheld => {
                self.counters.distributions_withheld += 1;
                return;
            }
        };
        let is_sent = to_wire(&distribution)
            .is_ok_and(|body| self.signer.distribution(now_ns, &self.config.targets, (name, &body), effects));
        if is_sent {
            self.counters.distributions_published += 1;
            effects.published(name, distribution.clone());
            watched.published(now_ns, distribution, &self.config);
        } else {
            self.counters.distributions_withheld += 1;
        }
    }
}

impl Role for Monitor {
    fn handle(&mut self, now_ns: i64, _from: SocketAddr, bytes: &[u8], effects: &mut Effects) -> bool {
        let Ok(accepted) = self.verifier.check(now_ns, bytes) else { return false };
        match accepted.message() {
            MessageView::Sample(sample) => self.keep(now_ns, accepted.header().sender, sample, effects),
            _ => self.counters.frames_unexpected += 1,
        }
        true
    }

    fn tick(&mut self, now_ns: i64, effects: &mut Effects) {
        self.estimate(now_ns, effects);
    }

    fn next_deadline(&self) -> Option<i64> {
        self.watched.values().filter_map(|watched| watched.due_ns).min()
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut list = Vec::new();
        self.counters.list(&mut list);
        list.push(("encode_failed", self.signer.failed));
        list.extend(self.verifier.counters().iter());
        list
    }
}
