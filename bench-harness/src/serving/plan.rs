//! What a run is to be: its streams, when their rounds are due, and when each frame is to be sent.

use anyhow::ensure;
use centauri_wire::{FRAME_BYTES_DATAGRAM, HEADER_BYTES, RECORD_BYTES, SIGNATURE_BYTES};
use std::ops::Range;

/// Most records of a frame that is one datagram within one packet.
pub const RECORDS_MAX: usize = (FRAME_BYTES_DATAGRAM - HEADER_BYTES - SIGNATURE_BYTES) / RECORD_BYTES;

/// The earliest and the latest that a replica's frames leave before their deadline, as shares of the period, and the longest
/// of either in nanoseconds.
const LEADS: [(f64, i64); 2] = [(0.25, 60_000_000), (0.05, 10_000_000)];

/// The size and shape of a run; see [`Plan::check`] for what is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Streams. Their number is also their name's, and their place in the model.
    pub streams: usize,
    /// Replicas, each of which reports every stream.
    pub replicas: usize,
    /// Faults that the model allows for.
    pub faults: usize,
    /// Replicas that lie: the first so many.
    pub liars: usize,
    /// Length of a round, in nanoseconds.
    pub period_ns: i64,
    /// The period is divided into so many parts; a part's streams are due together.
    pub phases: usize,
    /// Share of the frames that are not sent.
    pub loss: f64,
    /// Seed of values, losses and sending times.
    pub seed: u64,
}

/// Frames of one replica that are to be sent together: of all streams of a phase, for one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sending {
    /// When, in nanoseconds since the Unix epoch.
    pub at_ns: i64,
    /// The phase whose streams are reported.
    pub phase: usize,
    /// Who reports.
    pub replica: usize,
    /// The round that is reported.
    pub round: i64,
}

impl Plan {
    /// Checks sizes.
    ///
    /// # Errors
    /// The first that is out of its range.
    pub fn check(&self) -> anyhow::Result<()> {
        let Self { streams, replicas, faults, liars, period_ns, phases, loss, .. } = *self;
        ensure!((1..=10_000_000).contains(&streams), "--streams: found {streams}, expected 1 to 10,000,000");
        ensure!((1..=64).contains(&replicas), "--replicas: found {replicas}, expected 1 to 64");
        ensure!(faults < replicas, "--faults: found {faults}, expected fewer than the {replicas} replicas");
        ensure!(liars <= faults, "--liars: found {liars}, expected at most the {faults} faults");
        let periods = 1_000_000..=1_000_000_000_000;
        ensure!(periods.contains(&period_ns), "--rate: expected 0.001 to 1,000 rounds a second");
        ensure!((1..=100_000).contains(&phases), "--phases: found {phases}, expected 1 to 100,000");
        ensure!((0.0..1.0).contains(&loss), "--loss: found {loss}, expected a share from 0 to below 1");
        Ok(())
    }

    /// The phase of a stream: neighbours are due together, so that frames go through streams in order.
    #[must_use]
    pub fn phase_of(&self, stream: usize) -> usize {
        // As `streams_of`: the last phase that begins at or before the stream.
        ((stream + 1) * self.phases).div_ceil(self.streams).saturating_sub(1)
    }

    /// The streams of a phase.
    #[must_use]
    pub fn streams_of(&self, phase: usize) -> Range<usize> {
        phase * self.streams / self.phases..(phase + 1) * self.streams / self.phases
    }

    /// When window 0 of a phase's streams opens, in nanoseconds since the Unix epoch: within the first period, in whole
    /// microseconds, which a configuration's float holds exactly enough.
    #[must_use]
    pub fn epoch_ns(&self, phase: usize) -> i64 {
        let part = self.period_ns / 1_000 * phase as i64 / self.phases as i64;
        part * 1_000
    }

    /// When a phase's round is decided: when its window ends.
    #[must_use]
    pub fn deadline_ns(&self, phase: usize, round: i64) -> i64 {
        self.epoch_ns(phase) + (round + 1) * self.period_ns
    }

    /// The rounds of a phase whose deadlines lie in a span of time.
    #[must_use]
    pub fn rounds_in(&self, phase: usize, span: &Range<i64>) -> Range<i64> {
        let first_at = |time: i64| {
            let since = time - self.epoch_ns(phase);
            // The first round whose deadline is not before `time`.
            (since + self.period_ns - 1).div_euclid(self.period_ns) - 1
        };
        first_at(span.start)..first_at(span.end)
    }

    /// How long before the deadline a replica sends its frames of a phase, in nanoseconds: the same in each round.
    #[must_use]
    pub fn lead_ns(&self, phase: usize, replica: usize) -> i64 {
        let [most, least] = LEADS.map(|(share, most)| ((self.period_ns as f64 * share) as i64).min(most));
        let place = super::truth::uniform(self.seed, [phase as u64, replica as u64, 0x1ead]);
        least + ((most - least) as f64 * place) as i64
    }

    /// Everything that is to be sent from `from_ns` on, in order, without an end.
    pub fn sendings(&self, from_ns: i64) -> impl Iterator<Item = Sending> + use<> {
        let period_ns = self.period_ns;
        // Where in a period, and how many periods the round's number lies behind that period's.
        let mut cycle: Vec<(i64, i64, usize, usize)> = Vec::with_capacity(self.phases * self.replicas);
        for phase in (0..self.phases).filter(|phase| !self.streams_of(*phase).is_empty()) {
            for replica in 0..self.replicas {
                let at = self.deadline_ns(phase, 0) - self.lead_ns(phase, replica);
                cycle.push((at.rem_euclid(period_ns), at.div_euclid(period_ns), phase, replica));
            }
        }
        cycle.sort_unstable();
        let periods = from_ns.div_euclid(period_ns)..;
        let all = periods.flat_map(move |period| {
            let at = move |&(within, behind, phase, replica): &(i64, i64, usize, usize)| Sending {
                at_ns: period * period_ns + within,
                phase,
                replica,
                round: period - behind,
            };
            cycle.iter().map(at).collect::<Vec<_>>()
        });
        all.skip_while(move |sending| sending.at_ns < from_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn plan(streams: usize, phases: usize) -> Plan {
        Plan { streams, replicas: 3, faults: 1, liars: 0, period_ns: SECOND / 4, phases, loss: 0.0, seed: 3 }
    }

    #[test]
    fn each_stream_has_one_phase_and_phases_lie_evenly() {
        for (streams, phases) in [(1, 1), (7, 3), (3, 7), (1_000, 10), (999, 1_000)] {
            let plan = plan(streams, phases);
            let listed: Vec<usize> = (0..phases).flat_map(|phase| plan.streams_of(phase)).collect();
            assert_eq!(listed, (0..streams).collect::<Vec<_>>());
            for phase in 0..phases {
                assert!(plan.streams_of(phase).all(|stream| plan.phase_of(stream) == phase), "{phase}");
                let exact = plan.period_ns as f64 * phase as f64 / phases as f64;
                assert!((exact - plan.epoch_ns(phase) as f64).abs() <= 1_000.0);
            }
        }
    }

    #[test]
    fn rounds_of_a_span_are_those_whose_deadlines_lie_in_it() {
        let plan = plan(40, 8);
        for from in [-3 * SECOND, 0, 17, SECOND, 5 * SECOND + 31_250_000] {
            let span = from..from + SECOND;
            for phase in 0..8 {
                let rounds = plan.rounds_in(phase, &span);
                assert_eq!(rounds.end - rounds.start, 4);
                let all = rounds.start - 3..rounds.end + 3;
                for round in all {
                    let lies_in = span.contains(&plan.deadline_ns(phase, round));
                    assert_eq!(rounds.contains(&round), lies_in, "{from} {phase} {round}");
                }
            }
        }
    }

    #[test]
    fn everything_is_sent_once_in_order_and_shortly_before_its_deadline() {
        let plan = plan(40, 8);
        let from = 1_000 * SECOND + 12_345;
        let sent: Vec<Sending> = plan.sendings(from).take(8 * 3 * 5).collect();
        assert!(sent.is_sorted_by_key(|sending| sending.at_ns) && sent[0].at_ns >= from);
        let mut seen = std::collections::BTreeSet::new();
        for sending in &sent {
            let lead = plan.deadline_ns(sending.phase, sending.round) - sending.at_ns;
            assert!((10_000_000..=60_000_000).contains(&lead), "{lead}");
            assert!(seen.insert((sending.phase, sending.replica, sending.round)), "twice: {sending:?}");
        }
        for phase in 0..8 {
            for replica in 0..3 {
                let rounds: Vec<i64> = seen
                    .iter()
                    .filter(|(p, r, _)| (*p, *r) == (phase, replica))
                    .map(|(_, _, round)| *round)
                    .collect();
                assert_eq!(rounds.len(), 5);
                assert!(rounds.windows(2).all(|pair| pair[1] == pair[0] + 1), "{rounds:?}");
            }
        }
    }

    #[test]
    fn a_frame_has_room_for_37_records() {
        assert_eq!(RECORDS_MAX, 37);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_name() {
        let good = plan(10, 2);
        assert!(good.check().is_ok());
        for (bad, expected) in [
            (Plan { streams: 0, ..good }, "--streams"),
            (Plan { replicas: 65, ..good }, "--replicas"),
            (Plan { faults: 3, ..good }, "--faults"),
            (Plan { liars: 2, ..good }, "--liars"),
            (Plan { period_ns: 1, ..good }, "--rate"),
            (Plan { phases: 0, ..good }, "--phases"),
            (Plan { loss: f64::NAN, ..good }, "--loss"),
        ] {
            let error = bad.check().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
