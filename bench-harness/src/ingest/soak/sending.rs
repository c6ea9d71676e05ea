//! The soak's sender: frames made round by round, lost, repeated, delayed and shuffled, on datagrams and on connections that
//! come and go.

use super::Soak;
use crate::fleet::seed::{self, generator};
use crate::ingest::fleet::Senders;
use crate::ingest::traffic::{Made, Maker, Mix};
use anyhow::Context as _;
use centauri_wire::encode_on_stream;
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, VecDeque};
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

/// What is wrong with frames as they are made.
const MIX: Mix = Mix { forged: 0.05, hostile: 0.2 };
/// The shares of good frames that never come, that come twice, and that come after their round's deadline.
const LOST: f64 = 0.02;
const TWICE: f64 = 0.02;
const LATE: f64 = 0.01;
/// Of the frames that come, those on connections.
const ON_CONNECTIONS: f64 = 0.4;
/// Connections of a round that carry frames.
const CARRYING: usize = 6;
/// A connection left open within a frame, or silent, is closed by the other side after so many rounds.
const HELD_ROUNDS: usize = 4;
/// Most frames on their way.
const WINDOW: u64 = 128;

/// What sender and receiver tell each other.
#[derive(Debug)]
pub(super) struct Road {
    to: SocketAddr,
    tcp: SocketAddr,
    /// Frames that were taken in.
    taken: AtomicU64,
    /// Rounds that were decided.
    decided: AtomicU64,
    ended: AtomicBool,
}

impl Road {
    pub(super) fn new(to: SocketAddr, tcp: SocketAddr) -> Self {
        let (taken, decided, ended) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        Self { to, tcp, taken, decided, ended }
    }

    pub(super) fn took(&self, frames: u64) {
        self.taken.store(frames, Ordering::Release);
    }

    pub(super) fn next(&self) {
        self.decided.fetch_add(1, Ordering::Release);
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Waits until `ready`; an error if the receiver has ended.
    fn wait(&self, ready: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        while !ready(self) {
            anyhow::ensure!(!self.ended.load(Ordering::Acquire), "the receiver has given up");
            std::thread::sleep(Duration::from_micros(20));
        }
        Ok(())
    }
}

/// What the receiver will have seen when all of a round has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) frames: u64,
    /// Connections that were opened.
    pub(super) opened: u64,
    /// Connections that have ended, by themselves or for a wrong length.
    pub(super) ended: u64,
    /// Bytes on connections, those of frames that stay incomplete included.
    pub(super) bytes: u64,
}

/// Everything that was sent, by what must have come of it.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) client: BTreeMap<&'static str, u64>,
    pub(super) connections: BTreeMap<&'static str, u64>,
    pub(super) datagrams: u64,
    pub(super) bytes_on_connections: u64,
}

pub(super) struct Sending<'a> {
    soak: &'a Soak,
    records: u64,
    road: &'a Road,
    maker: Maker<'a>,
    rng: ChaCha8Rng,
    sent: Sent,
    late: Vec<Vec<u8>>,
    held: VecDeque<(usize, TcpStream)>,
    frames: u64,
    ended: u64,
    bytes: Vec<u8>,
}

impl<'a> Sending<'a> {
    pub(super) fn new(soak: &'a Soak, senders: &'a Senders, road: &'a Road) -> Self {
        let mut sent = Sent::default();
        sent.client.insert("rounds_decided", (soak.rounds * senders.streams()) as u64);
        Self {
            soak,
            records: senders.streams_each as u64,
            road,
            maker: Maker::new(senders, MIX, soak.seed),
            rng: generator(seed::of(soak.seed, "soak")),
            sent,
            late: Vec::new(),
            held: VecDeque::new(),
            frames: 0,
            ended: 0,
            bytes: Vec::new(),
        }
    }

    /// Sends all rounds, each when the one before it has been decided.
    pub(super) fn all(mut self, tell: &SyncSender<Told>) -> anyhow::Result<Sent> {
        let socket = UdpSocket::bind((self.road.to.ip(), 0))?;
        socket.connect(self.road.to)?;
        for round in 0..self.soak.rounds {
            self.road.wait(|road| road.decided.load(Ordering::Acquire) >= round as u64)?;
            let began = Instant::now();
            self.round(round, &socket)?;
            let opened = self.sent.connections.get("opened").copied().unwrap_or(0);
            let bytes = self.sent.bytes_on_connections;
            if tell.send(Told { frames: self.frames, opened, ended: self.ended, bytes }).is_err() {
                break;
            }
            std::thread::sleep(self.soak.pace.saturating_sub(began.elapsed()));
        }
        self.sent.client.insert("frames_received", self.frames);
        self.sent.client.retain(|_, count| *count > 0);
        Ok(self.sent)
    }

    fn round(&mut self, round: usize, socket: &UdpSocket) -> anyhow::Result<()> {
        let made = self.maker.round(round)?;
        let mut all = self.damaged(made);
        all.shuffle(&mut self.rng);
        let mut streams = Vec::with_capacity(CARRYING);
        for _ in 0..CARRYING {
            streams.push(self.connect()?);
        }
        for frame in all {
            self.road
                .wait(|road| self.frames - road.taken.load(Ordering::Acquire).min(self.frames) < WINDOW)?;
            self.frames += 1;
            if !self.rng.random_bool(ON_CONNECTIONS) {
                socket.send(&frame).context("a datagram")?;
                self.sent.datagrams += 1;
                continue;
            }
            let at = self.rng.random_range(0..streams.len());
            let Some(stream) = streams.get_mut(at) else { continue };
            self.bytes.clear();
            encode_on_stream(&frame, &mut self.bytes)?;
            self.sent.bytes_on_connections += self.bytes.len() as u64;
            // In two pieces, cut anywhere.
            let (head, tail) = self.bytes.split_at(self.rng.random_range(0..=self.bytes.len()));
            stream.write_all(head).context("a connection")?;
            stream.write_all(tail).context("a connection")?;
        }
        drop(streams);
        self.count_connections("finished", CARRYING as u64);
        self.misbehave(round)
    }

    /// The frames that are to come in a round, late ones of the round before included.
    fn damaged(&mut self, made: Vec<Made>) -> Vec<Vec<u8>> {
        let mut all = Vec::with_capacity(made.len());
        for frame in std::mem::take(&mut self.late) {
            self.count("frames_accepted", 1);
            self.count("records_accepted", self.records);
            self.count("records_late", self.records);
            all.push(frame);
        }
        // Of each frame made, whether it comes in this round.
        let mut comes = Vec::with_capacity(made.len());
        for Made { frame, cause, repeats } in made {
            if let Some(cause) = cause {
                let repeated = repeats.is_none_or(|place| comes.get(place) == Some(&true));
                comes.push(repeated);
                if repeated {
                    self.count(cause, 1);
                    all.push(frame);
                }
                continue;
            }
            let chance = self.rng.random_range(0.0..1.0);
            comes.push(chance >= LOST + LATE);
            if chance < LOST {
                continue;
            }
            if chance < LOST + LATE {
                self.late.push(frame);
                continue;
            }
            self.count("frames_accepted", 1);
            self.count("records_accepted", self.records);
            self.count("records_reported", self.records);
            if chance < LOST + LATE + TWICE {
                self.count("rejected_replayed", 1);
                all.push(frame.clone());
            }
            all.push(frame);
        }
        all
    }

    /// Connections that end within a frame, announce what no frame has, stay within a frame, or say nothing.
    fn misbehave(&mut self, round: usize) -> anyhow::Result<()> {
        let mut cut = self.connect()?;
        self.write(&mut cut, &[200, 0, 0, 0, 1, 2, 3])?;
        drop(cut);
        self.count_connections("cut_short", 1);
        let mut long = self.connect()?;
        self.write(&mut long, &u32::MAX.to_le_bytes())?;
        self.count_connections("closed_length", 1);
        // Until it is closed from the other side: what is closed with bytes on their way may come as a break.
        self.held.push_back((round, long));
        if round + HELD_ROUNDS < self.soak.rounds {
            let mut stalled = self.connect()?;
            self.write(&mut stalled, &[200, 0])?;
            self.sent_connections("closed_stalled");
            self.held.push_back((round, stalled));
            let silent = self.connect()?;
            self.sent_connections("closed_unproven");
            self.held.push_back((round, silent));
        }
        while self.held.front().is_some_and(|(since, _)| since + 2 * HELD_ROUNDS < round) {
            self.held.pop_front();
        }
        Ok(())
    }

    fn connect(&mut self) -> anyhow::Result<TcpStream> {
        let stream = TcpStream::connect(self.road.tcp).context("connecting")?;
        stream.set_nodelay(true)?;
        self.sent_connections("opened");
        Ok(stream)
    }

    fn write(&mut self, stream: &mut TcpStream, bytes: &[u8]) -> anyhow::Result<()> {
        self.sent.bytes_on_connections += bytes.len() as u64;
        stream.write_all(bytes).context("a connection")
    }

    fn count(&mut self, name: &'static str, more: u64) {
        *self.sent.client.entry(name).or_default() += more;
    }

    fn sent_connections(&mut self, name: &'static str) {
        *self.sent.connections.entry(name).or_default() += 1;
    }

    /// Connections that are over before the round is.
    fn count_connections(&mut self, name: &'static str, more: u64) {
        *self.sent.connections.entry(name).or_default() += more;
        self.ended += more;
    }
}
