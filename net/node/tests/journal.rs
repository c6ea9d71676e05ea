//! `centauri serve` with a journal: what outlives the process, whatever ends it.

#[path = "journaling/blocks.rs"]
mod blocks;
#[path = "serving/site.rs"]
#[expect(dead_code, reason = "what tests of the journal do not need")]
mod site;
#[path = "journaling/store.rs"]
mod store;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use centauri::clock::now_ns;
use centauri_wire::{Distribution, DistributionBody, DistributionFamily, NodeEntry, NodeId, Registry, Role};
use serde_json::Value;
use site::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const TABLE: &str = "\n[journal]\npath = \"server.journal\"\ncommit_ms = 20\n";

fn site_with_journal(more: &str) -> Site {
    let site = Site::new();
    site.edit("serve.toml", "\n[[streams]]", &format!("{TABLE}{more}\n[[streams]]"));
    site
}

fn journal(arguments: &[&str], file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centauri"));
    command.arg("journal").args(arguments).arg("--journal").arg(file).output().expect("the command runs")
}

fn info(site: &Site) -> Value {
    let run = journal(&["info", "--json"], &site.path("server.journal"));
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_slice(&run.stdout).expect("JSON")
}

fn export(site: &Site, name: &str, more: &[&str]) -> PathBuf {
    let output = site.path(name);
    let path = output.display().to_string();
    let arguments: Vec<&str> =
        ["export", "--output", &path].into_iter().chain(more.iter().copied()).collect();
    let run = journal(&arguments, &site.path("server.journal"));
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    output
}

/// Decisions by stream and round; none twice.
fn decisions(file: &Path) -> BTreeMap<(String, i64), String> {
    let text = std::fs::read_to_string(file).expect("the file is there");
    let mut decisions = BTreeMap::new();
    for line in text.lines() {
        let decision: Value = serde_json::from_str(line).expect("a JSON line");
        let stream = decision["stream"].as_str().expect("a name").to_owned();
        let round = decision["round"].as_i64().expect("a number");
        let before = decisions.insert((stream, round), line.to_owned());
        assert_eq!(before, None, "a round is decided twice: {line}");
    }
    decisions
}

impl Server {
    /// As a power failure of the process: nothing is told to it.
    fn kill(mut self) -> String {
        self.process.kill().expect("the process can be killed");
        self.process.wait().expect("the process can be waited for");
        self.log.join().expect("the log was read")
    }
}

/// Waits until the server has rounds open again and takes reports, and sends some, for so many rounds. Gives the frames.
fn traffic(server: &Server, rounds: u32, value: f64) -> Vec<Vec<u8>> {
    let mut sender = Sender::new(server.address);
    let mut frames = Vec::new();
    for _ in 0..rounds {
        let round = fresh_round();
        for node in 1..=4 {
            frames.push(sender.report(node, round, value + f64::from(node) * 0.1));
        }
        after_close(round);
    }
    frames
}

/// Sends reports of all replicas, of the round that the clock is in, until it is told to stop. Gives the frames that were sent.
fn stream_of_reports(address: std::net::SocketAddr, stop: Arc<AtomicBool>) -> JoinHandle<Vec<Vec<u8>>> {
    std::thread::spawn(move || {
        let mut sender = Sender::new(address);
        let mut frames = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let now = now_ns();
            for node in 1..=4 {
                // One of them has a clock that is ahead.
                let ahead_ns = if node == 3 { 400_000_000 } else { 0 };
                let signer = key(NodeId(node)).identity(NodeId(node));
                let records = [
                    (STREAM, now.div_euclid(PERIOD_NS), 50.0),
                    (OTHER_STREAM, now.div_euclid(PERIOD_NS), 51.0),
                ];
                let frame = sender.frame_of(&signer, now + ahead_ns, &records);
                sender.send(&frame);
                frames.push(frame);
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        frames
    })
}

#[test]
fn after_a_kill_nothing_is_accepted_or_decided_again_and_the_gap_is_told() {
    for shards in [1, 2] {
        let site = site_with_journal("");
        site.edit("serve.toml", "\nfreshness_s", &format!("\nshards = {shards}\nfreshness_s"));
        let mut all: Vec<Vec<u8>> = Vec::new();
        for turn in 0..4_u64 {
            let server = Server::start(&site, "epoll");
            // Between other frames, what earlier servers accepted comes again.
            let mut again = Sender::new(server.address);
            all.iter().rev().take(200).for_each(|frame| again.send(frame));
            let stop = Arc::new(AtomicBool::new(false));
            let sending = stream_of_reports(server.address, Arc::clone(&stop));
            std::thread::sleep(Duration::from_millis(2_600 + 137 * turn));
            let log = server.kill();
            stop.store(true, Ordering::Relaxed);
            all.extend(sending.join().expect("the sender ends"));
            assert_eq!(log.contains("a gap: rounds of which"), turn > 0, "{log}");
        }
        // The last one says what it accepts of what came before: nothing, now or when the reservation has passed.
        let server = Server::start(&site, "epoll");
        let mut again = Sender::new(server.address);
        let last = all.len().saturating_sub(600);
        for pause in [0, 1_800] {
            std::thread::sleep(Duration::from_millis(pause));
            all[last..].iter().for_each(|frame| again.send(frame));
        }
        std::thread::sleep(Duration::from_millis(200));
        let log = server.stop(15);
        let counters = Outcome::read(&site).counters;
        assert_eq!(counters["frames_accepted"], 0, "{counters}\n{log}");
        assert_eq!(counters["rejected_stale"], again.sent, "{counters}");

        let published = decisions(&site.path("decisions.jsonl"));
        let kept = decisions(&export(&site, "kept.jsonl", &[]));
        assert!(kept.len() > 12, "{}", kept.len());
        for (round, line) in &kept {
            assert_eq!(published.get(round), Some(line), "what is kept was published");
        }
        let heard = published.values().filter(|line| !line.contains("\"quorum\":[]")).count();
        assert!(heard > 4, "decisions come of what was sent: {heard}");
        let info = info(&site);
        assert_eq!(info["gaps"].as_array().map(Vec::len), Some(4), "{info}");
        assert_eq!(
            (info["decisions"].as_u64(), &info["ended_in_order"]),
            (Some(kept.len() as u64), &true.into())
        );
        check_gaps(&info, &kept);
    }
}

/// Rounds that are told to be missing are missing, and all others from the first to the last are there.
fn check_gaps(info: &Value, kept: &BTreeMap<(String, i64), String>) {
    let names = ["road/7", "road/8"];
    for (number, name) in names.iter().enumerate() {
        let rounds: Vec<i64> =
            kept.keys().filter(|(stream, _)| stream == name).map(|(_, round)| *round).collect();
        let (first, last) = (rounds[0], rounds[rounds.len() - 1]);
        let absent: Vec<i64> = (first..=last).filter(|round| !rounds.contains(round)).collect();
        let runs = info["gaps"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|gap| gap["runs"].as_array().into_iter().flatten());
        let of = |run: &Value| {
            let number_of = |key: &str| run[key].as_i64().expect("a number");
            let streams = number_of("stream")..number_of("stream") + number_of("streams");
            streams.contains(&(number as i64)).then(|| number_of("first")..=number_of("last"))
        };
        let told: Vec<i64> = runs.filter_map(of).flatten().collect();
        assert_eq!(told, absent, "{name}: {info}");
    }
}

#[test]
fn an_orderly_end_loses_nothing() {
    let site = site_with_journal("");
    let server = Server::start(&site, "epoll");
    let first = traffic(&server, 2, 50.0);
    server.stop(15);
    let server = Server::start(&site, "epoll");
    check_locked(&site);
    let mut again = Sender::new(server.address);
    first.iter().for_each(|frame| again.send(frame));
    // Nobody waits for a reservation to pass: the next round counts.
    traffic(&server, 1, 60.0);
    let log = server.stop(15);
    let counters = Outcome::read(&site).counters;
    assert_eq!(
        (&counters["frames_accepted"], &counters["rejected_stale"]),
        (&4.into(), &8.into()),
        "{counters}"
    );
    assert_eq!((&counters["journal_dropped"], &counters["journal_failed_commits"]), (&0.into(), &0.into()));
    assert!(log.contains("ended=\"in order\""), "{log}");
    let published = decisions(&site.path("decisions.jsonl"));
    assert_eq!(decisions(&export(&site, "kept.jsonl", &[])), published);
    check_order(&site.path("kept.jsonl"));
    check_parquet(&export(&site, "kept.parquet", &[]), &published);
    check_selections(&site, &published);
}

/// While a server runs nobody else has its journal, and says so in a line.
fn check_locked(site: &Site) {
    for arguments in [&["info"][..], &["export", "--output", "-"]] {
        let run = journal(arguments, &site.path("server.journal"));
        let errors = String::from_utf8_lossy(&run.stderr);
        assert_eq!((run.status.code(), errors.lines().count()), (Some(2), 1), "{errors}");
        assert!(errors.contains("server.journal: another process has the journal open"), "{errors}");
    }
    check_refused(site, "another process has the journal open");
}

/// A server that does not start: one line, exit code 2.
fn check_refused(site: &Site, expected: &str) {
    let run = command(&site.path("serve.toml"), "epoll").output().expect("the command runs");
    let errors = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(2), "{errors}");
    let last = errors.lines().last().unwrap_or_default();
    assert!(last.starts_with("centauri: ") && last.contains(expected), "expected {expected:?}: {errors}");
}

/// In order of stream name, then round.
fn check_order(file: &Path) {
    let text = std::fs::read_to_string(file).expect("the file is there");
    let place = |line: &str| {
        let decision: Value = serde_json::from_str(line).expect("a JSON line");
        (decision["stream"].as_str().map(str::to_owned), decision["round"].as_i64())
    };
    assert!(text.lines().map(place).is_sorted());
}

/// Another reader of Parquet finds what the server published.
fn check_parquet(file: &Path, published: &BTreeMap<(String, i64), String>) {
    let file = std::fs::File::open(file).expect("the file is there");
    let builder =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let schema = centauri_files::decisions_schema();
    assert_eq!(builder.schema().fields(), schema.fields());
    let mut rows = 0;
    for batch in builder.build().expect("a reader") {
        let batch = batch.expect("rows");
        let text = |name: &str, row: usize| batch[name].as_string::<i32>().value(row).to_owned();
        for row in 0..batch.num_rows() {
            let round = batch["round"].as_primitive::<Int64Type>().value(row);
            let line = &published[&(text("stream", row), round)];
            let json: Value = serde_json::from_str(line).expect("a JSON line");
            assert_eq!(json["status"], text("status", row));
            for name in ["value", "confidence", "mean", "sd", "low", "high"] {
                assert_eq!(
                    json[name].as_f64(),
                    Some(batch[name].as_primitive::<Float64Type>().value(row)),
                    "{name}: {line}"
                );
            }
            let quorum = batch["quorum"].as_list::<i32>().value(row);
            let names: Vec<_> = quorum.as_string::<i32>().iter().flatten().map(Value::from).collect();
            assert_eq!(json["quorum"], Value::from(names));
            rows += 1;
        }
    }
    assert_eq!(rows, published.len());
}

fn check_selections(site: &Site, published: &BTreeMap<(String, i64), String>) {
    let one = decisions(&export(site, "one.jsonl", &["--stream", "*/8"]));
    let expected = published.iter().filter(|((stream, _), _)| stream == "road/8");
    assert_eq!(one.iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    // Rounds close 0.45 s after their windows open, hence at such times, and some milliseconds later.
    let rounds: Vec<i64> = one.keys().map(|(_, round)| *round).collect();
    let middle = rounds[rounds.len() / 2];
    let at = |round: i64| format!("{:.3}", (round * PERIOD_NS + CLOSE_AFTER_NS) as f64 * 1e-9 - 0.01);
    let from = export(site, "from.jsonl", &["--stream", "road/8", "--from", &at(middle)]);
    let to = export(site, "to.jsonl", &["--stream", "road/8", "--to", &at(middle)]);
    let (from, to) = (decisions(&from), decisions(&to));
    assert_eq!(from.keys().next().map(|(_, round)| *round), Some(middle));
    assert_eq!(
        to.keys().next_back().map(|(_, round)| *round),
        rounds.iter().copied().filter(|r| *r < middle).max()
    );
    assert_eq!(from.len() + to.len(), one.len());
    for (arguments, expected) in [
        (&["--stream", "nobody's"][..], "found no stream that \"nobody's\" stands for"),
        (&["--from", "yesterday"], "expected a time such as"),
    ] {
        let output = site.path("none.csv").display().to_string();
        let arguments: Vec<&str> = ["export", "--output", &output].iter().chain(arguments).copied().collect();
        let run = journal(&arguments, &site.path("server.journal"));
        let errors = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.code() == Some(2) && errors.contains(expected), "{errors}");
        assert!(!site.path("none.csv").exists());
    }
}

#[test]
fn a_file_that_is_no_journal_ends_the_server_at_its_start() {
    let site = site_with_journal("");
    site.write("server.journal", "these are not the pages of a journal");
    check_refused(&site, "server.journal: found ");
    assert!(!site.path("decisions.jsonl").exists(), "nothing is written");
    site.edit("serve.toml", "path = \"server.journal\"", "path = \"no/such/folder/j\"");
    check_refused(&site, "no/such/folder/j: ");
}

#[test]
fn a_clock_that_was_set_back_is_told_and_waited_for() {
    let site = site_with_journal("");
    // An hour from now somebody had this journal, and was killed.
    let later = now_ns() + 3_600_000_000_000;
    let place = centauri::journal::Place::file(&site.path("server.journal"));
    let opened = centauri::journal::OpenedJournal::open(place, Vec::new()).expect("a journal");
    drop(opened.begin(centauri::journal::JournalSettings::default(), later).expect("it begins"));

    let server = Server::start(&site, "epoll");
    let frames = traffic(&server, 1, 50.0);
    let log = server.stop(15);
    let told = log.lines().find(|line| line.contains("which was set back")).expect("a warning");
    assert!(told.contains("WARN") && told.contains("clock=") && told.contains("reserved="), "{told}");
    let counters = Outcome::read(&site).counters;
    assert_eq!(
        (&counters["frames_accepted"], &counters["rejected_stale"]),
        (&0.into(), &frames.len().into())
    );
    // An orderly end does not forget it.
    assert!(info(&site)["reserved_ns"].as_i64() > Some(later));
    assert_eq!(std::fs::read_to_string(site.path("decisions.jsonl")).expect("the output"), "");
}

const MONITOR: NodeId = NodeId(60);

#[test]
fn a_published_distribution_is_used_again_and_its_age_told() {
    let site = site_with_journal("");
    let text = std::fs::read_to_string(site.path("registry.toml")).expect("the registry");
    let mut nodes = Registry::parse(&text).expect("a registry").nodes().to_vec();
    nodes.push(NodeEntry {
        id: MONITOR,
        name: "monitor".into(),
        role: Role::Monitor,
        key: key(MONITOR).public_key(),
    });
    site.write("registry.toml", &Registry::new(nodes).expect("a registry").to_toml());
    let model = std::fs::read_to_string(site.path("model.toml")).expect("the model");
    let model = model.replace("noise = { family = \"normal\", mean = 0, sd = 2 }", "noise = \"noise\"");
    let named = "version = 1\n[distributions]\nnoise = { family = \"normal\", mean = 0, sd = 2 }\n";
    site.write("model.toml", &model.replacen("version = 1\n", named, 1));

    site.edit("serve.toml", "\nfreshness_s", "\nproofs = \"proofs\"\nfreshness_s");
    let server = Server::start(&site, "epoll");
    let body = DistributionBody { offset: 0.0, family: DistributionFamily::Normal { mean: 0.0, sd: 7.5 } };
    let mut published = Vec::new();
    let signer = key(MONITOR).identity(MONITOR);
    Distribution { name: "noise", body: &body }
        .encode(now_ns(), &signer, &mut published)
        .expect("a distribution");
    Sender::new(server.address).send(&published);
    traffic(&server, 2, 50.0);
    // One signs two values, which leaves a proof.
    let mut sender = Sender::new(server.address);
    let round = fresh_round();
    sender.report(3, round, 20.0);
    sender.report(3, round, 60.0);
    after_close(round);
    let before = Outcome::of_decisions(&site);
    server.kill();

    let server = Server::start(&site, "epoll");
    std::thread::sleep(Duration::from_millis(1_800));
    traffic(&server, 1, 50.0);
    let log = server.kill();
    assert!(log.contains("a published distribution is used again name=\"noise\" age_s="), "{log}");
    let info = info(&site);
    assert_eq!(info["state"]["proof"]["entries"], 1, "{info}");
    let words = info["distributions"]["noise"]["distribution"].as_str().expect("words");
    assert_eq!(words, "{ family = \"normal\", mean = 0.0, sd = 7.5 }");
    // What it decides by is as wide as what was published: of the last rounds with a quorum of all, before and after.
    let after = Outcome::of_decisions(&site);
    let sd = |all: &[Value]| {
        let full = all
            .iter()
            .rev()
            .find(|d| d["stream"] == "road/7" && quorum_size(d) >= 3 && d["sd"].as_f64() < Some(20.0));
        full.and_then(|d| d["sd"].as_f64()).expect("a round of which something came")
    };
    let (wide, again) = (sd(&before), sd(&after));
    assert!(wide > 2.0 && (wide - again).abs() < 1e-9, "{wide} and {again}");
}

fn quorum_size(decision: &Value) -> usize {
    decision["quorum"].as_array().map_or(0, Vec::len)
}

impl Outcome {
    fn of_decisions(site: &Site) -> Vec<Value> {
        let text = std::fs::read_to_string(site.path("decisions.jsonl")).expect("the server wrote it");
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }
}

/// Sets how long a file of the process may become, in bytes.
fn limit_files(process: u32, bytes: &str) -> bool {
    let limit = format!("--fsize={bytes}:unlimited");
    let run = Command::new("prlimit").args(["--pid", &process.to_string(), &limit]).status();
    run.is_ok_and(|status| status.success())
}

#[test]
fn decisions_go_on_while_the_disk_is_full() {
    let site = site_with_journal("");
    // A signal is sent to whom writes too much, which ends it if it has not said otherwise.
    let script = "trap '' XFSZ; exec \"$0\" \"$@\"";
    let server = Server::start_by(&site, "epoll", &["sh", "-c", script]);
    if !limit_files(server.process.id(), "1000000000") {
        println!("skipped: prlimit is not to be had here");
        server.kill();
        return;
    }
    traffic(&server, 1, 50.0);
    // The decisions' file is shorter than that, the journal longer.
    let length = std::fs::metadata(site.path("server.journal")).expect("the journal").len();
    assert!(limit_files(server.process.id(), "65536") && length > 65_536, "{length}");
    traffic(&server, 5, 51.0);
    assert!(limit_files(server.process.id(), "unlimited"));
    // It tries again every second.
    std::thread::sleep(Duration::from_secs(3));
    traffic(&server, 1, 52.0);
    let log = server.stop(15);
    assert_eq!(log.matches("the journal cannot be written; decisions go on without it").count(), 1, "{log}");
    assert!(log.contains("the journal is written again"), "{log}");
    let counters = Outcome::read(&site).counters;
    assert!(counters["journal_failed_commits"].as_u64() > Some(0), "{counters}");
    assert!(counters["reservation_lapsed"].as_u64() > Some(0), "{counters}");
    assert_eq!(
        (&counters["journal_blocks_lost"], &counters["frames_accepted"]),
        (&0.into(), &28.into()),
        "{counters}"
    );
    assert_eq!(decisions(&export(&site, "kept.jsonl", &[])), decisions(&site.path("decisions.jsonl")));
}
