//! The choice of routes through the whole system over sockets, against the offline evaluation.

use centauri_bench::routes::data::{Routes, Sample};
use centauri_bench::routes::lie::Lie;
use centauri_bench::routes::{Options, data, live};
use std::path::Path;

/// Loopback loses nothing at this pace, but on a machine that has other work something may not come within a second.
const ATTEMPTS: usize = 3;

fn check(routes: &Routes, lie: Lie) -> live::Live {
    let mut attempts = (0..ATTEMPTS).map(|_| live::compare(routes, &Options::default(), lie).unwrap());
    let found = attempts.find(|found| found.lost == 0).expect("once all arrives");
    println!("{}: {found:?}", routes.choice);
    assert_eq!(found.departures, routes.halves().1.len());
    assert_eq!(found.reports_same, found.departures, "{found:?}");
    assert_eq!(found.same, [found.departures; 2], "{found:?}");
    // Some 1e-9 of the times has been seen.
    assert!(found.difference_max_s < 1e-4, "{found:?}");
    found
}

#[test]
fn real_routes_are_chosen_as_by_the_offline_evaluation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let Some(folder) = data::within(&folder) else {
        println!("skipped: there are no real readings here");
        return;
    };
    let routes = &data::read(&folder).unwrap()[0];
    let found = check(routes, Lie::FarPush);
    // Each route is chosen now and then, so that the same choices mean something.
    assert!(found.first[1] > 20 && found.first[1] < found.departures - 20, "{found:?}");
    assert!(found.published > 0 && found.taken > 0, "{found:?}");
}

/// Two routes that swing about each other, with delays of up to three measurements, in no order, and measurements that are missing.
fn swinging() -> Routes {
    let sample = |k: usize| Sample {
        at_s: k as f64 * 600.0 + if k > 70 { 9_000.0 } else { 0.0 },
        delay_s: [590.0, 1_700.0, 60.0, 700.0, 600.0][k * 7 % 5],
        times_s: [Some(1_000.0 + 100.0 * (k as f64 / 8.0).sin()), (k % 20 != 7).then_some(1_000.0)],
    };
    Routes {
        choice: "swing".to_owned(),
        names: ["a".to_owned(), "b".to_owned()],
        samples: (0..120).map(sample).collect(),
    }
}

#[test]
fn every_lie_is_told_alike() {
    for lie in Lie::ALL {
        check(&swinging(), lie);
    }
}

fn command(arguments: &[&str]) -> std::process::Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_centauri-bench"));
    command.arg("routes").args(arguments).output().expect("the command runs")
}

#[test]
fn the_command_compares_what_it_is_given_and_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let found = command(&["--readings", path]);
    let error = String::from_utf8(found.stderr).unwrap();
    assert!(found.status.code() == Some(2) && error.contains("found no travel times there"), "{error}");

    let mut times = "measured_utc,published_utc,a,b\n".to_owned();
    for k in 0..60 {
        let at = |minutes: usize| format!("2021-03-01T{:02}:{:02}:00Z", minutes / 60, minutes % 60);
        let (a, b) = (1_000.0 + 90.0 * (k as f64 / 5.0).sin(), 1_000);
        times += &format!("{},{},{a},{b}\n", at(k * 10), at(k * 10 + 7 + k % 3));
    }
    std::fs::write(folder.path().join("travel_time_s.csv"), times).unwrap();
    std::fs::write(
        folder.path().join("routes.csv"),
        "choice,route,sections\nswing,first,a\nswing,second,b\n",
    )
    .unwrap();
    let found = command(&["--readings", path, "--choice", "ring"]);
    let error = String::from_utf8(found.stderr).unwrap();
    assert!(error.contains("found no choice \"ring\", expected one of swing"), "{error}");
    let mut attempts = (0..ATTEMPTS).map(|_| command(&["--readings", path, "--lie", "push_30sd", "--json"]));
    let found = attempts.find(|found| found.status.code() != Some(2)).expect("once all arrives");
    let line: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!((&line["choice"], &line["lie"]), (&"swing".into(), &"push_30sd".into()), "{line}");
    assert_eq!(found.status.code(), Some(0), "{line}");
    assert_eq!((&line["departures"], &line["alike"]), (&30.into(), &30.into()), "{line}");
    let first = line["first"].as_u64().unwrap();
    assert!((1..30).contains(&first), "{line}");
}
