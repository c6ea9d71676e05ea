//! `centauri node` as processes over real sockets: sources, replicas, a relay and the monitor, and `centauri serve` that decides on what
//! the replicas report and on what it asks them to compute.

mod fleet;

use centauri::clock::now_ns;
use centauri_wire::{FRAME_BYTES_DATAGRAM, KeyFile, NodeId, Record, StreamFrameBuilder, StreamId};
use fleet::{Process, Site, centauri, free_address, wait_until};
use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};

const PERIOD_NS: i64 = 500_000_000;
/// Rounds whose values are checked.
const ROUNDS: i64 = 8;
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

const NODES: [(u32, &str, &str); 9] = [
    (1, "r1", "replica"),
    (2, "r2", "replica"),
    (3, "r3", "replica"),
    (4, "r4", "replica"),
    (9, "relay", "replica"),
    (11, "s1", "source"),
    (12, "s2", "source"),
    (20, "monitor", "monitor"),
    (30, "engine", "engine"),
];
const REPLICAS: [&str; 4] = ["r1", "r2", "r3", "r4"];

/// Each replica asks a source twice: for what it computes unasked, and for what the engine asks it to compute.
const SUBSCRIPTIONS: usize = 2 * REPLICAS.len();

/// What the first source reads in a round, always; the second reads 20 more.
fn reading(round: i64) -> f64 {
    20.0 + round.rem_euclid(10) as f64
}

/// When the readings of a round are taken, in Unix seconds.
fn times(round: i64) -> [f64; 2] {
    [0.1, 0.3].map(|after| round as f64 * PERIOD_NS as f64 * 1e-9 + after)
}

/// The readings of a source for the next two minutes.
fn readings_file(more: f64) -> String {
    let mut text = "time_s,value\n".to_owned();
    let now = now_ns().div_euclid(PERIOD_NS);
    for round in now..now + 240 {
        for at in times(round) {
            text += &format!("{at:.3},{}\n", reading(round) + more);
        }
    }
    text
}

fn stream_model(name: &str, replicas: &[&str], top: u32, sd: f64, link: &str) -> String {
    let faults = usize::from(replicas.len() > 1);
    format!(
        "[[streams]]\nname = \"{name}\"\nreplicas = {replicas:?}\nfaults = {faults}\n\
         support = {{ min = 0, step = 0.5, points = {top} }}\n\
         output = {{ computation = \"identity\", noise = {{ family = \"normal\", mean = 0, sd = {sd} }} }}\nlink = {link}\n"
    )
}

const MODEL_HEAD: &str = "version = 1\n[distributions]\nhop = { family = \"exponential\", mean = 0.02 }\n";
const BY_HOP: &str = "{ arrival = \"hop\", deadline = 2 }";

/// What a replica may compute from.
fn catalogue(sources: &[&Process]) -> String {
    let entry = |(place, source): (usize, &&Process)| {
        let place = place + 1;
        format!(
            "[[replica.catalogue]]\nname = \"road/a/{place}\"\nnode = \"s{place}\"\nstream = 5\naddress = \"{}\"\n",
            source.address
        )
    };
    sources.iter().enumerate().map(entry).collect()
}

fn upstreams(key: &str, nodes: &[Process], names: &[&str]) -> String {
    let entry = |(name, node): (&&str, &Process)| {
        format!("[[{key}]]\nnode = \"{name}\"\naddress = \"{}\"\n", node.address)
    };
    names.iter().zip(nodes).map(entry).collect()
}

/// The decisions on a stream by round; each round once.
fn decisions(site: &Site, stream: &str) -> std::collections::BTreeMap<i64, Value> {
    let text = site.read("decisions.jsonl");
    // The last line may be on its way.
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let all = lines.map(|line| serde_json::from_str::<Value>(line).expect("a JSON line"));
    let mut by_round = std::collections::BTreeMap::new();
    for decision in all.filter(|decision| decision["stream"] == stream) {
        let round = decision["round"].as_i64().expect("a number");
        assert!(by_round.insert(round, decision).is_none(), "two decisions on {stream} round {round}");
    }
    by_round
}

fn check_values(site: &Site, stream: &str, rounds: std::ops::Range<i64>, expected: impl Fn(i64) -> f64) {
    let found = decisions(site, stream);
    for round in rounds {
        let decision = found.get(&round).unwrap_or_else(|| panic!("no decision on {stream} round {round}"));
        assert_eq!(decision["value"].as_f64(), Some(expected(round)), "{stream} round {round}: {decision}");
    }
}

/// Sends two values for one round in the name of a replica.
fn equivocate(site: &Site, name: &str, node: NodeId, to: SocketAddr, round: i64) {
    let signer = KeyFile::parse(&site.read(&format!("{name}.key"))).expect("a key").identity(node);
    let socket = UdpSocket::bind(LOOPBACK).expect("a socket");
    for (place, value) in [30.0, 77.5].into_iter().enumerate() {
        let (now, mut bytes) = (now_ns(), Vec::new());
        let mut frame = StreamFrameBuilder::begin(&mut bytes, now, FRAME_BYTES_DATAGRAM);
        let nonce = now.unsigned_abs() + place as u64;
        let record = Record { stream: StreamId(1), age_us: 0, nonce, round, value, readings: 4 };
        frame.push(&record).expect("room for a record");
        frame.finish(&signer).expect("a frame");
        socket.send_to(&bytes, to).expect("loopback takes a datagram");
    }
}

/// The one line that says what is wrong.
fn refused(output: &std::process::Output) -> String {
    let errors = String::from_utf8(output.stderr.clone()).expect("text");
    let lines: Vec<&str> = errors.lines().filter(|line| line.starts_with("centauri: ")).collect();
    assert_eq!((output.status.code(), lines.len()), (Some(2), 1), "{errors}");
    lines[0].to_owned()
}

/// Starts a source that reads `readings`.
fn source(site: &Site, name: &str, place: usize, readings: &str) -> Process {
    let table = format!("[source]\nstream = 5\nname = \"road/a/{place}\"\nreadings = \"{readings}\"\n");
    site.configure(name, LOOPBACK, &table);
    site.start("node", name)
}

#[test]
fn a_fleet_of_processes_decides() {
    let site = Site::new(&NODES);
    site.write("readings.csv", &readings_file(0.0));
    let mut sources = [source(&site, "s1", 1, "readings.csv"), source(&site, "s2", 2, "-")];

    let (engine_at, relay_at) = (free_address(), free_address());
    site.configure(
        "monitor",
        LOOPBACK,
        &format!(
            "[monitor]\ntargets = [\"{engine_at}\", \"{relay_at}\"]\n[[monitor.distributions]]\nname = \"hop\"\nkind = \"latency\"\n\
             faults = 1\nsenders = {REPLICAS:?}\n"
        ),
    );
    let monitor = site.start("node", "monitor");

    let replica = format!(
        "[replica]\nsamples = {{ monitor = \"{}\" }}\n{}[[replica.streams]]\nid = 1\nname = \"road/a\"\ncomputation = \"mean\"\n\
         sources = [\"road/a/*\"]\nperiod_s = 0.5\ndeadline_s = 3\nlatency = \"hop\"\n",
        monitor.address,
        catalogue(&sources.each_ref())
    );
    let replicas = REPLICAS.map(|name| {
        site.configure(name, LOOPBACK, &replica);
        site.start("node", name)
    });

    site.write("stage.toml", &(MODEL_HEAD.to_owned() + &stream_model("road/a", &REPLICAS, 201, 0.5, BY_HOP)));
    site.configure(
        "relay",
        relay_at,
        &format!(
            "[replica]\n[[replica.streams]]\nid = 2\nname = \"town\"\ncomputation = \"last\"\nsources = [\"road/a\"]\nperiod_s = 0.5\n\
             deadline_s = 6\n[replica.decides]\nmodel = \"stage.toml\"\n[[replica.decides.streams]]\nname = \"road/a\"\nid = 1\n\
             period_s = 0.5\nclose_after_s = 5\n{}",
            upstreams("replica.decides.upstreams", &replicas, &REPLICAS)
        ),
    );
    let mut relay = site.start("node", "relay");

    let model = [
        stream_model("road/a", &REPLICAS, 201, 0.5, BY_HOP),
        stream_model("town", &["relay"], 201, 0.5, "{ on_time = 0.99 }"),
        stream_model("asked", &REPLICAS, 801, 2.0, "{ on_time = 0.99 }"),
    ];
    site.write("model.toml", &(MODEL_HEAD.to_owned() + &model.concat()));
    site.configure(
        "engine",
        engine_at,
        &format!(
            "model = \"model.toml\"\noutput = \"decisions.jsonl\"\nproofs = \"proofs\"\nfreshness_s = 5\n\
             [[streams]]\nname = \"road/a\"\nid = 1\nperiod_s = 0.5\nclose_after_s = 5\n\
             [[streams]]\nname = \"town\"\nid = 2\nperiod_s = 0.5\nclose_after_s = 8\n\
             [[streams]]\nname = \"asked\"\nquery = \"sum(road/a/*) over 1s by 3500ms\"\nperiod_s = 0.5\nclose_after_s = 5.5\n{}{}",
            upstreams("upstreams", &replicas, &REPLICAS),
            format_args!("[[upstreams]]\nnode = \"relay\"\naddress = \"{relay_at}\"\n"),
        ),
    );
    let mut engine = site.start("serve", "engine");

    // Everybody has been asked by everybody who asks.
    let mut replicas = replicas;
    for (source, name) in sources.iter_mut().zip(["s1", "s2"]) {
        let said = |log: &str| log.matches("Subscribed").count() >= SUBSCRIPTIONS;
        source.wait_for(&format!("four replicas have asked {name}"), said);
    }
    for replica in &mut replicas {
        replica.wait_for("engine and relay have asked it", |log| log.matches("Subscribed").count() >= 2);
    }
    relay.wait_for("the engine has asked it", |log| log.contains("Subscribed"));
    // Lines that are no readings, and one that is of the moment.
    for line in ["# speed in km/h", "", "fast", "33"] {
        sources[1].say(line);
    }

    // The next window whole, and for sums the one after it.
    let first = now_ns().div_euclid(PERIOD_NS) + 2;
    for round in first..first + ROUNDS {
        let left = (times(round)[1] * 1e9) as i64 - now_ns();
        std::thread::sleep(std::time::Duration::from_nanos(left.max(0).unsigned_abs()));
        for at in times(round) {
            sources[1].say(&format!("{at:.3}, {}", reading(round) + 20.0));
        }
    }
    sources[1].hush();
    let last = first + ROUNDS - 1;
    wait_until("the relay's last round is decided", || decisions(&site, "town").contains_key(&last));
    check_values(&site, "road/a", first..last + 1, |round| reading(round) + 10.0);
    check_values(&site, "town", first..last + 1, |round| reading(round) + 10.0);
    // Two readings of each of two sources in each of two rounds.
    let sum = |round: i64| 4.0 * (reading(round) + 10.0);
    check_values(&site, "asked", first..last, |round| sum(round) + sum(round + 1));
    for decision in
        decisions(&site, "road/a").values().filter(|d| (first..=last).contains(&d["round"].as_i64().unwrap()))
    {
        assert_eq!(decision["quorum"].as_array().map(Vec::len), Some(3), "{decision}");
    }
    assert!(sources[1].is_running(), "a source outlives its input: {}", sources[1].log());
    assert_eq!(sources[1].log().matches("found \"fast\", expected a number").count(), 1);

    // A key that signs two values for one round.
    let round = now_ns().div_euclid(PERIOD_NS) + 1;
    equivocate(&site, "r4", NodeId(4), engine_at, round);
    engine.wait_for("the proof is written", |log| log.contains("proof="));
    relay.wait_for("the monitor has published", |log| log.contains("published"));

    engine.stop();
    relay.stop();
    for replica in replicas {
        replica.stop();
    }
    for source in &mut sources {
        source
            .wait_for("the replicas have cancelled", |log| log.matches("Cancelled").count() >= SUBSCRIPTIONS);
    }
    sources.into_iter().for_each(Process::stop);
    monitor.stop();
    check_counters(&site);
    check_proof(&site, round);
}

fn check_counters(site: &Site) {
    let at_least = |node: &str, counter: &str, least: u64| {
        let counters = site.counters(node);
        let found = counters[counter].as_u64();
        assert!(found.is_some_and(|found| found >= least), "{node}: {counter} at least {least}: {counters}");
    };
    for source in ["s1", "s2"] {
        let counters = site.counters(source);
        let found = ["requests_started", "requests_cancelled"].map(|name| counters[name].as_u64());
        assert_eq!(found, [Some(SUBSCRIPTIONS as u64); 2], "{counters}");
    }
    let readings = site.counters("s2")["readings_taken"].as_u64();
    assert_eq!(readings, Some(2 * ROUNDS.unsigned_abs() + 1), "the lines that are readings, and no others");
    for replica in REPLICAS {
        at_least(replica, "computations_begun", 1);
        at_least(replica, "readings_counted", 32);
    }
    at_least("monitor", "values_kept", 3 * 32);
    at_least("monitor", "distributions_published", 1);
    at_least("engine", "distributions_published", 1);
    at_least("engine", "fleets_installed", 1);
    at_least("engine", "records_equivocating", 1);
    at_least("relay", "fleets_installed", 1);
}

fn check_proof(site: &Site, round: i64) {
    let registry = site.text_path("registry.toml");
    let name = format!("r4-1-{round}.proof");
    let checked = |file: &str, more: &[&str]| {
        let path = site.text_path(file);
        centauri(&[&["verify-proof", "--registry", &registry, &path][..], more].concat())
    };
    let file = format!("proofs/{name}");
    let found = checked(&file, &[]);
    let said = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    assert_eq!(said, format!("proven: r4 (node 4) signed 30 and 77.5 for round {round} of stream 1\n"));
    let json: Value = serde_json::from_slice(&checked(&file, &["--json"]).stdout).expect("JSON");
    assert_eq!((&json["node"], &json["round"]), (&"r4".into(), &round.into()), "{json}");

    let proof = std::fs::read(site.path(&file)).expect("the proof");
    for at in [0, proof.len() / 3, proof.len() / 2, proof.len() - 1] {
        let mut damaged = proof.clone();
        damaged[at] ^= 1;
        std::fs::write(site.path("damaged.proof"), damaged).expect("written");
        assert!(refused(&checked("damaged.proof", &[])).contains("damaged.proof: "), "byte {at}");
    }
    for length in [0, 1, proof.len() / 2, proof.len() - 1] {
        std::fs::write(site.path("short.proof"), &proof[..length]).expect("written");
        assert!(refused(&checked("short.proof", &[])).contains("short.proof: "), "{length} bytes");
    }
    // A registry with another key for the node.
    let other = Site::new(&NODES);
    let path = site.text_path(&file);
    let said = refused(&centauri(&["verify-proof", "--registry", &other.text_path("registry.toml"), &path]));
    assert!(said.contains(&name), "{said}");
}

/// Three replicas that are given nothing but a catalogue.
const ASKED: [&str; 3] = ["r1", "r2", "r3"];

#[test]
fn replicas_with_only_a_catalogue_compute_what_the_engine_asks() {
    let site = Site::new(&NODES);
    site.write("s1.csv", &readings_file(0.0));
    site.write("s2.csv", &readings_file(20.0));
    let sources = [source(&site, "s1", 1, "s1.csv"), source(&site, "s2", 2, "s2.csv")];
    let table = format!("[replica]\n{}", catalogue(&sources.each_ref()));
    let replicas = ASKED.map(|name| {
        site.configure(name, LOOPBACK, &table);
        site.start("node", name)
    });
    let model = [
        stream_model("mean", &ASKED, 201, 0.5, "{ on_time = 0.99 }"),
        stream_model("young", &ASKED, 201, 0.5, "{ on_time = 0.99 }"),
    ];
    site.write("model.toml", &("version = 1\n".to_owned() + &model.concat()));
    // The second leaves out what is older than 2.3 s when a window is closed: of readings at 0.1 and 0.3 s the first.
    let stream = |name: &str, query: &str, more: &str| {
        format!(
            "[[streams]]\nname = \"{name}\"\nquery = \"{query}\"\nperiod_s = 0.5\nclose_after_s = 4.5\n{more}"
        )
    };
    site.configure(
        "engine",
        LOOPBACK,
        &format!(
            "model = \"model.toml\"\noutput = \"decisions.jsonl\"\n{}{}{}",
            stream("mean", "mean(road/a/*) by 2500ms", ""),
            stream("young", "count(road/a/1 > 0) by 2500ms", "validity_s = 2.3\n"),
            upstreams("upstreams", &replicas, &ASKED)
        ),
    );
    let mut engine = site.start("serve", "engine");
    let is_whole = |decision: &&Value| decision["value"] == 1.0 && decision["quorum"].as_array().is_some();
    wait_until("rounds are decided", || {
        let told = site.path("decisions.jsonl").exists();
        told && decisions(&site, "young").values().filter(is_whole).count() >= 4
    });
    let settled: Vec<i64> =
        decisions(&site, "young").iter().filter(|(_, d)| is_whole(d)).map(|(round, _)| *round).collect();
    assert!(engine.is_running(), "{}", engine.log());
    let (first, last) = (settled[1], *settled.last().expect("some"));
    wait_until("the same rounds of the other", || decisions(&site, "mean").contains_key(&last));
    check_values(&site, "mean", first..last + 1, |round| reading(round) + 10.0);
    check_values(&site, "young", first..last + 1, |_| 1.0);

    engine.stop();
    replicas.into_iter().for_each(Process::stop);
    sources.into_iter().for_each(Process::stop);
    for name in ASKED {
        let counters = site.counters(name);
        assert_eq!(counters["computations_begun"], 2, "{name}: {counters}");
        assert_eq!(counters["requests_started"], 2, "{name}: {counters}");
    }
    assert_eq!(site.counters("engine")["requests_refused_by_others"], 0);
}

/// A site with one configuration of each kind, none of which has anything wrong with it.
fn good_site() -> Site {
    let site = Site::new(&NODES);
    site.write("readings.csv", "time_s,value\n1,2\n3,4\n");
    site.configure(
        "s1",
        LOOPBACK,
        "[source]\nstream = 5\nname = \"road/a/1\"\nreadings = \"readings.csv\"\n",
    );
    let model = MODEL_HEAD.to_owned() + &stream_model("road/a", &ASKED, 201, 0.5, BY_HOP);
    site.write("model.toml", &model);
    site.configure(
        "relay",
        LOOPBACK,
        "[replica]\nsamples = { monitor = \"127.0.0.1:9\" }\n[[replica.catalogue]]\nname = \"road/b/1\"\nnode = \"s1\"\n\
         stream = 5\naddress = \"127.0.0.1:9\"\n[[replica.streams]]\nid = 2\nname = \"town\"\ncomputation = \"mean\"\n\
         sources = [\"road/a\", \"road/b/*\"]\nperiod_s = 1\ndeadline_s = 3\n[replica.decides]\nmodel = \"model.toml\"\n\
         [[replica.decides.streams]]\nname = \"road/a\"\nid = 1\nperiod_s = 1\nclose_after_s = 2\n\
         [[replica.decides.upstreams]]\nnode = \"r1\"\naddress = \"127.0.0.1:9\"\n",
    );
    site.configure(
        "monitor",
        LOOPBACK,
        "[monitor]\ntargets = [\"127.0.0.1:9\"]\n[[monitor.distributions]]\nname = \"hop\"\nkind = \"latency\"\n\
         family = \"exponential\"\nfaults = 1\nsenders = [\"r1\", \"r2\", \"r3\"]\n",
    );
    site
}

#[test]
fn what_is_wrong_is_one_line_and_exit_code_2() {
    for (name, from, to, expected) in [
        ("s1", "stream = 5", "steam = 5", "s1.toml: line 8: unknown field `steam`"),
        ("s1", "[source]", "[monitor]\ntargets = []\ndistributions = []\n[source]", "found 2 of the tables"),
        ("s1", "node = \"s1\"", "node = \"s7\"", "found no node \"s7\""),
        ("s1", "node = \"s1\"", "node = \"r1\"", "\"r1\" has the role replica, expected source"),
        ("s1", "s1.key", "s2.key", "s2.key: the key is not the one that the registry has for node \"s1\""),
        ("s1", "s1.key", "none.key", "none.key: No such file"),
        ("s1", "readings.csv", "none.csv", "none.csv: No such file"),
        (
            "s1",
            "readings.csv",
            "model.toml",
            "model.toml: line 2: found \"[distributions]\", expected a number",
        ),
        ("s1", "\"epoll\"", "\"kqueue\"", "driver: unknown datagram driver \"kqueue\""),
        ("s1", "listen = \"127", "listen = \"x127", "s1.toml: line 1: invalid socket address"),
        ("s1", "[source]", "freshness_s = 0\n[source]", "freshness_s: found 0, expected seconds"),
        ("s1", "[source]", "[subscribers]\nttl_max_s = -1\n[source]", "subscribers.ttl_max_s: found -1"),
        (
            "relay",
            "\"mean\"",
            "\"median\"",
            "replica.streams 2: computation: found \"median\", expected count",
        ),
        (
            "relay",
            "road/b/*\"]",
            "road/c/*\"]",
            "replica.streams 2: sources: found \"road/c/*\", expected a name",
        ),
        ("relay", "road/b/*\"]", "road c\"]", "replica.streams 2: sources: "),
        ("relay", "road/b/1", "road b", "road b"),
        (
            "relay",
            "node = \"s1\"",
            "node = \"s9\"",
            "no node \"s9\", expected it there because of `replica.catalogue`",
        ),
        ("relay", "deadline_s = 3", "deadline_s = 3000", "deadline_ns"),
        ("relay", "deadline_s = 3", "deadline_s = 0", "replica.streams 2: deadline_s: found 0"),
        ("relay", "\nclose_after_s = 2", "", "streams \"road/a\": close_after_s: found none"),
        (
            "relay",
            "id = 1\nperiod_s = 1",
            "id = 1\nperiod_s = 0",
            "replica.decides: streams[0] \"road/a\": period_s: found 0",
        ),
        (
            "relay",
            "node = \"r1\"",
            "node = \"r4\"",
            "upstreams: found \"r4\", expected a replica of one of the streams",
        ),
        (
            "monitor",
            "\"latency\"",
            "\"delay\"",
            "monitor.distributions \"hop\": kind: found \"delay\", expected",
        ),
        ("monitor", "\"exponential\"", "\"bell\"", "monitor.distributions \"hop\": family: "),
        (
            "monitor",
            "\"r3\"]",
            "\"r9\"]",
            "no node \"r9\", expected it there because of `monitor.distributions`",
        ),
    ] {
        let site = good_site();
        let file = format!("{name}.toml");
        let text = site.read(&file);
        assert!(text.contains(from), "{file} has no {from:?}");
        site.write(&file, &text.replacen(from, to, 1));
        let said = refused(&centauri(&["node", "--config", &site.text_path(&file)]));
        assert!(said.contains(expected), "found {said:?}, expected {expected:?} in it");
        assert!(!site.path(&format!("{name}.json")).exists(), "nothing is written: {said}");
    }
    let site = good_site();
    let taken = UdpSocket::bind(LOOPBACK).expect("a socket");
    let text = site.read("s1.toml").replacen("127.0.0.1:0", &taken.local_addr().expect("one").to_string(), 1);
    site.write("s1.toml", &text);
    assert!(refused(&centauri(&["node", "--config", &site.text_path("s1.toml")])).contains("in use"));
    // Nothing was wrong before, and what is printed as the configuration in force reads back to itself.
    for name in ["s1", "relay", "monitor"] {
        let (site, elsewhere) = (good_site(), good_site());
        let print = |file: &str| centauri(&["node", "--print-config", "--config", file]);
        let printed = print(&site.text_path(&format!("{name}.toml")));
        let text = String::from_utf8(printed.stdout).expect("text");
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        let key = format!("key = {:?}", site.text_path(&format!("{name}.key")));
        for line in [&key, "driver = \"epoll\"", "requests_max = 1024"] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        elsewhere.write("printed.toml", &text);
        assert_eq!(String::from_utf8_lossy(&print(&elsewhere.text_path("printed.toml")).stdout), text);
    }
    for name in ["s1", "relay", "monitor"] {
        good_site().start("node", name).stop();
    }
}
