//! What a model says, in plain words.

use super::facts::{ModelFacts, OutputFacts, ReplicaKind, Spread};
use crate::limits::QUORUMS_MAX;
use crate::plain::{exact, figure, probability};
use crate::spec::{Computation, Objective};

/// Names told one by one; of more than these the first are, and how many there are.
const NAMES_MAX: usize = 12;

impl ModelFacts {
    /// The facts as a heading and a sentence each.
    #[must_use]
    pub fn words(&self) -> Vec<(&'static str, String)> {
        let mut words = vec![("replicas", self.replicas_words()), ("quorum", self.quorum_words())];
        if !self.groups.is_empty() {
            words.push(("fault groups", self.groups_words()));
        }
        words.extend([
            ("objective", objective_words(self.objective).to_owned()),
            ("support", self.support_words()),
            ("prior", self.prior_words()),
            ("computation", self.output.words()),
        ]);
        if self.output.messages > 0 {
            words.push(("window", self.output.window_words()));
        }
        words.extend(self.kinds.iter().map(|kind| ("reports", self.kind_words(kind))));
        words.push((
            "a liar",
            format!(
                "stays silent with probability {}, or reports any of the {} points alike",
                exact(self.silence),
                self.support.points()
            ),
        ));
        words.push((
            "interval",
            format!("holds the right value with probability {} (credible)", exact(self.credible)),
        ));
        words.push(("tables", bytes(self.table_bytes)));
        words
    }

    fn replicas_words(&self) -> String {
        let (n, names) = (self.replicas.len(), some_names(&self.replicas));
        let units = self.units;
        match self.faults {
            f if f > 0 && units < n => {
                format!("{n} ({names}) in {units} fault groups, of which at most {f} may be faulty")
            }
            0 => format!("{n} ({names}), none of which may be faulty"),
            f => format!("{n} ({names}), of which at most {f} may be faulty"),
        }
    }

    fn quorum_words(&self) -> String {
        let (n, size) = (self.units, self.quorum_size);
        let what = if n < self.replicas.len() { "fault groups" } else { "replicas" };
        match self.quorums {
            Some(1) => format!("all {} replicas", self.replicas.len()),
            Some(count) if count <= QUORUMS_MAX => format!("{size} of {n} {what}: {count} quorums"),
            Some(count) => format!("{size} of {n} {what}: {count} quorums, too many for a region"),
            None => format!("{size} of {n} {what}: more than 10^19 quorums, too many for a region"),
        }
    }

    /// Who fails together.
    fn groups_words(&self) -> String {
        let told = self.groups.iter().take(NAMES_MAX).map(|(name, members)| {
            let names: Vec<String> = members.iter().filter_map(|&p| self.replicas.get(p)).cloned().collect();
            format!("{name} ({})", some_names(&names))
        });
        let told = told.collect::<Vec<_>>().join(", ");
        let more = match self.groups.len().saturating_sub(NAMES_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let alone = match self.units - self.groups.len().min(self.units) {
            0 => String::new(),
            1 => "; the other replica is a group of its own".to_owned(),
            others => format!("; each of the other {others} replicas is a group of its own"),
        };
        format!("{told}{more}: the replicas of one fail and lie together, as one fault{alone}")
    }

    fn support_words(&self) -> String {
        let (support, last) = (&self.support, self.support.point(self.support.points() - 1));
        format!(
            "{} to {} in steps of {}: {} points",
            exact(support.min()),
            exact(last),
            exact(support.step()),
            support.points()
        )
    }

    fn prior_words(&self) -> String {
        let prior = &self.prior;
        let on_support = format!("mean {}, sd {} on the support", figure(prior.mean), figure(prior.sd));
        let start = match &prior.distribution {
            None => "every point alike".to_owned(),
            Some(distribution) if prior.below + prior.above > 0.0 => {
                let cut = probability(prior.below + prior.above);
                format!("{}; {on_support}, which cuts off {cut} of it", distribution.words())
            }
            Some(distribution) => format!("{}; {on_support}, which holds all of it", distribution.words()),
        };
        match &prior.step {
            None => start,
            Some(step) => format!(
                "the round before, moved by {}, with a leak of {}; in the first round {start}",
                step.words(),
                exact(prior.leak.unwrap_or(0.0))
            ),
        }
    }

    fn kind_words(&self, kind: &ReplicaKind) -> String {
        let names: Vec<String> =
            kind.positions.iter().filter_map(|&p| self.replicas.get(p)).cloned().collect();
        let who = if names.len() == self.replicas.len() && names.len() > 1 {
            "every replica".to_owned()
        } else {
            some_names(&names)
        };
        let link = match kind.on_time {
            None => "no link that loses messages".to_owned(),
            Some(p) => format!("in time at the client with probability {}", probability(p)),
        };
        let noise = match &kind.noise {
            None => String::new(),
            Some(noise) => format!("; noise: {}", noise.words()),
        };
        format!("{who}: {link}; P(missing) {}{noise}", probability(kind.missing))
    }
}

impl OutputFacts {
    fn words(&self) -> String {
        let source = self.source.as_ref().map_or_else(String::new, |source| {
            let one = if self.computation == Computation::Last {
                "one step between readings"
            } else {
                "one reading"
            };
            format!("; {one}: {}", source.words())
        });
        let what = match self.computation {
            Computation::Identity => "the replica reports the value itself, with its own noise",
            Computation::Count => "number of successes among the messages",
            Computation::Sum => "sum of the readings",
            Computation::Mean => "mean of the readings that arrived",
            Computation::Last => "the newest reading that arrived",
            Computation::Min => "the smallest reading that arrived",
            Computation::Max => "the largest reading that arrived",
        };
        format!("`{}`: {what}{source}", self.computation)
    }

    fn window_words(&self) -> String {
        let sent = match (self.messages, self.offsets) {
            (1, Some((at, _))) => format!("1 source message, sent at {} s", exact(at)),
            (m, Some((first, last))) if first == last => {
                format!("{m} source messages, all sent at {} s", exact(first))
            }
            (m, Some((first, last))) => {
                format!("{m} source messages, sent from {} s to {} s", exact(first), exact(last))
            }
            (m, None) => format!("{m} source messages"),
        };
        let deadline = self.deadline.map_or_else(
            || "no deadline".to_owned(),
            |deadline| format!("deadline at {} s", exact(deadline)),
        );
        let latency = self
            .arrival
            .as_ref()
            .map_or_else(String::new, |arrival| format!(", latency {}", arrival.words()));
        let in_time = match self.in_time {
            Some((least, most)) if least == most => {
                format!("each in time with probability {}", probability(most))
            }
            Some((least, most)) => {
                format!("each in time with probability {} to {}", probability(least), probability(most))
            }
            None => String::new(),
        };
        format!(
            "{sent}; {deadline}{latency}; {in_time}; {} readings expected, none at all with probability {}",
            figure(self.expected_readings),
            probability(self.nothing)
        )
    }
}

impl Spread {
    /// Name, family, mean and standard deviation.
    fn words(&self) -> String {
        let number = |value: Option<f64>| value.map_or_else(|| "without limit".to_owned(), figure);
        let (mean, sd) = (number(self.mean), number(self.sd));
        match &self.name {
            Some(name) => format!("{name:?} ({}, mean {mean}, sd {sd})", self.family),
            None => format!("{} (mean {mean}, sd {sd})", self.family),
        }
    }
}

fn objective_words(objective: Objective) -> &'static str {
    match objective {
        Objective::Posterior => {
            "`posterior`: value and quorum with the highest P(value given quorum), Definition 2.1"
        }
        Objective::Joint => "`joint`: value and quorum that together are most probable",
        Objective::Evidence => "`evidence`: the quorum most probably honest, then its most probable value",
        Objective::Marginal => "`marginal`: no single quorum is trusted; who is faulty is averaged over",
        Objective::Coalition => {
            "`coalition`: as `marginal`, but liars lie where it pays and may say the same, and replicas that miss the same \
             messages count as fewer"
        }
    }
}

fn some_names(names: &[String]) -> String {
    let told: Vec<&str> = names.iter().take(NAMES_MAX).map(String::as_str).collect();
    let more = names.len().saturating_sub(NAMES_MAX);
    let told = told.join(", ");
    if more > 0 { format!("{told} and {more} more") } else { told }
}

fn bytes(count: usize) -> String {
    match count {
        0..1_024 => format!("{count} bytes"),
        1_024..1_048_576 => format!("{} KiB", figure(count as f64 / 1_024.0)),
        _ => format!("{} MiB", figure(count as f64 / 1_048_576.0)),
    }
}
