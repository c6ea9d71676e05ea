//! `centauri eval` and `centauri keygen` as their users run them.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/integration/vectors")
}

fn centauri(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_centauri")).args(arguments).output().expect("the command runs")
}

fn eval(model: &Path, input: &Path, output: &Path, more: &[&str]) -> Output {
    let text = |path: &Path| path.to_str().expect("a UTF-8 path").to_owned();
    let (model, input, output) = (text(model), text(input), text(output));
    let mut arguments = vec!["eval", "--model", &model, "--input", &input, "--output", &output];
    arguments.extend_from_slice(more);
    centauri(&arguments)
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

/// The number at `key`, or NaN for null.
fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or(f64::NAN)
}

#[test]
fn every_vector_goes_through_the_command_in_both_formats() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut cases = 0;
    for entry in std::fs::read_dir(vectors()).expect("the vectors are part of the repository") {
        let model = entry.expect("a readable folder").path();
        if model.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        cases += 1;
        let (jsonl, csv) = (folder.path().join("d.jsonl"), folder.path().join("d.csv"));
        for output in [&jsonl, &csv] {
            let run = eval(&model, &model.with_extension("csv"), output, &[]);
            assert!(run.status.success(), "{}: {}", model.display(), String::from_utf8_lossy(&run.stderr));
        }
        let found = json_lines(&std::fs::read_to_string(&jsonl).expect("decisions"));
        let expected =
            json_lines(&std::fs::read_to_string(model.with_extension("expected.jsonl")).expect("vectors"));
        assert_eq!(found.len(), expected.len(), "{}", model.display());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!((&found["stream"], &found["round"]), (&expected["stream"], &expected["round"]));
            assert_eq!(found["status"], expected["status"]);
            let keys =
                ["value", "confidence", "low", "high", "mean", "sd", "quorum", "log_evidence", "honest"];
            assert!(keys.iter().all(|key| found.get(key).is_some()), "{found}");
            if expected["gap_value"].as_f64().is_none_or(|gap| gap > 1e-3) {
                assert!(
                    (number(found, "value") - number(expected, "value")).abs() < 1e-9,
                    "{found} {expected}"
                );
            }
        }
        check_csv(&std::fs::read_to_string(&csv).expect("decisions"), &found);
    }
    assert!(cases >= 50, "{cases}");
}

/// The CSV says what the JSON says.
fn check_csv(csv: &str, json: &[Value]) {
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some(
            "stream,round,status,value,confidence,mean,sd,low,high,quorum,log_evidence,region_low,region_high,honest"
        )
    );
    for (line, json) in lines.zip(json) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), 14, "{line}");
        assert_eq!(cells[3].parse::<f64>().ok(), json["value"].as_f64(), "{line}");
        let quorum: Vec<&str> =
            json["quorum"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        assert_eq!(cells[9], quorum.join(";"));
        assert_eq!(cells[10].parse::<f64>().ok(), json["log_evidence"].as_f64());
    }
}

#[test]
fn the_objective_can_be_chosen_and_readings_may_be_json_lines() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let readings = folder.path().join("coin.jsonl");
    let rows = r#"{"stream":"coin","round":1,"replica":"bottom","value":0}
{"stream":"coin","round":1,"replica":"top","value":2.0}
{"stream":"coin","round":1,"replica":"middle","value":1}
"#;
    std::fs::write(&readings, rows).expect("a file can be written");
    for (objective, value, confidence) in [
        ("posterior", 2.0, 1.0),
        ("joint", 1.0, 0.952_574),
        ("evidence", 1.0, 0.952_574),
        ("marginal", 2.0, 0.506_22),
    ] {
        let run = eval(&vectors().join("coin.toml"), &readings, Path::new("-"), &["--objective", objective]);
        let decisions = json_lines(&String::from_utf8(run.stdout).expect("text"));
        assert_eq!(decisions.len(), 1);
        assert_eq!(number(&decisions[0], "value"), value, "{objective}");
        assert!(
            (number(&decisions[0], "confidence") - confidence).abs() < 1e-4,
            "{objective}: {}",
            decisions[0]
        );
    }
}

/// A command that must be refused: one line, exit code 2, and no output file.
fn check_refused(run: &Output, output: &Path, expected: &[&str]) {
    let errors = String::from_utf8(run.stderr.clone()).expect("text");
    assert_eq!(run.status.code(), Some(2), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    for part in expected {
        assert!(errors.contains(part), "found {errors:?}, expected {part:?} in it");
    }
    assert!(!output.exists(), "nothing half-written");
    let left = output.parent().map(|folder| std::fs::read_dir(folder).expect("a folder"));
    for entry in left.into_iter().flatten() {
        let name = entry.expect("an entry").file_name();
        assert!(["model.toml", "readings.csv"].iter().any(|known| name == *known), "left behind: {name:?}");
    }
}

#[test]
fn bad_input_is_one_line_and_exit_code_2() {
    let coin = std::fs::read_to_string(vectors().join("coin.toml")).expect("vectors");
    let good = "stream,round,replica,value\ncoin,1,top,2\n";
    let cases: &[(&str, &str, &str, &[&str])] = &[
        (
            "faults = 1",
            "faults = 3",
            good,
            &["model.toml:", "faults", "found 3", "expected a whole number below"],
        ),
        ("points = 3", "points = 0", good, &["model.toml:", "support.points", "found 0"]),
        ("prior = \"tails\"", "prior = \"heads\"", good, &["model.toml:", "prior", "\"heads\"", "tails"]),
        ("p = 0.5", "p = 1.5", good, &["model.toml:", "found 1.5"]),
        ("mean = 0.020", "mean = -1", good, &["model.toml:", "mean", "found -1"]),
        ("objective =", "objectiv =", good, &["model.toml:", "objectiv"]),
        (
            "arrival = \"hop\"\ndeadline = 0.03",
            "arrival = \"hop\"",
            good,
            &["model.toml:", "output.deadline"],
        ),
        ("version = 1", "version = ", good, &["model.toml:1"]),
        ("", "", "stream,round,replica\ncoin,1,top\n", &["readings.csv", "value"]),
        ("", "", "stream,round,replica,value\ncoin,1,top,2\ncoin,x,top,2\n", &["readings.csv:3", "round"]),
        ("", "", "stream,round,replica,value\ncoin,1,left,2\n", &["readings.csv:2", "\"left\"", "top"]),
        ("", "", "stream,round,replica,value\nroad,1,top,2\n", &["readings.csv:2", "\"road\""]),
        ("", "", "stream,round,replica,value\ncoin,1,top,inf\n", &["readings.csv:2", "inf", "finite"]),
        ("", "", "stream,round,replica,value\ncoin,1,top,2\ncoin,1,top\n", &["readings.csv:3"]),
        ("", "", "", &["readings.csv"]),
    ];
    for (from, to, readings, expected) in cases {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        assert!(coin.contains(from), "{from:?}");
        std::fs::write(path("model.toml"), coin.replacen(from, to, 1)).expect("a file can be written");
        std::fs::write(path("readings.csv"), readings).expect("a file can be written");
        let run = eval(&path("model.toml"), &path("readings.csv"), &path("d.jsonl"), &[]);
        check_refused(&run, &path("d.jsonl"), expected);
    }
}

#[test]
fn readings_are_not_overwritten() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, recorded) = (vectors().join("coin.toml"), vectors().join("coin.csv"));
    let input = folder.path().join("readings.csv");
    std::fs::copy(&recorded, &input).expect("a copy");
    let also = folder.path().join("also.csv");
    std::os::unix::fs::symlink(&input, &also).expect("a link");
    for output in [&input, &also] {
        let run = eval(&model, &input, output, &[]);
        let error = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{error}");
        assert!(error.contains("--output") && error.contains("which is read from"), "{error}");
        assert_eq!(std::fs::read(&input).expect("readings"), std::fs::read(&recorded).expect("vectors"));
    }
}

#[test]
fn what_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = folder.path().join("d.jsonl");
    let (model, readings) = (vectors().join("coin.toml"), vectors().join("coin.csv"));
    check_refused(&eval(Path::new("no.toml"), &readings, &output, &[]), &output, &["no.toml"]);
    check_refused(&eval(&model, Path::new("no.csv"), &output, &[]), &output, &["no.csv"]);
    let nowhere = folder.path().join("no/folder/d.jsonl");
    let run = eval(&model, &readings, &nowhere, &[]);
    assert_eq!(run.status.code(), Some(2));
    let text = folder.path().join("d.txt");
    check_refused(&eval(&model, &readings, &text, &[]), &text, &["d.txt", ".txt"]);
}

#[test]
fn a_key_is_private_and_not_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("replica.key");
    let name = file.to_str().expect("a UTF-8 path");
    let run = centauri(&["keygen", "--output", name]);
    assert!(run.status.success());
    let printed = String::from_utf8(run.stdout).expect("text");
    assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).expect("a file");
    let key = centauri_wire::KeyFile::parse(&text).expect("a key file");
    assert_eq!(printed.trim(), key.public_key().to_hex());
    let again = centauri(&["keygen", "--output", name]);
    assert_eq!(again.status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), text, "the key is still the same");
}
