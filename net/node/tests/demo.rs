//! `centauri demo` as a newcomer runs it: the real binary, real sockets.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centauri"));
    command.arg("demo").args(arguments).env_remove("RUST_LOG").output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The summary's errors: of the decisions, the plain mean, the median.
fn errors(summary: &str) -> [f64; 3] {
    let line = summary.lines().find(|line| line.contains("decisions ") && line.contains("plain mean "));
    let line = line.unwrap_or_else(|| panic!("no errors in\n{summary}"));
    let after = |name: &str| {
        let (_, rest) = line.split_once(name).expect("the name is there");
        rest.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    };
    [after("decisions "), after("plain mean "), after("median ")]
}

/// What every good run has in common.
fn check(output: &Output, summary: &str, rounds: usize) {
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    assert!(summary.contains(&format!("{rounds} of {rounds} rounds")), "{summary}");
    let [decisions, mean, _] = errors(summary);
    assert!(decisions < mean, "{summary}");
    assert!(summary.contains("error is below that of the plain mean"), "{summary}");
}

#[test]
fn without_options_but_shorter_the_liar_is_named_and_the_plain_mean_beaten() {
    let output = demo(&["--duration", "6", "--seed", "11"]);
    let shown = text(&output.stdout);
    check(&output, &shown, 15);
    assert!(shown.contains("right: replica-"), "{shown}");
    assert!(shown.contains("seed        11 "), "{shown}");
    assert_eq!(text(&output.stderr), "");
    let decisions: Vec<&str> = shown.lines().filter(|line| line.contains(" … ")).collect();
    assert_eq!(decisions.len(), 15, "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 110), "{shown}");
    assert!(!shown.contains('\x1b'), "no colours in a pipe");
}

#[test]
fn json_lines_are_decisions_and_nothing_else() {
    let output = demo(&["--json", "--duration", "4", "--seed", "3", "--lie", "equivocate"]);
    let summary = text(&output.stderr);
    assert!(output.status.success(), "{summary}");
    assert!(summary.contains("convicted by its own signatures"), "{summary}");
    assert!(summary.contains("right: replica-"), "{summary}");
    let rows: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.len(), 10);
    for (round, row) in rows.iter().enumerate() {
        assert_eq!(row["stream"], "mean");
        assert_eq!(row["round"], round);
        assert!(
            row["low"].as_f64() <= row["value"].as_f64() && row["value"].as_f64() <= row["high"].as_f64()
        );
        assert_eq!(row["honest"].as_object().map(serde_json::Map::len), Some(5));
    }
}

#[test]
fn liars_of_other_kinds_are_found_out() {
    let kinds = ["stuck", "random", "silent", "collude"];
    let runs = kinds.map(|kind| {
        std::thread::spawn(move || {
            demo(&["--duration", "6", "--seed", "5", "--lie", kind, "--lie-size", "3", "--replicas", "4"])
        })
    });
    for (kind, run) in kinds.into_iter().zip(runs) {
        let output = run.join().expect("the run ends");
        let shown = text(&output.stdout);
        assert!(output.status.success(), "{kind}: {}", text(&output.stderr));
        assert!(shown.contains("right: replica-"), "{kind}: {shown}");
    }
}

fn file(directory: &Path, name: &str, contents: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, contents).expect("the file is written");
    path
}

#[test]
fn a_replay_decides_the_mean_of_what_was_made() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut csv = String::from("at,note,a,b,c\n");
    for row in 0..12 {
        let b = if row == 4 { String::new() } else { format!("{}", 30 + row) };
        csv.push_str(&format!("{},x,{},{b},{}\n", row * 10, 10 + row, 50 + row));
    }
    let path = file(directory.path(), "own.csv", &csv);
    let path = path.to_string_lossy();
    let output = demo(&[
        "--readings",
        &path,
        "--time-column",
        "at",
        "--columns",
        "a,b,c",
        "--speed",
        "25",
        "--loss",
        "0",
        "--delay",
        "1ms",
        "--json",
    ]);
    let summary = text(&output.stderr);
    check(&output, &summary, 12);
    let rows: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    // Hand-made: the mean of three readings, and of the two that were made in row 4.
    for (row, decided) in rows.iter().enumerate() {
        let truth = if row == 4 { (14.0 + 54.0) / 2.0 } else { 30.0 + row as f64 };
        let value = decided["value"].as_f64().expect("a number");
        assert!((value - truth).abs() < 0.1, "row {row}: {value}, expected {truth}");
    }
}

#[test]
fn a_real_motorway_is_followed_better_than_by_the_plain_mean() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/uk_journey_times/travel_time_s.csv");
    if !path.exists() {
        println!("skipped: {} is not here", path.display());
        return;
    }
    let path = path.to_string_lossy();
    let columns = "s10978,s11370,s11376,s11464,s11465";
    let output = demo(&[
        "--readings",
        &path,
        "--time-column",
        "t_s",
        "--columns",
        columns,
        "--duration",
        "10",
        "--seed",
        "2",
    ]);
    let shown = text(&output.stdout);
    check(&output, &shown, 25);
    assert!(shown.contains("right: replica-"), "{shown}");
}

#[test]
fn bad_input_is_one_line_and_exit_code_2() {
    let directory = tempfile::tempdir().expect("a directory");
    let good = file(directory.path(), "good.csv", "t,a,b\n0,1,2\n10,2,3\n20,3,4\n");
    let empty = file(directory.path(), "empty.csv", "");
    let header = file(directory.path(), "header.csv", "t,a\n");
    let words = file(directory.path(), "words.csv", "t,a\n0,1\n10,many\n");
    let back = file(directory.path(), "back.csv", "t,a\n0,1\n10,1\n5,1\n");
    let ragged = file(directory.path(), "ragged.csv", "t,a\n0,1\n10\n");
    let bare = file(directory.path(), "bare.csv", "t,a\n0,\n10,\n");
    let absent = directory.path().join("absent.csv");
    let replay = |path: &Path, columns: &str, more: &[&str]| -> Vec<String> {
        let path = path.to_string_lossy();
        let fixed = ["--readings", &*path, "--time-column", "t", "--columns", columns];
        fixed.iter().chain(more).map(ToString::to_string).collect()
    };
    let options = |options: &[&str]| options.iter().map(ToString::to_string).collect::<Vec<_>>();
    let cases = [
        (replay(&good, "a,z", &[]), "good.csv:1: found no column \"z\", expected one of t, a, b"),
        (replay(&good, "a,a", &[]), "--columns: found \"a\" twice"),
        (replay(&empty, "a", &[]), "empty.csv: found an empty file"),
        (replay(&header, "a", &[]), "header.csv: found fewer than 2 rows"),
        (replay(&words, "a", &[]), "words.csv:3: column \"a\": found \"many\", expected a number or nothing"),
        (replay(&back, "a", &[]), "back.csv:4: column \"t\": found 5, expected more than 10"),
        (replay(&ragged, "a", &[]), "ragged.csv:3: found 1 fields, expected 2"),
        (replay(&bare, "a", &[]), "bare.csv: found no reading"),
        (replay(&absent, "a", &[]), "absent.csv: "),
        (replay(&good, "a", &["--speed", "0"]), "--speed: found 0, expected a number above 0"),
        (replay(&good, "a", &["--speed", "1e9"]), "--speed: found 1000000000, expected "),
        (options(&["--liars", "3"]), "--liars: found 3, expected at most 2 of 5 replicas"),
        (options(&["--replicas", "2"]), "--replicas: found 2, expected 3 to 32"),
        (options(&["--faults", "0"]), "--faults: found 0, expected "),
        (options(&["--loss", "1.5"]), "--loss: found 1.5, expected "),
        (options(&["--delay", "1h"]), "--delay"),
        (options(&["--duration", "0"]), "--duration: found 0, expected "),
        (options(&["--lie-size", "nan"]), "--lie-size: found NaN, expected "),
    ];
    for (arguments, expected) in cases {
        let output = demo(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
        // What the parser of the command line says has its usage below.
        assert!(error.starts_with("error: ") || error.trim_end().lines().count() == 1, "{error}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
    }
}
