//! The project's test vectors through Parquet: readings from CSV to Parquet, decisions to Parquet, and from there the same
//! as on the way through CSV and JSON Lines.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use centauri_engine::{Fleet, ScalarBackend, Session, StreamId};
use centauri_files::{
    BatchEvaluator, DecisionRecord, DecisionWriter, Directory, Format, ReadingRecord, ReadingWriter,
    Readings, Rounds, collect_rounds, read_model,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

fn models() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/integration/vectors");
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut models: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    models.sort();
    models
}

fn on_disk(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn batches(bytes: &[u8]) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(on_disk(bytes)).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

fn converted(csv: &[u8], directory: &Directory) -> Vec<u8> {
    let mut writer = ReadingWriter::new(Format::Parquet, Vec::new());
    for reading in Readings::new(Format::Csv, csv, "csv", directory).unwrap() {
        let reading = reading.unwrap();
        let stream = directory.name(reading.stream).unwrap();
        let replica = &directory.replicas(reading.stream)[reading.replica];
        writer.write(&ReadingRecord { stream, round: reading.round, replica, value: reading.value }).unwrap();
    }
    writer.finish().unwrap()
}

fn decided(fleet: Fleet, rounds: Rounds<'_>, format: Format) -> Vec<u8> {
    let mut session = Session::new(fleet, Box::new(ScalarBackend::new()));
    let mut writer = DecisionWriter::new(format, Vec::new());
    for round in rounds {
        let round = round.unwrap();
        session.push(StreamId(round.stream as u32), round.round, &round.reports).unwrap();
        session.flush().unwrap();
        let (decided, stream) = (session.decided(), session.flushed()[0].0);
        let info = session.fleet().stream(stream).unwrap();
        let record = DecisionRecord {
            stream: info.name(),
            round: round.round,
            replicas: info.replicas(),
            decision: decided.decision(0),
            honest: decided.honest(0),
        };
        writer.write(&record).unwrap();
    }
    writer.finish().unwrap()
}

/// Rows of decisions as JSON Lines has them.
fn as_json(batch: &RecordBatch) -> Vec<Value> {
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let text = |name: &str, row: usize| column(name).as_string::<i32>().value(row).to_owned();
    let strings = |array: &dyn Array| {
        array.as_string::<i32>().iter().map(|s| s.unwrap().to_owned()).collect::<Vec<_>>()
    };
    let object = |row: usize| {
        let mut object = Map::new();
        object.insert("stream".to_owned(), text("stream", row).into());
        object.insert("round".to_owned(), column("round").as_primitive::<Int64Type>().value(row).into());
        object.insert("status".to_owned(), text("status", row).into());
        for name in
            ["value", "confidence", "mean", "sd", "low", "high", "log_evidence", "region_low", "region_high"]
        {
            let column = column(name).as_primitive::<Float64Type>();
            object.insert(name.to_owned(), (!column.is_null(row)).then(|| column.value(row)).into());
        }
        object.insert("quorum".to_owned(), json!(strings(&column("quorum").as_list::<i32>().value(row))));
        let honest = column("honest").as_map();
        let entries = (!honest.is_null(row)).then(|| {
            let entries = honest.value(row);
            let values = entries.column(1).as_primitive::<Float64Type>().values().to_vec();
            strings(entries.column(0))
                .into_iter()
                .zip(values.into_iter().map(Value::from))
                .collect::<Map<_, _>>()
        });
        object.insert("honest".to_owned(), entries.map_or(Value::Null, Value::Object));
        Value::Object(object)
    };
    (0..batch.num_rows()).map(object).collect()
}

#[test]
fn decisions_are_the_same_through_parquet() {
    let (mut rounds, mut unproven) = (0, 0);
    for path in models() {
        let set = read_model(&path).unwrap();
        let (directory, fleet) = (Directory::new(&set), Fleet::compile(&set).unwrap());
        let csv = std::fs::read(path.with_extension("csv")).unwrap();
        let through_csv = collect_rounds(
            Readings::new(Format::Csv, csv.as_slice(), "csv", &directory).unwrap(),
            &directory,
        );
        let json = decided(fleet.clone(), through_csv.unwrap(), Format::JsonLines);
        let mut expected: Vec<Value> = String::from_utf8(json)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for row in &mut expected {
            // Told in the metadata of Parquet.
            unproven += usize::from(row.as_object_mut().unwrap().remove("exhaustive").is_some());
        }

        let parquet = converted(&csv, &directory);
        let readings = Readings::new(Format::Parquet, parquet.as_slice(), "parquet", &directory).unwrap();
        let through_parquet = collect_rounds(readings, &directory).unwrap();
        let decisions = decided(fleet.clone(), through_parquet, Format::Parquet);
        let found: Vec<Value> = batches(&decisions).iter().flat_map(as_json).collect();
        assert_eq!(found, expected, "{}", path.display());

        let mut evaluator = BatchEvaluator::new(fleet, Box::new(ScalarBackend::new()));
        let [readings] = batches(&parquet).try_into().unwrap();
        let found = as_json(&evaluator.evaluate(&readings).unwrap());
        assert_eq!(found, expected, "{} as a batch", path.display());
        rounds += expected.len();
    }
    assert!(rounds > 1_000, "{rounds} rounds, of which {unproven} unproven");
}
