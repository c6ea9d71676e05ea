//! The monitor: samples in, distributions out.

mod estimate;
mod family;
mod ring;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use centauri_wire::{
    Limits, MessageView, NodeId, Registry, SampleKind, SampleView, SigningIdentity, Verifier,
};

pub use family::Estimated;
use family::Estimator;
use ring::Ring;

use crate::counters::counters;
use crate::error::{check_name, check_number};
use crate::signer::Signer;
use crate::{ConfigError, Effects, RING_VALUES_MAX, Role, to_wire};

/// A distribution that the monitor keeps up to date.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitored {
    /// Its name.
    pub name: String,
    /// Whether it is one of outputs or of latencies: samples of the other kind are dropped.
    pub kind: SampleKind,
    /// Its family.
    pub family: Estimated,
    /// Forces the centre to 0 (normal, Laplace and Student's t only).
    pub centred: bool,
    /// No scale below this is published: identical samples make no distribution. For families of positive
    /// numbers, the least mean (lognormal: median).
    pub scale_min: f64,
    /// A sender with fewer values has no say.
    pub samples_min: usize,
    /// With fewer senders nothing is published. `2f + 1` keeps `f` of them from moving the estimate at will.
    pub senders_min: usize,
    /// Who may have a say; `None` for every registered node whose role may send such samples.
    pub senders: Option<Vec<NodeId>>,
}

impl Monitored {
    /// A distribution with the defaults: scale at least 1e-9, 32 values a sender, one sender, anybody.
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
            senders: None,
        }
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
    /// Time between publications, in nanoseconds.
    pub publish_period_ns: i64,
    /// Who is told, in best effort.
    pub targets: Vec<SocketAddr>,
    /// The acceptance of frames.
    pub limits: Limits,
}

impl Default for MonitorConfig {
    /// Nothing to monitor; 1,024 values of at most 1,024 senders heard within a minute, every second.
    fn default() -> Self {
        Self {
            monitored: Vec::new(),
            values_max: 1_024,
            senders_max: 1_024,
            silent_after_ns: 60_000_000_000,
            publish_period_ns: 1_000_000_000,
            targets: Vec::new(),
            limits: Limits::default(),
        }
    }
}

counters! {
    /// What became of samples.
    MonitorCounters {
        values_kept,
        values_unknown_name,
        values_wrong_kind,
        values_sender_refused,
        distributions_published,
        distributions_withheld,
        frames_unexpected,
    }
}

#[derive(Debug)]
struct Watched {
    monitored: Monitored,
    estimator: Estimator,
    rings: BTreeMap<NodeId, Ring>,
}

/// A monitor: keeps the newest samples of each sender apart, and at every period publishes what the median
/// sender says.
///
/// Each sender's values give one estimate of the family's two parameters by quantiles. What is published is, parameter by
/// parameter, the median over the senders, so that a sender counts once however much it sends.
///
/// What one sender can do at most: move each parameter to that of the neighbouring sender in the order of the honest
/// ones' estimates (with an even number of senders, to the middle of two of them). While fewer than half of the
/// senders lie, every parameter stays between the honest senders' smallest and largest estimates.
#[derive(Debug)]
pub struct Monitor {
    watched: BTreeMap<String, Watched>,
    values_max: usize,
    senders_max: usize,
    silent_after_ns: i64,
    publish_period_ns: i64,
    targets: Vec<SocketAddr>,
    due_ns: Option<i64>,
    verifier: Verifier,
    signer: Signer,
    scratch: Vec<f64>,
    counters: MonitorCounters,
}

impl Monitor {
    /// A monitor at time `now_ns`, which publishes for the first time a period later.
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
        let good = (1..=RING_VALUES_MAX).contains(&config.values_max);
        check_number("values_max", config.values_max as i128, good, "1 to 1,048,576")?;
        let period = config.publish_period_ns;
        check_number("publish_period_ns", period, period > 0, "at least 1")?;
        let silent = config.silent_after_ns;
        check_number("silent_after_ns", silent, silent > 0, "at least 1")?;
        let mut watched = BTreeMap::new();
        for monitored in &config.monitored {
            check_name("monitored", &monitored.name)?;
            let estimator = Estimator::new(monitored)?;
            let entry = Watched { monitored: monitored.clone(), estimator, rings: BTreeMap::new() };
            if watched.insert(monitored.name.clone(), entry).is_some() {
                return Err(ConfigError::NameTwice { key: "monitored", name: monitored.name.clone() });
            }
        }
        Ok(Self {
            watched,
            values_max: config.values_max,
            senders_max: config.senders_max,
            silent_after_ns: silent,
            publish_period_ns: period,
            targets: config.targets.clone(),
            due_ns: now_ns.checked_add(period),
            verifier: Verifier::new(registry, config.limits).for_node(identity.id()),
            signer: Signer::new(identity),
            scratch: Vec::new(),
            counters: MonitorCounters::default(),
        })
    }

    fn keep(&mut self, now_ns: i64, sender: NodeId, sample: &SampleView<'_>) {
        let count = sample.values.len() as u64;
        let Some(watched) = self.watched.get_mut(sample.distribution) else {
            self.counters.values_unknown_name += count;
            return;
        };
        if watched.monitored.kind != sample.kind {
            self.counters.values_wrong_kind += count;
            return;
        }
        let allowed = watched.monitored.senders.as_ref().is_none_or(|senders| senders.contains(&sender));
        let is_new = !watched.rings.contains_key(&sender);
        if !allowed || (is_new && watched.rings.len() >= self.senders_max) {
            self.counters.values_sender_refused += count;
            return;
        }
        let ring = watched.rings.entry(sender).or_insert_with(|| Ring::new(self.values_max));
        ring.heard_ns = now_ns;
        for value in sample.values.iter() {
            ring.push(value);
        }
        self.counters.values_kept += count;
    }

    fn publish(&mut self, now_ns: i64, effects: &mut Effects) {
        let oldest_ns = now_ns.saturating_sub(self.silent_after_ns);
        for (name, watched) in &mut self.watched {
            // A sender that has fallen silent makes room for another.
            watched.rings.retain(|_, ring| ring.heard_ns >= oldest_ns);
            let mut estimates = Vec::with_capacity(watched.rings.len());
            for ring in watched.rings.values() {
                self.scratch.clear();
                self.scratch.extend_from_slice(ring.values());
                estimates.extend(watched.estimator.of_sender(&mut self.scratch, &watched.monitored));
            }
            let distribution = watched.estimator.of_senders(&mut estimates, &watched.monitored);
            let body = distribution.as_ref().and_then(|distribution| to_wire(distribution).ok());
            let (Some(distribution), Some(body)) = (distribution, body) else {
                self.counters.distributions_withheld += 1;
                continue;
            };
            if self.signer.distribution(now_ns, &self.targets, (name, &body), effects) {
                self.counters.distributions_published += 1;
                effects.published(name, distribution);
            }
        }
    }
}

impl Role for Monitor {
    fn handle(&mut self, now_ns: i64, _from: SocketAddr, bytes: &[u8], _effects: &mut Effects) -> bool {
        let Ok(accepted) = self.verifier.check(now_ns, bytes) else { return false };
        match accepted.message() {
            MessageView::Sample(sample) => self.keep(now_ns, accepted.header().sender, sample),
            _ => self.counters.frames_unexpected += 1,
        }
        true
    }

    fn tick(&mut self, now_ns: i64, effects: &mut Effects) {
        if self.due_ns.is_some_and(|due| due <= now_ns) {
            self.publish(now_ns, effects);
            self.due_ns = now_ns.checked_add(self.publish_period_ns);
        }
    }

    fn next_deadline(&self) -> Option<i64> {
        self.due_ns
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut list = Vec::new();
        self.counters.list(&mut list);
        list.push(("encode_failed", self.signer.failed));
        list.extend(self.verifier.counters().iter());
        list
    }
}
