//! The acceptance rule, with what a receiver must remember for it.

use std::sync::Arc;

use thiserror::Error;

use crate::accepted::RecordMask;
use crate::header::claimed_sender_and_stream;
use crate::streams::StreamWindows;
use crate::{
    Accepted, Counters, FrameView, Limits, MessageKind, MessageView, NodeId, Pending, RECORD_BYTES, Registry,
    Rejected, SignatureShapeError, SignatureVerdict, StreamId, TimestampWindow, check_signature_shape,
    may_send,
};

/// Why a stream cannot be tracked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrackError {
    /// The registry has no such node.
    #[error("node {0} is not in the registry")]
    UnknownSender(NodeId),
    /// As many pairs are tracked as the limits allow.
    #[error("{tracked} streams are tracked, expected at most that many by `tracked_pairs_max`")]
    Full {
        /// Pairs tracked.
        tracked: usize,
    },
}

/// What is remembered of one sender.
#[derive(Debug, Clone, Default)]
struct SenderState {
    request: TimestampWindow,
    sample_output: TimestampWindow,
    sample_latency: TimestampWindow,
    distribution: TimestampWindow,
    answer: TimestampWindow,
    streams: StreamWindows,
}

impl SenderState {
    /// The window for kinds of messages without nonces.
    fn timestamps(&mut self, message: &MessageView<'_>) -> Option<&mut TimestampWindow> {
        match message.kind() {
            MessageKind::Request => Some(&mut self.request),
            MessageKind::SampleOutput => Some(&mut self.sample_output),
            MessageKind::SampleLatency => Some(&mut self.sample_latency),
            MessageKind::Distribution => Some(&mut self.distribution),
            MessageKind::Answer => Some(&mut self.answer),
            MessageKind::Stream | MessageKind::Decision => None,
        }
    }
}

/// A receiver's acceptance of frames: cheap checks, the signature, then the memory of what was accepted.
///
/// The checks come in the order of their cost and of what they give away: form, sender, role, time,
/// nonces, the signature's form, the signature. Nothing is remembered of a frame whose signature has
/// not been found good, so a forger can neither use up a nonce nor fill memory.
///
/// [`Verifier::check`] does all of it for one frame. Where signatures are verified several at a time,
/// call [`Verifier::precheck`] on each frame, verify, and [`Verifier::commit`] each in order of arrival: what is
/// accepted, why the rest is rejected and every count are then the same as one frame after the other.
#[derive(Debug, Clone)]
pub struct Verifier {
    registry: Arc<Registry>,
    own: Option<NodeId>,
    limits: Limits,
    senders: Vec<SenderState>,
    tracked: usize,
    counters: Counters,
    reserved_ns: i64,
    newest_accepted_ns: Option<i64>,
}

impl Verifier {
    /// A receiver that has seen nothing and tracks no stream.
    #[must_use]
    pub fn new(registry: Arc<Registry>, limits: Limits) -> Self {
        let senders = vec![SenderState::default(); registry.nodes().len()];
        Self {
            registry,
            own: None,
            limits,
            senders,
            tracked: 0,
            counters: Counters::default(),
            reserved_ns: i64::MAX,
            newest_accepted_ns: None,
        }
    }

    /// From now on no timestamp is accepted that is both after `reserved_ns` and ahead of the clock; until this is called, there is
    /// no such bound.
    ///
    /// For a receiver that stores which timestamps it may have accepted before it accepts them: see docs/PROTOCOL.md, *Time*.
    pub fn reserve_until(&mut self, reserved_ns: i64) {
        self.reserved_ns = reserved_ns;
    }

    /// The newest timestamp of a frame that was accepted.
    #[must_use]
    pub fn newest_accepted_ns(&self) -> Option<i64> {
        self.newest_accepted_ns
    }

    /// Takes messages that name their receiver only if that is `own`. Without it they are taken whomever they are for, which
    /// is for those who look on.
    #[must_use]
    pub fn for_node(self, own: NodeId) -> Self {
        Self { own: Some(own), ..self }
    }

    /// Accepts records of this stream from now on. Tracking a tracked stream changes nothing.
    ///
    /// # Errors
    /// A sender that is not registered, or as many pairs tracked as the limits allow.
    pub fn track(&mut self, sender: NodeId, stream: StreamId) -> Result<(), TrackError> {
        let unknown = TrackError::UnknownSender(sender);
        let index = self.registry.index_of(sender).ok_or(unknown)?;
        let streams = &mut self.senders.get_mut(index).ok_or(unknown)?.streams;
        let Err(place) = streams.search(stream) else { return Ok(()) };
        if self.tracked >= self.limits.tracked_pairs_max {
            return Err(TrackError::Full { tracked: self.tracked });
        }
        streams.insert(place, stream);
        self.tracked += 1;
        Ok(())
    }

    /// Accepts no more records of this stream and forgets its nonces; says whether it was tracked.
    ///
    /// Tracked again within the freshness window, it would accept once more what it accepted before: give
    /// a new computation a new stream number.
    pub fn untrack(&mut self, sender: NodeId, stream: StreamId) -> bool {
        let index = self.registry.index_of(sender);
        let Some(state) = index.and_then(|index| self.senders.get_mut(index)) else { return false };
        let Ok(place) = state.streams.search(stream) else { return false };
        state.streams.remove(place);
        self.tracked -= 1;
        true
    }

    /// How many (sender, stream) pairs are tracked.
    #[must_use]
    pub fn tracked(&self) -> usize {
        self.tracked
    }

    /// The nodes that are known.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// What became of the frames so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Reads what [`Verifier::precheck`] will read of these frames' senders. Changes nothing, whatever the bytes are; where
    /// many frames came together it saves time: what lies far away in memory is fetched for all of them at once.
    pub fn read_ahead<'a>(&self, frames: impl IntoIterator<Item = &'a [u8]>) {
        for frame in frames {
            let Some((sender, stream)) = claimed_sender_and_stream(frame) else { continue };
            let Some(index) = self.registry.index_of(sender) else { continue };
            if let Some(state) = self.senders.get(index) {
                state.streams.read_ahead(stream, frame.len() / RECORD_BYTES);
            }
        }
    }

    /// All checks on one frame, and the memory of it if it passes.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check<'a>(&mut self, now_ns: i64, frame: &'a [u8]) -> Result<Accepted<'a>, Rejected> {
        let pending = self.precheck(now_ns, frame)?;
        let verdict = self.verify(&pending);
        self.commit(&pending, verdict)
    }

    /// The verdict on one signature, here and now.
    #[must_use]
    pub fn verify(&self, pending: &Pending<'_>) -> SignatureVerdict {
        // Comparing bytes has already found out some of the bad ones.
        let node = self.registry.nodes().get(pending.node_index).filter(|_| pending.shape.is_ok());
        let (message, signature) = (pending.signed_message(), pending.signature());
        SignatureVerdict::of(node.is_some_and(|node| node.key.verify(message.as_bytes(), signature)))
    }

    /// The checks that come before those of the signature. Remembers nothing but the counts.
    ///
    /// A signature of a wrong form is found here ([`Pending::shape`]) and rejected by [`Verifier::commit`]: only then is it
    /// known whether a frame before it in the batch makes this one a replay, which is the check that comes first.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn precheck<'a>(&mut self, now_ns: i64, frame: &'a [u8]) -> Result<Pending<'a>, Rejected> {
        self.counters.frames_received += 1;
        let checked = self.precheck_uncounted(now_ns, frame);
        self.count(checked)
    }

    /// Ends what [`Verifier::precheck`] began: rejects the frame if it is a replay by now, or forged; otherwise
    /// takes its nonces (or its timestamp) as seen and accepts what was fresh.
    ///
    /// # Errors
    /// [`Rejected::Replayed`] if a frame committed in between had the same nonces; [`Rejected::SignatureShape`] by
    /// [`Pending::shape`]; [`Rejected::Forged`] by the verdict.
    pub fn commit<'a>(
        &mut self,
        pending: &Pending<'a>,
        verdict: SignatureVerdict,
    ) -> Result<Accepted<'a>, Rejected> {
        let committed = match (pending.shape, verdict) {
            (Ok(()), SignatureVerdict::Good) => self.remember(pending),
            (shape, _) => self.refuse(pending, shape.err()),
        };
        let accepted = self.count(committed)?;
        self.counters.frames_accepted += 1;
        self.newest_accepted_ns = self.newest_accepted_ns.max(Some(accepted.header().timestamp_ns));
        Ok(accepted)
    }

    fn count<T>(&mut self, result: Result<T, Rejected>) -> Result<T, Rejected> {
        result.inspect_err(|rejected| self.counters.count_rejected(rejected))
    }

    fn precheck_uncounted<'a>(&mut self, now_ns: i64, bytes: &'a [u8]) -> Result<Pending<'a>, Rejected> {
        let frame = FrameView::parse(bytes)?;
        let sender = frame.header().sender;
        let unknown = Rejected::UnknownSender(sender);
        let node_index = self.registry.index_of(sender).ok_or(unknown)?;
        let role = self.registry.role_at(node_index).ok_or(unknown)?;
        let kind = frame.message().kind();
        if !may_send(role, kind) {
            return Err(Rejected::WrongRole { role, kind });
        }
        if let (Some(receiver), Some(own)) = (frame.header().receiver, self.own)
            && receiver != own
        {
            return Err(Rejected::WrongReceiver { receiver });
        }
        check_time(&self.limits, self.reserved_ns, now_ns, frame.header().timestamp_ns)?;
        let state = self.senders.get_mut(node_index).ok_or(unknown)?;
        check_fresh(state, &frame)?;
        let shape = check_signature_shape(frame.signature());
        Ok(Pending { frame, node_index, shape })
    }

    /// Why a frame with a bad signature is rejected. Freshness is checked before signatures, and frames that came
    /// before it may have been committed since.
    fn refuse<'a>(
        &mut self,
        pending: &Pending<'a>,
        shape: Option<SignatureShapeError>,
    ) -> Result<Accepted<'a>, Rejected> {
        let unknown = Rejected::UnknownSender(pending.frame.header().sender);
        let state = self.senders.get_mut(pending.node_index).ok_or(unknown)?;
        check_fresh(state, &pending.frame)?;
        Err(shape.map_or(Rejected::Forged, Rejected::SignatureShape))
    }

    fn remember<'a>(&mut self, pending: &Pending<'a>) -> Result<Accepted<'a>, Rejected> {
        let Pending { frame, node_index, .. } = *pending;
        let header = frame.header();
        let unknown = Rejected::UnknownSender(header.sender);
        let state = self.senders.get_mut(node_index).ok_or(unknown)?;
        let mut fresh = RecordMask::none();
        match frame.message() {
            MessageView::Stream(records) => {
                let numbers = records.iter().map(|record| (record.stream, record.nonce));
                let outcome = RecordCounts::of(&mut state.streams, numbers, &mut fresh);
                outcome.verdict()?;
                self.counters.count_records(&outcome);
            }
            MessageView::Decision(decisions) => {
                let numbers = decisions.iter().map(|decision| (decision.stream, decision.nonce));
                let outcome = RecordCounts::of(&mut state.streams, numbers, &mut fresh);
                outcome.verdict()?;
                self.counters.count_records(&outcome);
            }
            message => {
                let window = state.timestamps(message).ok_or(Rejected::Replayed)?;
                if !window.accept(header.timestamp_ns) {
                    return Err(Rejected::Replayed);
                }
            }
        }
        Ok(Accepted { frame, node_index, fresh })
    }
}

/// What became of a frame's records.
#[derive(Debug, Default)]
pub(crate) struct RecordCounts {
    pub(crate) fresh: u64,
    pub(crate) replayed: u64,
    pub(crate) unknown: u64,
}

impl RecordCounts {
    /// Takes the nonces as seen and marks the records that were fresh.
    fn of(
        streams: &mut StreamWindows,
        records: impl Iterator<Item = (StreamId, u64)>,
        fresh: &mut RecordMask,
    ) -> Self {
        let mut counts = Self::default();
        let mut next = 0;
        for (at, (stream, nonce)) in records.enumerate() {
            match streams.find(stream, &mut next) {
                None => counts.unknown += 1,
                Some(place) if streams.accept(place, nonce) => {
                    fresh.set(at);
                    counts.fresh += 1;
                }
                Some(_) => counts.replayed += 1,
            }
        }
        counts
    }

    /// A frame is worth its signature if one record is.
    fn verdict(&self) -> Result<(), Rejected> {
        match self {
            Self { fresh: 1.., .. } => Ok(()),
            Self { replayed: 1.., .. } => Err(Rejected::Replayed),
            _ => Err(Rejected::UnknownStream),
        }
    }
}

/// What [`RecordCounts::verdict`] would say if the records were taken in now. One that is fresh decides it, which mostly is
/// the first.
fn check_records(
    streams: &StreamWindows,
    records: impl Iterator<Item = (StreamId, u64)>,
) -> Result<(), Rejected> {
    let mut next = 0;
    let mut rejected = Rejected::UnknownStream;
    for (stream, nonce) in records {
        match streams.find(stream, &mut next) {
            None => {}
            Some(place) if streams.is_fresh(place, nonce) => return Ok(()),
            Some(_) => rejected = Rejected::Replayed,
        }
    }
    Err(rejected)
}

fn check_time(limits: &Limits, reserved_ns: i64, now_ns: i64, timestamp_ns: i64) -> Result<(), Rejected> {
    let oldest = now_ns.saturating_sub_unsigned(limits.past_ns).max(limits.not_before_ns);
    if timestamp_ns < oldest {
        return Err(Rejected::Stale { timestamp_ns });
    }
    let newest = now_ns.saturating_add_unsigned(limits.future_ns).min(reserved_ns.max(now_ns));
    if timestamp_ns > newest {
        return Err(Rejected::Future { timestamp_ns });
    }
    Ok(())
}

fn check_fresh(state: &mut SenderState, frame: &FrameView<'_>) -> Result<(), Rejected> {
    match frame.message() {
        MessageView::Stream(records) => {
            check_records(&state.streams, records.iter().map(|record| (record.stream, record.nonce)))
        }
        MessageView::Decision(decisions) => {
            check_records(&state.streams, decisions.iter().map(|decision| (decision.stream, decision.nonce)))
        }
        message => match state.timestamps(message) {
            Some(window) if window.is_fresh(frame.header().timestamp_ns) => Ok(()),
            _ => Err(Rejected::Replayed),
        },
    }
}
