//! Decisions as text, against independent readers of CSV and JSON.

mod common;

use centauri_engine::{Decision, Quorum};
use centauri_files::{AtomicFile, DecisionRecord, DecisionWriter, Format};
use common::{decision, undecided};

fn names() -> Vec<String> {
    ["top", "a\"b, c", "é"].map(str::to_owned).to_vec()
}

fn written(format: Format, rows: &[(&Decision, Option<&[f64]>)]) -> String {
    let replicas = names();
    let mut writer = DecisionWriter::new(format, Vec::new());
    for (round, (decision, honest)) in (-1..).zip(rows) {
        let record =
            DecisionRecord { stream: "s,\"1\"", round, replicas: &replicas, decision, honest: *honest };
        writer.write(&record).unwrap();
    }
    String::from_utf8(writer.finish().unwrap()).unwrap()
}

#[test]
fn csv_reads_back() {
    let text = written(Format::Csv, &[(&decision(), Some(&[0.5, 1.0, 1.0 / 3.0])), (&undecided(), None)]);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<_> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let expected = "stream, round, status, value, confidence, mean, sd, low, high, quorum, log_evidence, region_low, region_high, honest";
    assert_eq!(header, expected.split(", ").collect::<Vec<_>>());
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let number = |row: usize, column: usize| rows[row][column].parse::<f64>().unwrap();
    assert_eq!((&rows[0][0], &rows[0][1], &rows[0][2]), ("s,\"1\"", "-1", "decided"));
    let d = decision();
    for (column, expected) in (3..).zip([d.value, d.confidence, d.mean, d.sd, d.low, d.high]) {
        assert_eq!(number(0, column).to_bits(), expected.to_bits());
    }
    assert_eq!(&rows[0][9], "top;é");
    assert_eq!((number(0, 10), number(0, 11), number(0, 12)), (-4.25671, 1.0, 2.0));
    assert_eq!(&rows[0][13], "top=0.5;a\"b, c=1.0;é=0.3333333333333333");
    assert_eq!((&rows[1][1], &rows[1][2]), ("0", "no_quorum"));
    assert!((9..14).all(|column| rows[1][column].is_empty()));
    assert_eq!(rows.len(), 2);
}

#[test]
fn json_reads_back() {
    let unproven = Decision { exhaustive: false, ..decision() };
    let honest: &[f64] = &[0.5, 1.0, 1.0 / 3.0];
    let text = written(
        Format::JsonLines,
        &[(&decision(), Some(honest)), (&undecided(), None), (&unproven, Some(honest))],
    );
    let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let d = decision();
    let numbers = [
        ("value", d.value),
        ("confidence", d.confidence),
        ("mean", d.mean),
        ("sd", d.sd),
        ("low", d.low),
        ("high", d.high),
    ];
    for (key, expected) in numbers {
        assert_eq!(rows[0][key].as_f64().unwrap().to_bits(), expected.to_bits(), "{key}");
    }
    assert_eq!(rows[0]["stream"], "s,\"1\"");
    assert_eq!(rows[0]["round"], -1);
    assert_eq!(rows[0]["quorum"], serde_json::json!(["top", "é"]));
    assert_eq!(rows[0]["honest"], serde_json::json!({"top": 0.5, "a\"b, c": 1.0, "é": 1.0 / 3.0}));
    let positions: Vec<_> =
        ["\"top\":", "\"a\\\"b, c\":", "\"é\":"].iter().map(|key| text.find(key).unwrap()).collect();
    assert!(positions.is_sorted(), "honest is in the order of the model");
    for key in ["log_evidence", "region_low", "region_high", "honest"] {
        assert!(rows[1][key].is_null() && rows[1].as_object().unwrap().contains_key(key), "{key}");
    }
    assert_eq!(rows[1]["quorum"], serde_json::json!([]));
    let exhaustive: Vec<_> = rows.iter().map(|row| row.get("exhaustive").cloned()).collect();
    assert_eq!(exhaustive, [None, None, Some(serde_json::json!(false))]);
}

#[test]
fn no_decisions_are_a_header_or_nothing() {
    assert_eq!(written(Format::JsonLines, &[]), "");
    assert_eq!(written(Format::Csv, &[]).lines().count(), 1);
}

#[test]
fn what_cannot_be_written_leaves_no_half_row() {
    let replicas = names();
    let bad = Decision { sd: f64::NAN, ..decision() };
    let stray = Decision { quorum: Quorum::EMPTY.with(3), ..decision() };
    for format in [Format::Csv, Format::JsonLines] {
        let mut writer = DecisionWriter::new(format, Vec::new());
        let good = decision();
        let record =
            DecisionRecord { stream: "s", round: 1, replicas: &replicas, decision: &good, honest: None };
        writer.write(&record).unwrap();
        for (decision, honest) in [
            (&bad, None),
            (&stray, None),
            (&good, Some([1.0].as_slice())),
            (&good, Some(&[1.0, 0.5, f64::INFINITY])),
        ] {
            let error = writer.write(&DecisionRecord { decision, honest, ..record }).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        }
        let text = String::from_utf8(writer.finish().unwrap()).unwrap();
        assert!(
            text.ends_with('\n') && text.lines().filter(|line| line.contains("decided")).count() == 1,
            "{text}"
        );
    }
}

#[test]
fn into_an_atomic_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("decisions.csv");
    let writer = DecisionWriter::new(Format::from_path(&path).unwrap(), AtomicFile::create(&path).unwrap());
    let out = writer.finish().unwrap();
    assert!(!path.exists());
    out.commit().unwrap();
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("stream,round,status,"));
}
