//! `centauri-bench fleet` as a process: a small fleet adds up, and what is wrong is told.

use centauri_bench::result::{Fleet, Line};
use std::process::{Command, Output};

fn fleet(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centauri-bench"));
    command.arg("fleet").args(arguments);
    command.output().expect("the command runs")
}

/// The record of a run; `None`, and a word, where the server has not been built.
fn measured(arguments: &[&str]) -> Option<Fleet> {
    let output = fleet(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("there is no server") {
        println!("skipped: {}", errors.trim());
        return None;
    }
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("a record"));
    let mut fleet = lines.filter_map(|line: Line| match line {
        Line::Fleet(fleet) => Some(*fleet),
        _ => None,
    });
    Some(fleet.next_back().expect("a record of the fleet"))
}

const SMALL: [&str; 12] = [
    "--json",
    "--unpinned",
    "--streams",
    "200",
    "--seconds",
    "2",
    "--warmup",
    "1",
    "--phases",
    "20",
    "--date",
    "2026-01-01",
];

#[test]
fn a_small_fleet_adds_up_on_each_driver() {
    for driver in ["epoll", "auto"] {
        let arguments = [&SMALL[..], &["--driver", driver, "--liars", "1"]].concat();
        let Some(fleet) = measured(&arguments) else { return };
        // Two seconds of a round a second: each stream is due twice.
        assert_eq!((fleet.streams, fleet.due), (200, 400));
        assert_eq!(fleet.decided + fleet.missing, fleet.due);
        // A server on a busy machine may be late, but it is to come to each round, and once.
        assert!(fleet.decided > 0, "{fleet:?}");
        assert_eq!((fleet.duplicate, fleet.early), (0, 0), "{fleet:?}");
        assert!(fleet.sampled > 0 && fleet.wrong == 0, "{fleet:?}");
        assert!(fleet.frames_accepted <= fleet.frames_sent && fleet.frames_accepted > 0, "{fleet:?}");
        assert!(fleet.cpu_us_per_decision > 0.0 && fleet.resident_bytes > 0, "{fleet:?}");
        assert!(fleet.bytes_per_stream.is_some());
        assert!(driver != "epoll" || fleet.driver == "epoll", "{}", fleet.driver);
    }
}

#[test]
fn results_are_reported_and_compared() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (results, page) = (path("fleet.jsonl"), path("fleet.html"));
    let arguments = ["--unpinned", "--streams", "50", "--seconds", "1", "--warmup", "0", "--out", &results];
    let output = fleet(&arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("there is no server") {
        println!("skipped: {}", errors.trim());
        return;
    }
    assert!(output.status.success(), "{errors}");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("50 streams of 4 replicas") && told.contains("after deadline"), "{told}");
    let bench = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_centauri-bench")).args(arguments).output();
        let output = output.expect("the command runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    bench(&["report", &results, "--html", &page]);
    let html = std::fs::read_to_string(&page).expect("the page");
    assert!(html.contains("How punctual a server is") && html.contains("50 streams, n = 4"), "{html}");
    bench(&["compare", &results, &results]);
}

#[test]
fn what_is_wrong_is_one_line() {
    for (arguments, expected) in [
        (["--server", "/no/such/server"], "/no/such/server: there is no server; build it with `cargo build"),
        (["--rate", "0"], "--rate: expected"),
        (["--liars", "2"], "--liars: found 2, expected at most the 1 faults"),
        (["--seconds", "nan"], "--seconds: found NaN"),
    ] {
        // Any file will do in the server's place: it is not started.
        let server = std::env::current_exe().expect("a path").display().to_string();
        let all: Vec<&str> = if arguments[0] == "--server" {
            arguments.to_vec()
        } else {
            [&arguments[..], &["--server", &server]].concat()
        };
        let output = fleet(&all);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(expected) && errors.trim().lines().count() == 1, "{errors}");
    }
}
