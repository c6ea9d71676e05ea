//! `centauri serve` where replicas of a later stage report how sure they are.

#[path = "serving/site.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod site;

use centauri::clock::now_ns;
use centauri_wire::*;
use site::Outcome as Ended;
use site::*;
use std::time::{Duration, Instant};

/// A site whose noise has a name and this standard deviation.
fn site(sd: f64, spreads: bool) -> Site {
    let site = Site::new();
    let noise =
        format!("version = 1\n[distributions]\nnoise = {{ family = \"normal\", mean = 0, sd = {sd} }}\n");
    let model = ["road/7", "road/8"].map(stream_model).concat();
    let inline = "noise = { family = \"normal\", mean = 0, sd = 2 }";
    site.write("model.toml", &(noise + &model.replace(inline, "noise = \"noise\"")));
    site.edit("serve.toml", "id = 7\n", &format!("id = 7\nspreads = {spreads}\n"));
    site
}

/// Reports a decision in the name of a replica.
fn report(sender: &mut Sender, node: u32, round: i64, value: f64, sd: f64) {
    sender.nonce += 1;
    let record = DecisionRecord {
        stream: STREAM,
        age_us: 0,
        nonce: sender.nonce,
        round,
        decided: true,
        replicas: 1,
        reported: 1,
        value,
        confidence: 0.5,
        mean: value,
        sd,
        low: value - sd,
        high: value + sd,
        quorum: QuorumBits(1),
    };
    let mut bytes = Vec::new();
    let mut frame = DecisionFrameBuilder::begin(&mut bytes, now_ns(), FRAME_BYTES_DATAGRAM);
    frame.push(&record).expect("room for a record");
    frame.finish(&key(NodeId(node)).identity(NodeId(node))).expect("a frame");
    sender.send(&bytes);
}

/// The standard deviation of a decision on the same reports by a server that has seen reports of this spread for a while, and how many
/// fleets it took up.
fn decided(noise_sd: f64, spreads: bool, reported_sd: f64) -> (f64, u64) {
    let site = site(noise_sd, spreads);
    let server = Server::start(&site, "epoll");
    let mut sender = Sender::new(server.address);
    let until = Instant::now() + Duration::from_secs(4);
    let mut last = 0;
    while Instant::now() < until {
        last = fresh_round();
        for (node, value) in [(1, 50.0), (2, 50.0), (3, 50.0), (4, 50.0)] {
            report(&mut sender, node, last, value, reported_sd);
        }
        after_close(last);
    }
    server.stop(15);
    let ended = Ended::read(&site);
    let decision = ended.decision("road/7", last);
    assert_eq!(decision["quorum"].as_array().map(Vec::len), Some(3), "{decision}");
    let sd = decision["sd"].as_f64().expect("a number");
    (sd, ended.counters["fleets_installed"].as_u64().expect("a count"))
}

/// Independent spreads add by their squares: 3² + 4² = 5².
#[test]
fn the_reported_spread_widens_decisions_as_its_square_added_to_that_of_the_noise() {
    let runs = [(3.0, true, 4.0), (5.0, false, 4.0), (3.0, false, 4.0), (3.0, true, 0.0)];
    let threads =
        runs.map(|(noise, spreads, reported)| std::thread::spawn(move || decided(noise, spreads, reported)));
    let [added, wide, narrow, sure] = threads.map(|thread| thread.join().expect("a server that decides"));
    assert!((added.0 / wide.0 - 1.0).abs() < 1e-12, "{added:?} and {wide:?}");
    assert!((added.0 / narrow.0 - 5.0 / 3.0).abs() < 0.05, "{added:?} and {narrow:?}");
    assert_eq!(sure.0, narrow.0, "who is sure adds nothing");
    assert_eq!([added.1, wide.1, narrow.1, sure.1], [1, 0, 0, 0]);
}

#[test]
fn a_noise_without_a_name_is_refused_in_one_line() {
    let site = Site::new();
    site.edit("serve.toml", "id = 7\n", "id = 7\nspreads = true\n");
    let output = command(&site.path("serve.toml"), "epoll").output().expect("the command runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = errors.lines().find(|line| line.starts_with("centauri: ")).unwrap_or_default();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(
        line.contains("streams \"road/7\": spreads: found it with a noise without a name, expected one of"),
        "{errors}"
    );
}
