//! Frames, signed shortly before they are to be sent.

use super::plan::{Plan, RECORDS_MAX, Sending};
use super::truth::{reported, uniform};
use centauri_wire::{FRAME_BYTES_DATAGRAM, Record, SigningIdentity, StreamFrameBuilder, StreamId};
use std::collections::VecDeque;
use std::iter::Peekable;

/// A signed frame and its time.
#[derive(Debug, Default)]
pub struct Frame {
    /// When it is to be sent, in nanoseconds since the Unix epoch; it also bears this time.
    pub at_ns: i64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether it is lost on the way: then it is not sent.
    pub is_lost: bool,
}

/// Makes the frames of a plan in the order of sending. Those that are ready wait here, so that signing disturbs the schedule
/// only by the time that one signature takes.
#[derive(Debug)]
pub struct Frames<'a, S: Iterator<Item = Sending>> {
    plan: Plan,
    replicas: &'a [SigningIdentity],
    sendings: Peekable<S>,
    /// How many of the next sending's streams have been signed.
    done: usize,
    ready: VecDeque<Frame>,
    /// Frames that were sent, for their memory.
    spare: Vec<Frame>,
}

impl<'a, S: Iterator<Item = Sending>> Frames<'a, S> {
    /// Frames of `replicas` for these sendings.
    pub fn new(plan: Plan, replicas: &'a [SigningIdentity], sendings: S) -> Self {
        let (ready, spare) = (VecDeque::new(), Vec::new());
        Self { plan, replicas, sendings: sendings.peekable(), done: 0, ready, spare }
    }

    /// How many frames are ready.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// When the next frame that is ready is to be sent.
    #[must_use]
    pub fn next_ns(&self) -> Option<i64> {
        self.ready.front().map(|frame| frame.at_ns)
    }

    /// Takes the next frame that is ready; give it back by [`Frames::give_back`].
    pub fn take(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    /// Gives back a frame's memory.
    pub fn give_back(&mut self, frame: Frame) {
        self.spare.push(frame);
    }

    /// Signs the next frame.
    ///
    /// # Errors
    /// Nothing that a plan in its bounds brings about.
    pub fn sign(&mut self) -> anyhow::Result<()> {
        let Some(&Sending { at_ns, phase, replica, round }) = self.sendings.peek() else { return Ok(()) };
        let all = self.plan.streams_of(phase);
        let streams = all.clone().skip(self.done).take(RECORDS_MAX);
        let first = all.start + self.done;
        let mut frame = self.spare.pop().unwrap_or_default();
        let mut builder = StreamFrameBuilder::begin(&mut frame.bytes, at_ns, FRAME_BYTES_DATAGRAM);
        for stream in streams {
            builder.push(&Record {
                stream: StreamId(u32::try_from(stream)?),
                age_us: 0,
                // Grows from round to round, whatever ran before.
                nonce: at_ns.cast_unsigned(),
                round,
                value: reported(&self.plan, stream, round, replica),
                readings: 60,
            })?;
            self.done += 1;
        }
        let identity = self.replicas.get(replica).ok_or_else(|| anyhow::anyhow!("no replica {replica}"))?;
        builder.finish(identity)?;
        frame.at_ns = at_ns;
        let chance = uniform(self.plan.seed, [first as u64, round.cast_unsigned(), 0x1055 + replica as u64]);
        frame.is_lost = chance < self.plan.loss;
        self.ready.push_back(frame);
        if self.done >= all.len() {
            self.done = 0;
            self.sendings.next();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serving::site::{Setting, Site};
    use centauri_wire::{FrameView, MessageView};
    use std::collections::BTreeSet;

    #[test]
    fn every_stream_of_every_replica_is_in_one_frame_of_each_round() {
        let plan = Plan {
            streams: 95,
            replicas: 2,
            faults: 0,
            liars: 0,
            period_ns: 1_000_000_000,
            phases: 2,
            loss: 0.3,
            seed: 4,
        };
        let folder = tempfile::tempdir().unwrap();
        let setting = Setting { driver: "epoll".to_owned(), backend: "scalar".to_owned() };
        let site = Site::new(folder.path(), &plan, &setting).unwrap();
        let mut frames = Frames::new(plan, &site.replicas, plan.sendings(5_000_000_000));
        let (mut seen, mut lost) = (BTreeSet::new(), 0);
        // Phases of 47 and 48 streams: two frames each.
        for _ in 0..2 * 2 * 2 * 50 {
            frames.sign().unwrap();
            let frame = frames.take().unwrap();
            lost += usize::from(frame.is_lost);
            let view = FrameView::parse(&frame.bytes).unwrap();
            assert_eq!(view.header().timestamp_ns, frame.at_ns);
            let MessageView::Stream(records) = view.message() else { panic!("not a stream frame") };
            for record in records.iter() {
                assert!(seen.insert((record.round, view.header().sender.0, record.stream.0)), "twice");
                let phase = plan.phase_of(record.stream.0 as usize);
                let lead = plan.deadline_ns(phase, record.round) - frame.at_ns;
                assert!((10_000_000..=60_000_000).contains(&lead), "{lead}");
            }
            frames.give_back(frame);
        }
        assert_eq!(seen.len(), 50 * 2 * 95);
        assert!((60..180).contains(&lost), "{lost} of 400");
    }
}
