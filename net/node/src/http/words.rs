//! Why a replica was left out, in plain words, from what is at hand of every decision.

use super::record::Record;
use centauri_engine::{Report, Status};

/// The reason for which a replica is not in the quorum; `None` where it is in it, or there is no quorum.
pub(super) fn left_out(record: &Record, position: usize) -> Option<String> {
    let decision = &record.decision;
    if decision.status != Status::Decided || decision.quorum.contains(position) {
        return None;
    }
    Some(match record.reports.get(position)? {
        Report::Equivocated => "it signed two different values for the round and is proven faulty".to_owned(),
        Report::Missing
            if decision
                .quorum
                .positions()
                .any(|in_it| record.reports.get(in_it) == Some(&Report::Missing)) =>
        {
            format!(
                "no message came in time, nor from others; the quorum holds {} and they come first",
                size(record)
            )
        }
        Report::Missing => "no message came in time".to_owned(),
        Report::Value(value) => of_value(record, position, *value),
    })
}

/// What holds of every replica of a decision.
pub(super) fn of_replica(record: &Record, position: usize) -> String {
    match (record.decision.status, left_out(record, position)) {
        (Status::NoQuorum, _) => "no quorum is possible".to_owned(),
        (Status::Decided, Some(reason)) => format!("left out: {reason}"),
        (Status::Decided, None) => "in the quorum".to_owned(),
    }
}

fn of_value(record: &Record, position: usize, value: f64) -> String {
    let decision = &record.decision;
    let honest = record.honest.as_ref().and_then(|honest| honest.get(position));
    let chance =
        honest.map_or_else(String::new, |p| format!("; it is honest with probability {}", figure(*p)));
    let side = match value {
        low if low < decision.low => "below",
        high if high > decision.high => "above",
        _ => {
            let (value, size) = (figure(value), size(record));
            return format!(
                "nothing is wrong with its value {value}, but the quorum holds {size} and the others are likelier honest{chance}"
            );
        }
    };
    let (low, high) = (figure(decision.low), figure(decision.high));
    format!("its value {} lies {side} the interval from {low} to {high}{chance}", figure(value))
}

fn size(record: &Record) -> String {
    format!("{} of {}", record.decision.quorum.len(), record.reports.len())
}

/// A number for people: six digits, and no more than it has.
pub(crate) fn figure(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e9).contains(&size) {
        return format!("{value:.1e}");
    }
    let digits = if size == 0.0 { 0 } else { (5 - size.log10().floor() as i32).clamp(0, 9) as usize };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use centauri_engine::{Decision, Quorum};

    fn record(reports: Vec<Report>) -> Record {
        Record {
            round: 1,
            deadline_ns: 0,
            closed_ns: 0,
            published_ns: 0,
            decision: Decision {
                status: Status::Decided,
                value: 50.0,
                point: 0,
                confidence: 0.5,
                mean: 50.0,
                sd: 1.0,
                low: 48.0,
                high: 52.0,
                quorum: Quorum::EMPTY.with(0).with(1),
                log_evidence: None,
                region: None,
                exhaustive: true,
            },
            honest: Some(vec![1.0, 1.0, 0.25]),
            reports,
        }
    }

    #[test]
    fn each_way_of_being_left_out_has_its_words() {
        let of = |report| {
            let record = record(vec![Report::Value(50.0), Report::Value(50.0), report]);
            assert_eq!(left_out(&record, 0), None);
            assert_eq!(of_replica(&record, 0), "in the quorum");
            assert_eq!(left_out(&record, 3), None);
            left_out(&record, 2).expect("a reason")
        };
        assert_eq!(of(Report::Missing), "no message came in time");
        let silent = record(vec![Report::Missing; 3]);
        assert!(
            left_out(&silent, 2)
                .is_some_and(|reason| reason.contains("the quorum holds 2 of 3 and they come first"))
        );
        assert!(of(Report::Equivocated).ends_with("is proven faulty"));
        assert_eq!(
            of(Report::Value(90.5)),
            "its value 90.5 lies above the interval from 48 to 52; it is honest with probability 0.25"
        );
        assert!(of(Report::Value(-1.0)).contains("-1 lies below"));
        assert!(of(Report::Value(51.0)).contains("the quorum holds 2 of 3"));
    }

    #[test]
    fn figures_are_short() {
        let cases = [
            (0.0, "0"),
            (50.0, "50"),
            (1.0 / 3.0, "0.333333"),
            (-123_456.7, "-123457"),
            (1e-9, "1.0e-9"),
            (2e12, "2.0e12"),
        ];
        for (value, text) in cases {
            assert_eq!(figure(value), text);
        }
    }
}
