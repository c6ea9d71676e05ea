//! `centauri check` as its users run it.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SANE: &str = r#"
version = 1
[distributions]
level = { family = "normal", mean = 50, sd = 10 }
noise = { family = "normal", mean = 0, sd = 2 }
[[streams]]
name     = "road/7"
replicas = ["north", "middle", "south", "east"]
faults   = 1
support  = { min = 0, step = 1, points = 101 }
prior    = "level"
output   = { computation = "identity", noise = "noise" }
link     = { on_time = 0.98 }
"#;

fn check(model: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("model.toml"), model).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_centauri"));
    command.current_dir(folder.path()).args(["check", "model.toml"]).args(more);
    command.output().expect("the command runs")
}

fn said(run: &Output) -> String {
    String::from_utf8(run.stdout.clone()).expect("UTF-8")
}

fn contains(text: &str, part: &str) {
    assert!(text.contains(part), "{text}\ndoes not say {part:?}");
}

#[test]
fn a_sane_model_is_told_and_passes_strictly() {
    let run = check(SANE, &["--strict"]);
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    let text = said(&run);
    for part in [
        "model.toml: 1 stream of 1 model\n\nroad/7\n",
        "4 (north, middle, south, east), of which at most 1 may be faulty",
        "3 of 4 replicas: 4 quorums",
        "0 to 100 in steps of 1: 101 points",
        "\"level\" (normal, mean 50, sd 10)",
        "every replica: in time at the client with probability 0.98; P(missing) 0.02; noise: \"noise\" (normal, mean 0, sd 2)",
        "no warnings",
    ] {
        contains(&text, part);
    }
}

#[test]
fn a_foolish_model_is_warned_of_with_its_lines() {
    let foolish = SANE
        .replace("faults   = 1", "faults   = 2\nobjective = \"posterior\"")
        .replace("mean = 50", "mean = 80");
    let run = check(&foolish, &[]);
    assert_eq!(run.status.code(), Some(0));
    let text = said(&run);
    contains(&text, "3 warnings:");
    contains(
        &text,
        "model.toml:10: streams[0] \"road/7\": objective: `posterior` compares quorums by their peak alone",
    );
    contains(&text, "[posterior_ties]");
    contains(&text, "model.toml:9: streams[0] \"road/7\": faults: 2 of 4 replicas may be faulty");
    contains(&text, "cuts off 0.0202 of the prior");
    assert_eq!(check(&foolish, &["--strict"]).status.code(), Some(1));
}

#[test]
fn json_says_the_same() {
    let run = check(&SANE.replace("mean = 50", "mean = 80"), &["--json", "--strict"]);
    assert_eq!(run.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&run.stdout).expect("JSON");
    let model = &json["models"][0];
    assert_eq!(json["streams"], 1);
    assert_eq!(model["streams"], serde_json::json!(["road/7"]));
    assert_eq!(model["support"], serde_json::json!({"min": 0.0, "max": 100.0, "step": 1.0, "points": 101}));
    assert_eq!((&model["quorum_size"], &model["quorums"]), (&Value::from(3), &Value::from(4)));
    assert_eq!(model["prior"]["distribution"]["name"], "level");
    assert_eq!(model["reports"][0]["replicas"].as_array().expect("a list").len(), 4);
    let finding = &model["findings"][0];
    assert_eq!((&finding["kind"], &finding["key"]), (&Value::from("prior_cut"), &Value::from("prior")));
    // 1 − Φ(2.05).
    let above = model["prior"]["above"].as_f64().expect("a number");
    assert!((above - 0.020_182).abs() < 1e-6, "{above}");
}

#[test]
fn fault_groups_are_told() {
    let grouped = format!("{SANE}groups.rack = [\"south\", \"middle\"]\n");
    let text = said(&check(&grouped, &["--strict"]));
    contains(&text, "4 (north, middle, south, east) in 3 fault groups, of which at most 1 may be faulty");
    contains(&text, "2 of 3 fault groups: 3 quorums");
    contains(&text, "rack (south, middle): the replicas of one fail and lie together, as one fault");
    contains(&text, "no warnings");
    let json: Value = serde_json::from_slice(&check(&grouped, &["--json"]).stdout).expect("JSON");
    let model = &json["models"][0];
    assert_eq!(model["groups"], serde_json::json!({"rack": ["south", "middle"]}));
    assert_eq!((&model["units"], &model["quorum_size"]), (&Value::from(3), &Value::from(2)));
    let run = check(&grouped.replace("middle\"]\n", "midle\"]\n"), &[]);
    assert_eq!(run.status.code(), Some(2));
    contains(
        &String::from_utf8_lossy(&run.stderr),
        "model.toml:14: streams[0] \"road/7\": groups.rack[1]: found \"midle\", expected one of north, middle, south, east",
    );
}

#[test]
fn streams_of_one_model_are_one_paragraph_and_one_warning() {
    let head = "version = 1\n";
    let stream = |i: usize, faults: usize| {
        format!(
            "[[streams]]\nname = \"road/{i}\"\nreplicas = [\"a\", \"b\", \"c\"]\nfaults = {faults}\nsupport = {{ min = 0, step = 1, \
             points = {} }}\noutput = {{ computation = \"identity\", noise = {{ family = \"normal\", mean = 0, sd = 2 }} }}\n",
            50 + 10 * faults
        )
    };
    let model: String =
        std::iter::once(head.to_owned()).chain((0..3_000).map(|i| stream(i, 2 - i % 2))).collect();
    let run = check(&model, &[]);
    let text = said(&run);
    contains(&text, "model.toml: 3000 streams of 2 models");
    contains(&text, "road/0, road/2, road/4, road/6, road/8 and 1495 more (1500 streams)");
    contains(&text, "1 warning:");
    assert!(text.lines().count() < 40, "{text}");

    // Models that differ are told up to a number, and all of them where that is asked for.
    let many: String = std::iter::once(head.to_owned())
        .chain((0..30).map(|i| stream(i, 2).replace("sd = 2", &format!("sd = {}", i + 2))))
        .collect();
    let text = said(&check(&many, &[]));
    contains(&text, "… and 10 more models (--all tells them)");
    contains(&text, "the same in 29 other models: road/1, road/2, road/3, road/4, road/5 and 24 more");
    let all = said(&check(&many, &["--all"]));
    assert!(!all.contains("--all"));
    contains(&all, "\nroad/29\n");
}

#[test]
fn every_vector_can_be_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/integration/vectors");
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).expect("the vectors are part of the repository") {
        let model: PathBuf = entry.expect("a readable folder").path();
        if model.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        checked += 1;
        let text = std::fs::read_to_string(&model).expect("a vector");
        for more in [&["--json"][..], &[]] {
            let run = check(&text, more);
            assert_eq!(
                run.status.code(),
                Some(0),
                "{}: {}",
                model.display(),
                String::from_utf8_lossy(&run.stderr)
            );
            assert!(run.stdout.len() > 200);
        }
    }
    assert!(checked > 20);
}

#[test]
fn an_illegal_model_leaves_with_2_and_one_line() {
    for (model, words) in [
        (SANE.replace("faults   = 1", "faults   = 4"), "model.toml:9: "),
        (SANE.replace("prior    = \"level\"", "prior    = \"depth\""), "model.toml:11: "),
        ("version = 2".to_owned(), "model.toml:1: version: found 2, expected 1"),
        ("not a model".to_owned(), "model.toml:1"),
    ] {
        let run = check(&model, &["--strict"]);
        assert_eq!(run.status.code(), Some(2));
        let error = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(error.lines().count(), 1, "{error}");
        contains(&error, words);
        assert!(run.stdout.is_empty());
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_centauri"));
    let run = command.args(["check", "/nonexistent/model.toml"]).output().expect("the command runs");
    assert_eq!(run.status.code(), Some(2));
    contains(&String::from_utf8_lossy(&run.stderr), "/nonexistent/model.toml");
}
