//! The HTTP side of `centauri serve`, and `centauri watch`, as processes over real sockets.

#[path = "http/limits.rs"]
mod limits;
#[path = "serving/site.rs"]
#[expect(dead_code, reason = "the tests of frames need more of it")]
mod site;
#[path = "http/watching.rs"]
mod watching;
#[path = "serving/web.rs"]
mod web;

use serde_json::Value;
use site::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;
use web::*;

const BEYOND: [&str; 6] = ["deadline_at", "decided_at", "published_at", "reports", "equivocated", "left_out"];

/// A site with an `[http]` of these lines.
fn site_with(lines: &str) -> Site {
    let site = Site::new();
    let table = format!("\n[http]\nlisten = \"127.0.0.1:0\"\n{lines}\n[[streams]]");
    site.edit("serve.toml", "\n[[streams]]", &table);
    site
}

/// A site of many streams that is divided among threads.
fn site_of_many(count: u32, shards: usize) -> Site {
    let site = site_with("");
    let name =
        |number: u32| format!("{}/{number:02}", if number.is_multiple_of(2) { "road" } else { "rail" });
    let models: String = (0..count).map(|number| stream_model(&name(number))).collect();
    site.write("model.toml", &format!("version = 1\n{models}"));
    let text = std::fs::read_to_string(site.path("serve.toml")).expect("the configuration");
    let (head, _) = text.split_once("\n[[streams]]").expect("streams");
    let (top, http) = head.split_once("\n[http]").expect("http");
    let tables: String = (0..count)
        .map(|n| {
            format!("\n[[streams]]\nname = \"{}\"\nid = {n}\nperiod_s = 0.5\nclose_after_s = 0.45\n", name(n))
        })
        .collect();
    site.write("serve.toml", &format!("{top}\nshards = {shards}\n[http]{http}\n{tables}"));
    site
}

fn start(site: &Site) -> (Server, SocketAddr) {
    let server = Server::start(site, "epoll");
    let http = server.http.expect("an address for HTTP");
    (server, http)
}

/// Asks until the answer is as it should be.
fn eventually(to: SocketAddr, path: &str, is_good: impl Fn(&Answer) -> bool) -> Answer {
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        let answer = get(to, path);
        if is_good(&answer) {
            return answer;
        }
        assert!(std::time::Instant::now() < until, "{path}: {answer:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What a decision has of a decision file's columns, and what it has beyond them.
fn divided(row: &Value) -> (Value, BTreeMap<String, Value>) {
    let mut row = row.as_object().expect("an object").clone();
    let beyond = BEYOND.map(|key| (key.to_owned(), row.remove(key).unwrap_or_else(|| panic!("no {key}"))));
    (Value::Object(row), beyond.into())
}

/// Events must be the lines that the server wrote: those of a stream all, from the first to the last that it decided.
fn check_events(events: &[Value], outcome: &Outcome, streams: &[&str]) {
    let of = |rows: &[Value], stream: &str| -> Vec<Value> {
        rows.iter().filter(|row| row["stream"] == stream).cloned().collect()
    };
    for stream in streams {
        let (events, lines) = (of(events, stream), of(&outcome.decisions, stream));
        let first = &events.first().unwrap_or_else(|| panic!("no event of {stream}"))["round"];
        let from =
            lines.iter().position(|line| line["round"] == *first).expect("the line of the first event");
        let columns: Vec<Value> = events.iter().map(|event| divided(event).0).collect();
        assert_eq!(columns, lines[from..], "{stream}");
        assert!(columns.len() >= 2, "{stream}: {columns:?}");
    }
    assert!(events.iter().all(|event| streams.iter().any(|stream| event["stream"] == *stream)));
}

/// All events to the end, and how many signs of life came between them.
fn all_events(mut events: Events) -> (Vec<Event>, usize) {
    let all = std::iter::from_fn(|| events.next()).collect();
    (all, events.comments)
}

fn lying_round(server: &Server) -> i64 {
    let mut sender = Sender::new(server.address);
    let round = fresh_round();
    for (node, value) in [(1, 50.2), (2, 51.1), (3, 49.0), (4, 90.0)] {
        sender.report(node, round, value);
    }
    round
}

#[test]
fn what_is_decided_is_shown_with_reasons_and_followed_to_the_end() {
    let site = site_with("heartbeat_s = 0.1");
    let (server, http) = start(&site);
    let all = Events::open(http, "/decisions");
    let one = Events::open(http, "/decisions?stream=*/7&stream=nothing/*");
    let url = format!("ws://{http}/decisions?stream=road/7");
    let (mut socket, response) = tungstenite::connect(&url).expect("a WebSocket");
    assert_eq!(response.status(), 101);
    let (all, one) = (std::thread::spawn(|| all_events(all)), std::thread::spawn(|| all_events(one)));
    let messages = std::thread::spawn(move || {
        let mut messages: Vec<Value> = Vec::new();
        loop {
            match socket.read() {
                Ok(tungstenite::Message::Text(text)) => {
                    messages.push(serde_json::from_str(&text).expect("JSON"));
                }
                Ok(tungstenite::Message::Close(frame)) => return (messages, frame.map(|frame| frame.code)),
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    let round = lying_round(&server);
    let is_there = |answer: &Answer| answer.json()["decision"]["round"].as_i64() >= Some(round);
    let detail = eventually(http, "/streams/road/7", is_there).json();
    check_detail(&detail, round);
    let page = get(http, "/streams").json();
    assert_eq!(page["streams"][0]["name"], "road/7");
    assert_eq!(page["streams"][0]["replicas"], serde_json::json!(["r1", "r2", "r3", "r4"]));
    assert!(page["streams"][0]["round"].as_i64() >= Some(round) && page["next"].is_null(), "{page}");
    std::thread::sleep(Duration::from_millis(1_200));
    server.stop(15);

    let outcome = Outcome::read(&site);
    let rows = |events: &[Event]| -> Vec<Value> { events.iter().map(|event| event.data.clone()).collect() };
    let ((all, _), (one, signs)) = (all.join().expect("events"), one.join().expect("events"));
    assert!(signs > 0, "a sign of life every 0.1 s");
    let (messages, code) = messages.join().expect("messages");
    check_events(&rows(&all), &outcome, &["road/7", "road/8"]);
    check_events(&rows(&one), &outcome, &["road/7"]);
    let data: Vec<Value> = messages.iter().map(|message| message["data"].clone()).collect();
    check_events(&data, &outcome, &["road/7"]);
    assert_eq!(code, Some(tungstenite::protocol::frame::coding::CloseCode::Away));
    assert!(all.iter().all(|event| event.name == "decision"));
    assert!(messages.iter().all(|message| message["event"] == "decision" && message["id"].is_string()));
    let ids: BTreeSet<&str> = all.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids.len(), all.len(), "each has its own id");
    check_beyond(&all, round);
}

fn check_detail(detail: &Value, round: i64) {
    assert_eq!((&detail["name"], &detail["faults"]), (&"road/7".into(), &1.into()));
    // Whoever was slow to ask sees a later round, in which nobody spoke.
    if detail["decision"]["round"] != round {
        assert!(
            detail["replicas"].as_array().is_some_and(|all| all.iter().all(|r| r["report"] == "missing"))
        );
        return;
    }
    assert_eq!(detail["decision"]["value"], 50.0, "{detail}");
    let liar = &detail["replicas"][3];
    assert_eq!(
        (&liar["name"], &liar["report"], &liar["value"]),
        (&"r4".into(), &"value".into(), &90.0.into())
    );
    assert_eq!((&liar["in_quorum"], &detail["replicas"][0]["in_quorum"]), (&false.into(), &true.into()));
    assert!(liar["honest"].as_f64().is_some_and(|p| p < 1e-6), "{liar}");
    let reason = liar["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("left out: its value 90 lies") && reason.contains("above"), "{reason}");
}

fn check_beyond(events: &[Event], round: i64) {
    let is_lying = |event: &&Event| event.data["stream"] == "road/7" && event.data["round"] == round;
    let event = events.iter().find(is_lying).expect("the event");
    let (_, beyond) = divided(&event.data);
    assert_eq!(beyond["reports"], serde_json::json!({"r1": 50.2, "r2": 51.1, "r3": 49.0, "r4": 90.0}));
    assert_eq!(beyond["equivocated"], serde_json::json!([]));
    assert_eq!(beyond["left_out"][0]["replica"], "r4", "{beyond:?}");
    let deadline = (round * PERIOD_NS + CLOSE_AFTER_NS) as f64 / 1e9;
    let time = |key: &str| beyond[key].as_f64().expect("a time");
    assert!((time("deadline_at") - deadline).abs() < 1e-5, "{deadline}: {beyond:?}");
    assert!(
        time("decided_at") >= time("deadline_at") - 1e-5 && time("published_at") >= time("decided_at") - 1e-5
    );
}

#[test]
fn a_server_of_several_threads_pages_and_filters_and_tells_all() {
    let site = site_of_many(20, 2);
    let (server, http) = start(&site);
    let events = Events::open(http, "/decisions?stream=rail/*");
    let events = std::thread::spawn(|| all_events(events));
    let mut expected: Vec<String> = (0..10).map(|i| format!("rail/{:02}", 2 * i + 1)).collect();
    expected.extend((0..10).map(|i| format!("road/{:02}", 2 * i)));
    for limit in [1, 3, 20, 1_000] {
        let (mut found, mut pages, mut path) = (Vec::new(), 0, format!("/streams?limit={limit}"));
        loop {
            let page = get(http, &path).json();
            let names = page["streams"].as_array().expect("a list").iter();
            found.extend(names.filter_map(|stream| stream["name"].as_str().map(str::to_owned)));
            pages += 1;
            let Some(next) = page["next"].as_str() else { break };
            path = format!("/streams?limit={limit}&after={next}");
        }
        assert_eq!((&found, pages), (&expected, 20_usize.div_ceil(limit)), "limit {limit}");
    }
    let names = |path: &str| -> Vec<String> {
        let page = get(http, path).json();
        let streams = page["streams"].as_array().expect("a list").iter();
        streams.filter_map(|stream| stream["name"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(names("/streams?pattern=road/*"), expected[10..]);
    assert_eq!(names("/streams?pattern=*/0*&limit=3"), expected[..3]);
    assert_eq!(names("/streams?pattern=road%2F02&pattern=rail/*3"), ["rail/03", "rail/13", "road/02"]);
    assert_eq!(names("/streams?after=rail/zz"), expected[10..]);
    let is_decided = |answer: &Answer| {
        let page = answer.json();
        page["streams"].as_array().is_some_and(|all| all.iter().all(|stream| stream["round"].is_i64()))
    };
    eventually(http, "/streams", is_decided);
    std::thread::sleep(Duration::from_millis(1_200));
    server.stop(15);
    let rows: Vec<Value> = events.join().expect("events").0.into_iter().map(|event| event.data).collect();
    let rail: Vec<&str> = expected[..10].iter().map(String::as_str).collect();
    check_events(&rows, &Outcome::read(&site), &rail);
}

#[test]
fn what_is_wrong_with_a_request_is_said() {
    let site = site_with("");
    let (server, http) = start(&site);
    for (path, status, expected) in [
        ("/nothing", 404, "found no such path"),
        ("/streams/road/77", 404, "found no stream \"road/77\"; near it: road/7, road/8"),
        ("/streams/x", 404, "GET /streams lists"),
        ("/streams/%ff", 400, "found no name in the path"),
        ("/decisions?stream=raod/*", 404, "found no stream \"raod/*\"; near it: road/"),
        ("/streams?patern=x", 400, "found the parameter \"patern\", expected after or limit or pattern"),
        ("/streams?limit=0", 400, "limit: found \"0\", expected 1 to 1000"),
        ("/streams?limit=-1", 400, "limit: found \"-1\""),
        ("/streams?pattern=", 400, "found a pattern of 0 characters"),
        ("/decisions?limit=3", 400, "found the parameter \"limit\", expected stream"),
    ] {
        let answer = get(http, path);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(answer.error().contains(expected), "{path}: {answer:?}");
    }
    for method in ["POST", "DELETE", "OPTIONS"] {
        let answer = request(http, method, "/streams", "");
        assert_eq!(
            (answer.status, answer.error().contains("expected GET or HEAD")),
            (405, true),
            "{answer:?}"
        );
    }
    let elsewhere = "Upgrade: websocket\r\nOrigin: http://example.org\r\n";
    assert_eq!(request(http, "GET", "/decisions", elsewhere).status, 403);
    let half = request(http, "GET", "/decisions", "Upgrade: websocket\r\n");
    assert_eq!((half.status, half.error().is_empty()), (400, false), "{half:?}");
    let renamed = exchange(http, b"GET /streams HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n");
    assert_eq!(parse(&renamed).status, 403, "another name that leads to this machine");
    // Answers to HEAD are those to GET without what follows the head.
    for path in ["/", "/health", "/streams", "/streams/road/7", "/metrics", "/openapi.json", "/decisions"] {
        let answer = request(http, "HEAD", path, "");
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{path}: {answer:?}");
    }
    server.stop(15);
}

#[test]
fn the_description_is_of_what_there_is() {
    let site = site_with("");
    let (server, http) = start(&site);
    let answer = get(http, "/openapi.json");
    let description = answer.json();
    assert!(
        description["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")),
        "{description}"
    );
    let paths = description["paths"].as_object().expect("paths");
    let expected = ["/decisions", "/health", "/metrics", "/replicas", "/streams", "/streams/{name}"];
    assert_eq!(paths.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected.into());
    for (path, operations) in paths {
        let answer = request(http, "HEAD", &path.replace("{name}", "road/7"), "");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let told = &operations["get"]["responses"]["200"]["content"];
        let media = told.as_object().and_then(|told| told.keys().next()).expect("a type");
        assert!(answer.head.to_lowercase().contains(&format!("content-type: {media}")), "{path}: {answer:?}");
    }
    // Every reference leads somewhere.
    let mut references = Vec::new();
    collect_references(&description, &mut references);
    assert!(references.len() > 5, "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a reference within");
        assert!(description.pointer(pointer).is_some(), "{reference}");
    }
    check_page(http);
    // Without tokens none is asked for.
    for word in ["securitySchemes", "\"401\"", "oken"] {
        assert!(!answer.body.contains(word), "{word}: {description}");
    }
    server.stop(15);
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(parts) => {
            found.extend(parts.get("$ref").and_then(Value::as_str).map(str::to_owned));
            parts.values().for_each(|part| collect_references(part, found));
        }
        Value::Array(parts) => parts.iter().for_each(|part| collect_references(part, found)),
        _ => {}
    }
}

fn check_page(http: SocketAddr) {
    let (page, again) = (get(http, "/"), get(http, "/"));
    assert_eq!(page.status, 200);
    let nonce = |page: &Answer| {
        let (_, rest) = page.head.split_once("script-src 'nonce-").expect("a policy");
        rest.split_once('\'').expect("its end").0.to_owned()
    };
    assert_ne!(nonce(&page), nonce(&again));
    assert_eq!(
        page.body.matches("<script").count(),
        page.body.matches(&format!("<script nonce=\"{}\"", nonce(&page))).count()
    );
    for outside in ["src=\"", "url(", "@import", "https://", "NONCE", "innerHTML"] {
        assert!(!page.body.contains(outside), "{outside}");
    }
    let head = page.head.to_lowercase();
    for header in ["x-content-type-options: nosniff", "referrer-policy: no-referrer", "x-frame-options: deny"]
    {
        assert!(head.contains(header), "{header}: {head}");
    }
    assert!(!head.contains("access-control-allow"), "{head}");
}

#[test]
fn metrics_are_what_the_server_counts() {
    for shards in [1, 2] {
        let site = site_of_many(4, shards);
        let (server, http) = start(&site);
        let mut sender = Sender::new(server.address);
        let identity = key(centauri_wire::NodeId(1)).identity(centauri_wire::NodeId(1));
        let frame =
            sender.frame_of(&identity, centauri::clock::now_ns(), &[(centauri_wire::StreamId(0), 0, 1.0)]);
        sender.send(&frame);
        sender.send(b"garbage");
        let is_counted = |answer: &Answer| answer.body.contains("\ncentauri_frames_received_total 2\n");
        let answer = eventually(http, "/metrics", is_counted);
        let samples = samples(&answer.body);
        assert_eq!(samples["centauri_frames_accepted_total"], 1.0);
        assert_eq!(samples["centauri_driver_datagrams_total"], 2.0);
        assert_eq!(samples["centauri_streams"], 4.0);
        assert!(answer.body.contains("\ncentauri_info{version=\""), "{}", answer.body);
        promtool(&answer.body);
        server.stop(15);
        // Everything that the counters file has is there.
        let counters = Outcome::read(&site).counters;
        for name in counters.as_object().expect("an object").keys().filter(|name| counters[*name].is_u64()) {
            let found = [format!("centauri_{name}_total"), format!("centauri_{name}")];
            assert!(found.iter().any(|name| samples.contains_key(name)), "{name}: {samples:?}");
        }
    }
}

/// Samples by name, labels included; every line must be as the format has it.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let (mut kinds, mut samples) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a kind");
            assert!(is_name(name) && ["counter", "gauge"].contains(&kind), "{line}");
            assert!((kind == "counter") == name.ends_with("_total"), "{line}");
            assert!(kinds.insert(name.to_owned(), kind).is_none(), "twice: {line}");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').expect("a sample");
            let bare = name.split('{').next().expect("a name");
            assert!(kinds.contains_key(bare), "a sample before its type: {line}");
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            assert!(samples.insert(name.to_owned(), value).is_none(), "twice: {line}");
        }
    }
    samples
}

fn promtool(text: &str) {
    let mut command = Command::new("promtool");
    let piped = || std::process::Stdio::piped();
    let Ok(mut process) =
        command.args(["check", "metrics"]).stdin(piped()).stdout(piped()).stderr(piped()).spawn()
    else {
        println!("skipped: promtool is not to be had here");
        return;
    };
    let mut input = process.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut input, text.as_bytes()).expect("written");
    drop(input);
    let output = process.wait_with_output().expect("promtool ends");
    // It also has opinions on style, which it tells without failing.
    assert!(output.status.success() || output.status.code() == Some(3), "{output:?}");
}
