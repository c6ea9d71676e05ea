//! Frames on their way from connections to the role.

use crate::node::{NOWHERE, SLICE, Turn};
use centauri_roles::{Received, Role};
use centauri_uring::ConnectionId;
use std::net::SocketAddr;

/// Frames that wait to be handed over together, so that their signatures are verified together whatever connections they
/// are of.
pub(super) struct Waiting<'a> {
    frames: [((ConnectionId, SocketAddr), &'a [u8]); WAITING_MAX],
    count: usize,
}

/// One place is left for a frame that lies elsewhere.
const WAITING_MAX: usize = SLICE - 1;

impl<'a> Waiting<'a> {
    pub(super) fn new() -> Self {
        Self { frames: [((ConnectionId::default(), NOWHERE), &[]); WAITING_MAX], count: 0 }
    }

    pub(super) fn push<R: Role>(
        &mut self,
        peer: (ConnectionId, SocketAddr),
        frame: &'a [u8],
        turn: &mut Turn<'_, R>,
        verdicts: &mut Vec<(ConnectionId, bool)>,
    ) {
        if self.count == WAITING_MAX {
            self.hand_over(None, turn, verdicts);
        }
        if let Some(place) = self.frames.get_mut(self.count) {
            *place = (peer, frame);
            self.count += 1;
        }
    }

    /// Hands over those that wait, and after them `last`.
    pub(super) fn hand_over<R: Role>(
        &mut self,
        last: Option<((ConnectionId, SocketAddr), &[u8])>,
        turn: &mut Turn<'_, R>,
        verdicts: &mut Vec<(ConnectionId, bool)>,
    ) {
        let frames = self.frames.iter().take(self.count).copied().chain(last);
        let mut all = [Received { from: NOWHERE, bytes: &[] }; SLICE];
        let mut count = 0;
        for (place, ((_, from), bytes)) in all.iter_mut().zip(frames.clone()) {
            *place = Received { from, bytes };
            count += 1;
        }
        let accepted = turn.hand_over(all.get(..count).unwrap_or(&all));
        verdicts.extend(frames.enumerate().map(|(place, ((id, _), _))| (id, accepted.contains(place))));
        self.count = 0;
    }
}
