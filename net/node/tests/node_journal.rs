//! `centauri node` with a journal: what outlives the process, whatever ends it.

#[expect(dead_code, reason = "other tests need more of it")]
mod fleet;

use centauri::clock::now_ns;
use centauri_wire::*;
use fleet::{Site, centauri, free_address, wait_until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NODES: [(u32, &str, &str); 4] =
    [(1, "r1", "replica"), (11, "s1", "source"), (20, "monitor", "monitor"), (30, "engine", "engine")];
const REPLICA: NodeId = NodeId(1);
const SOURCE: NodeId = NodeId(11);
const ENGINE: NodeId = NodeId(30);
/// What the replica computes unasked.
const OWN: StreamId = StreamId(1);
/// What it is asked to compute.
const QUERY: &str = "max(road/a/1) over 500ms by 700ms";
/// So far the source's clock is ahead: its frames are younger than the next process, unless that knows of them.
const AHEAD_NS: i64 = 900_000_000;

fn signer(site: &Site, name: &str, node: NodeId) -> SigningIdentity {
    KeyFile::parse(&site.read(&format!("{name}.key"))).expect("a key").identity(node)
}

fn registry(site: &Site) -> Arc<Registry> {
    Arc::new(Registry::parse(&site.read("registry.toml")).expect("a registry"))
}

/// The source: every frame is kept with its timestamp, to be sent again.
struct Source {
    signer: SigningIdentity,
    socket: UdpSocket,
    sent: Vec<(i64, Vec<u8>)>,
}

impl Source {
    /// A reading of this moment, signed by a clock that is ahead.
    fn send(&mut self, to: SocketAddr, value: f64) {
        let (now, mut bytes) = (now_ns(), Vec::new());
        let mut frame = StreamFrameBuilder::begin(&mut bytes, now + AHEAD_NS, FRAME_BYTES_DATAGRAM);
        let age_us = u32::try_from(AHEAD_NS / 1_000).expect("a short time");
        let record =
            Record { stream: StreamId(5), age_us, nonce: now.unsigned_abs(), round: now, value, readings: 1 };
        frame.push(&record).expect("room for a record");
        frame.finish(&self.signer).expect("a frame");
        self.socket.send_to(&bytes, to).expect("loopback takes a datagram");
        self.sent.push((now + AHEAD_NS, bytes));
    }
}

/// Who asked for results, once.
struct Asking {
    socket: UdpSocket,
    verifier: Verifier,
    signer: SigningIdentity,
    answers: Vec<Outcome>,
    /// Streams, rounds, nonces and values.
    results: Vec<(StreamId, i64, u64, f64)>,
    stamps: Vec<i64>,
}

impl Asking {
    fn new(site: &Site, streams: &[StreamId]) -> Self {
        let mut verifier = Verifier::new(registry(site), Limits::default()).for_node(ENGINE);
        streams.iter().for_each(|stream| verifier.track(REPLICA, *stream).expect("room"));
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_nonblocking(true).expect("a socket");
        let signer = signer(site, "engine", ENGINE);
        Self { socket, verifier, signer, answers: Vec::new(), results: Vec::new(), stamps: Vec::new() }
    }

    fn ask(&self, to: SocketAddr, request_id: u64, query: &str, period_ns: u64) {
        let (validity_ns, ttl_ns) = (1 << 40, 600_000_000_000);
        let action = RequestAction::Start { query, validity_ns, ttl_ns, period_ns };
        let mut bytes = Vec::new();
        let request = Request { request_id, action };
        request.encode(now_ns(), REPLICA, &self.signer, &mut bytes).expect("a request");
        self.socket.send_to(&bytes, to).expect("loopback takes a datagram");
    }

    fn look(&mut self) {
        let mut bytes = [0; 65_536];
        while let Ok((length, _)) = self.socket.recv_from(&mut bytes) {
            // A replica that gave out a nonce again would be turned away here.
            let accepted = self.verifier.check(now_ns(), &bytes[..length]).expect("fresh and of the replica");
            self.stamps.push(accepted.header().timestamp_ns);
            match accepted.message() {
                MessageView::Answer(answer) => self.answers.push(answer.outcome),
                _ => self.results.extend(accepted.records().map(|r| (r.stream, r.round, r.nonce, r.value))),
            }
        }
    }

    fn count(&self, stream: StreamId) -> usize {
        self.results.iter().filter(|(of, ..)| *of == stream).count()
    }
}

fn info(site: &Site, name: &str) -> Value {
    let run = centauri(&["journal", "info", "--json", "--journal", &site.text_path(name)]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_slice(&run.stdout).expect("JSON")
}

#[test]
fn a_replica_that_is_killed_serves_whom_it_served_and_accepts_and_gives_out_nothing_twice() {
    let site = Site::new(&NODES);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let source_at = socket.local_addr().expect("an address");
    let mut source = Source { signer: signer(&site, "s1", SOURCE), socket, sent: Vec::new() };
    let at = free_address();
    site.configure(
        "r1",
        at,
        &format!(
            "journal = {{ path = \"r1.journal\", commit_ms = 20 }}\n[replica]\n[[replica.catalogue]]\nname = \"road/a/1\"\n\
             node = \"s1\"\nstream = 5\naddress = \"{source_at}\"\n[[replica.streams]]\nid = 1\nname = \"road/a\"\n\
             computation = \"max\"\nsources = [\"road/a/1\"]\nperiod_s = 0.5\ndeadline_s = 0.7\n"
        ),
    );
    let query: centauri_roles::ComputationQuery = QUERY.parse().expect("a query");
    let computed = query.stream(500_000_000, 1 << 40);
    let mut asking = Asking::new(&site, &[OWN, computed]);

    let replica = site.start("node", "r1");
    asking.ask(at, 1, "road/a", 1);
    asking.ask(at, 2, QUERY, 500_000_000);
    wait_until("results of both", || {
        source.send(at, 42.0);
        asking.look();
        [OWN, computed].iter().all(|stream| asking.count(*stream) >= 3)
    });
    assert_eq!(asking.answers, [Outcome::Granted; 2]);
    // In traffic, and without a word. Drop kills it.
    drop(replica);
    asking.look();
    let before = std::mem::take(&mut asking.results);
    let newest_stamp = asking.stamps.iter().copied().max().expect("frames came");
    asking.stamps.clear();
    let found = info(&site, "r1.journal");
    assert_eq!(
        (&found["ended_in_order"], &found["state"]["request"]["entries"]),
        (&false.into(), &2.into()),
        "{found}"
    );

    let replica = site.start("node", "r1");
    // All that the process before may have accepted, before anything new: timestamps up to W.
    let reserved_ns = found["reserved_ns"].as_i64().expect("a time");
    let old = std::mem::take(&mut source.sent);
    let old: Vec<_> = old.iter().rev().filter(|(stamp, _)| *stamp <= reserved_ns).take(60).collect();
    assert!(!old.is_empty());
    for (_, bytes) in &old {
        source.socket.send_to(bytes, at).expect("loopback takes a datagram");
    }
    std::thread::sleep(Duration::from_millis(100));
    let until = Instant::now() + Duration::from_secs(30);
    while [OWN, computed].iter().any(|stream| asking.count(*stream) < 3) {
        assert!(Instant::now() < until, "{:?}: {}", asking.results, replica.log());
        source.send(at, 43.0);
        asking.look();
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(asking.answers.len(), 2, "nobody asked again");
    let rounds = |of: &[(StreamId, i64, u64, f64)]| of.iter().map(|r| (r.0, r.1)).collect::<BTreeSet<_>>();
    assert!(rounds(&before).is_disjoint(&rounds(&asking.results)), "no round is told twice");
    assert!(asking.results.iter().all(|(.., value)| *value == 43.0), "{:?}", asking.results);
    let newest_nonce = before.iter().map(|r| r.2).max().expect("results came");
    assert!(asking.results.iter().all(|r| r.2 > newest_nonce));
    assert!(asking.stamps.iter().all(|stamp| *stamp > newest_stamp));
    std::thread::sleep(Duration::from_millis(100));
    assert!(replica.log().contains("found=2 restored=2"), "{}", replica.log());
    replica.stop();

    let counters = site.counters("r1");
    let counted = |name: &str| counters[name].as_u64().expect("a count");
    // Where the machine stalls W is not renewed in time, and what is ahead of the clock is turned away.
    let accepted = counted("frames_accepted");
    assert_eq!(accepted + counted("rejected_future"), source.sent.len() as u64, "{counters}");
    let told = rounds(&asking.results).iter().filter(|(stream, _)| *stream == OWN).count();
    assert!(told >= 3 && accepted >= told as u64, "each round has a reading of its own: {counters}");
    assert_eq!(counted("rejected_stale"), old.len() as u64, "{counters}");
    assert!(counted("journal_commits") > 0, "{counters}");
    let found = info(&site, "r1.journal");
    assert_eq!(
        (&found["ended_in_order"], &found["state"]["request"]["entries"], &found["decisions"]),
        (&true.into(), &2.into(), &0.into()),
        "{found}"
    );
}

/// It waits as long as its clock may have been ahead, says until when, and can be ended meanwhile.
#[test]
fn a_node_that_waits_for_its_clock_says_until_when() {
    let site = Site::new(&NODES);
    let journal = "journal = { path = \"s1.journal\", commit_ms = 20, clock_ahead_s = 600 }";
    site.configure("s1", free_address(), &format!("{journal}\n[source]\nstream = 5\n"));
    drop(site.start("node", "s1"));
    let reserved_ns = info(&site, "s1.journal")["reserved_ns"].as_i64().expect("a time");
    let until_ns = i128::from(reserved_ns) + 1;
    assert!(until_ns > i128::from(now_ns()) + 500_000_000_000, "ten minutes, and not a second and a half");
    let until = jiff::Timestamp::from_nanosecond(until_ns).expect("a time");

    let mut waiting = site.begin("node", "s1");
    waiting.wait_for("it says that it waits", |log| log.contains("silent and deaf"));
    let log = waiting.log();
    waiting.stop();
    assert!(log.contains(&format!("until={until:.3}")), "{until:.3}: {log}");
}

/// Samples that a replica sends; the monitor's distribution is kept, and is not published again because the monitor began again.
#[test]
fn a_monitor_goes_on_from_what_it_published() {
    let site = Site::new(&NODES);
    let target = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    target.set_nonblocking(true).expect("a socket");
    let at = free_address();
    site.configure(
        "monitor",
        at,
        &format!(
            "journal = {{ path = \"monitor.journal\", commit_ms = 20 }}\n[monitor]\ntargets = [\"{}\"]\n[[monitor.distributions]]\n\
             name = \"hop\"\nkind = \"latency\"\nfamily = \"exponential\"\n",
            target.local_addr().expect("an address")
        ),
    );
    let signer = signer(&site, "r1", REPLICA);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let sample = || {
        let values: Vec<f64> = (1..=200).map(|n| -0.02 * (1.0 - f64::from(n) / 201.0).ln()).collect();
        let mut bytes = Vec::new();
        let sample = Sample { kind: SampleKind::Latency, distribution: "hop", values: &values };
        sample.encode(now_ns(), &signer, &mut bytes).expect("a sample");
        socket.send_to(&bytes, at).expect("loopback takes a datagram");
    };
    let published = || {
        let mut bytes = [0; 65_536];
        let mut count = 0;
        while target.recv_from(&mut bytes).is_ok() {
            count += 1;
        }
        count
    };
    let monitor = site.start("node", "monitor");
    let mut told = 0;
    wait_until("a distribution is published", || {
        sample();
        told += published();
        told > 0
    });
    std::thread::sleep(Duration::from_millis(300));
    drop(monitor);
    let found = info(&site, "monitor.journal");
    let kept = |found: &Value| found["distributions"]["hop"]["published_ns"].as_i64();
    let first = kept(&found).expect("it is kept");
    assert!(first <= now_ns() && found["ended_in_order"] == false, "{found}");
    // What was on its way when the process ended.
    std::thread::sleep(Duration::from_millis(100));
    let _ = published();

    let monitor = site.start("node", "monitor");
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        sample();
        std::thread::sleep(Duration::from_millis(100));
    }
    monitor.stop();
    let counters = site.counters("monitor");
    assert!(counters["distributions_unchanged"].as_u64() > Some(0), "{counters}");
    assert_eq!(
        (published(), &counters["distributions_published"]),
        (0, &0.into()),
        "it holds still: {counters}"
    );
    assert_eq!(kept(&info(&site, "monitor.journal")), Some(first));
}

#[test]
fn what_is_wrong_with_a_journal_is_one_line() {
    let site = Site::new(&NODES);
    let source = |journal: &str| {
        site.configure("s1", free_address(), &format!("journal = {journal}\n[source]\nstream = 5\n"));
        let output = centauri(&["node", "--config", &site.text_path("s1.toml")]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        errors.lines().filter(|line| line.starts_with("centauri: ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let lines = source("{ path = \"s1.journal\", clock_ahead_s = -1 }");
    assert!(matches!(&lines[..], [line] if line.contains("journal.clock_ahead_s: found -1")), "{lines:?}");
    site.write("text.journal", "no journal");
    let lines = source("{ path = \"text.journal\" }");
    assert!(matches!(&lines[..], [line] if line.contains("text.journal")), "{lines:?}");
}
