//! `centauri-bench report` and `compare` as processes: golden pages, hostile names, bad input, and statistics by hand.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_centauri-bench")).args(arguments).output().unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A record of a made-up cell; every placeholder is a JSON string's content.
fn record(noise: &str, attack: &str, estimator: &str, rmse: f64, se: f64) -> String {
    format!(
        r#"{{"kind":"accuracy","cell":{{"noise":"{noise}","attack":"{attack}","n":7,"f":2,"prior":"none","loss":0.0,"drift":"none","model":"right"}},"estimator":"{estimator}","rounds":100,"rmse_truth":{rmse},"rmse_truth_se":{se},"rmse_honest":1.0,"rel_honest_mean":{rmse},"bias":0.0,"bias_max":null,"coverage":null,"width":null,"region_coverage":null,"region_width":null,"log_score":null,"calibration":null,"liars_named":null,"honest_named":null,"seed":1}}"#
    )
}

fn reading(attack: &str, estimator: &str, rmse: f64) -> String {
    format!(
        r#"{{"kind":"reading","stream":"s","attack":"{attack}","n":4,"f":1,"model":"fitted","prior":"following","estimator":"{estimator}","rounds":100,"rmse":{rmse},"rmse_se":0.01,"rmse_all":{rmse},"rmse_all_se":0.01,"seed":1}}"#
    )
}

fn route(attack: &str, right: f64, regret: f64) -> String {
    format!(
        r#"{{"kind":"route","choice":"c","routes":["a","b"],"attack":"{attack}","n":4,"f":1,"estimator":"marginal","prior":"none","handicap_s":0.0,"rounds":100,"right":{right},"right_se":0.01,"regret_s":{regret},"regret_se_s":0.1,"seed":1}}"#
    )
}

fn write(folder: &Path, name: &str, lines: &[String]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, lines.join("\n")).unwrap();
    text(&path)
}

/// Equal to the file, or, with `UPDATE_GOLDEN=1`, written to it.
fn check_golden(found: &Path, name: &str) {
    let golden = fixture(name);
    let found = std::fs::read_to_string(found).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    let line = found.lines().zip(expected.lines()).position(|(a, b)| a != b);
    assert!(
        found == expected,
        "{name} differs, first at line {:?}; UPDATE_GOLDEN=1 accepts it",
        line.map(|l| l + 1)
    );
}

#[test]
fn pages_of_a_small_run_are_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("README.md"), "# X\n<!-- accuracy:begin -->\nold\n<!-- accuracy:end -->\nend\n")
        .unwrap();
    let output = bench(&[
        "report",
        &text(&fixture("small.jsonl")),
        "--html",
        &text(&at("report.html")),
        "--markdown",
        &text(&at("docs/ACCURACY.md")),
        "--images",
        &text(&at("docs/img")),
        "--readme",
        &text(&at("README.md")),
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    check_golden(&at("report.html"), "small.html");
    check_golden(&at("docs/ACCURACY.md"), "small.md");
    check_golden(&at("README.md"), "small-readme.md");
    check_golden(&at("docs/img/accuracy-error-strong.svg"), "small-error-strong.svg");
    let readme = std::fs::read_to_string(at("README.md")).unwrap();
    assert!(
        readme.contains("](<docs/img/accuracy-error-strong.svg>)") && !readme.contains("old"),
        "{readme}"
    );
    // Every picture that the Markdown names is there.
    let markdown = std::fs::read_to_string(at("docs/ACCURACY.md")).unwrap();
    let names = markdown.split("](<").skip(1).filter_map(|rest| rest.split_once(">)")).map(|(name, _)| name);
    let missing: Vec<&str> = names.filter(|name| !at("docs").join(name).is_file()).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left.len(), 3, "nothing half-written is left: {left:?}");
}

#[test]
fn the_summary_counts_by_hand() {
    // Against the best rival: 0.9 ≤ 1.0; 1.2 > 1.0 (best is the median); against the median: ≤ 1.5; > 1.0.
    let folder = tempfile::tempdir().unwrap();
    let results = write(
        folder.path(),
        "r.jsonl",
        &[
            record("gaussian", "none", "marginal", 0.9, 0.01),
            record("gaussian", "none", "joint", 0.1, 0.01),
            record("gaussian", "none", "mean", 1.0, 0.01),
            record("gaussian", "none", "median", 1.5, 0.01),
            record("laplace", "far", "marginal", 1.2, 0.01),
            record("laplace", "far", "mean", 40.0, 0.01),
            record("laplace", "far", "median", 1.0, 0.01),
        ],
    );
    let page = folder.path().join("a.md");
    assert!(bench(&["report", &results, "--markdown", &text(&page)]).status.success());
    let page = std::fs::read_to_string(page).unwrap().replace('\u{a0}', " ");
    assert!(page.contains("| `none` | 2 | 50 % | 50 % | 1.20 | 50 % | 1.20 | – |"), "{page}");
}

#[test]
fn names_out_of_a_file_have_no_power() {
    let folder = tempfile::tempdir().unwrap();
    let evil = r#"<script>alert(1)</script>\"'|`[x](javascript:1)<!-- accuracy:end -->\u202e\u001b[2J"#;
    let results = write(
        folder.path(),
        "r.jsonl",
        &[
            record(evil, evil, "marginal", 1.0, 0.1),
            record(evil, evil, evil, 1.0, 0.1),
            format!(
                r#"{{"kind":"run","version":"{evil}","commit":"{evil}","command":"{evil}","machine":"{evil}","seed":1,"date":"{evil}","quick":false}}"#
            ),
            format!(
                r#"{{"kind":"influence","estimator":"{evil}","n":7,"f":2,"prior":"{evil}","points":[[-1.0,0.5],[1.0,0.5]]}}"#
            ),
            format!(r#"{{"kind":"{evil}"}}"#),
        ],
    );
    let (html, markdown) = (folder.path().join("a.html"), folder.path().join("a.md"));
    let images = folder.path().join("img");
    let output = bench(&[
        "report",
        &results,
        "--html",
        &text(&html),
        "--markdown",
        &text(&markdown),
        "--images",
        &text(&images),
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut pages = vec![std::fs::read_to_string(html).unwrap(), std::fs::read_to_string(markdown).unwrap()];
    for file in std::fs::read_dir(images).unwrap().flatten() {
        let name = file.file_name().into_string().unwrap();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(name.strip_suffix(".svg").is_some_and(|stem| stem.chars().all(plain)), "{name}");
        pages.push(std::fs::read_to_string(file.path()).unwrap());
    }
    assert!(pages.len() > 3);
    for page in &pages {
        assert!(!page.contains("<script") && !page.contains("accuracy:end -->"), "{page}");
        assert!(!page.contains(['\u{1b}', '\u{202e}']), "{page}");
    }
    assert!(!pages[1].contains("](javascript"), "in Markdown that would be a link: {}", pages[1]);
    // The names are there all the same.
    assert!(pages[0].contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(pages[0].contains("Not shown"));
    let terminal = String::from_utf8(bench(&["compare", &results, &results]).stdout).unwrap();
    assert!(!terminal.contains('\u{1b}'));
}

#[test]
fn bad_input_is_one_line_with_its_place_and_leaves_nothing() {
    let good = record("gaussian", "none", "marginal", 1.0, 0.1);
    let cases = [
        ("{".to_owned(), "not a record"),
        ("[]".to_owned(), "not a record"),
        (r#"{"kind":"accuracy"}"#.to_owned(), "missing field"),
        (good.replace("\"n\":7", "\"n\":2"), "f < n"),
        (good.replace("\"rmse_truth\":1", "\"rmse_truth\":-1"), "at least 0"),
        (good.replace("\"rmse_truth\":1", "\"rmse_truth\":1e999"), "out of range"),
        (good.replace("\"liars_named\":null", "\"liars_named\":1.5"), "from 0 to 1"),
        (good.replace("\"loss\":0.0", "\"loss\":-0.5"), "from 0 to 1"),
        (reading("far", "marginal", -1.0), "at least 0"),
        (route("far", 1.5, 3.0), "from 0 to 1"),
        (r#"{"kind":"stream"}"#.to_owned(), "missing field"),
        (format!("{{\"kind\":\"{}\"}}", "x".repeat(1 << 20)), "more than"),
    ];
    for (line, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        let results = write(folder.path(), "r.jsonl", &[good.clone(), String::new(), line]);
        let html = folder.path().join("a.html");
        let output = bench(&["report", &results, "--html", &text(&html)]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains(&format!("{results}:3: ")) && error.contains(expected), "{error}");
        assert!(!html.exists());
        assert_eq!(bench(&["compare", &results, &results]).status.code(), Some(2));
    }
}

#[test]
fn absent_files_objectives_and_marks_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let results = write(folder.path(), "r.jsonl", &[record("gaussian", "none", "marginal", 1.0, 0.1)]);
    let (html, readme) =
        (text(&folder.path().join("a.html")), write(folder.path(), "R.md", &["# X".to_owned()]));
    for (arguments, expected) in [
        (vec!["report", "/nowhere/r.jsonl", "--html", &html], "/nowhere/r.jsonl"),
        (vec!["report", &results, "--html", &html, "--objective", "best"], "there are marginal"),
        (vec!["report", &results, "--html", &html, "--readme", &readme], "accuracy:begin"),
        (vec!["report", &results], "--html"),
        (vec!["compare", &results, &results, "--level", "2"], "between 0 and 1"),
    ] {
        let output = bench(&arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    assert!(!Path::new(&html).exists(), "nothing is written before all is made");
}

#[test]
fn compare_tells_what_exceeds_the_spread() {
    // Five pairs, m = 5. z = change / √(0.03² + 0.04²) = change / 0.05; p from tables of the normal law:
    //   mean      +0.20: z = 4.0, p = 6.334e-5; the least, times 5: 3.167e-4, worse
    //   median    −0.15: z = −3.0, p = 2.700e-3, times 4: 1.080e-2, better
    //   krum      +0.12: z = 2.4, p = 1.640e-2, times 3: 4.919e-2, worse, just
    //   marginal  +0.11: z = 2.2, p = 2.781e-2, times 2: 5.561e-2, not
    //   pyth       0.00: p = 1, not
    let folder = tempfile::tempdir().unwrap();
    let changes = [("mean", 0.2), ("median", -0.15), ("krum", 0.12), ("marginal", 0.11), ("pyth", 0.0)];
    let make = |name: &str, se: f64, scale: f64, extra: &[&str]| {
        let mut lines: Vec<String> = changes
            .iter()
            .map(|(e, change)| record("gaussian", "none", e, 1.0 + change * scale, se))
            .collect();
        lines.extend(extra.iter().map(|e| record("gaussian", "none", e, 1.0, se)));
        write(folder.path(), name, &lines)
    };
    let old = make("old.jsonl", 0.03, 0.0, &["gone"]);
    let new = make("new.jsonl", 0.04, 1.0, &["fresh", "fresher"]);
    let output = bench(&["compare", &old, &new]);
    assert_eq!(output.status.code(), Some(0));
    let found = String::from_utf8(output.stdout).unwrap();
    assert!(found.starts_with("5 pairs of cell and estimator compared"), "{found}");
    assert!(found.contains("2 worse and 1 better") && found.contains("2 not."), "{found}");
    assert!(found.contains("1 only in the old file, 2 only in the new one."), "{found}");
    let names: Vec<&str> =
        found.lines().filter(|l| l.contains("z =")).filter_map(|l| l.split_whitespace().next()).collect();
    assert_eq!(names, ["mean", "krum", "median"], "worse first, the largest change first: {found}");
    assert!(
        found.contains("p = 3.2e−4") && found.contains("p = 0.0108") && found.contains("p = 0.0492"),
        "{found}"
    );

    assert_eq!(bench(&["compare", &old, &new, "--fail-on-regression"]).status.code(), Some(1));
    assert_eq!(bench(&["compare", &old, &old, "--fail-on-regression"]).status.code(), Some(0));
    // Alone, a pair needs no correction: 2.781e-2 is beyond.
    let alone = ["compare", &old, &new, "--estimator", "marginal", "--fail-on-regression"];
    assert_eq!(bench(&alone).status.code(), Some(1));
    assert_eq!(
        bench(&["compare", &old, &new, "--estimator", "median", "--fail-on-regression"]).status.code(),
        Some(0)
    );
}

#[test]
fn compare_without_spread_takes_every_difference_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name, rmse| write(folder.path(), name, &[record("gaussian", "none", "marginal", rmse, 0.0)]);
    let (old, new) = (make("a.jsonl", 1.0), make("b.jsonl", 1.000_001));
    assert_eq!(bench(&["compare", &old, &new, "--fail-on-regression"]).status.code(), Some(1));
    assert_eq!(bench(&["compare", &old, &old, "--fail-on-regression"]).status.code(), Some(0));
}

#[test]
fn readings_are_counted_by_hand_and_compared() {
    // Ours over the best rival: far 0.3/0.2, none 0.1/0 (the mean is the yardstick), stuck 0.2/0.4.
    let folder = tempfile::tempdir().unwrap();
    let lines = |ours: f64| {
        vec![
            reading("far", "marginal", 0.3),
            reading("far", "median", 0.2),
            reading("far", "mean", 5.0),
            reading("none", "marginal", 0.1),
            reading("none", "mean", 1e-16),
            reading("stuck", "marginal", ours),
            reading("stuck", "mean", 0.4),
            route("none", 0.9, 5.0 * ours),
        ]
    };
    let old = write(folder.path(), "old.jsonl", &lines(0.2));
    let page = folder.path().join("a.md");
    let output = bench(&["report", &old, "--markdown", &text(&page)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(page).unwrap().replace('\u{a0}', " ");
    let row = "| `marginal` | `fitted` | `following` | honest mean | 3 | 33 % | ∞ | 50 % | 1.00 | 1.50 |";
    assert!(page.contains(row), "{page}");
    assert!(page.contains("| `marginal` | `none` | 90 %; 1.00 s |"), "{page}");

    let new = write(folder.path(), "new.jsonl", &lines(0.4));
    let output = bench(&["compare", &old, &new, "--fail-on-regression"]);
    let found = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{found}");
    assert!(found.starts_with("8 pairs") && found.contains("2 worse and 0 better"), "{found}");
    assert!(found.contains("s, stuck, model fitted, prior following"), "{found}");
    assert!(found.contains("route c, none, prior none, handicap 0 s"), "{found}");
}

#[test]
fn results_that_are_compressed_are_read_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let plain = write(folder.path(), "r.jsonl", &[record("gaussian", "none", "marginal", 0.9, 0.01)]);
    let packed = folder.path().join("r.jsonl.zst");
    let bytes = zstd::encode_all(std::fs::read(&plain).unwrap().as_slice(), 3).unwrap();
    std::fs::write(&packed, bytes).unwrap();
    let output = bench(&["compare", &plain, &text(&packed)]);
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("1 pairs"));
    std::fs::write(&packed, "not compressed").unwrap();
    let output = bench(&["compare", &plain, &text(&packed)]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 1);
}
