//! Those who follow a server's decisions by signed datagrams, and what is thought of its replicas; both outlive the process.

#[path = "serving/site.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod site;

use centauri::clock::now_ns;
use centauri_wire::Outcome;
use centauri_wire::*;
use site::Outcome as Ended;
use site::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Lines, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const CLIENT: NodeId = NodeId(60);

/// Streams beside that of the reports: with it more than eight, so that two shards have some each.
const LAKES: u32 = 31;

fn lake(number: u32) -> StreamId {
    StreamId(100 + number)
}

/// A server of so many shards with a journal, whose registry has a client.
fn site(shards: usize) -> Site {
    let site = Site::new();
    let text = std::fs::read_to_string(site.path("registry.toml")).expect("the registry");
    let mut nodes = Registry::parse(&text).expect("a registry").nodes().to_vec();
    let key = key(CLIENT);
    nodes.push(NodeEntry { id: CLIENT, name: "phone".into(), role: Role::Client, key: key.public_key() });
    site.write("registry.toml", &Registry::new(nodes).expect("a registry").to_toml());
    site.write("phone.key", &key.to_text());
    let table = "[journal]\npath = \"server.journal\"\ncommit_ms = 20\n\
                 [health]\nrounds_between_false_alarms = 400\n[[streams]]";
    site.edit("serve.toml", "[[streams]]", &format!("shards = {shards}\n{table}"));
    let append = |name: &str, more: String| {
        let text = std::fs::read_to_string(site.path(name)).expect("the file is there");
        site.write(name, &(text + &more));
    };
    append("model.toml", (0..LAKES).map(|number| stream_model(&format!("lake/{number}"))).collect());
    let stream = |number| {
        let id = lake(number);
        format!("[[streams]]\nname = \"lake/{number}\"\nid = {id}\nperiod_s = 0.5\nclose_after_s = 0.45\n")
    };
    append("serve.toml", (0..LAKES).map(stream).collect());
    site
}

/// Reports of four replicas, the fourth far off, in each round until it is dropped.
struct Traffic(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Traffic {
    fn to(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut sender = Sender::new(address);
            while !stopped.load(Ordering::Relaxed) {
                let round = fresh_round();
                for (node, value) in [(1, 50.0), (2, 51.0), (3, 50.0), (4, 90.0)] {
                    sender.report(node, round, value);
                }
            }
        });
        Self(stop, Some(thread))
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        let ended = self.1.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()), "the sender's thread");
    }
}

struct Phone {
    socket: UdpSocket,
    verifier: Verifier,
}

impl Phone {
    fn new(site: &Site) -> Self {
        let text = std::fs::read_to_string(site.path("registry.toml")).expect("the registry");
        let registry = Arc::new(Registry::parse(&text).expect("a registry"));
        let mut verifier = Verifier::new(registry, Limits::default()).for_node(CLIENT);
        for stream in (0..LAKES).map(lake).chain([STREAM]) {
            verifier.track(ENGINE, stream).expect("room for a stream");
        }
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        Self { socket, verifier }
    }

    fn request(&self, request_id: u64, query: &str) -> Vec<u8> {
        let action =
            RequestAction::Start { query, validity_ns: 1 << 40, ttl_ns: 120_000_000_000, period_ns: 1 };
        let mut bytes = Vec::new();
        let request = Request { request_id, action };
        request.encode(now_ns(), ENGINE, &key(CLIENT).identity(CLIENT), &mut bytes).expect("a request");
        bytes
    }

    fn ask(&self, to: SocketAddr, request_id: u64, query: &str) {
        self.socket.send_to(&self.request(request_id, query), to).expect("loopback takes a datagram");
    }

    /// Takes in a frame.
    fn take(
        &mut self,
        frame: &[u8],
        decisions: &mut Vec<DecisionRecord>,
        answers: &mut Vec<(Outcome, String)>,
    ) {
        let accepted = self.verifier.check(now_ns(), frame).expect("signed by the engine, fresh");
        if let MessageView::Answer(answer) = accepted.message() {
            answers.push((answer.outcome, answer.reason.to_owned()));
        }
        decisions.extend(accepted.decisions());
    }

    /// Takes in what comes until there are so many decisions on the stream that is reported, and half as many on each of the others;
    /// none comes twice. Answers come too.
    fn receive(&mut self, decisions: usize) -> (Vec<DecisionRecord>, Vec<(Outcome, String)>) {
        let (mut all, mut answers) = (Vec::new(), Vec::new());
        let until = Instant::now() + Duration::from_secs(20);
        let mut bytes = [0; 65_536];
        let mut rounds: BTreeMap<StreamId, BTreeSet<i64>> = BTreeMap::new();
        loop {
            let of = |stream| rounds.get(&stream).map_or(0, BTreeSet::len);
            let is_whole = of(STREAM) >= decisions && (0..LAKES).all(|n| of(lake(n)) >= decisions / 2);
            if is_whole && (decisions > 0 || !answers.is_empty()) {
                break;
            }
            assert!(Instant::now() < until, "{rounds:?} {answers:?}");
            let Ok((length, _)) = self.socket.recv_from(&mut bytes) else { continue };
            let mut came = Vec::new();
            self.take(&bytes[..length], &mut came, &mut answers);
            for decision in came {
                let is_new = rounds.entry(decision.stream).or_default().insert(decision.round);
                assert!(is_new, "it came before: {decision:?}");
                all.extend((decision.stream == STREAM).then_some(decision));
            }
        }
        (all, answers)
    }
}

/// A server at an address where another was, once the kernel has taken that down.
fn start_at(site: &Site, at: SocketAddr) -> Server {
    let until = Instant::now() + Duration::from_secs(10);
    while UdpSocket::bind(at).is_err() {
        assert!(Instant::now() < until, "{at} is still taken");
        std::thread::sleep(Duration::from_millis(5));
    }
    Server::start(site, "auto")
}

/// Nothing is told to it.
fn kill(mut server: Server) -> String {
    server.process.kill().expect("the process can be killed");
    server.process.wait().expect("the process can be waited for");
    server.log.join().expect("the log was read")
}

#[test]
fn a_client_follows_by_datagrams_and_a_restart_forgets_neither_it_nor_the_liar() {
    follows_over_a_restart(1);
}

/// To the outside it is one server: whichever shard has a stream, and whichever the client's requests come to.
#[test]
fn so_it_does_where_the_server_is_divided() {
    for shards in [2, 3] {
        follows_over_a_restart(shards);
    }
}

fn follows_over_a_restart(shards: usize) {
    let site = site(shards);
    let mut phone = Phone::new(&site);
    let server = Server::start(&site, "auto");
    let traffic = Traffic::to(server.address);
    phone.ask(server.address, 5, "sea/*");
    let (_, answers) = phone.receive(0);
    assert!(matches!(&answers[..], [(Outcome::Unknown, reason)] if reason.contains("sea/*")), "{answers:?}");
    phone.ask(server.address, 5, "road/7");
    phone.ask(server.address, 6, "lake/*");
    let (first, answers) = phone.receive(8);
    // Each request is answered once, whatever it asks for.
    assert_eq!(answers.iter().map(|(outcome, _)| *outcome).collect::<Vec<_>>(), [Outcome::Granted; 2]);
    let whole: Vec<_> = first.iter().filter(|decision| decision.reported == 4).collect();
    assert!(!whole.is_empty(), "{first:?}");
    for decision in whole {
        assert_eq!((decision.stream, decision.decided, decision.replicas), (STREAM, true, 4));
        assert_eq!(decision.quorum.positions().collect::<Vec<_>>(), [0, 1, 2], "{decision:?}");
        assert!((49.0..=52.0).contains(&decision.value), "{decision:?}");
    }
    drop(traffic);
    // What changes is kept within a commit or two; the end comes without a word.
    std::thread::sleep(Duration::from_millis(300));
    let at = server.address;
    let log = kill(server);
    assert!(log.contains("replica=\"r4\"") && log.contains("faulty"), "the liar is named: {log}");

    // The same address again, as an operator would have it.
    site.edit("serve.toml", "listen = \"127.0.0.1:0\"", &format!("listen = \"{at}\""));
    let server = start_at(&site, at);
    let traffic = Traffic::to(server.address);
    let (second, _) = phone.receive(4);
    assert!(second.iter().all(|after| first.iter().all(|before| before.round < after.round)));
    drop(traffic);
    let log = server.stop(15);
    assert!(log.contains("requests that were served before"), "{log}");
    let counters = Ended::read(&site).counters;
    assert_eq!((&counters["nodes_faulty"], &counters["nodes_healthy"]), (&1.into(), &3.into()), "{counters}");

    // An orderly end keeps the ledger: the liar need not be found anew.
    let server = start_at(&site, at);
    std::thread::sleep(Duration::from_millis(200));
    let log = server.stop(15);
    assert!(log.contains("the ledger of replicas goes on"), "{log}");
    let counters = Ended::read(&site).counters;
    assert_eq!((&counters["nodes_faulty"], &counters["nodes_healthy"]), (&1.into(), &3.into()), "{counters}");
    let replicas = counters["replicas"].as_array().expect("a list");
    let states: BTreeMap<_, _> = replicas.iter().map(|r| (r["name"].as_str(), r["state"].as_str())).collect();
    assert_eq!(states.get(&Some("r4")), Some(&Some("faulty")), "{states:?}");
    assert_eq!(states.len(), 4, "each once: {states:?}");

    // What is kept does not depend on how the server is divided.
    site.edit(
        "serve.toml",
        &format!("shards = {shards}"),
        &format!("shards = {}", if shards == 1 { 2 } else { 1 }),
    );
    let server = start_at(&site, at);
    std::thread::sleep(Duration::from_millis(200));
    let log = server.stop(15);
    assert!(log.contains("the ledger of replicas goes on") && log.contains("found=2 restored=2"), "{log}");
    let other = Ended::read(&site).counters;
    assert_eq!((&other["nodes_faulty"], &other["replicas"]), (&1.into(), &counters["replicas"]), "{other}");
}

/// `centauri node` with a `[client]` table, and the decisions that it tells.
struct Follower {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Follower {
    fn start(site: &Site, address: SocketAddr, transport: &str) -> Self {
        site.write(
            "phone.toml",
            &format!(
                "listen = \"127.0.0.1:0\"\nregistry = \"registry.toml\"\nnode = \"phone\"\nkey = \"phone.key\"\n\
                 counters = \"phone.json\"\n[client]\nengine = \"engine\"\naddress = \"{address}\"\n{transport}\
                 streams = {{ \"road/7\" = 7 }}\n"
            ),
        );
        let mut command = Command::new(env!("CARGO_BIN_EXE_centauri"));
        command.args(["node", "--config"]).arg(site.path("phone.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("the command runs");
        let lines = BufReader::new(process.stdout.take().expect("an output")).lines();
        Self { process, lines }
    }

    /// The next decisions on all four reports.
    fn follow(&mut self, count: usize) -> Vec<serde_json::Value> {
        let all = self.lines.by_ref().map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON"));
        let whole: Vec<_> = all.filter(|d: &serde_json::Value| d["reports"] == 4).take(count).collect();
        for decision in &whole {
            assert_eq!(decision["stream"], "road/7");
            assert_eq!(decision["quorum"], serde_json::json!([0, 1, 2]), "{decision}");
        }
        whole
    }

    fn stop(mut self) {
        Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().expect("kill runs");
        assert_eq!(self.process.wait().expect("it ends").code(), Some(0));
    }
}

#[test]
fn centauri_node_follows_too() {
    let site = site(1);
    let server = Server::start(&site, "auto");
    let mut phone = Follower::start(&site, server.address, "");
    let traffic = Traffic::to(server.address);
    phone.follow(3);
    drop(traffic);
    phone.stop();
    server.stop(15);
}

/// One round's worth of decisions and answers from a connection, as whole frames.
fn frames(stream: &mut TcpStream, reassembler: &mut Reassembler) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut bytes = [0; 700];
    if let Ok(length) = stream.read(&mut bytes) {
        assert!(length > 0, "the server ended the connection");
        reassembler.push(&bytes[..length], &mut |frame| all.push(frame.to_vec())).expect("frames");
    }
    all
}

#[test]
fn a_client_follows_on_its_connection_with_each_driver() {
    for driver in ["io_uring", "epoll"] {
        if driver == "io_uring" && centauri_uring::probe_io_uring().is_err() {
            println!("skipped: io_uring is not usable here");
            continue;
        }
        let site = site(1);
        site.edit("serve.toml", "[[streams]]", "[tcp]\nlisten = \"127.0.0.1:0\"\n[[streams]]");
        let server = Server::start(&site, driver);
        let mut phone = Phone::new(&site);
        let mut stream = TcpStream::connect(server.tcp.expect("a TCP address")).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        // Another connection, which asks for nothing, is to get nothing.
        let mut other = TcpStream::connect(server.tcp.expect("a TCP address")).expect("a connection");
        other.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let traffic = Traffic::to(server.address);
        for query in ["sea/*", "road/7"] {
            let mut bytes = Vec::new();
            encode_on_stream(&phone.request(5, query), &mut bytes).expect("a frame");
            stream.write_all(&bytes).expect("the server reads");
        }
        let (mut decisions, mut answers) = (Vec::new(), Vec::new());
        let mut reassembler = Reassembler::new(FRAME_BYTES_MAX);
        let until = Instant::now() + Duration::from_secs(20);
        while decisions.len() < 5 {
            assert!(Instant::now() < until, "{driver}: {answers:?} {decisions:?}");
            for frame in frames(&mut stream, &mut reassembler) {
                phone.take(&frame, &mut decisions, &mut answers);
            }
        }
        let outcomes: Vec<_> = answers.iter().map(|(outcome, _)| *outcome).collect();
        assert_eq!(outcomes, [Outcome::Unknown, Outcome::Granted], "{driver}");
        assert!(decisions.iter().all(|decision| decision.stream == STREAM), "{driver}");
        assert!(
            decisions.windows(2).all(|pair| pair[0].round < pair[1].round),
            "{driver}: each once, in order"
        );
        assert!(other.read(&mut [0; 1]).is_err(), "{driver}: nothing for one who did not ask");
        // Nothing goes by datagram to one who asked on a connection.
        assert!(phone.socket.recv_from(&mut [0; 100]).is_err());
        drop(traffic);
        drop((stream, other));
        server.stop(15);
        let tcp = &Ended::read(&site).counters["tcp"];
        assert!(tcp["frames_sent"].as_u64() >= Some(7), "{tcp}");
        // One that leaves with something unread has failed.
        let ended =
            [&tcp["finished"], &tcp["failed"]].into_iter().filter_map(serde_json::Value::as_u64).sum();
        assert_eq!((tcp["opened"].as_u64(), Some(ended)), (Some(2), Some(2_u64)), "{tcp}");
    }
}

#[test]
fn a_follower_connects_again_to_a_server_that_was_killed() {
    let site = site(1);
    site.edit("serve.toml", "[[streams]]", "[tcp]\nlisten = \"127.0.0.1:0\"\n[[streams]]");
    let server = Server::start(&site, "auto");
    let tcp = server.tcp.expect("a TCP address");
    let mut phone = Follower::start(&site, tcp, "transport = \"tcp\"\n");
    let traffic = Traffic::to(server.address);
    let before = phone.follow(3);
    drop(traffic);
    let at = server.address;
    // A request on a connection is not kept: the connection is not there any more.
    std::thread::sleep(Duration::from_millis(300));
    kill(server);
    site.edit("serve.toml", "[tcp]\nlisten = \"127.0.0.1:0\"", &format!("[tcp]\nlisten = \"{tcp}\""));
    site.edit("serve.toml", "listen = \"127.0.0.1:0\"", &format!("listen = \"{at}\""));
    // The kernel closes a killed process's ring, and what it listens on, in its own time.
    let until = Instant::now() + Duration::from_secs(10);
    while TcpListener::bind(tcp).is_err() {
        assert!(Instant::now() < until, "{tcp} is still taken");
        std::thread::sleep(Duration::from_millis(5));
    }
    let server = start_at(&site, at);
    let traffic = Traffic::to(server.address);
    let after = phone.follow(3);
    drop(traffic);
    let last = |all: &[serde_json::Value]| all.iter().filter_map(|d| d["round"].as_i64()).max();
    assert!(after.iter().all(|decision| decision["round"].as_i64() > last(&before)));
    phone.stop();
    let log = server.stop(15);
    assert!(!log.contains("requests that were served before"), "{log}");
    let counters: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(site.path("phone.json")).expect("counters"))
            .expect("JSON");
    assert!(counters["tcp"]["opened"].as_u64() >= Some(2), "{counters}");
}
