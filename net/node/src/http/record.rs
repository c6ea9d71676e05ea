//! A decision as words of 64 bits, so that one thread can write it where others read without waiting for each other.

use centauri_engine::{Decision, Quorum, Region, Report, Status};
use centauri_roles::Decided;

/// Words of a decision before those of its replicas.
const FIXED: usize = 16;
/// Replicas have two words each: the probability that it is honest, and the report.
const EACH: usize = 2;

const DECIDED: u64 = 1;
const EXHAUSTIVE: u64 = 2;
const HONEST: u64 = 4;
const EVIDENCE: u64 = 8;
const REGION: u64 = 16;

/// Reports are finite, so numbers that are none are free to stand for what is no value.
const MISSING: u64 = f64::INFINITY.to_bits();
const EQUIVOCATED: u64 = f64::NEG_INFINITY.to_bits();

/// How many words a decision on a stream of so many replicas has.
pub(super) const fn words(replicas: usize) -> usize {
    FIXED + EACH * replicas
}

/// A decision on one round with what it was made from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// The round.
    pub(crate) round: i64,
    /// When the round was to be decided, in nanoseconds since 1970.
    pub(crate) deadline_ns: i64,
    /// When it was.
    pub(crate) closed_ns: i64,
    /// When the decision could be read here.
    pub(crate) published_ns: i64,
    /// The decision; its `point` is not kept.
    pub(crate) decision: Decision,
    /// For each replica the probability that it is honest; `None` without a quorum.
    pub(crate) honest: Option<Vec<f64>>,
    /// What came from each replica.
    pub(crate) reports: Vec<Report>,
}

/// Writes a decision over `out`, in as many words as [`words`] says.
pub(super) fn encode(decided: &Decided<'_>, replicas: usize, published_ns: i64, out: &mut Vec<u64>) {
    let decision = decided.decision;
    let region = decision.region.unwrap_or(Region { low: 0.0, high: 0.0 });
    let bits = decision.quorum.bits();
    out.clear();
    out.extend([decided.round, decided.deadline_ns, decided.closed_ns, published_ns].map(i64::cast_unsigned));
    out.push(flags(decided));
    out.extend([decision.value, decision.confidence, decision.mean].map(f64::to_bits));
    out.extend([decision.sd, decision.low, decision.high].map(f64::to_bits));
    out.extend([decision.log_evidence.unwrap_or(0.0), region.low, region.high].map(f64::to_bits));
    out.extend([bits as u64, (bits >> 64) as u64]);
    let honest = decided.honest.unwrap_or_default();
    out.extend((0..replicas).map(|position| honest.get(position).copied().unwrap_or(0.0).to_bits()));
    let report = |position| decided.reports.get(position).copied().unwrap_or(Report::Missing);
    out.extend((0..replicas).map(|position| report_word(report(position))));
}

fn flags(decided: &Decided<'_>) -> u64 {
    let decision = decided.decision;
    let flag = |is_set: bool, flag: u64| if is_set { flag } else { 0 };
    flag(decision.status == Status::Decided, DECIDED)
        | flag(decision.exhaustive, EXHAUSTIVE)
        | flag(decided.honest.is_some(), HONEST)
        | flag(decision.log_evidence.is_some(), EVIDENCE)
        | flag(decision.region.is_some(), REGION)
}

fn report_word(report: Report) -> u64 {
    match report {
        Report::Value(value) => value.to_bits(),
        Report::Missing => MISSING,
        Report::Equivocated => EQUIVOCATED,
    }
}

fn report_of(word: u64) -> Report {
    match word {
        MISSING => Report::Missing,
        EQUIVOCATED => Report::Equivocated,
        value => Report::Value(f64::from_bits(value)),
    }
}

/// Reads what [`encode`] wrote; `None` where the words are not as many.
pub(super) fn decode(words: &[u64]) -> Option<Record> {
    let (fixed, each) = words.split_first_chunk::<FIXED>()?;
    let &[round, deadline, closed, published, flags, value, confidence, mean, sd, low, high, evidence, ..] =
        fixed;
    let &[.., region_low, region_high, quorum_low, quorum_high] = fixed;
    let (honest, reports) = each.split_at(each.len() / EACH);
    let is = |flag: u64| flags & flag != 0;
    let quorum = u128::from(quorum_low) | u128::from(quorum_high) << 64;
    let region = Region { low: f64::from_bits(region_low), high: f64::from_bits(region_high) };
    let decision = Decision {
        status: if is(DECIDED) { Status::Decided } else { Status::NoQuorum },
        value: f64::from_bits(value),
        point: 0,
        confidence: f64::from_bits(confidence),
        mean: f64::from_bits(mean),
        sd: f64::from_bits(sd),
        low: f64::from_bits(low),
        high: f64::from_bits(high),
        quorum: (0..128).filter(|position| quorum >> position & 1 == 1).collect::<Quorum>(),
        log_evidence: is(EVIDENCE).then(|| f64::from_bits(evidence)),
        region: is(REGION).then_some(region),
        exhaustive: is(EXHAUSTIVE),
    };
    Some(Record {
        round: round.cast_signed(),
        deadline_ns: deadline.cast_signed(),
        closed_ns: closed.cast_signed(),
        published_ns: published.cast_signed(),
        decision,
        honest: is(HONEST).then(|| honest.iter().copied().map(f64::from_bits).collect()),
        reports: reports.iter().copied().map(report_of).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use centauri_engine::StreamId;

    fn check(decision: &Decision, honest: Option<&[f64]>, reports: &[Report]) {
        let decided = Decided {
            stream: StreamId(0),
            round: -7,
            deadline_ns: i64::MIN,
            closed_ns: i64::MAX,
            decision,
            honest,
            reports,
        };
        let mut out = vec![9; 3];
        encode(&decided, reports.len(), 5, &mut out);
        assert_eq!(out.len(), words(reports.len()));
        let expected = Record {
            round: -7,
            deadline_ns: i64::MIN,
            closed_ns: i64::MAX,
            published_ns: 5,
            decision: *decision,
            honest: honest.map(<[f64]>::to_vec),
            reports: reports.to_vec(),
        };
        assert_eq!(decode(&out), Some(expected));
        assert_eq!(decode(&out[..FIXED - 1]), None);
    }

    #[test]
    fn a_decision_reads_back_to_itself() {
        let decision = Decision {
            status: Status::Decided,
            value: 2.5,
            point: 0,
            confidence: 1e-300,
            mean: -2.0,
            sd: 0.25,
            low: -1e300,
            high: f64::MIN_POSITIVE,
            quorum: [0, 63, 64, 127].into_iter().collect(),
            log_evidence: Some(-0.5),
            region: Some(Region { low: 1.0, high: 2.0 }),
            exhaustive: false,
        };
        let reports = [Report::Value(-0.0), Report::Missing, Report::Equivocated, Report::Value(f64::MAX)];
        check(&decision, Some(&[0.0, 1.0, 0.5, 1e-9]), &reports);
        let without = Decision {
            status: Status::NoQuorum,
            quorum: Quorum::EMPTY,
            log_evidence: None,
            region: None,
            exhaustive: true,
            ..decision
        };
        check(&without, None, &reports);
        check(&without, None, &[]);
    }
}
