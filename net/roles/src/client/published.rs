//! What a client makes of published distributions: seldom enough, with doubt where one is far off, and with care as they age.

use std::collections::BTreeMap;

use centauri_engine::Distribution;

use super::spread::Spreads;
use crate::counters::counters;
use crate::distance::place_and_width;
use crate::error::check_number;
use crate::{Ageing, ConfigError, Effects, Note, widened};

/// How a client uses what a monitor publishes.
///
/// A monitor that dies, restarts, floods or goes mad harms no decision at its deadline: the last good distribution stays in force and
/// grows wider with age; at most one a name is used in `accept_every_min_ns`, the newest; and one that is far from the last is
/// used only after a second that is like it.
///
/// Of a client that is divided ([`crate::ClientShard`]) each shard keeps account of the monitors that it receives from: where two
/// monitors in two shards publish the same name, what one of them no longer renews ages although the other does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistributionPolicy {
    /// The least time between two distributions that are looked at, for each name, in nanoseconds. The newest that came meanwhile
    /// waits.
    pub accept_every_min_ns: i64,
    /// How those that are not renewed grow wider; `None` for not at all. Those of the model that nobody has ever published do not age.
    pub ageing: Option<Ageing>,
    /// A distribution is doubted whose middle four fifths are more than so many times as wide as the last one's, or as narrow, or whose
    /// median has moved by more than so many of the larger width; from 1.
    pub doubt_factor: f64,
    /// What confirms it comes at least so much later, in nanoseconds.
    pub confirm_after_ns: i64,
}

impl DistributionPolicy {
    /// What a distribution that was published is taken to be at this age.
    #[must_use]
    pub fn aged(&self, distribution: &Distribution, age_ns: i64) -> Distribution {
        let factor = self.ageing.map_or(1.0, |ageing| ageing.factor(age_ns));
        widened(distribution, factor)
    }
}

impl Default for DistributionPolicy {
    /// Half a second, half of what monitors keep to by default, so that one on its way late does not hold up the next; the default
    /// ageing; 8 times; 2 seconds.
    fn default() -> Self {
        Self {
            accept_every_min_ns: 500_000_000,
            ageing: Some(Ageing::default()),
            doubt_factor: 8.0,
            confirm_after_ns: 2_000_000_000,
        }
    }
}

counters! {
    /// What became of published distributions.
    PublishedCounters {
        distributions_published,
        distributions_renewed,
        distributions_superseded,
        distributions_doubted,
        distributions_aged,
        distribution_age_max_ns,
    }
}

/// What is known under a name.
#[derive(Debug, Default)]
struct Known {
    /// The last good one, and when it came.
    last: Option<(Distribution, i64)>,
    /// How many times as wide it is taken to be at present.
    factor: f64,
    /// The newest that has come and has not been looked at.
    waiting: Option<(Distribution, i64)>,
    /// From when on another is looked at.
    look_ns: i64,
    doubted: Option<(Distribution, i64)>,
}

/// The distributions that were published to a client, as they came: what is told of them goes through the client's [`Spreads`].
#[derive(Debug)]
pub(super) struct Published {
    policy: DistributionPolicy,
    names: BTreeMap<String, Known>,
    /// When something waits or grows older by a step.
    due_ns: Option<i64>,
    /// When the oldest of the last good ones came.
    oldest_ns: Option<i64>,
    pub(super) counters: PublishedCounters,
}

impl Published {
    pub(super) fn new(policy: DistributionPolicy) -> Result<Self, ConfigError> {
        for (key, value) in [
            ("distributions.accept_every_min_ns", policy.accept_every_min_ns),
            ("distributions.confirm_after_ns", policy.confirm_after_ns),
        ] {
            check_number(key, value, value >= 0, "0 or more")?;
        }
        if !(policy.doubt_factor.is_finite() && policy.doubt_factor >= 1.0) {
            let (key, found) = ("distributions.doubt_factor", policy.doubt_factor);
            return Err(ConfigError::Real { key, found, expected: "a finite number from 1" });
        }
        policy.ageing.map_or(Ok(()), |ageing| ageing.check())?;
        let (names, counters) = (BTreeMap::new(), PublishedCounters::default());
        Ok(Self { policy, names, due_ns: None, oldest_ns: None, counters })
    }

    /// Takes one that came to an earlier client at `at_ns` as the last good one. It grows older, and the next is compared with it.
    pub(super) fn restore(&mut self, name: &str, distribution: Distribution, at_ns: i64, now_ns: i64) {
        let last = Some((distribution, at_ns));
        let known = Known { last, look_ns: i64::MIN, factor: 1.0, ..Known::default() };
        self.names.insert(name.to_owned(), known);
        self.schedule(now_ns);
    }

    /// The last good one of each name, and when it came.
    pub(super) fn last(&self) -> impl Iterator<Item = (&str, &Distribution, i64)> {
        self.names.iter().filter_map(|(name, known)| {
            known.last.as_ref().map(|(distribution, at_ns)| (name.as_str(), distribution, *at_ns))
        })
    }

    /// Takes in what a monitor published under a name of the model.
    pub(super) fn take(
        &mut self,
        now_ns: i64,
        (name, new): (&str, Distribution),
        spreads: &mut Spreads,
        effects: &mut Effects,
    ) {
        let known = match self.names.get_mut(name) {
            Some(known) => known,
            None => self.names.entry(name.to_owned()).or_insert_with(|| Known {
                look_ns: i64::MIN,
                factor: 1.0,
                ..Known::default()
            }),
        };
        if known.waiting.replace((new, now_ns)).is_some() {
            self.counters.distributions_superseded += 1;
        }
        if known.look_ns <= now_ns {
            look(now_ns, name, known, self.policy, &mut self.counters, spreads, effects);
        }
        self.schedule(now_ns);
    }

    /// Looks at what has waited, and widens what has aged.
    pub(super) fn tick(&mut self, now_ns: i64, spreads: &mut Spreads, effects: &mut Effects) {
        if self.due_ns.is_some_and(|due| due <= now_ns) {
            for (name, known) in &mut self.names {
                if known.look_ns <= now_ns {
                    look(now_ns, name, known, self.policy, &mut self.counters, spreads, effects);
                }
                age(now_ns, name, known, self.policy, &mut self.counters, spreads, effects);
            }
            self.schedule(now_ns);
        }
        self.counters.distribution_age_max_ns =
            self.oldest_ns.map_or(0, |oldest| now_ns.saturating_sub(oldest).max(0).unsigned_abs());
    }

    pub(super) fn next_deadline(&self) -> Option<i64> {
        self.due_ns
    }

    fn schedule(&mut self, now_ns: i64) {
        let ageing = self.policy.ageing;
        let due = |known: &Known| {
            let look_ns = known.waiting.as_ref().map(|_| known.look_ns);
            let step_ns = ageing
                .zip(known.last.as_ref())
                .and_then(|(ageing, (_, at_ns))| Some(ageing.next_ns(known.factor)?.saturating_add(*at_ns)));
            [look_ns, step_ns].into_iter().flatten().min()
        };
        // What a clock that was set back left in the past has been done.
        self.due_ns = self.names.values().filter_map(due).min().map(|due| due.max(now_ns));
        let times = self.names.values().filter_map(|known| known.last.as_ref());
        self.oldest_ns = times.map(|(_, at_ns)| *at_ns).min();
    }
}

/// Uses what waits, unless it is doubtful.
fn look(
    now_ns: i64,
    name: &str,
    known: &mut Known,
    policy: DistributionPolicy,
    counters: &mut PublishedCounters,
    spreads: &mut Spreads,
    effects: &mut Effects,
) {
    let Some((new, at_ns)) = known.waiting.take() else { return };
    known.look_ns = now_ns.saturating_add(policy.accept_every_min_ns);
    let is_far = known
        .last
        .as_ref()
        .map_or_else(|| !is_finite(&new), |(last, _)| are_far(last, &new, policy.doubt_factor));
    if is_far && !is_confirmed(known.doubted.as_ref(), (&new, at_ns), policy) {
        counters.distributions_doubted += 1;
        let is_like = known.doubted.as_ref().is_some_and(|(old, _)| !are_far(old, &new, policy.doubt_factor));
        if !is_like {
            known.doubted = Some((new, at_ns));
            effects.note(Note::Doubted { name: name.to_owned() });
        }
        return;
    }
    known.doubted = None;
    let is_same = known.factor <= 1.0 && known.last.as_ref().is_some_and(|(last, _)| *last == new);
    known.factor = 1.0;
    if is_same {
        counters.distributions_renewed += 1;
    } else {
        counters.distributions_published += 1;
        spreads.publish(name, new.clone(), effects);
    }
    known.last = Some((new, at_ns));
}

/// Widens it where another step of its age has begun.
fn age(
    now_ns: i64,
    name: &str,
    known: &mut Known,
    policy: DistributionPolicy,
    counters: &mut PublishedCounters,
    spreads: &mut Spreads,
    effects: &mut Effects,
) {
    let (Some(ageing), Some((last, at_ns))) = (policy.ageing, &known.last) else { return };
    let age_ns = now_ns.saturating_sub(*at_ns);
    let factor = ageing.factor(age_ns);
    if factor > known.factor {
        known.factor = factor;
        counters.distributions_aged += 1;
        spreads.publish(name, widened(last, factor), effects);
        effects.note(Note::Aged { name: name.to_owned(), age_ns, factor });
    }
}

/// Whether one that was doubted before, long enough ago, is like the new one.
fn is_confirmed(
    doubted: Option<&(Distribution, i64)>,
    (new, at_ns): (&Distribution, i64),
    policy: DistributionPolicy,
) -> bool {
    let late = |since_ns: i64| at_ns.saturating_sub(since_ns) >= policy.confirm_after_ns;
    let like = |old: &Distribution| is_finite(new) && !are_far(old, new, policy.doubt_factor);
    doubted.is_some_and(|(old, since_ns)| late(*since_ns) && like(old))
}

fn is_finite(of: &Distribution) -> bool {
    let (place, width) = place_and_width(of);
    place.is_finite() && width.is_finite()
}

/// Whether two distributions have nothing to do with each other, by their widths and places.
fn are_far(old: &Distribution, new: &Distribution, factor: f64) -> bool {
    if old == new {
        return false;
    }
    let ((old_place, old_width), (place, width)) = (place_and_width(old), place_and_width(new));
    let (narrow, wide) = (old_width.min(width), old_width.max(width));
    let moved = (place - old_place).abs();
    // Not a number is far from everything.
    let is_near = wide <= factor * narrow && moved <= factor * wide && wide.is_finite();
    !is_near
}
