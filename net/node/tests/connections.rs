//! Connections over real sockets, on each driver: what one of them does wrong ends that one, and the frames of the others
//! arrive, each once.

use centauri::connections::{ConnectionCounters, ConnectionLimits, Connections};
use centauri::node::Node;
use centauri_roles::{AcceptedSet, Effects, Received, Role, connection_of};
use centauri_uring::{DriverChoice, DriverConfig, TcpConfig, open, open_tcp, probe_io_uring};
use centauri_wire::encode_on_stream;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);
const SECOND: i64 = 1_000_000_000;

/// Accepts every frame that begins with a `+`, and keeps them all.
#[derive(Debug, Default)]
struct Keeping {
    seen: BTreeMap<Vec<u8>, usize>,
    largest: usize,
}

impl Role for Keeping {
    fn handle(&mut self, _now_ns: i64, from: SocketAddr, bytes: &[u8], _effects: &mut Effects) -> bool {
        assert!(connection_of(from).is_some(), "{from} stands for a connection");
        *self.seen.entry(bytes.to_vec()).or_default() += 1;
        bytes.first() == Some(&b'+')
    }

    fn handle_batch(&mut self, now_ns: i64, frames: &[Received<'_>], effects: &mut Effects) -> AcceptedSet {
        assert!((1..=64).contains(&frames.len()));
        self.largest = self.largest.max(frames.len());
        let mut accepted = AcceptedSet::default();
        for (place, frame) in frames.iter().enumerate() {
            if self.handle(now_ns, frame.from, frame.bytes, effects) {
                accepted.insert(place);
            }
        }
        accepted
    }

    fn tick(&mut self, _now_ns: i64, _effects: &mut Effects) {}

    fn next_deadline(&self) -> Option<i64> {
        None
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

struct Site {
    node: Node<Keeping>,
    time: Arc<AtomicI64>,
}

impl Site {
    fn new(choice: DriverChoice, limits: ConnectionLimits) -> Self {
        let here = "127.0.0.1:0".parse().unwrap();
        let config = TcpConfig { choice, buffers: 8, buffer_bytes: 4_096, ..TcpConfig::default() };
        let connections = Connections::new(open_tcp(here, &config).unwrap(), limits);
        let datagrams =
            open(here, &DriverConfig { choice, buffers: 16, wait_completions: 8, ..DriverConfig::default() });
        let time = Arc::new(AtomicI64::new(0));
        let told = Arc::clone(&time);
        let clock = Box::new(move || told.load(Ordering::Relaxed));
        let node =
            Node::new(Keeping::default(), datagrams.unwrap()).timed(clock).listening(connections).unwrap();
        Self { node, time }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.node.connections().unwrap().address().unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn counters(&self) -> ConnectionCounters {
        self.node.connections().unwrap().counters()
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(
                start.elapsed() < PATIENCE,
                "{what}: {:?} {:?}",
                self.counters(),
                self.node.role().largest
            );
            self.node.step(|_| {}).unwrap();
        }
    }

    fn pass(&mut self, ns: i64) {
        self.time.fetch_add(ns, Ordering::Relaxed);
        self.node.step(|_| {}).unwrap();
    }

    fn open(&mut self) -> TcpStream {
        let opened = self.counters().opened;
        let stream = self.connect();
        self.until("opening", |site| site.counters().opened > opened);
        stream
    }

    fn times(&self, frame: &[u8]) -> usize {
        self.node.role().seen.get(frame).copied().unwrap_or(0)
    }

    /// Sends a frame that is accepted.
    fn prove(&mut self, stream: &mut TcpStream, name: &str) {
        let frame = format!("+{name}").into_bytes();
        stream.write_all(&on_stream(&frame)).unwrap();
        self.until(name, |site| site.times(&frame) == 1);
    }
}

fn on_stream(frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_on_stream(frame, &mut out).unwrap();
    out
}

fn is_over(stream: &mut TcpStream) -> bool {
    !matches!(stream.read(&mut [0; 1]), Ok(1..)) && {
        stream.set_nonblocking(true).unwrap();
        let over =
            !matches!(stream.read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
        stream.set_nonblocking(false).unwrap();
        over
    }
}

fn with_each(test: impl Fn(DriverChoice) + Sync) {
    let run = |choice| std::thread::scope(|scope| scope.spawn(|| test(choice)).join()).unwrap();
    match probe_io_uring() {
        Ok(_) => run(DriverChoice::IoUring),
        Err(cause) => println!("skipped: io_uring: {cause}"),
    }
    run(DriverChoice::Epoll);
}

#[test]
fn frames_of_many_connections_arrive_once_each_however_they_are_cut() {
    with_each(|choice| {
        let mut site = Site::new(choice, ConnectionLimits::default());
        let to = site.node.connections().unwrap().address().unwrap();
        let writers: Vec<_> = (0..20_usize)
            .map(|writer| {
                std::thread::spawn(move || {
                    let mut stream = TcpStream::connect(to).unwrap();
                    let mut sent = Vec::new();
                    let mut bytes = Vec::new();
                    for frame in 0..60_usize {
                        let length = 10
                            + (writer * 7_919 + frame * 104_729) % if frame % 7 == 0 { 65_000 } else { 300 };
                        let mut one = format!("+{writer}.{frame}.").into_bytes();
                        one.resize(length.max(one.len()), frame as u8);
                        encode_on_stream(&one, &mut bytes).unwrap();
                        sent.push(one);
                    }
                    for (turn, piece) in bytes.chunks(1 + (writer * 613) % 9_000).enumerate() {
                        stream.write_all(piece).unwrap();
                        if turn % 64 == 0 {
                            std::thread::yield_now();
                        }
                    }
                    sent
                })
            })
            .collect();
        site.until("all frames", |site| site.counters().finished == 20);
        for frame in writers.into_iter().flat_map(|writer| writer.join().unwrap()) {
            assert_eq!(site.times(&frame), 1, "{choice}: {} bytes", frame.len());
        }
        let counters = site.counters();
        assert_eq!((counters.opened, counters.frames), (20, 1_200));
        assert_eq!(site.node.role().seen.len(), 1_200);
        assert_eq!((counters.finished, counters.cut_short, counters.failed), (20, 0, 0));
        assert!(site.node.role().largest > 8, "{choice}: frames of several connections go together");
    });
}

#[test]
fn what_a_connection_does_wrong_ends_it_alone() {
    with_each(|choice| {
        let mut site =
            Site::new(choice, ConnectionLimits { refused_in_a_row_max: 3, ..ConnectionLimits::default() });
        let mut honest = site.open();
        site.prove(&mut honest, "first");

        // A length of 4 GiB after a good frame; a length of 0.
        for (name, tail) in [("long", [0xff; 4]), ("none", [0; 4])] {
            let mut wrong = site.open();
            let mut bytes = on_stream(format!("+{name}").as_bytes());
            bytes.extend(tail);
            wrong.write_all(&bytes).unwrap();
            let closed = site.counters().closed_length;
            site.until(name, |site| site.counters().closed_length == closed + 1);
            assert_eq!(site.times(format!("+{name}").as_bytes()), 1);
            assert!(is_over(&mut wrong), "{choice}: {name}");
        }
        // Three frames in a row that are not accepted, after one that is, and after one between.
        let mut useless = site.open();
        for frame in ["+a", "-1", "-2", "+b", "-3", "-4", "-5"] {
            useless.write_all(&on_stream(frame.as_bytes())).unwrap();
        }
        site.until("useless", |site| site.counters().closed_useless == 1);
        assert!(is_over(&mut useless));
        // Half a frame and the end.
        let mut cut = site.open();
        cut.write_all(&on_stream(b"+never whole")[..9]).unwrap();
        drop(cut);
        site.until("cut short", |site| site.counters().cut_short == 1);

        site.prove(&mut honest, "last");
        let counters = site.counters();
        assert_eq!((counters.opened, counters.closed_length, counters.finished), (5, 2, 0));
        assert_eq!(site.node.connections().unwrap().len(), 1);
    });
}

#[test]
fn whoever_stalls_or_is_silent_or_never_proves_itself_goes() {
    with_each(|choice| {
        let limits =
            ConnectionLimits { stall_ns: 10 * SECOND, idle_ns: 60 * SECOND, ..ConnectionLimits::default() };
        let mut site = Site::new(choice, limits);
        let mut honest = site.open();
        site.prove(&mut honest, "honest");
        let mut stalled = site.open();
        site.prove(&mut stalled, "stalled");
        let bytes = on_stream(b"+takes for ever");
        // A byte now and then is no progress.
        for byte in &bytes[..11] {
            stalled.write_all(&[*byte]).unwrap();
            let came = site.node.connections().unwrap().driver_counters().bytes;
            site.until("a byte", |site| site.node.connections().unwrap().driver_counters().bytes > came);
            site.pass(SECOND);
        }
        assert_eq!(site.counters().closed_stalled, 1, "{choice}");
        assert!(is_over(&mut stalled));

        let mut unproven = site.open();
        unproven.write_all(&on_stream(b"-not accepted")).unwrap();
        site.until("refused", |site| site.times(b"-not accepted") == 1);
        site.pass(10 * SECOND);
        assert_eq!(site.counters().closed_unproven, 0);
        site.pass(SECOND);
        assert_eq!(site.counters().closed_unproven, 1);
        assert!(is_over(&mut unproven));

        site.prove(&mut honest, "still here");
        site.pass(60 * SECOND);
        assert_eq!(site.counters().closed_idle, 0);
        site.pass(SECOND);
        assert_eq!(site.counters().closed_idle, 1);
        assert!(is_over(&mut honest) && site.node.connections().unwrap().is_empty());
    });
}

#[test]
fn room_is_made_by_those_who_have_not_proven_themselves() {
    with_each(|choice| {
        let limits = ConnectionLimits { connections_max: 3, ..ConnectionLimits::default() };
        let mut site = Site::new(choice, limits);
        let mut proven = site.open();
        site.prove(&mut proven, "one");
        let mut first_idle = site.open();
        let mut second_idle = site.open();
        let mut fourth = site.open();
        site.until("the oldest that is unproven", |site| site.counters().closed_crowded == 1);
        assert!(is_over(&mut first_idle), "{choice}");
        site.prove(&mut fourth, "four");
        site.prove(&mut second_idle, "two");
        // All have proven themselves: the new one goes.
        let mut late = site.open();
        site.until("nobody has to make room", |site| site.counters().closed_crowded == 2);
        assert!(is_over(&mut late));
        site.prove(&mut proven, "one again");
        assert_eq!(site.node.connections().unwrap().len(), 3);
    });
}

#[test]
fn one_address_gets_no_more_than_its_share() {
    with_each(|choice| {
        let limits = ConnectionLimits { per_address_max: 2, ..ConnectionLimits::default() };
        let mut site = Site::new(choice, limits);
        let mut first = site.open();
        let second = site.open();
        let mut third = site.open();
        site.until("one too many", |site| site.counters().closed_address == 1);
        assert!(is_over(&mut third), "{choice}");
        drop(second);
        site.until("one has left", |site| site.counters().finished == 1);
        let mut fourth = site.open();
        site.prove(&mut fourth, "in its place");
        site.prove(&mut first, "first");
        assert_eq!(site.counters().closed_address, 1);
    });
}
