//! `centauri eval --explain` as its users run it.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const MODEL: &str = r#"
version = 1
[[streams]]
name     = "road/7"
replicas = ["north", "middle", "south", "east", "west"]
faults   = 2
support  = { min = 0, step = 1, points = 101 }
prior    = { from = "previous", step = { family = "normal", mean = 0, sd = 3 } }
output   = { computation = "identity", noise = { family = "normal", mean = 0, sd = 2 } }
link     = { on_time = 0.98 }
"#;

/// Round 1: south lies. Round 2: south is missing, east says two things.
const READINGS: &str = "stream,round,replica,value
road/7,1,north,50
road/7,1,middle,52
road/7,1,south,90
road/7,1,east,51
road/7,1,west,51
road/7,2,north,51
road/7,2,middle,53
road/7,2,east,12
road/7,2,east,13
road/7,2,west,52
";

struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new(model: &str, readings: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        std::fs::write(site.path("model.toml"), model).expect("written");
        std::fs::write(site.path("readings.csv"), readings).expect("written");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn eval(&self, output: &str, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_centauri"));
        command.current_dir(self.folder.path());
        command.args(["eval", "--model", "model.toml", "--input", "readings.csv", "--output", output]);
        command.args(more).output().expect("the command runs")
    }
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

fn succeeded(run: &Output) {
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

fn close(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap_or(f64::NAN);
    assert!((found - expected).abs() < 1e-3, "{found}, expected {expected}");
}

#[test]
fn liar_missing_and_equivocator_can_be_told_from_the_output_alone() {
    let site = Site::new(MODEL, READINGS);
    succeeded(&site.eval("d.jsonl", &["--explain", "reasons.jsonl"]));
    let (decisions, reasons) = (rows(&site.text("d.jsonl")), rows(&site.text("reasons.jsonl")));
    assert_eq!(reasons.len(), 2);
    for (decision, reason) in decisions.iter().zip(&reasons) {
        for key in ["stream", "round", "status", "value", "confidence", "low", "high", "quorum"] {
            assert_eq!(decision[key], reason[key], "{key}");
        }
        for replica in reason["replicas"].as_array().expect("a list") {
            let name = replica["name"].as_str().expect("a name");
            assert_eq!(replica["honest"], decision["honest"][name]);
            let quorum = decision["quorum"].as_array().expect("a list");
            assert_eq!(replica["in_quorum"], quorum.iter().any(|member| member == name));
        }
    }

    let liar = &reasons[0]["replicas"][2];
    assert_eq!((&liar["name"], &liar["observed"]), (&Value::from("south"), &Value::from("value")));
    assert_eq!((liar["value"].as_f64(), liar["best_fit"].as_f64()), (Some(90.0), Some(90.0)));
    // ln 0.98 + ln(Φ(19.75) − Φ(19.25)): 39 units from 51 at sd 2; by arbitrary precision.
    close(&liar["log_likelihood"], -189.160_437 - 0.020_203);
    close(&liar["log_faulty"], (0.9f64 / 101.0).ln());
    assert_eq!(liar["in_quorum"], false);
    assert!(liar["honest"].as_f64().expect("decided") < 1e-30);
    let sentence = liar["reason"].as_str().expect("words");
    for part in [
        "left out: its value 90 lies 19.5 sd above",
        "when 51 is right (51 ± 2)",
        "log-likelihood -189",
        "P(honest)",
    ] {
        assert!(sentence.contains(part), "{sentence:?} does not say {part:?}");
    }

    let missing = &reasons[1]["replicas"][2];
    assert_eq!((&missing["observed"], &missing["value"]), (&Value::from("missing"), &Value::Null));
    close(&missing["log_likelihood"], 0.02f64.ln());
    close(&missing["log_faulty"], 0.1f64.ln());
    assert!(missing["reason"].as_str().expect("words").contains("no message came in time"));
    let forked = &reasons[1]["replicas"][3];
    assert_eq!((&forked["observed"], &forked["value"]), (&Value::from("equivocated"), &Value::Null));
    assert_eq!((&forked["log_likelihood"], &forked["log_faulty"]), (&Value::Null, &Value::Null));
    assert_eq!((forked["honest"].as_f64(), forked["in_quorum"].as_bool()), (Some(0.0), Some(false)));
    assert_eq!(
        (reasons[1]["replicas_left"].as_u64(), reasons[1]["faults_left"].as_u64()),
        (Some(4), Some(1))
    );
}

#[test]
fn without_a_replica_is_what_eval_says_of_a_model_of_one_replica_less() {
    let first: String =
        READINGS.lines().filter(|line| !line.contains(",2,")).map(|l| format!("{l}\n")).collect();
    let site = Site::new(MODEL, &first);
    succeeded(&site.eval("d.jsonl", &["--explain", "reasons.jsonl"]));
    let reasons = rows(&site.text("reasons.jsonl"));
    for name in ["north", "middle", "south", "east", "west"] {
        let fewer = MODEL
            .replace(&format!("\"{name}\""), "")
            .replace("[, ", "[")
            .replace(", ,", ",")
            .replace(", ]", "]");
        let left: String =
            first.lines().filter(|line| !line.contains(name)).map(|l| format!("{l}\n")).collect();
        let other = Site::new(&fewer, &left);
        succeeded(&other.eval("d.jsonl", &[]));
        let expected = &rows(&other.text("d.jsonl"))[0];
        let replicas = reasons[0]["replicas"].as_array().expect("a list");
        let without = &replicas.iter().find(|r| r["name"] == name).expect("a reason for each")["without"];
        for key in ["status", "value", "low", "high", "quorum"] {
            assert_eq!(without[key], expected[key], "{name} {key}");
        }
        close(&without["confidence"], expected["confidence"].as_f64().expect("a number"));
    }
}

#[test]
fn explaining_changes_no_decision() {
    let site = Site::new(MODEL, READINGS);
    succeeded(&site.eval("plain.csv", &[]));
    succeeded(&site.eval("told.csv", &["--explain", "reasons.jsonl", "--objective", "marginal"]));
    assert_eq!(site.text("plain.csv"), site.text("told.csv"));
    let run = site.eval("told.csv", &["--explain", "-"]);
    succeeded(&run);
    assert_eq!(String::from_utf8_lossy(&run.stdout), site.text("reasons.jsonl"));
}

#[test]
fn every_vector_is_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/integration/vectors");
    let mut models: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the vectors are part of the repository")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    models.sort();
    assert!(models.len() > 20);
    for model in models {
        let read = |extension| std::fs::read_to_string(model.with_extension(extension)).expect("a vector");
        let site = Site::new(&read("toml"), &read("csv"));
        succeeded(&site.eval("d.jsonl", &["--explain", "reasons.jsonl"]));
        let (decisions, reasons) = (rows(&site.text("d.jsonl")), rows(&site.text("reasons.jsonl")));
        assert_eq!(decisions.len(), reasons.len(), "{}", model.display());
        for (decision, reason) in decisions.iter().zip(&reasons) {
            assert_eq!((&decision["value"], &decision["round"]), (&reason["value"], &reason["round"]));
            for replica in reason["replicas"].as_array().expect("a list") {
                assert!(replica["reason"].as_str().is_some_and(|words| words.len() > 20));
                assert!(replica["without"]["value"].is_f64());
            }
        }
    }
}

#[test]
fn bad_places_for_reasons_are_refused_and_leave_nothing() {
    let site = Site::new(MODEL, READINGS);
    let refused = |output: &str, explain: &str, words: &str| {
        let run = site.eval(output, &["--explain", explain]);
        assert_eq!(run.status.code(), Some(2));
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(said.contains(words), "{said:?} does not say {words:?}");
    };
    refused("d.jsonl", "reasons.csv", "--explain: found reasons.csv, expected a name that ends in .jsonl");
    refused("d.jsonl", "d.jsonl", "where the decisions go too, expected another place");
    refused("d.jsonl", "./d.jsonl", "where the decisions go too, expected another place");
    refused("-", "-", "where the decisions go too, expected another place");
    refused("d.jsonl", "none/reasons.jsonl", "none/reasons.jsonl: creating");
    std::fs::write(site.path("readings.csv"), READINGS.replace("west,52", "west,inf")).expect("written");
    refused("d.jsonl", "reasons.jsonl", "readings.csv");
    assert!(!site.path("d.jsonl").exists() && !site.path("reasons.jsonl").exists());
}
