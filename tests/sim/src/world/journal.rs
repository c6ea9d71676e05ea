//! What the client's driver keeps on its disk, as `docs/JOURNAL.md` has it, and how a client goes on from it.

use std::collections::{BTreeMap, BTreeSet};

use centauri_roles::Reservation;

use crate::{Disk, DiskPlan, Plan};

const RESERVED: &str = "reserved";
const DECISIONS: &str = "decisions";
const REQUESTS: &str = "requests";
const LEDGER: &str = "ledger";

/// A decision as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    /// The stream's place.
    pub(super) stream: u32,
    pub(super) round: i64,
    /// A fingerprint of what was decided.
    pub(super) digest: u64,
}

/// What the client knows besides its decisions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) requests: Vec<KeptRequest>,
    /// A snapshot of the ledger of replicas.
    pub(super) ledger: Option<Vec<u8>>,
}

/// A subscription of another node, as bytes.
pub(super) type KeptRequest = Vec<u8>;

/// From where a client goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Beginning {
    pub(super) floor_ns: i64,
    /// By the stream's place.
    pub(super) first_rounds: Vec<i64>,
    /// Place, first and last round of which there is no decision and will be none.
    pub(super) gap: Vec<(u32, i64, i64)>,
    pub(super) decisions: Vec<Kept>,
    pub(super) state: State,
}

/// What is being written.
#[derive(Debug)]
struct Writing {
    reserved_ns: Option<i64>,
    /// So many of the decisions that wait.
    decisions: usize,
    over_ns: i64,
}

/// A journal while the client is up.
#[derive(Debug)]
pub(super) struct Journal {
    reservation: Reservation,
    stored: Vec<Kept>,
    waiting: Vec<Kept>,
    writing: Option<Writing>,
    /// As they are on the disk or under way to it; `None` where nobody knows.
    requests: Option<Vec<KeptRequest>>,
}

/// W as the disk has it.
pub(super) fn reserved_on(disk: &dyn Disk) -> Option<i64> {
    Some(i64::from_le_bytes(disk.read(RESERVED)?.as_slice().try_into().ok()?))
}

impl Journal {
    /// Begins from what is on the disk. `None` where the first reservation cannot be stored: a server does not start then.
    pub(super) fn begin(
        plan: &Plan,
        of: &DiskPlan,
        disk: &mut dyn Disk,
        (at_ns, now_ns): (i64, i64),
        forgets: bool,
    ) -> Option<(Self, Beginning)> {
        let found_ns = reserved_on(disk).filter(|_| !forgets);
        let mut reservation = Reservation::begin(of.reservation, found_ns, now_ns);
        let stored = disk.read(DECISIONS).map(|bytes| read_decisions(&bytes)).unwrap_or_default();
        let requests = disk.read(REQUESTS).map(|bytes| read_requests(&bytes)).unwrap_or_default();
        let state = State { requests: requests.clone(), ledger: disk.read(LEDGER) };
        let floor_ns = reservation.floor_ns();
        if let Some(reserved_ns) = reservation.due(now_ns) {
            disk.begin(at_ns, vec![(RESERVED.to_owned(), reserved_ns.to_le_bytes().to_vec())]);
            if !disk.end() {
                return None;
            }
            reservation.stored(reserved_ns);
        }
        let (first_rounds, gap) = first_rounds(plan, floor_ns, &stored);
        let beginning = Beginning { floor_ns, first_rounds, gap, decisions: stored.clone(), state };
        Some((
            Self { reservation, stored, waiting: Vec::new(), writing: None, requests: Some(requests) },
            beginning,
        ))
    }

    /// W as the journal knows it to be stored.
    pub(super) fn reserved_ns(&self) -> i64 {
        self.reservation.reserved_ns()
    }

    pub(super) fn decided(&mut self, decision: Kept) {
        self.waiting.push(decision);
    }

    /// What its thread does now and then: ends what was written, and begins to write what has come. Says what the disk said.
    pub(super) fn look(
        &mut self,
        disk: &mut dyn Disk,
        (at_ns, now_ns): (i64, i64),
        state: State,
    ) -> Option<bool> {
        let over = self.writing.take_if(|writing| writing.over_ns <= at_ns);
        let said = over.map(|writing| {
            let is_stored = disk.end();
            self.ended(&writing, is_stored);
            is_stored
        });
        if self.writing.is_some() {
            self.reservation.look(now_ns);
            return said;
        }
        let reserved_ns = self.reservation.due(now_ns);
        if reserved_ns.is_none() && self.waiting.is_empty() && self.requests.as_ref() == Some(&state.requests)
        {
            return said;
        }
        let batch = self.batch(reserved_ns, &state);
        self.requests = Some(state.requests);
        let over_ns = disk.begin(at_ns, batch);
        self.writing = Some(Writing { reserved_ns, decisions: self.waiting.len(), over_ns });
        said
    }

    /// An orderly end: everything is written, and the reservation is taken back to what was used of it.
    pub(super) fn close(
        mut self,
        disk: &mut dyn Disk,
        (at_ns, now_ns): (i64, i64),
        newest_ns: Option<i64>,
        state: &State,
    ) -> bool {
        if let Some(writing) = self.writing.take() {
            let is_stored = disk.end();
            self.ended(&writing, is_stored);
        }
        let released_ns = self.reservation.release_ns(newest_ns, now_ns);
        let batch = self.batch(Some(released_ns), state);
        disk.begin(at_ns, batch);
        disk.end()
    }

    fn ended(&mut self, writing: &Writing, is_stored: bool) {
        if !is_stored {
            self.reservation.failed();
            // Whatever was in it is written again.
            self.requests = None;
            return;
        }
        self.stored.extend(self.waiting.drain(..writing.decisions.min(self.waiting.len())));
        if let Some(reserved_ns) = writing.reserved_ns {
            self.reservation.stored(reserved_ns);
        }
    }

    fn batch(&self, reserved_ns: Option<i64>, state: &State) -> Vec<(String, Vec<u8>)> {
        let mut batch = Vec::new();
        if let Some(reserved_ns) = reserved_ns {
            batch.push((RESERVED.to_owned(), reserved_ns.to_le_bytes().to_vec()));
        }
        let mut bytes = Vec::new();
        for Kept { stream, round, digest } in self.stored.iter().chain(&self.waiting) {
            bytes.extend(stream.to_le_bytes());
            bytes.extend(round.to_le_bytes());
            bytes.extend(digest.to_le_bytes());
        }
        batch.push((DECISIONS.to_owned(), bytes));
        let mut bytes = Vec::new();
        for request in &state.requests {
            bytes.extend((request.len() as u32).to_le_bytes());
            bytes.extend(request);
        }
        batch.push((REQUESTS.to_owned(), bytes));
        batch.extend(state.ledger.clone().map(|ledger| (LEDGER.to_owned(), ledger)));
        batch
    }
}

fn first_rounds(plan: &Plan, floor_ns: i64, stored: &[Kept]) -> (Vec<i64>, Vec<(u32, i64, i64)>) {
    let mut newest: BTreeMap<u32, i64> = BTreeMap::new();
    for kept in stored {
        newest.entry(kept.stream).and_modify(|round| *round = kept.round.max(*round)).or_insert(kept.round);
    }
    let (mut firsts, mut gap) = (Vec::new(), Vec::new());
    for (place, stream) in (0_u32..).zip(&plan.streams) {
        let first = stream.round_at(floor_ns.saturating_sub(1)).saturating_add(1);
        let next = newest.get(&place).map(|newest| newest.saturating_add(1));
        let first = next.map_or(first, |next| first.max(next));
        firsts.push(first);
        gap.extend(next.filter(|next| *next < first).map(|next| (place, next, first - 1)));
    }
    (firsts, gap)
}

fn read_decisions(bytes: &[u8]) -> Vec<Kept> {
    let (all, _) = bytes.as_chunks::<20>();
    let kept = |bytes: &[u8; 20]| {
        let (stream, rest) = bytes.split_first_chunk()?;
        let (round, digest) = rest.split_first_chunk()?;
        Some(Kept {
            stream: u32::from_le_bytes(*stream),
            round: i64::from_le_bytes(*round),
            digest: u64::from_le_bytes(*digest.first_chunk()?),
        })
    };
    all.iter().filter_map(kept).collect()
}

fn read_requests(mut bytes: &[u8]) -> Vec<KeptRequest> {
    let mut all = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let Some((request, rest)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize) else {
            break;
        };
        all.push(request.to_vec());
        bytes = rest;
    }
    all
}

/// Who asked, the request's number and when it expires, as the table in `net/roles/src/requests/kept.rs` has them.
pub(super) fn request_key(bytes: &[u8]) -> Option<((u32, u64), i64)> {
    let (node, number) = (bytes.get(1..5)?, bytes.get(5..13)?);
    let key = (u32::from_le_bytes(node.try_into().ok()?), u64::from_le_bytes(number.try_into().ok()?));
    Some((key, i64::from_le_bytes(bytes.get(21..29)?.try_into().ok()?)))
}

/// The requests among these that have not expired.
pub(super) fn live(requests: &[KeptRequest], now_ns: i64) -> BTreeSet<(u32, u64)> {
    let keys = requests.iter().filter_map(|bytes| request_key(bytes));
    keys.filter(|(_, expires_ns)| *expires_ns > now_ns).map(|(key, _)| key).collect()
}
