//! `centauri-bench accuracy --readings` as a process, on small files made here and, where they are, on real ones.

use centauri_bench::readings::{self, runner};
use centauri_bench::result::{Line, Reading};
use centauri_bench::routes;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_centauri-bench")).args(arguments).output().unwrap()
}

/// Four sensors of one slow wave, an hour apart, each with an error of its own that never repeats soon.
fn wave(folder: &Path) -> PathBuf {
    let mut text = "time,place,a,b,c,d\n".to_owned();
    for t in 0..600 {
        let error = |k: u64| {
            let mixed = (t * 4 + k)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29)
                .wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed >> 40) as f64 / f64::from(1 << 24) - 0.5
        };
        let truth = 20.0 + 5.0 * (t as f64 / 20.0).sin();
        let of = |k: u64| format!("{:.4}", truth + error(k) + error(k + 1000) + error(k + 2000));
        let c = if t % 9 == 4 { String::new() } else { of(2) };
        text += &format!("{},roof,{},{},{c},{}\n", t * 3_600, of(0), of(1), of(3));
    }
    let path = folder.join("wave.csv");
    std::fs::write(&path, text).unwrap();
    path
}

fn lines(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn reading<'a>(lines: &'a [Line], estimator: &str, attack: &str, model: &str) -> &'a Reading {
    let mut readings = lines.iter().filter_map(|l| if let Line::Reading(r) = l { Some(&**r) } else { None });
    let same = |r: &&Reading| {
        r.estimator == estimator && r.attack == attack && r.model == model && r.prior == "following"
    };
    readings.find(same).unwrap()
}

#[test]
fn a_users_file_is_measured_and_one_seed_gives_one_result() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (wave(folder.path()), folder.path().join("r.jsonl"));
    let run = |out: &Path, threads: &str| {
        let out = out.to_str().unwrap();
        let file = file.to_str().unwrap();
        let arguments = [
            "accuracy",
            "--readings",
            file,
            "--columns",
            "a,b,c,d",
            "--quick",
            "--date",
            "2024-01-01",
            "--seed",
            "5",
            "--threads",
        ];
        let output = bench(&[&arguments[..], &[threads, "--out", out]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let told = run(&out, "2");
    assert!(told.contains("seed 5") && told.contains("wave: 4 replicas, f = 1"), "{told}");
    let first = lines(&out);
    let again = folder.path().join("again.jsonl");
    run(&again, "1");
    assert_eq!(first[1..], lines(&again)[1..], "threads change nothing");

    // Errors of three even halves have sd ½; the mean's distance to itself is 0, and a far liar moves it by 30/4 sd.
    assert!(reading(&first, "mean", "none", "fitted").rmse < 1e-9);
    assert!((reading(&first, "mean", "far", "fitted").rmse - 7.5).abs() < 0.3);
    for attack in ["none", "far", "last_week", "silent"] {
        let ours = reading(&first, "marginal", attack, "fitted");
        assert!(ours.rmse < 0.6 && ours.rounds == 288, "{attack} {}", ours.rmse);
        assert!(ours.coverage.unwrap().p95 > 0.8, "{attack}");
    }
    assert!(reading(&first, "marginal", "far", "alike").liars_named.unwrap() > 0.99);
    assert_eq!(reading(&first, "marginal", "none", "fitted").liars_named, None);

    let page = folder.path().join("a.html");
    let output = bench(&["report", out.to_str().unwrap(), "--html", page.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(std::fs::read_to_string(page).unwrap().contains("Real readings"));
}

#[test]
fn bad_readings_are_one_line_and_exit_2() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let file = wave(folder.path());
    for (path, columns, expected) in [
        (write("a.csv", "t,a,b,c\n0,1,2,x\n"), "", "line 2, column \"c\": found \"x\""),
        (write("b.csv", "t,a,b\n0,1,2\n1,2,3\n"), "", "at least 3 columns"),
        (write("c.csv", "t,a,b,c\n0,1,2,3\n1,2,3,4\n2,1,2,3\n3,1,1,2\n"), "", "expected at least 50"),
        (file.to_str().unwrap().to_owned(), "", "column \"place\""),
        (file.to_str().unwrap().to_owned(), "a,b,z", "found no column \"z\""),
        (folder.path().to_str().unwrap().to_owned(), "", "metr_la_week"),
        ("/nowhere.csv".to_owned(), "", "/nowhere.csv"),
    ] {
        let mut arguments = vec!["accuracy", "--quick", "--readings", &path];
        if !columns.is_empty() {
            arguments.extend(["--columns", columns]);
        }
        let output = bench(&arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn residuals_of_a_file_are_a_noise() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (wave(folder.path()), folder.path().join("r.jsonl.zst"));
    let cells = "noise=residuals_wave,prior=strong,attack=far";
    let arguments = [
        "accuracy",
        "--quick",
        "--residuals",
        file.to_str().unwrap(),
        "--columns",
        "a,b,c,d",
        "--cells",
        cells,
    ];
    let output = bench(&[&arguments[..], &["--out", out.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = zstd::decode_all(std::fs::File::open(&out).unwrap()).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("\"noise\":\"residuals_wave\"") && !text.contains("null"), "{text}");
}

/// The folder of real readings, or none with a printed line.
fn real() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: there are no real readings here");
    None
}

#[test]
fn known_folders_are_prepared() {
    let Some(folder) = real() else { return };
    let found = readings::find(&[folder], &[]).unwrap();
    let names: Vec<&str> = found.series.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["metr_la/a", "metr_la/b", "met_mast/wind", "epa/o3", "epa/pm25", "epa/temp"]);
    let mast = &found.series[2];
    // Three icing spells of 8 h 20, 18 h 40 and 20 h, by ten minutes with both ends: 51 + 113 + 121.
    assert_eq!(mast.rounds.iter().filter(|r| r.excluded).count(), 285);
    // Wind grows with height by a power of about 1/7.
    assert!(mast.notes.iter().any(|note| note.contains("h^0.1")), "{:?}", mast.notes);
    assert_eq!(found.series[0].halves().1.len(), 7 * runner::BLOCK);
    assert_eq!((found.routes.len(), found.routes[0].samples.len()), (1, 799));
}

#[test]
fn a_liar_does_not_choose_the_route() {
    let Some(folder) = real() else { return };
    let folder = routes::data::within(&folder).unwrap();
    let routes = &routes::data::read(&folder).unwrap()[0];
    let chosen = routes::evaluate(routes, &routes::Options { repeats: 1, ..Default::default() }).unwrap();
    let regret = |estimator: &str, prior: &str, attack: &str| {
        let same = |r: &&centauri_bench::result::Route| {
            r.estimator == estimator && r.prior == prior && r.attack == attack && r.handicap_s > 0.0
        };
        chosen.iter().find(same).unwrap().regret_s
    };
    for attack in ["push_30sd", "swap"] {
        assert!(regret("marginal", "none", attack) < 0.5 * regret("mean", "none", attack), "{attack}");
        assert!(regret("marginal", "none", attack) < 0.5 * regret("last_value", "none", attack), "{attack}");
    }
}
