//! Samples in turns, and their medians.

use super::fleet::Senders;
use super::receive::{Receiver, Sample};
use super::traffic::Traffic;
use super::verify::{MESSAGE_BYTES, Signed, Verifying};
use super::work::{VERIFY, Work};
use crate::result::Ingest;
use crate::speed::measure::{median, spread};
use anyhow::{Context as _, ensure};
use centauri_uring::DriverConfig;
use centauri_wire::{HEADER_BYTES, RECORD_BYTES, SIGNATURE_BYTES, VerifierChoice};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Samples of each work.
    pub samples: usize,
    /// Groups of replicas.
    pub groups: usize,
    /// Divides a work's rounds.
    pub shortening: usize,
    /// Signatures verified alone.
    pub signatures: usize,
    /// How often all of them are verified for a sample.
    pub times: usize,
}

impl Effort {
    /// Figures that mean something.
    pub const FULL: Self = Self { samples: 9, groups: 128, shortening: 1, signatures: 4_096, times: 4 };
    /// To see that it works.
    pub const QUICK: Self = Self { samples: 1, groups: 8, shortening: 12, signatures: 256, times: 1 };

    fn groups_of(&self, work: &Work) -> usize {
        work.groups.map_or(self.groups, |groups| groups.min(self.groups))
    }
}

/// Verification alone, ours and the rivals' in turns.
///
/// # Errors
/// A good signature that is refused.
pub fn verification(effort: &Effort, seed: u64) -> anyhow::Result<Vec<Ingest>> {
    progress("verify: signing");
    let signed = Signed::new(effort.signatures, seed)?;
    let mut all = vec![Verifying::ours(&signed, VerifierChoice::Auto)];
    if all.iter().any(|one| one.name() != "strict") {
        all.push(Verifying::ours(&signed, VerifierChoice::Strict));
    }
    all.extend([64, 256, 1_024].map(Verifying::Equation));
    let mut times = vec![Vec::new(); all.len()];
    for sample in 0..=effort.samples {
        progress(&format!("verify: sample {sample} of {}", effort.samples));
        for (one, times) in all.iter().zip(&mut times) {
            // The slow ones need no more repetitions than the fast ones for samples as long.
            let repeats =
                if matches!(one, Verifying::Ours(_)) && one.name() == "lanes" { effort.times } else { 1 };
            times.push(one.time(&signed, repeats)? / repeats as f64);
        }
    }
    // The first turn warmed up.
    for times in &mut times {
        times.remove(0);
    }
    let equation = |k: usize| all.get(k).is_some_and(|one| matches!(one, Verifying::Equation(_)));
    let best = (0..all.len()).filter(|&k| equation(k)).min_by(|a, b| {
        let time = |k: &usize| times.get(*k).map_or(f64::NAN, |times| median(times.clone()));
        time(a).total_cmp(&time(b))
    });
    let rival = best.and_then(|best| Some((all.get(best)?.name(), times.get(best)?)));
    let rows = all.iter().zip(&times).map(|(one, times)| {
        let rate = |time: f64| signed.len() as f64 / time;
        let ratio =
            rival.as_ref().map(|(_, rival)| median(rival.iter().zip(times).map(|(r, t)| r / t).collect()));
        Ingest {
            work: VERIFY.to_owned(),
            verifier: one.name(),
            driver: None,
            bytes: MESSAGE_BYTES,
            records: None,
            forged: 0.0,
            messages: signed.len(),
            samples: times.len(),
            messages_per_cpu_s: rate(median(times.clone())),
            records_per_cpu_s: None,
            decided_messages_per_cpu_s: None,
            decisions_per_message: 0.0,
            spread: spread(times),
            ratio,
            against: rival.as_ref().map(|(name, _)| name.clone()),
            lost: 0,
            digest: None,
            seed,
        }
    });
    Ok(rows.collect())
}

/// The works in turns: one sample of each, then the next.
///
/// # Errors
/// As [`Receiver::sample`]; or decisions that depend on what verified.
pub fn works(
    works: &[Work],
    driver: DriverConfig,
    effort: &Effort,
    seed: u64,
) -> anyhow::Result<Vec<Ingest>> {
    let mut prepared: Vec<Prepared> = Vec::with_capacity(works.len());
    let mut senders: BTreeMap<(usize, usize), Senders> = BTreeMap::new();
    for work in works {
        progress(&format!("{}: signing", work.name));
        let senders = match senders.entry((effort.groups_of(work), work.records)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Senders::new(effort.groups_of(work), work.records, seed)?),
        };
        let rounds = (work.rounds / effort.shortening).max(2) + WARM_ROUNDS;
        prepared
            .push(Prepared { traffic: Traffic::new(senders, rounds, work.mix, seed)?, samples: Vec::new() });
    }
    for sample in 1..=effort.samples {
        for (work, Prepared { traffic, samples }) in works.iter().zip(&mut prepared) {
            progress(&format!("{}: sample {sample} of {}", work.name, effort.samples));
            let senders = senders.get(&(effort.groups_of(work), work.records)).context("made above")?;
            let receiver =
                Receiver { verifier: work.verifier, carrier: work.carrier, driver, warm_rounds: WARM_ROUNDS };
            samples.push(receiver.sample(senders, traffic).with_context(|| work.name)?);
        }
    }
    works.iter().zip(&prepared).map(|(work, own)| record(work, own, works, &prepared, effort, seed)).collect()
}

/// Rounds before those that are timed.
const WARM_ROUNDS: usize = 2;

struct Prepared {
    traffic: Traffic,
    samples: Vec<Sample>,
}

impl Prepared {
    /// Processor time of a message up to the round table, sample by sample.
    fn times(&self) -> Vec<f64> {
        self.samples
            .iter()
            .map(|sample| (sample.cpu_s - sample.deciding_s) / sample.messages as f64)
            .collect()
    }

    /// Processor time of a message with its share of the decisions.
    fn whole_times(&self) -> Vec<f64> {
        self.samples.iter().map(|sample| sample.cpu_s / sample.messages as f64).collect()
    }
}

fn record(
    work: &Work,
    own: &Prepared,
    works: &[Work],
    all: &[Prepared],
    effort: &Effort,
    seed: u64,
) -> anyhow::Result<Ingest> {
    let times = own.times();
    let first = own.samples.first().context("at least one sample")?;
    ensure!(
        own.samples.iter().all(|sample| sample.digests == first.digests),
        "{}: two samples decided differently",
        work.name
    );
    let against = works.iter().zip(all).find(|(other, _)| Some(other.name) == work.against);
    if let Some((other, theirs)) = against
        && (other.records, other.mix, other.groups) == (work.records, work.mix, work.groups)
    {
        let theirs = theirs.samples.first().context("at least one sample")?;
        // One may have more rounds; the first of them are those of the other.
        let same = first.digests.iter().zip(&theirs.digests).all(|(own, theirs)| own == theirs);
        ensure!(same, "{} and {} decided the same rounds differently", work.name, other.name);
    }
    let ratio = against
        .map(|(_, other)| median(other.times().iter().zip(&times).map(|(other, own)| other / own).collect()));
    let rate = 1.0 / median(times.clone());
    let decisions = effort.groups_of(work) * work.records;
    Ok(Ingest {
        work: work.name.to_owned(),
        verifier: first.verifier.to_owned(),
        driver: Some(first.driver.clone()),
        bytes: HEADER_BYTES + work.records * RECORD_BYTES + SIGNATURE_BYTES,
        records: Some(work.records),
        forged: work.mix.forged,
        messages: first.messages,
        samples: times.len(),
        messages_per_cpu_s: rate,
        // Of what counts: with forgeries and worse, fewer than are sent.
        records_per_cpu_s: Some(rate * work.records as f64 * accepted(&own.traffic)),
        decided_messages_per_cpu_s: Some(1.0 / median(own.whole_times())),
        decisions_per_message: (decisions * own.traffic.rounds.len()) as f64 / own.traffic.len() as f64,
        spread: spread(&times),
        ratio,
        against: against.map(|(other, _)| other.name.to_owned()),
        lost: own.samples.iter().map(|sample| sample.received.kernel_drops).sum(),
        digest: first.digests.last().map(|digest| format!("{digest:016x}")),
        seed,
    })
}

/// The share of the messages that are accepted.
fn accepted(traffic: &Traffic) -> f64 {
    traffic.expected.get("frames_accepted").copied().unwrap_or(0) as f64 / traffic.len() as f64
}

fn progress(text: &str) {
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        eprintln!("{text}");
    }
}
