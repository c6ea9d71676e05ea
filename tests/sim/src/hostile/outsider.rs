//! Somebody without a registered key, who sees every frame and may send anything from anywhere.

use std::net::SocketAddr;
use std::rc::Rc;

use centauri_wire::{FRAME_BYTES_DATAGRAM, NodeId, Record, SIGNATURE_BYTES, StreamFrameBuilder, StreamId};

use super::Captured;
use crate::frame::{Said, read_frame};
use crate::network::Datagram;
use crate::{CLIENT, Dice, OutsiderPlan, Plan, STRANGER, address, outsiders_key, replica_id};

/// ℓ, the order of the group of Ed25519, little-endian: 2^252 + 27742317777372353535851937790883648493.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The outsider of a run.
#[derive(Debug)]
pub(crate) struct Outsider<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) outsider: OutsiderPlan,
    /// What it takes the time to be.
    pub(crate) now_ns: i64,
    pub(crate) captured: &'a Captured,
}

impl Outsider<'_> {
    /// What it sends at once.
    pub(crate) fn act(&self, dice: &mut Dice) -> Vec<Datagram> {
        let count = if dice.chance(self.outsider.flood) { 40 + dice.below(80) } else { 1 };
        let target =
            if dice.chance(0.75) { CLIENT } else { *dice.pick(&self.plan.nodes()).unwrap_or(&CLIENT) };
        (0..count).filter_map(|at| self.one(target, at > 12, dice)).collect()
    }

    /// One datagram; a `cheap` one costs the receiver no curve arithmetic, so that floods do not fill the time of a test.
    fn one(&self, target: NodeId, cheap: bool, dice: &mut Dice) -> Option<Datagram> {
        let bytes = match dice.below(if cheap { 4 } else { 9 }) {
            0 => (0..dice.below(300)).map(|_| dice.bits() as u8).collect(),
            1 => self.cut(dice)?,
            2 => self.captured(dice)?.to_vec(),
            3 => added_order(self.captured(dice)?)?,
            4..7 => damaged(self.captured(dice)?, dice),
            _ => self.forged(dice)?,
        };
        let bytes = Rc::from(bytes);
        Some(Datagram { from: self.somewhere(dice), to: address(target), bytes })
    }

    fn somewhere(&self, dice: &mut Dice) -> SocketAddr {
        let named = self.plan.nodes().len();
        match dice.below(3) {
            0 => self.plan.nodes().get(dice.below(named)).map_or(address(STRANGER), |node| address(*node)),
            1 => SocketAddr::from(([192, 0, 2, dice.bits() as u8], dice.bits() as u16)),
            _ => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, dice.bits() as u16], 1)),
        }
    }

    /// Mostly a new frame: an old one is a replay at most.
    fn captured(&self, dice: &mut Dice) -> Option<&Rc<[u8]>> {
        let count = self.captured.len();
        let near = if dice.chance(0.6) { count.min(12) } else { count };
        self.captured.get(count.checked_sub(1 + dice.below(near))?)
    }

    fn cut(&self, dice: &mut Dice) -> Option<Vec<u8>> {
        let mut bytes = self.captured(dice)?.to_vec();
        if dice.chance(0.7) {
            bytes.truncate(dice.below(bytes.len()));
        } else {
            bytes.extend((0..1 + dice.below(40)).map(|_| dice.bits() as u8));
        }
        Some(bytes)
    }

    /// A frame in good form, in a replica's name, by a key that is not the replica's: with the nonce that the replica will use
    /// next, as far as can be seen.
    fn forged(&self, dice: &mut Dice) -> Option<Vec<u8>> {
        let victim = replica_id(dice.below(self.plan.replicas));
        let stream = dice.pick(&self.plan.streams)?;
        let seen = self.captured.iter().rev().filter_map(|frame| read_frame(frame)).find_map(|frame| {
            match frame.said {
                Said::Stream(records) if frame.sender == victim.0 => records.last().map(|last| last.nonce),
                _ => None,
            }
        });
        let record = Record {
            stream: StreamId(stream.number),
            age_us: 0,
            nonce: seen.unwrap_or(0).saturating_add(dice.below(3) as u64),
            round: stream.round_at(self.now_ns) + dice.between(-1, 1),
            value: dice.real(0.0, 40.0),
            readings: 1,
        };
        let identity = outsiders_key().identity(if dice.chance(0.9) { victim } else { STRANGER });
        let mut bytes = Vec::new();
        let mut frame = StreamFrameBuilder::begin(&mut bytes, self.now_ns, FRAME_BYTES_DATAGRAM);
        frame.push(&record).ok()?;
        frame.finish(&identity).ok()?;
        Some(bytes)
    }
}

/// The frame with some bits turned: sometimes of the signature alone, so that everything before it looks as it should.
pub(crate) fn damaged(frame: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    let first = if dice.chance(0.5) { bytes.len().saturating_sub(SIGNATURE_BYTES) } else { 0 };
    let at = first + dice.below(bytes.len() - first);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << dice.below(8);
    }
    bytes
}

/// The frame with ℓ added to its signature's s: the same equation holds, and yet it is another signature.
fn added_order(frame: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = frame.to_vec();
    let first = bytes.len().checked_sub(32)?;
    let mut carry = 0;
    for (byte, of_order) in bytes.get_mut(first..)?.iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(of_order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    Some(bytes)
}
