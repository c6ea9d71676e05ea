//! A server that is divided among threads: to the outside it is one.

use super::*;
use centauri_uring::{DriverConfig, Outgoing, shard_of};
use std::process::Command;
use std::time::Instant;

const MONITOR: NodeId = NodeId(60);
/// As many as a datagram has room for: four times eight, which are not all of one shard.
const STREAMS: u32 = 32;

fn name(number: u32) -> String {
    format!("road/{number}")
}

fn streams() -> impl Iterator<Item = (StreamId, String)> {
    (0..STREAMS).map(|number| (StreamId(number), name(number)))
}

fn site(shards: usize) -> Site {
    let site = Site::new();
    let monitor = NodeEntry {
        id: MONITOR,
        name: "monitor".into(),
        role: Role::Monitor,
        key: key(MONITOR).public_key(),
    };
    let text = std::fs::read_to_string(site.path("registry.toml")).expect("the registry");
    let mut nodes = Registry::parse(&text).expect("a registry").nodes().to_vec();
    nodes.push(monitor);
    site.write("registry.toml", &Registry::new(nodes).expect("a registry").to_toml());
    let noise = "version = 1\n[distributions]\nnoise = { family = \"normal\", mean = 0, sd = 2 }\n";
    let models: String = streams()
        .map(|(_, name)| {
            stream_model(&name)
                .replace("noise = { family = \"normal\", mean = 0, sd = 2 }", "noise = \"noise\"")
        })
        .collect();
    site.write("model.toml", &(noise.to_owned() + &models));
    let text = std::fs::read_to_string(site.path("serve.toml")).expect("the configuration");
    let head = text.split("[[streams]]").next().unwrap_or_default();
    let tables: String = streams()
        .map(|(id, name)| {
            format!("\n[[streams]]\nname = \"{name}\"\nid = {}\nperiod_s = 0.5\nclose_after_s = 0.45\n", id.0)
        })
        .collect();
    site.write("serve.toml", &format!("{head}shards = {shards}\n{tables}"));
    site
}

fn frame_of_all(sender: &mut Sender, node: u32, round: i64, value: f64) -> Vec<u8> {
    let records: Vec<(StreamId, i64, f64)> = streams().map(|(id, _)| (id, round, value)).collect();
    sender.frame_of(&key(NodeId(node)).identity(NodeId(node)), now_ns(), &records)
}

fn report_all(sender: &mut Sender, node: u32, round: i64, value: f64) -> Vec<u8> {
    let bytes = frame_of_all(sender, node, round, value);
    sender.send(&bytes);
    bytes
}

/// Two senders' frames as one message, where the kernel takes that: both then come to the shard of the first. Says whether it
/// does.
fn as_one_train(sender: &mut Sender, round: i64) -> bool {
    let config = DriverConfig { buffers: 16, wait_completions: 8, ..DriverConfig::default() };
    let mut driver =
        centauri_uring::open("127.0.0.1:0".parse().expect("an address"), &config).expect("a driver");
    let frames = [(4, 90.0), (1, 50.2)].map(|(node, value)| {
        let signer = key(NodeId(node)).identity(NodeId(node));
        sender.frame_of(&signer, now_ns(), &[(StreamId(0), round, value)])
    });
    let datagrams: Vec<Outgoing<'_>> = frames.iter().map(|bytes| Outgoing { bytes, to: sender.to }).collect();
    driver.send_batch(&datagrams).expect("loopback takes datagrams");
    sender.sent += 2;
    driver.counters().sent_trains > 0
}

fn is_one_server(driver: &str, shards: usize) {
    let of_senders: Vec<usize> = (1..=4).map(|node| shard_of(node, shards)).collect();
    assert!((0..shards).all(|shard| of_senders.contains(&shard)), "each has a sender: {of_senders:?}");
    assert_ne!(of_senders[3], of_senders[0]);
    let site = site(shards);
    let server = Server::start(&site, driver);
    let mut sender = Sender::new(server.address);

    // Round 1: a replica far off; what was sent comes again, from the same and from another address; forgeries and garbage.
    let first = fresh_round();
    let genuine: Vec<Vec<u8>> = [(1, 50.2), (2, 51.1), (3, 49.0), (4, 90.0)]
        .map(|(node, value)| report_all(&mut sender, node, first, value))
        .to_vec();
    for bytes in &genuine {
        sender.send(bytes);
    }
    sender.socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for bytes in &genuine {
        sender.send(bytes);
        let mut forged = bytes.clone();
        forged[40] ^= 1;
        sender.send(&forged);
    }
    for length in [0_usize, 1, 19, 20, 95, 96, 1_400] {
        sender.send(&vec![7; length]);
    }
    let unknown = sender.frame_of(&key(NodeId(77)).identity(NodeId(77)), now_ns(), &[(STREAM, first, 50.0)]);
    sender.send(&unknown);
    let is_train = as_one_train(&mut sender, first);
    let body = DistributionBody { offset: 0.0, family: DistributionFamily::Normal { mean: 0.0, sd: 2.0 } };
    let mut published = Vec::new();
    Distribution { name: "noise", body: &body }
        .encode(now_ns(), &key(MONITOR).identity(MONITOR), &mut published)
        .expect("a distribution");
    sender.send(&published);
    after_close(first);

    // Round 2: one equivocates to all streams, whichever shard they are of; one is late.
    let second = fresh_round();
    report_all(&mut sender, 4, first, 10.0);
    for (node, value) in [(1, 60.0), (2, 61.0), (3, 60.0), (3, 20.0)] {
        report_all(&mut sender, node, second, value);
    }
    after_close(second);

    // Round 3 is open when the server is told to stop, and is decided at its deadline all the same.
    let third = fresh_round();
    for node in 1..=4 {
        report_all(&mut sender, node, third, 70.0);
    }
    std::thread::sleep(Duration::from_millis(60));
    let log = server.stop(15);
    assert!(log.contains(&format!("driver={driver}")), "the log names the driver: {log}");
    let outcome = Outcome::read(&site);
    check_rounds(&outcome, first, second, third);
    check_sums(&outcome, sender.sent, is_train);
    outcome.check_count("fleets_installed", shards as u64);
}

fn check_rounds(outcome: &Outcome, first: i64, second: i64, third: i64) {
    for (_, name) in streams() {
        let one = outcome.decision(&name, first);
        assert_eq!((one["value"].as_f64(), quorum(one)), (Some(50.0), vec!["r1", "r2", "r3"]), "{one}");
        let two = outcome.decision(&name, second);
        assert_eq!(two["honest"]["r3"], 0.0, "an equivocating replica is out: {two}");
        let value = two["value"].as_f64().expect("a number");
        assert!((59.0..=62.0).contains(&value), "{two}");
        assert_eq!(outcome.decision(&name, third)["value"], 70.0);
        let rounds: Vec<i64> = outcome
            .decisions
            .iter()
            .filter(|d| d["stream"] == name.as_str())
            .filter_map(|d| d["round"].as_i64())
            .collect();
        assert!(rounds.windows(2).all(|pair| pair[1] == pair[0] + 1), "{name}: {rounds:?}");
        assert!(rounds.contains(&first) && rounds.last() >= Some(&third), "{name}: {rounds:?}");
    }
}

fn check_sums(outcome: &Outcome, sent: u64, is_train: bool) {
    let count = |name: &str| outcome.counters[name].as_u64().unwrap_or_else(|| panic!("no {name}"));
    let streams = u64::from(STREAMS);
    let missteered = u64::from(is_train);
    println!("{}", outcome.counters);
    assert_eq!(outcome.counters["driver"]["datagrams"], sent, "{}", outcome.counters);
    outcome.check_count("datagrams_shed", 0);
    outcome.check_count("frames_missteered", missteered);
    outcome.check_count("frames_received", sent - missteered);
    outcome.check_count("rejected_replayed", 8);
    outcome.check_count("rejected_forged", 4);
    outcome.check_count("rejected_unknown_sender", 1);
    outcome.check_count("distributions_published", 1);
    let frames_of_all = 4 + 5 + 4;
    outcome.check_count("frames_accepted", frames_of_all + 1 + (2 - missteered));
    let rejected: u64 = outcome
        .counters
        .as_object()
        .expect("an object")
        .iter()
        .filter(|(name, _)| name.starts_with("rejected_"))
        .filter_map(|(_, count)| count.as_u64())
        .sum();
    assert_eq!(count("frames_received"), count("frames_accepted") + rejected);
    let taken = ["reported", "repeated", "equivocating", "late", "early"];
    let taken: u64 = taken.iter().map(|what| count(&format!("records_{what}"))).sum();
    assert_eq!(taken, frames_of_all * streams + 2 - missteered, "{}", outcome.counters);
    outcome.check_count("records_equivocating", streams);
    outcome.check_count("records_late", streams);
    outcome.check_count("records_shard_overflow", 0);
    assert!((1..taken).contains(&count("records_crossed")), "{}", outcome.counters);
    outcome.check_count("rounds_skipped", 0);
    outcome.check_count("rounds_undecided", 0);
    assert_eq!(count("rounds_decided"), outcome.decisions.len() as u64);
}

#[test]
fn a_divided_server_is_one_server_under_io_uring() {
    if let Err(reason) = centauri_uring::probe_io_uring() {
        println!("skipped: io_uring is not to be had here: {reason}");
        return;
    }
    is_one_server("io_uring", 3);
}

#[test]
fn a_divided_server_is_one_server_under_epoll() {
    is_one_server("epoll", 2);
}

#[test]
fn a_divided_server_ends_at_once_at_a_second_signal_and_without_any_traffic() {
    let site = site(2);
    site.edit("serve.toml", "period_s = 0.5\nclose_after_s = 0.45", "period_s = 500\nclose_after_s = 450");
    let server = Server::start(&site, "auto");
    let pid = server.process.id().to_string();
    let begun = Instant::now();
    // The one stream's round would be open for minutes.
    let once = Command::new("kill").args(["-15", &pid]).status().expect("kill runs");
    assert!(once.success());
    std::thread::sleep(Duration::from_millis(100));
    server.stop(15);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    Outcome::read(&site).check_count("frames_received", 0);
}

#[test]
fn what_is_wrong_with_a_divided_server_is_one_line_too() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = taken.local_addr().expect("an address").port().to_string();
    let cases: [(&str, &str, &str); 4] = [
        ("shards = 2", "shards = 0", "shards: found 0, expected 1 to 256"),
        ("shards = 2", "shards = 2\n[tcp]\nlisten = \"127.0.0.1:0\"", "expected shards = 1"),
        ("decisions.jsonl", "no/such/folder/d.jsonl", "no/such/folder"),
        ("127.0.0.1:0", &format!("127.0.0.1:{port}"), "in use"),
    ];
    for (index, (from, to, expected)) in cases.into_iter().enumerate() {
        let site = site(2);
        site.edit("serve.toml", from, to);
        check_refused(&site, "epoll", &[expected], index);
    }
}
