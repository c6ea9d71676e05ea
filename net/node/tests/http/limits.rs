//! Who may come in, and what nobody can do to the server.

use super::*;
use std::io::{Read as _, Write as _};

/// Makes a token and adds its line to the site's file.
pub(crate) fn make_token(site: &Site, name: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_centauri"))
        .args(["token", "--name", name, "--append"])
        .arg(site.path("tokens.toml"))
        .output()
        .expect("the command runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[test]
fn who_has_a_token_may_read_and_nobody_sees_it() {
    let site = site_with("tokens = \"tokens.toml\"");
    let (token, other) = (make_token(&site, "dashboard"), make_token(&site, "other"));
    let text = std::fs::read_to_string(site.path("tokens.toml")).expect("the file");
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(!text.contains(&token) && !text.contains(token.trim_start_matches("centauri_")), "{text}");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(site.path("tokens.toml")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o77, 0, "for its owner alone");

    let mut process = command(&site.path("serve.toml"), "epoll");
    process.env("RUST_LOG", "trace");
    let server = Server::start_command(process);
    let http = server.http.expect("an address");
    for path in ["/streams", "/streams/road/7", "/decisions", "/metrics"] {
        for headers in [
            "",
            "Authorization: Bearer centauri_00\r\n",
            "Authorization: Basic QTpC\r\n",
            "Authorization: Bearer \r\n",
        ] {
            let answer = request(http, "GET", path, headers);
            assert_eq!(answer.status, 401, "{path} {headers}: {answer:?}");
            assert!(answer.head.to_lowercase().contains("www-authenticate: bearer"), "{answer:?}");
            assert!(answer.error().starts_with("found "), "{answer:?}");
        }
        assert_eq!(get(http, &format!("{path}?access_token=wrong")).status, 401);
        for token in [&token, &other] {
            let header = format!("Authorization: bearer {token}\r\n");
            assert_eq!(request(http, "HEAD", path, &header).status, 200, "{path}");
            assert_eq!(
                request(http, "HEAD", &format!("{path}?access_token={token}"), "").status,
                200,
                "{path}"
            );
        }
    }
    for path in ["/", "/health", "/openapi.json"] {
        assert_eq!(get(http, path).status, 200, "{path}");
    }
    let health = get(http, "/health").json();
    assert_eq!((&health["status"], health["version"].is_string()), (&"live".into(), true));
    let log = server.stop(15);
    assert!(log.contains("/streams"), "requests are in the log: {log}");
    for secret in [&token, &other] {
        assert!(!log.contains(secret.as_str()) && !log.contains("access_token"), "{log}");
    }
}

#[test]
fn who_shows_none_may_read_where_that_is_said() {
    let site = site_with("tokens = \"tokens.toml\"\nallow_anonymous = true");
    let token = make_token(&site, "a");
    let (server, http) = start(&site);
    assert_eq!(get(http, "/streams").status, 200);
    assert_eq!(get(http, &format!("/streams?access_token={token}")).status, 200);
    assert_eq!(get(http, "/streams?access_token=wrong").status, 401);
    server.stop(15);
}

#[test]
fn what_is_wrong_with_the_table_is_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = taken.local_addr().expect("an address").to_string();
    for (lines, expected) in [
        ("tokens = \"none.toml\"", "none.toml: No such file"),
        ("tokens = \"model.toml\"", "model.toml: "),
        ("tls_certificate = \"model.toml\"\ntls_key = \"engine.key\"", "model.toml: found no certificate"),
        ("clients_max = 0", "http.clients_max: found 0"),
    ] {
        check_refused(&site_with(lines), expected);
    }
    let site = site_with("");
    site.edit("serve.toml", "[http]\nlisten = \"127.0.0.1:0\"", &format!("[http]\nlisten = \"{address}\""));
    check_refused(&site, "http.listen 127.0.0.1");
    let site = site_with("");
    site.edit("serve.toml", "[http]\nlisten = \"127.0.0.1:0\"", "[http]\nlisten = \"0.0.0.0:0\"");
    check_refused(&site, "found 0.0.0.0:0 without tokens");
}

fn check_refused(site: &Site, expected: &str) {
    let output = command(&site.path("serve.toml"), "epoll").output().expect("the command runs");
    let errors = String::from_utf8(output.stderr).expect("text");
    let last = errors.lines().last().unwrap_or_default();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(last.starts_with("centauri: ") && last.contains(expected), "{expected}: {errors}");
    assert!(!site.path("decisions.jsonl").exists(), "nothing is written");
}

#[test]
fn there_are_only_so_many_places() {
    let site = site_with("clients_max = 2");
    let (server, http) = start(&site);
    let (first, second) = (connect(http), Events::open(http, "/decisions"));
    // The first says nothing, and has a place all the same.
    let answer = eventually(http, "/health", |answer| answer.status == 503);
    assert!(answer.error().contains("found no place"), "{answer:?}");
    assert!(answer.head.contains("Retry-After"), "{answer:?}");
    drop(first);
    eventually(http, "/health", |answer| answer.status == 200);
    // One client follows half as often as there are places, and not once more.
    eventually(http, "/decisions", |answer| answer.status == 429);
    drop(second);
    let is_free = |answer: &Answer| answer.status == 200;
    let until = std::time::Instant::now() + PATIENCE;
    while !is_free(&request(http, "HEAD", "/decisions", "")) {
        assert!(std::time::Instant::now() < until);
    }
    server.stop(15);
}

#[test]
fn malformed_requests_do_no_harm() {
    let site = site_with("stall_s = 0.5");
    let (server, http) = start(&site);
    let long = "x".repeat(100_000);
    let many: String = (0..1_000).map(|i| format!("X-{i}: 1\r\n")).collect();
    let noise: Vec<u8> = (0..50_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let requests: [&[u8]; 13] = [
        b"",
        b"\0\0\0\0\r\n\r\n",
        &noise,
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET /streams HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
        b"GET /streams HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"GET /streams HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        &format!("GET /{long} HTTP/1.1\r\n\r\n").into_bytes(),
        &format!("GET / HTTP/1.1\r\nX: {long}\r\n\r\n").into_bytes(),
        &format!("GET / HTTP/1.1\r\n{many}\r\n").into_bytes(),
        &format!(
            "GET /streams?{} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
            "pattern=*&".repeat(900)
        )
        .into_bytes(),
    ];
    for bytes in requests {
        let answer = exchange(http, bytes);
        let text = String::from_utf8_lossy(&answer);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        assert!(answer.is_empty() || text.starts_with("HTTP/1.1 4"), "{shown:?}: {text}");
        assert_eq!(get(http, "/health").status, 200, "after {shown:?}");
    }
    let body = request(http, "POST", "/streams", "Content-Length: 1000000000\r\n");
    assert_eq!((body.status, body.error().as_str()), (413, "found a body, expected none"));
    // A head that never ends, a byte at a time, ends with the connection.
    let mut slow = connect(http);
    let begun = std::time::Instant::now();
    let mut is_open = true;
    while is_open && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
        is_open = slow.write_all(b"G").is_ok();
    }
    let mut rest = Vec::new();
    assert!(!is_open || slow.read_to_end(&mut rest).is_ok());
    assert!(begun.elapsed() < PATIENCE, "nobody may be slow for ever");
    assert_eq!(get(http, "/health").status, 200);
    let log = server.stop(15);
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn who_is_slow_is_told_what_it_missed_and_keeps_nobody_waiting() {
    let site = site_with("queue_decisions = 64\nstall_s = 300");
    for _ in 0..2 {
        site.edit(
            "serve.toml",
            "period_s = 0.5\nclose_after_s = 0.45",
            "period_s = 0.005\nclose_after_s = 0.004",
        );
    }
    let (server, http) = start(&site);
    let mut slow = Events::open(http, "/decisions");
    let url = format!("ws://{http}/decisions");
    let (mut slow_socket, _) = tungstenite::connect(&url).expect("a WebSocket");
    let first = slow.next().expect("an event");
    // Nobody reads until the counters say that something has been missed, which takes as long as it takes to fill what the
    // kernel keeps at both ends.
    let has_missed = |answer: &Answer| {
        samples(&answer.body)
            .get("centauri_http_decisions_missed_total")
            .is_some_and(|missed| *missed > 2_000.0)
    };
    eventually(http, "/metrics", has_missed);
    let events = until_caught_up(vec![first], || slow.next().expect("an event"));
    let messages = until_caught_up(Vec::new(), || {
        loop {
            if let tungstenite::Message::Text(text) = slow_socket.read().expect("a message") {
                let message: Value = serde_json::from_str(&text).expect("JSON");
                let (name, id) =
                    (message["event"].as_str(), message["id"].as_str().unwrap_or_default().to_owned());
                break Event { name: name.expect("a name").to_owned(), id, data: message["data"].clone() };
            }
        }
    });
    drop((slow, slow_socket));
    server.stop(15);
    let outcome = Outcome::read(&site);
    check_missed(&events, &outcome);
    check_missed(&messages, &outcome);
    outcome.check_count("rounds_undecided", 0);
}

/// Everything until both streams have been heard of after something was missed: then all that was missed before has been told.
fn until_caught_up(mut events: Vec<Event>, mut next: impl FnMut() -> Event) -> Vec<Event> {
    let (mut has_missed, mut since) = (false, BTreeSet::new());
    while !has_missed || since.len() < 2 {
        let event = next();
        match event.data["stream"].as_str() {
            Some(stream) => drop(since.insert(stream.to_owned())),
            None => since.clear(),
        }
        has_missed |= event.name == "missed";
        events.push(event);
    }
    events
}

/// What was told and what was missed is together what the server decided meanwhile.
fn check_missed(events: &[Event], outcome: &Outcome) {
    let missed: u64 = events.iter().filter_map(|event| event.data["missed"].as_u64()).sum();
    let late = |event: &Event| Some(event.data["decided_at"].as_f64()? - event.data["deadline_at"].as_f64()?);
    let latest = events.iter().filter_map(late).fold(0.0, f64::max);
    assert!(latest < 5.0, "no deadline waits for who is slow: {latest} s late");
    let (mut told, mut decided) = (0, 0);
    for stream in ["road/7", "road/8"] {
        let rounds: Vec<i64> = events
            .iter()
            .filter(|event| event.data["stream"] == stream)
            .filter_map(|event| event.data["round"].as_i64())
            .collect();
        assert!(rounds.windows(2).all(|pair| pair[0] < pair[1]), "{stream}: {rounds:?}");
        let between = *rounds.first().expect("events")..=*rounds.last().expect("events");
        let in_file = outcome.decisions.iter().filter(|line| line["stream"] == stream);
        decided += in_file
            .filter(|line| line["round"].as_i64().is_some_and(|round| between.contains(&round)))
            .count();
        told += rounds.len();
    }
    // Following may begin between the decisions of the two streams.
    let expected = (told as u64) + missed;
    assert!(
        missed > 0 && expected.abs_diff(decided as u64) <= 1,
        "{told} told, {missed} missed, {decided} decided"
    );
}
