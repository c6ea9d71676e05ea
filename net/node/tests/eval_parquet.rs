//! `centauri eval` with Parquet, little memory, and backends that are not there.

use centauri_files::{Directory, Format, ReadingRecord, ReadingWriter, Readings, read_model};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn eval(model: &Path, input: &Path, output: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centauri"));
    command.args(["eval", "--model"]).arg(model).arg("--input").arg(input).arg("--output").arg(output);
    command.args(more).output().unwrap()
}

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/integration/vectors").join(name)
}

fn converted(csv: &Path, directory: &Directory) -> Vec<u8> {
    let mut writer = ReadingWriter::new(Format::Parquet, Vec::new());
    for reading in Readings::open(csv, directory).unwrap() {
        let reading = reading.unwrap();
        let stream = directory.name(reading.stream).unwrap();
        let replica = &directory.replicas(reading.stream)[reading.replica];
        writer.write(&ReadingRecord { stream, round: reading.round, replica, value: reading.value }).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn parquet_in_and_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let model = vector("000-identity.toml");
    let csv = model.with_extension("csv");
    let directory = Directory::new(&read_model(&model).unwrap());
    std::fs::write(path("in.parquet"), converted(&csv, &directory)).unwrap();
    for (input, output) in [
        (csv.as_path(), "csv.jsonl"),
        (&path("in.parquet"), "parquet.jsonl"),
        (&path("in.parquet"), "parquet.parquet"),
    ] {
        let run = eval(&model, input, &path(output), &[]);
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        assert!(
            run.stdout.is_empty() && run.stderr.is_empty(),
            "neither results nor a bar where nobody looks"
        );
    }
    let text = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    assert!(text("csv.jsonl").lines().count() > 5);
    assert_eq!(text("parquet.jsonl"), text("csv.jsonl"));
    let bytes = std::fs::read(path("parquet.parquet")).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
}

#[test]
fn little_memory_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(
        path("m.toml"),
        "version = 1\n[[streams]]\nname = \"s\"\nreplicas = [\"a\", \"b\"]\nsupport = { min = 0, step = 1, points = 5 }\n\
         output = { computation = \"identity\", noise = { family = \"normal\", mean = 0, sd = 1 } }\n",
    )
    .unwrap();
    // Two rows a round, far from each other, and more of them than a mebibyte sorts.
    let rounds = 40_000_u64;
    let row = |i: u64| {
        let j = i * 7_919 % (2 * rounds);
        format!("s,{},{},{}\n", j / 2, if j.is_multiple_of(2) { "a" } else { "b" }, j / 2 % 5)
    };
    let rows: String = (0..2 * rounds).map(row).collect();
    std::fs::write(path("in.csv"), format!("stream,round,replica,value\n{rows}")).unwrap();
    for (output, memory) in [("much.csv", "64"), ("little.csv", "1")] {
        let run = eval(&path("m.toml"), &path("in.csv"), &path(output), &["--sort-memory", memory]);
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }
    let text = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    assert_eq!(text("much.csv").lines().count() as u64, 1 + rounds);
    assert!(text("much.csv") == text("little.csv"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4, "nothing is left behind");
}

#[test]
fn files_that_are_not_parquet() {
    let folder = tempfile::tempdir().unwrap();
    let (bad, output) = (folder.path().join("bad.parquet"), folder.path().join("out.parquet"));
    std::fs::write(&bad, "stream,round,replica,value\n").unwrap();
    let model = vector("000-identity.toml");
    let run = eval(&model, &bad, &output, &[]);
    let error = String::from_utf8(run.stderr).unwrap();
    let expected = "bad.parquet: expected a Parquet file that can be read: ";
    assert!(error.contains(expected) && error.lines().count() == 1, "{error}");
    assert_eq!(run.status.code(), Some(2));
    assert!(!output.exists());
}
