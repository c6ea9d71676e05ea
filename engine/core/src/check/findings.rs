//! What is legal and yet foolish in one model.

use super::facts::{ModelFacts, ReplicaKind, in_time, offsets};
use super::{Finding, FindingKind};
use crate::compile::{CompiledModel, Lookup};
use crate::dist::Distribution;
use crate::error::ModelError;
use crate::limits::QUORUMS_MAX;
use crate::plain::{exact, figure, probability};
use crate::spec::{Computation, Objective, PriorSpec, StreamSpec};
use std::collections::BTreeMap;

/// A share of the prior beyond the support that is worth a word.
const PRIOR_CUT: f64 = 1e-4;
/// A point with more than this of the prior leaves the reports little to say.
const PRIOR_CERTAIN: f64 = 0.999;
/// A following prior whose step stays in its bin with more than this does not follow.
const STEP_STILL: f64 = 0.9999;
/// A following prior whose step leaves the whole support with more than this jumps rather than moves.
const STEP_LEAVES: f64 = 0.01;
const LEAK_LARGE: f64 = 0.1;
/// A message with a smaller chance to be in time is nearly never in time.
const IN_TIME_RARE: f64 = 0.05;
/// More often than this nobody reports: the prior decides.
const NOBODY_OFTEN: f64 = 0.5;
/// What cannot be told from certain.
const CERTAIN: f64 = 1.0 - 1e-12;
const SILENCE_SANE: std::ops::RangeInclusive<f64> = 0.001..=0.9;
const CREDIBLE_SANE: std::ops::RangeInclusive<f64> = 0.5..=0.999_999;
const TABLE_BYTES_LARGE: usize = 256 << 20;

/// What there is to warn of in `spec`, of which `model` was compiled.
pub(super) fn of(
    spec: &StreamSpec,
    model: &CompiledModel,
    facts: &ModelFacts,
    published: &BTreeMap<String, Distribution>,
) -> Result<Vec<Finding>, ModelError> {
    let mut judge = Judge { spec, model, facts, lookup: Lookup(published), findings: Vec::new() };
    judge.objective()?;
    judge.replica_set();
    judge.levels();
    judge.support();
    judge.widths()?;
    judge.prior()?;
    judge.messages()?;
    judge.links();
    judge.overrides();
    Ok(judge.findings)
}

struct Judge<'a> {
    spec: &'a StreamSpec,
    model: &'a CompiledModel,
    facts: &'a ModelFacts,
    lookup: Lookup<'a>,
    findings: Vec<Finding>,
}

impl<'a> Judge<'a> {
    fn found(&mut self, kind: FindingKind, key: impl Into<String>, text: impl Into<String>) {
        let (stream, key, text) = (self.spec.name.clone(), key.into(), text.into());
        self.findings.push(Finding { stream, key, kind, text });
    }

    /// Definition 2.1 where it cannot tell quorums apart, and searches that cannot see all of them.
    fn objective(&mut self) -> Result<(), ModelError> {
        let facts = self.facts;
        if facts.faults == 0 {
            return Ok(());
        }
        if facts.objective == Objective::Posterior {
            match facts.output.computation {
                Computation::Count | Computation::Min | Computation::Max => self.found(
                    FindingKind::PosteriorExtreme,
                    "objective",
                    format!(
                        "`posterior` compares quorums by their peak alone: with `{}` a faulty replica that reports the \
                         extreme, which only one value explains, is believed; `marginal` weighs how unlikely that is",
                        facts.output.computation
                    ),
                ),
                _ if self.noise_is_continuous()? => self.found(
                    FindingKind::PosteriorTies,
                    "objective",
                    "`posterior` compares quorums by their peak alone, and with continuous noise the peak hardly depends on \
                     what was reported: every quorum ties, liars or not, and the grid's alignment decides; use `marginal` \
                     or `evidence`",
                ),
                _ => {}
            }
        }
        let many = facts.quorums.is_none_or(|quorums| quorums > QUORUMS_MAX);
        if many && matches!(facts.objective, Objective::Posterior | Objective::Evidence) {
            let (n, f, what) = (facts.units, facts.faults, self.units());
            self.found(
                FindingKind::QuorumsMany,
                "faults",
                format!(
                    "{f} of {n} {what} make more than {QUORUMS_MAX} quorums: `{}` searches them without seeing all, and \
                     decisions may say `exhaustive: false`",
                    facts.objective
                ),
            );
        }
        Ok(())
    }

    fn noise_is_continuous(&self) -> Result<bool, ModelError> {
        for (_, noise) in self.noises()? {
            if !noise.is_discrete() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Each noise once, with its key: kinds that differ by their links alone share one.
    fn noises(&self) -> Result<Vec<(&'a str, &'a Distribution)>, ModelError> {
        let (spec, facts) = (self.spec, self.facts);
        let mut noises: Vec<(&str, &Distribution)> = Vec::new();
        for kind in &facts.kinds {
            if noises.iter().any(|(key, _)| *key == kind.noise_key) {
                continue;
            }
            let own =
                kind.positions.first().and_then(|&p| spec.replicas.get(p)).and_then(|r| r.noise.as_ref());
            if let Some(reference) = own.or(spec.output.noise.as_ref()) {
                noises.push((kind.noise_key.as_str(), self.lookup.get(&kind.noise_key, reference)?));
            }
        }
        Ok(noises)
    }

    /// What faults are counted in.
    fn units(&self) -> &'static str {
        if self.facts.units < self.facts.replicas.len() { "fault groups" } else { "replicas" }
    }

    fn replica_set(&mut self) {
        let (n, f, what) = (self.facts.units, self.facts.faults, self.units());
        if 2 * f >= n {
            let text = format!(
                "{f} of {n} {what} may be faulty, at least half: they can speak for a value of their own as one, and \
                 nothing tells them from the honest ones"
            );
            self.found(FindingKind::FaultsHalf, "faults", text);
        }
    }

    fn levels(&mut self) {
        let (silence, credible) = (self.facts.silence, self.facts.credible);
        if !SILENCE_SANE.contains(&silence) {
            let leads = if silence < 0.5 {
                "a silent replica is then practically never taken for a faulty one"
            } else {
                "a replica that reports a value is then hardly ever taken for a faulty one"
            };
            self.found(
                FindingKind::SilenceExtreme,
                "silence",
                format!("a faulty replica stays silent with probability {}; {leads}", exact(silence)),
            );
        }
        if !CREDIBLE_SANE.contains(&credible) {
            let leads =
                if credible < 0.5 { "more often wrong than right" } else { "nearly the whole support" };
            self.found(
                FindingKind::CredibleExtreme,
                "credible",
                format!("the interval is to hold {} of the probability: it will be {leads}", exact(credible)),
            );
        }
        if self.facts.table_bytes > TABLE_BYTES_LARGE {
            let mebibytes = self.facts.table_bytes >> 20;
            self.found(
                FindingKind::TablesLarge,
                "support.points",
                format!("the model's tables take {mebibytes} MiB; fewer points or fewer replicas of their own take less"),
            );
        }
    }

    fn support(&mut self) {
        let support = self.facts.support;
        if support.points() == 1 {
            self.found(
                FindingKind::SupportSingle,
                "support.points",
                "the support has one point: it is decided before anybody reports",
            );
        }
        if self.facts.output.computation != Computation::Count {
            return;
        }
        let most = self.facts.output.messages as f64;
        let possible = |x: f64| (x - x.round()).abs() <= 1e-9 && x.round() >= 0.0 && x.round() <= most;
        let impossible = support.iter().filter(|&x| !possible(x)).count();
        let last = support.point(support.points() - 1);
        if impossible > 0 {
            let text = format!(
                "{impossible} of {} points are no number of successes among {most} messages (whole, from 0 to {most}) and \
                 can never be decided",
                support.points()
            );
            self.found(FindingKind::CountSupport, "support", text);
        } else if support.min() > 0.0 || last < most {
            let text = format!(
                "the support goes from {} to {}, but of {most} messages any number from 0 to {most} may be successes",
                exact(support.min()),
                exact(last)
            );
            self.found(FindingKind::CountSupport, "support", text);
        }
    }

    /// The grid against the noises and the source.
    fn widths(&mut self) -> Result<(), ModelError> {
        let support = self.facts.support;
        let (step, range) = (support.step(), support.step() * (support.points() - 1) as f64);
        for (key, noise) in self.noises()? {
            let sd = width(noise);
            if noise.is_continuous() && sd < step {
                self.found(
                    FindingKind::StepCoarse,
                    "support.step",
                    format!(
                        "a step of {} is coarser than the noise (`{key}`, sd {}): replicas that differ fall into one bin",
                        exact(step),
                        figure(sd)
                    ),
                );
            }
            if support.points() > 1 && sd > range {
                let text = format!(
                    "a noise of sd {} is wider than the whole support ({}): a report says next to nothing",
                    figure(sd),
                    figure(range)
                );
                self.found(FindingKind::NoiseWide, key, text);
            }
        }
        let read = !matches!(self.facts.output.computation, Computation::Identity | Computation::Count);
        let source = self.lookup.optional("output.source", self.spec.output.source.as_ref())?;
        if let Some(source) = source.filter(|source| read && source.is_continuous() && width(source) < step) {
            let text = format!(
                "a step of {} is coarser than the source (`output.source`, sd {}): readings that differ fall into one bin",
                exact(step),
                figure(width(source))
            );
            self.found(FindingKind::StepCoarse, "support.step", text);
        }
        Ok(())
    }

    fn prior(&mut self) -> Result<(), ModelError> {
        let (prior, support) = (&self.facts.prior, self.facts.support);
        let key = if prior.step.is_some() { "prior.initial" } else { "prior" };
        let cut = prior.below + prior.above;
        if cut > PRIOR_CUT {
            let text = format!(
                "the support, {} to {}, cuts off {} of the prior ({} below, {} above): a right value out there can never be \
                 decided",
                exact(support.min()),
                exact(support.point(support.points() - 1)),
                probability(cut),
                probability(prior.below),
                probability(prior.above)
            );
            self.found(FindingKind::PriorCut, key, text);
        }
        let ln_prior = self.model.ln_prior();
        let top = ln_prior.iter().copied().fold(f64::NEG_INFINITY, f64::max).exp();
        if support.points() > 1 && top > PRIOR_CERTAIN {
            let text = format!(
                "one point has {} of the prior: the reports hardly matter{}",
                probability(top),
                if prior.step.is_some() { " in the first round" } else { "" }
            );
            self.found(FindingKind::PriorCertain, key, text);
        }
        if let PriorSpec::Following { step, leak, .. } = &self.spec.prior {
            let step = self.lookup.get("prior.step", step)?;
            self.following(step, *leak);
        }
        Ok(())
    }

    fn following(&mut self, step: &Distribution, leak: f64) {
        let (width, points) = (self.facts.support.step(), self.facts.support.points());
        let still = step.ln_mass(-width / 2.0, width / 2.0).exp();
        let reach = width * (points as f64 - 0.5);
        let leaves = step.ln_mass(f64::NEG_INFINITY, -reach).exp() + step.ln_mass(reach, f64::INFINITY).exp();
        if points > 1 && still > STEP_STILL {
            let text = format!(
                "a move stays within its bin of {} with probability {}: the prior freezes instead of following",
                exact(width),
                probability(still)
            );
            self.found(FindingKind::PriorStep, "prior.step", text);
        } else if points > 1 && leaves > STEP_LEAVES {
            let text =
                format!("a move is longer than the whole support with probability {}", probability(leaves));
            self.found(FindingKind::PriorStep, "prior.step", text);
        }
        if leak == 0.0 {
            let text =
                "without a leak a stream that jumps farther than its step allows may never be found again";
            self.found(FindingKind::PriorLeak, "prior.leak", text);
        } else if leak > LEAK_LARGE {
            let text =
                format!("{} of the prior is spread evenly in each round: it hardly follows", exact(leak));
            self.found(FindingKind::PriorLeak, "prior.leak", text);
        }
    }

    fn messages(&mut self) -> Result<(), ModelError> {
        let (offsets, in_time) = (offsets(self.spec), in_time(self.spec, &self.lookup)?);
        let m = offsets.len();
        let deadline = self.facts.output.deadline.unwrap_or(f64::INFINITY);
        let after = offsets.iter().filter(|&&t| t > deadline).count();
        if after > 0 {
            let text = format!(
                "the deadline of {} s passes before {after} of {m} messages are sent, the last one at {} s: these never count",
                exact(deadline),
                exact(offsets.last().copied().unwrap_or(0.0))
            );
            self.found(FindingKind::DeadlineEarly, "output.deadline", text);
        }
        let rare = offsets.iter().zip(&in_time).filter(|&(&t, &p)| t <= deadline && p < IN_TIME_RARE).count();
        if rare > 0 {
            let text = format!(
                "{rare} of {m} messages are in time with less than {IN_TIME_RARE}: the deadline of {} s leaves them too little",
                exact(deadline)
            );
            self.found(FindingKind::MessagesLate, "output.arrival", text);
        }
        Ok(())
    }

    fn links(&mut self) {
        let facts = self.facts;
        for kind in &facts.kinds {
            let who = self.who(kind);
            if kind.missing >= CERTAIN {
                let text = format!("{who} never in time, or without anything to report: always missing");
                self.found(FindingKind::ReplicaSilent, kind.link_key.as_str(), text);
            } else if let Some(p) = kind.on_time.filter(|&p| p < IN_TIME_RARE) {
                let text = format!(
                    "{who} nearly never in time at the client: on time with probability {}",
                    probability(p)
                );
                self.found(FindingKind::LinkLate, kind.link_key.as_str(), text);
            }
        }
        let nobody: f64 =
            facts.kinds.iter().map(|kind| kind.missing.powi(kind.positions.len() as i32)).product();
        if nobody > NOBODY_OFTEN {
            let text = format!(
                "even if all {} replicas are honest, none reports with probability {}: such a round is decided by the prior",
                facts.replicas.len(),
                probability(nobody)
            );
            self.found(FindingKind::ReportsFew, "link", text);
        }
    }

    fn who(&self, kind: &ReplicaKind) -> String {
        let n = self.facts.replicas.len();
        match kind.positions.as_slice() {
            positions if positions.len() == n && n > 1 => "every replica is".to_owned(),
            [only] => format!("replica {:?} is", self.facts.replicas.get(*only).map_or("", String::as_str)),
            positions => format!("{} of {n} replicas are", positions.len()),
        }
    }

    fn overrides(&mut self) {
        for replica in &self.spec.replicas {
            let name = &replica.name;
            if replica.link.is_some() && replica.link == self.spec.link {
                let text = "it says what the stream's link says already";
                self.found(FindingKind::OverrideIdle, format!("replica.{name}.link"), text);
            }
            if replica.noise.is_some() && replica.noise == self.spec.output.noise {
                let text = "it says what the output's noise says already";
                self.found(FindingKind::OverrideIdle, format!("replica.{name}.noise"), text);
            }
        }
    }
}

/// The standard deviation, or half the width of the middle 68 % where there is none.
fn width(distribution: &Distribution) -> f64 {
    let variance = distribution.variance();
    if variance.is_finite() {
        return variance.sqrt();
    }
    let middle = distribution.quantile(0.841_344_746) - distribution.quantile(0.158_655_254);
    middle / 2.0
}
