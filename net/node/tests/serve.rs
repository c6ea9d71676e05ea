//! `centauri serve` as a process, and what an honest and a hostile network send it over real sockets.

#[path = "serving/shards.rs"]
mod shards;
#[path = "serving/site.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod site;

use centauri::clock::now_ns;
use centauri_wire::*;
use site::Outcome;
use site::*;
use std::io::Write as _;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

/// Runs `centauri serve` to its end.
fn output(config: &Path, arguments: &[&str]) -> std::process::Output {
    command(config, "epoll").args(arguments).output().expect("the command runs")
}

#[test]
fn the_configuration_in_force_is_printed_and_reads_back_to_itself() {
    let site = Site::new();
    site.edit(
        "serve.toml",
        "freshness_s = 5",
        "freshness_s = 5\nverifier = \"strict\"\ndriver_linger_us = 0",
    );
    let printed = output(&site.path("serve.toml"), &["--print-config"]);
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let text = String::from_utf8(printed.stdout).expect("text");
    let model = format!("model = {:?}", site.path("model.toml").display().to_string());
    for line in
        ["driver = \"epoll\"", "verifier = \"strict\"", "driver_linger_us = 0", "drain_s = 10.0", &model]
    {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    let elsewhere = Site::new();
    elsewhere.write("printed.toml", &text);
    let again = output(&elsewhere.path("printed.toml"), &["--print-config"]);
    assert_eq!(String::from_utf8_lossy(&again.stdout), text);
}

#[test]
fn the_log_and_the_counters_say_what_verifies() {
    let site = Site::new();
    site.edit("serve.toml", "freshness_s = 5", "freshness_s = 5\nverifier = \"strict\"");
    let log = Server::start(&site, "epoll").stop(2);
    assert!(log.contains("signatures verifier=\"strict\""), "{log}");
    assert_eq!(Outcome::read(&site).counters["verifier"], "strict");
}

/// What a network may do to the server in three rounds, and what must come of it.
fn a_hostile_network(driver: &str) {
    let site = Site::new();
    let server = Server::start(&site, driver);
    let mut sender = Sender::new(server.address);

    // Round 1: three honest reports, and a replica far off.
    let first = fresh_round();
    let genuine = sender.report(1, first, 50.2);
    sender.report(2, first, 51.1);
    sender.report(3, first, 49.0);
    sender.report(4, first, 90.0);
    // The same datagram again, thrice.
    (0..3).for_each(|_| sender.send(&genuine));
    // Forged: replica 2 with replica 4's key; a flipped bit of a value under a good signature; s and R out of form.
    let forger = key(NodeId(4)).identity(NodeId(2));
    let forged = sender.frame_of(&forger, now_ns(), &[(STREAM, first, 0.0)]);
    sender.send(&forged);
    let fresh = sender.frame_of(&key(NodeId(2)).identity(NodeId(2)), now_ns(), &[(STREAM, first, 0.0)]);
    let at = fresh.len() - SIGNATURE_BYTES;
    let mut flipped = fresh.clone();
    flipped[at - 8] ^= 1;
    sender.send(&flipped);
    let mut bad_s = fresh.clone();
    bad_s[at + 32..].fill(0xff);
    sender.send(&bad_s);
    let mut bad_r = fresh;
    bad_r[at..at + 32].fill(0xff);
    sender.send(&bad_r);
    // Garbage of all lengths, a cut frame, another version.
    for length in [0usize, 1, 7, 31, 32, 95, 96, 200, 1_400, 9_000] {
        let garbage: Vec<u8> = (0..length).map(|i| (i * 37 + length) as u8).collect();
        sender.send(&garbage);
    }
    sender.send(&genuine[..genuine.len() - 1]);
    let mut version = genuine.clone();
    version[7] = 9;
    sender.send(&version);
    // Somebody unknown, a source that speaks as a replica, an old and a future frame, a stream of nobody.
    let unknown = sender.frame_of(&key(NodeId(77)).identity(NodeId(77)), now_ns(), &[(STREAM, first, 50.0)]);
    sender.send(&unknown);
    let r1 = key(NodeId(1)).identity(NodeId(1));
    let old = sender.frame_of(&r1, now_ns() - 3_600_000_000_000, &[(STREAM, first, 50.0)]);
    sender.send(&old);
    let ahead = sender.frame_of(&r1, now_ns() + 3_600_000_000_000, &[(STREAM, first, 50.0)]);
    sender.send(&ahead);
    let nobodys = sender.frame_of(&r1, now_ns(), &[(StreamId(999), first, 50.0)]);
    sender.send(&nobodys);
    let mut request = Vec::new();
    let start = RequestAction::Start { query: "*", validity_ns: 1, ttl_ns: 1_000_000_000, period_ns: 1 };
    Request { request_id: 1, action: start }
        .encode(now_ns(), ENGINE, &key(SOURCE).identity(SOURCE), &mut request)
        .expect("a request");
    sender.send(&request);
    after_close(first);

    // Round 2: late reports for round 1, reports far ahead, and replica 3 equivocates; replica 4 is silent.
    let second = fresh_round();
    sender.report(1, first, 10.0);
    sender.report(1, second + 1_000, 10.0);
    sender.report(1, second, 60.0);
    sender.report(2, second, 61.0);
    sender.report(3, second, 60.0);
    sender.report(3, second, 20.0);
    // One frame with records of two streams.
    let both = [(OTHER_STREAM, second, 30.0), (OTHER_STREAM, second + 1, 31.0)];
    let frame = sender.frame_of(&r1, now_ns(), &both);
    sender.send(&frame);
    after_close(second);

    // Round 3 is open when the server is told to stop, and is decided at its deadline all the same.
    let third = fresh_round();
    sender.report(1, third, 70.0);
    sender.report(2, third, 70.0);
    sender.report(3, third, 71.0);
    sender.report(4, third, 70.0);
    std::thread::sleep(Duration::from_millis(60));
    let log = server.stop(15);
    assert!(log.contains(&format!("driver={driver}")), "the log names the driver: {log}");
    check_decisions(&Outcome::read(&site), first, second, third);
    check_counters(&Outcome::read(&site), sender.sent);
}

#[test]
fn frames_on_connections_count_as_datagrams_do() {
    for driver in ["io_uring", "epoll"] {
        if driver == "io_uring"
            && let Err(reason) = centauri_uring::probe_io_uring()
        {
            println!("skipped: io_uring is not to be had here: {reason}");
            continue;
        }
        let site = Site::new();
        site.edit(
            "serve.toml",
            "\n[[streams]]",
            "\n[tcp]\nlisten = \"127.0.0.1:0\"\nstall_s = 0.3\n\n[[streams]]",
        );
        let server = Server::start(&site, driver);
        let mut sender = Sender::new(server.address);
        let connect = || TcpStream::connect(server.tcp.expect("an address for TCP")).expect("a connection");

        let round = fresh_round();
        let (mut gateway, mut stalled, mut wrong) = (connect(), connect(), connect());
        let mut bytes = Vec::new();
        for (node, value) in [(1, 50.2), (2, 51.1), (4, 90.0)] {
            let signer = key(NodeId(node)).identity(NodeId(node));
            let frame = sender.frame_of(&signer, now_ns(), &[(STREAM, round, value)]);
            encode_on_stream(&frame, &mut bytes).expect("a frame");
        }
        // In pieces, the third frame twice; a frame that stops half-way; a length that no frame has.
        stalled.write_all(&bytes[..50]).expect("sent");
        wrong.write_all(&[1, 0, 2, 0]).expect("sent");
        let third = bytes.len() * 2 / 3;
        bytes.extend_from_within(third..);
        for piece in bytes.chunks(33) {
            gateway.write_all(piece).expect("sent");
        }
        sender.report(3, round, 49.0);
        after_close(round);
        let log = server.stop(15);
        assert!(log.contains(&format!("TCP driver opened addr={}", server_tcp(&log))), "{log}");
        let outcome = Outcome::read(&site);
        let decision = outcome.decision("road/7", round);
        assert_eq!((decision["value"].as_f64(), quorum(decision)), (Some(50.0), vec!["r1", "r2", "r3"]));
        outcome.check_count("frames_received", 5);
        outcome.check_count("frames_accepted", 4);
        outcome.check_count("rejected_replayed", 1);
        let tcp = &outcome.counters["tcp"];
        for (name, expected) in
            [("opened", 3), ("frames", 4), ("closed_length", 1), ("closed_stalled", 1), ("open", 1)]
        {
            assert_eq!(tcp[name], expected, "{name}: {tcp}");
        }
        assert_eq!(tcp["bytes"], bytes.len() + 50 + 4, "{tcp}");
    }
}

fn server_tcp(log: &str) -> &str {
    let after = log.split_once("tcp=").map_or("", |(_, rest)| rest);
    after.split_whitespace().next().unwrap_or_default()
}

fn check_decisions(outcome: &Outcome, first: i64, second: i64, third: i64) {
    let one = outcome.decision("road/7", first);
    assert_eq!((one["value"].as_f64(), quorum(one)), (Some(50.0), vec!["r1", "r2", "r3"]), "{one}");
    assert!(one["honest"]["r4"].as_f64().expect("a number") < 1e-6, "{one}");

    let two = outcome.decision("road/7", second);
    assert_eq!(two["honest"]["r3"], 0.0, "an equivocating replica is out: {two}");
    assert!(!quorum(two).contains(&"r3"), "{two}");
    assert!((59.0..=62.0).contains(&two["value"].as_f64().expect("a number")), "{two}");

    let three = outcome.decision("road/7", third);
    assert_eq!(three["value"], 70.0, "{three}");
    // A round in which nobody spoke gets a decision too.
    assert_eq!(outcome.decision("road/8", first)["quorum"].as_array().map(Vec::len), Some(3));
    assert_eq!(outcome.decision("road/8", second)["value"], 30.0);
    assert_eq!(outcome.decision("road/8", second + 1)["value"], 31.0);
    for stream in ["road/7", "road/8"] {
        let rounds: Vec<i64> = outcome
            .decisions
            .iter()
            .filter(|d| d["stream"] == stream)
            .filter_map(|d| d["round"].as_i64())
            .collect();
        assert!(rounds.windows(2).all(|pair| pair[1] == pair[0] + 1), "{stream}: {rounds:?}");
    }
}

fn check_counters(outcome: &Outcome, sent: u64) {
    outcome.check_count("frames_received", sent);
    assert_eq!(outcome.counters["driver"]["datagrams"], sent, "{}", outcome.counters);
    outcome.check_count("rejected_replayed", 3);
    outcome.check_count("rejected_forged", 2);
    outcome.check_count("rejected_bad_s", 1);
    outcome.check_count("rejected_bad_r", 1);
    outcome.check_count("rejected_unknown_sender", 1);
    outcome.check_count("rejected_wrong_role", 1);
    outcome.check_count("rejected_stale", 1);
    outcome.check_count("rejected_future", 1);
    outcome.check_count("rejected_unknown_stream", 1);
    outcome.check_count("rejected_version", 1);
    let unreadable: u64 =
        ["rejected_length", "rejected_malformed"].iter().filter_map(|n| outcome.counters[n].as_u64()).sum();
    assert_eq!(unreadable, 11, "{}", outcome.counters);
    outcome.check_count("records_late", 1);
    outcome.check_count("records_early", 1);
    outcome.check_count("records_equivocating", 1);
    outcome.check_count("frames_accepted", 4 + 7 + 4);
    outcome.check_count("rounds_skipped", 0);
    outcome.check_count("rounds_undecided", 0);
}

#[test]
fn a_hostile_network_does_no_harm_under_io_uring() {
    if let Err(reason) = centauri_uring::probe_io_uring() {
        println!("skipped: io_uring is not to be had here: {reason}");
        return;
    }
    a_hostile_network("io_uring");
}

#[test]
fn a_hostile_network_does_no_harm_under_epoll() {
    a_hostile_network("epoll");
}

#[test]
fn an_interrupt_ends_the_server_too_and_auto_says_which_driver_runs() {
    let site = Site::new();
    let server = Server::start(&site, "auto");
    let log = server.stop(2);
    assert!(log.contains("driver=io_uring") || log.contains("driver=epoll"), "{log}");
    Outcome::read(&site).check_count("frames_received", 0);
}

/// What is wrong, and what the one line must say.
#[test]
fn what_is_wrong_is_one_line_and_exit_code_2() {
    type Break = fn(&Site);
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = taken.local_addr().expect("an address");
    let cases: &[(Break, &[&str])] = &[
        (
            |s| s.edit("serve.toml", "period_s = 0.5", "period = 0.5"),
            &["serve.toml: line 14: unknown field `period`"],
        ),
        (|s| s.edit("serve.toml", "name = \"road/7\"", "name = \"road/9\""), &["model.toml", "\"road/9\""]),
        (|s| s.edit("serve.toml", "id = 8", "id = 7"), &["7", "twice"]),
        (|s| s.edit("serve.toml", "\nclose_after_s = 0.45", ""), &["road/7", "close_after_s"]),
        (|s| s.edit("serve.toml", "node = \"engine\"", "node = \"motor\""), &["registry.toml", "\"motor\""]),
        (
            |s| s.edit("serve.toml", "node = \"engine\"", "node = \"r1\""),
            &["\"r1\"", "replica", "expected engine"],
        ),
        (|s| std::fs::remove_file(s.path("engine.key")).unwrap(), &["engine.key: No such file"]),
        (|s| s.write("engine.key", &key(NodeId(9)).to_text()), &["engine.key", "registry"]),
        (|s| s.write("engine.key", "private = \"00\""), &["engine.key: line 1"]),
        (|s| s.edit("registry.toml", "\"r4\"", "\"r5\""), &["registry.toml", "\"r4\""]),
        (|s| s.edit("registry.toml", "role = \"replica\"", "role = \"pilot\""), &["registry.toml", "pilot"]),
        (|s| s.write("registry.toml", "[[node]]\nid = 1"), &["registry.toml"]),
        (|s| s.edit("model.toml", "step = 1", "step = 0"), &["model.toml", "support.step", "found 0"]),
        (|s| s.edit("model.toml", "faults = 1", "faults = 4"), &["model.toml", "faults", "found 4"]),
        (|s| s.edit("serve.toml", "decisions.jsonl", "no/such/folder/d.jsonl"), &["no/such/folder"]),
    ];
    for (index, (break_it, expected)) in cases.iter().enumerate() {
        let site = Site::new();
        break_it(&site);
        check_refused(&site, "auto", expected, index);
    }
    let site = Site::new();
    site.edit("serve.toml", "127.0.0.1:0", &port.to_string());
    check_refused(&site, "epoll", &[&port.to_string(), "in use"], 100);
    check_refused(&Site::new(), "uring", &["driver", "\"uring\"", "expected auto, io_uring or epoll"], 101);
}

fn check_refused(site: &Site, driver: &str, expected: &[&str], case: usize) {
    let output = command(&site.path("serve.toml"), driver).output().expect("the command runs");
    let errors = String::from_utf8(output.stderr).expect("text");
    let lines: Vec<&str> = errors.lines().filter(|line| line.starts_with("centauri: ")).collect();
    assert_eq!((output.status.code(), lines.len()), (Some(2), 1), "case {case}: {errors}");
    assert_eq!(errors.lines().last(), lines.first().copied(), "case {case}: nothing after it: {errors}");
    for part in expected {
        assert!(lines[0].contains(part), "case {case}: found {:?}, expected {part:?} in it", lines[0]);
    }
    assert!(!site.path("decisions.jsonl").exists(), "case {case}: nothing is written");
}
