//! Parquet: what other writers make of readings, decisions as another reader sees them, and files that are not trusted.

mod common;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, Float32Array, Float64Array, Int8Array, Int32Array,
    Int64Array, LargeStringArray, NullArray, RecordBatch, StringArray, StringViewArray, UInt64Array,
};
use arrow_schema::{Field, Schema};
use centauri_engine::Decision;
use centauri_files::{
    DecisionRecord, DecisionWriter, Directory, Format, Reading, ReadingRecord, ReadingWriter, Readings,
    UNPROVEN_ROWS_KEY, collect_rounds, decisions_schema, silence_contained_panics,
};
use common::{decision, undecided};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterVersion};
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

fn directory() -> Directory {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    [("coin".to_owned(), names(&["top", "middle", "bottom"])), ("é".to_owned(), names(&["x;y=z", "top"]))]
        .into_iter()
        .collect()
}

fn read(bytes: &[u8]) -> Result<Vec<Reading>, String> {
    let directory = directory();
    let readings =
        Readings::new(Format::Parquet, bytes, "in", &directory).map_err(|error| error.to_string())?;
    readings.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

fn on_disk(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let field = |(name, column): &(&str, ArrayRef)| Field::new(*name, column.data_type().clone(), true);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, column)| column).collect()).unwrap()
}

fn file(columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) -> Vec<u8> {
    let batch = batch(columns);
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn plain(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    file(columns, WriterProperties::default())
}

fn good() -> [(&'static str, ArrayRef); 4] {
    [
        ("stream", Arc::new(StringArray::from(vec!["coin", "é", "coin", "coin"]))),
        ("round", Arc::new(Int64Array::from(vec![1, -7, 2, i64::MAX]))),
        ("replica", Arc::new(StringArray::from(vec!["top", "x;y=z", "bottom", "middle"]))),
        ("value", Arc::new(Float64Array::from(vec![Some(2.5), None, Some(-0.0), Some(5e-324)]))),
    ]
}

/// The good columns with others in the place of some of them.
fn with(others: Vec<(&'static str, ArrayRef)>) -> Vec<(&'static str, ArrayRef)> {
    let mut columns = good().to_vec();
    for (name, column) in others {
        match columns.iter_mut().find(|(known, _)| *known == name) {
            Some(place) => place.1 = column,
            None => columns.push((name, column)),
        }
    }
    columns
}

fn row(stream: usize, round: i64, replica: usize, value: Option<f64>, line: u64) -> Reading {
    Reading { stream, round, replica, value, line }
}

fn expected() -> [Reading; 4] {
    [
        row(0, 1, 0, Some(2.5), 0),
        row(1, -7, 0, None, 1),
        row(0, 2, 2, Some(-0.0), 2),
        row(0, i64::MAX, 1, Some(5e-324), 3),
    ]
}

#[test]
fn encodings_compressions_and_orders_of_other_writers() {
    let properties = || WriterProperties::builder();
    for (what, bytes) in [
        ("defaults", plain(good().to_vec())),
        ("reversed", plain(good().into_iter().rev().collect())),
        ("snappy", file(good().to_vec(), properties().set_compression(Compression::SNAPPY).build())),
        (
            "zstd",
            file(
                good().to_vec(),
                properties().set_compression(Compression::ZSTD(Default::default())).build(),
            ),
        ),
        (
            "version 2",
            file(good().to_vec(), properties().set_writer_version(WriterVersion::PARQUET_2_0).build()),
        ),
        ("no dictionary", file(good().to_vec(), properties().set_dictionary_enabled(false).build())),
        (
            "delta",
            file(
                good().to_vec(),
                properties()
                    .set_dictionary_enabled(false)
                    .set_column_encoding("stream".into(), Encoding::DELTA_BYTE_ARRAY)
                    .set_column_encoding("replica".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
                    .set_column_encoding("round".into(), Encoding::DELTA_BINARY_PACKED)
                    .set_column_encoding("value".into(), Encoding::BYTE_STREAM_SPLIT)
                    .build(),
            ),
        ),
        (
            "a row in a group",
            file(good().to_vec(), properties().set_max_row_group_row_count(Some(1)).build()),
        ),
    ] {
        assert_eq!(read(&bytes).unwrap_or_else(|error| panic!("{what}: {error}")), expected(), "{what}");
    }
}

fn of_text<A: From<Vec<&'static str>> + Array + 'static>(text: &[&'static str]) -> ArrayRef {
    Arc::new(A::from(text.to_vec()))
}

#[test]
fn types_of_other_writers() {
    let (streams, replicas) = (["coin", "é", "coin", "coin"], ["top", "x;y=z", "bottom", "middle"]);
    let dictionary = |names: &[&str]| -> ArrayRef {
        Arc::new(names.iter().copied().collect::<DictionaryArray<Int32Type>>())
    };
    let bytes = |names: &[&str]| -> ArrayRef {
        Arc::new(BinaryArray::from(names.iter().map(|name| name.as_bytes()).collect::<Vec<_>>()))
    };
    for (what, stream, replica) in [
        ("dictionary", dictionary(&streams), dictionary(&replicas)),
        ("large", of_text::<LargeStringArray>(&streams), of_text::<LargeStringArray>(&replicas)),
        ("view", of_text::<StringViewArray>(&streams), of_text::<StringViewArray>(&replicas)),
        ("binary", bytes(&streams), bytes(&replicas)),
        ("mixed", dictionary(&streams), bytes(&replicas)),
    ] {
        let bytes = plain(with(vec![("stream", stream), ("replica", replica)]));
        assert_eq!(read(&bytes).unwrap_or_else(|error| panic!("{what}: {error}")), expected(), "{what}");
    }
    let mut small = expected();
    small.iter_mut().zip([1, -7, 2, 3]).for_each(|(row, round)| row.round = round);
    let rounds: [ArrayRef; 2] =
        [Arc::new(Int32Array::from(vec![1, -7, 2, 3])), Arc::new(Int8Array::from(vec![1, -7, 2, 3]))];
    for round in rounds {
        assert_eq!(read(&plain(with(vec![("round", round)]))).unwrap(), small);
    }
    let third = f64::from(1.0_f32 / 3.0);
    let values: [(ArrayRef, [Option<f64>; 4]); 3] = [
        (
            Arc::new(Float32Array::from(vec![Some(1.0 / 3.0), None, Some(2.0), None])),
            [Some(third), None, Some(2.0), None],
        ),
        (
            Arc::new(Int32Array::from(vec![Some(-3), None, Some(0), None])),
            [Some(-3.0), None, Some(0.0), None],
        ),
        (Arc::new(NullArray::new(4)), [None; 4]),
    ];
    for (column, values) in values {
        let mut rows = expected();
        rows.iter_mut().zip(values).for_each(|(row, value)| row.value = value);
        assert_eq!(read(&plain(with(vec![("value", column)]))).unwrap(), rows);
    }
}

#[test]
fn bad_rows_and_columns() {
    let text = |names: [&'static str; 4]| of_text::<StringArray>(&names);
    let number = |value: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![1.0, 1.0, 1.0, value])) };
    let nulls = || -> ArrayRef { Arc::new(StringArray::from(vec![Some("coin"), None, None, None])) };
    let cases: Vec<(Vec<(&'static str, ArrayRef)>, &str)> = vec![
        (
            with(vec![("stream", text(["coin", "é", "dice", "coin"]))]),
            "in: row 2: unknown stream: found \"dice\", expected one of coin, é",
        ),
        (
            with(vec![("replica", text(["top", "x;y=z", "bottom", "tpo"]))]),
            "in: row 3: unknown replica of \"coin\": found \"tpo\", expected one of top, middle, bottom; did you mean \"top\"?",
        ),
        (
            with(vec![("value", number(f64::NAN))]),
            "in: row 3: value: found NaN, expected a finite number or null",
        ),
        (
            with(vec![("value", number(f64::NEG_INFINITY))]),
            "in: row 3: value: found -inf, expected a finite number or null",
        ),
        (with(vec![("stream", nulls())]), "in: row 1: stream: found null, expected a value in each row"),
        (
            with(vec![("round", Arc::new(Int64Array::from(vec![Some(1), Some(1), None, None])))]),
            "in: row 2: round: found null, expected a value in each row",
        ),
        (
            with(vec![("round", Arc::new(UInt64Array::from(vec![1; 4])))]),
            "in: round: found uint64, expected int64 or int32",
        ),
        (with(vec![("round", number(1.0))]), "in: round: found float64, expected int64 or int32"),
        (with(vec![("value", text(["1"; 4]))]), "in: value: found utf8view, expected float64 or float32"),
        (
            with(vec![("stream", number(1.0))]),
            "in: stream: found float64, expected utf8 or a dictionary of it",
        ),
        (
            with(vec![("time", number(1.0))]),
            "in: unknown column \"time\", expected stream, round, replica, value",
        ),
        (
            with(vec![("rounds", number(1.0))]),
            "in: unknown column \"rounds\", expected stream, round, replica, value; did you mean round?",
        ),
        (good().to_vec().split_off(1), "in: found no column stream, expected stream, round, replica, value"),
        ([good().to_vec(), good().to_vec()].concat(), "in: found the column stream twice"),
    ];
    for (columns, expected) in cases {
        assert_eq!(read(&plain(columns)).unwrap_err(), expected);
    }
    // A row is told by its place in the file, not in its row group or batch.
    let many = 20_000;
    let mut streams = vec!["coin"; many];
    streams[many - 2] = "dice";
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("stream", Arc::new(StringArray::from(streams))),
        ("round", Arc::new(Int64Array::from_iter_values(0..many as i64))),
        ("replica", Arc::new(StringArray::from(vec!["top"; many]))),
        ("value", Arc::new(Float64Array::from(vec![1.0; many]))),
    ];
    let groups = WriterProperties::builder().set_max_row_group_row_count(Some(7_001)).build();
    let error = read(&file(columns, groups)).unwrap_err();
    assert!(error.starts_with("in: row 19998: unknown stream: found \"dice\""), "{error}");
}

#[test]
fn readings_round_trip() {
    let directory = directory();
    let mut writer = ReadingWriter::new(Format::Parquet, Vec::new());
    for reading in expected() {
        let (stream, replica) =
            (directory.name(reading.stream).unwrap(), &directory.replicas(reading.stream)[reading.replica]);
        let record = ReadingRecord { stream, round: reading.round, replica, value: reading.value };
        writer.write(&record).unwrap();
        let error = writer.write(&ReadingRecord { value: Some(f64::NAN), ..record }).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
    assert_eq!(read(&writer.finish().unwrap()).unwrap(), expected());
    assert_eq!(read(&ReadingWriter::new(Format::Parquet, Vec::new()).finish().unwrap()).unwrap(), []);
}

#[test]
fn a_file_is_read_where_it_lies_and_its_progress_told() {
    let directory = directory();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.parquet");
    let bytes = plain(good().to_vec());
    File::create(&path).unwrap().write_all(&bytes).unwrap();
    let mut readings = Readings::open(&path, &directory).unwrap();
    let mut progress = Vec::new();
    while let Some(reading) = readings.next() {
        reading.unwrap();
        progress.push(readings.bytes_read());
    }
    assert!(progress.is_sorted() && progress.last() == Some(&(bytes.len() as u64)), "{progress:?}");
}

#[test]
fn decisions_read_back() {
    let replicas = ["top", "a\"b, c", "é"].map(str::to_owned);
    let undecided = undecided();
    let unproven = Decision { exhaustive: false, ..decision() };
    let bad = Decision { sd: f64::NAN, ..decision() };
    let honest: &[f64] = &[0.5, 1.0, 1.0 / 3.0];
    let mut writer = DecisionWriter::new(Format::Parquet, Vec::new());
    for (round, (decision, honest)) in
        (-1..).zip([(&decision(), Some(honest)), (&undecided, None), (&unproven, Some(honest))])
    {
        let record = DecisionRecord { stream: "s,\"1\"", round, replicas: &replicas, decision, honest };
        writer.write(&record).unwrap();
        for (decision, honest) in
            [(&bad, None), (decision, Some(&[1.0][..])), (decision, Some(&[1.0, 0.5, f64::INFINITY]))]
        {
            let error = writer.write(&DecisionRecord { decision, honest, ..record }).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        }
    }
    let file = on_disk(&writer.finish().unwrap());
    let metadata = ArrowReaderMetadata::load(&file, Default::default()).unwrap();
    let pairs = metadata.metadata().file_metadata().key_value_metadata().unwrap();
    let told = pairs.iter().find(|pair| pair.key == UNPROVEN_ROWS_KEY).and_then(|pair| pair.value.as_deref());
    assert_eq!(told, Some("2"));
    assert_eq!(metadata.schema().fields(), decisions_schema().fields());

    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batch = reader.next().unwrap().unwrap();
    assert!(reader.next().is_none());
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let numbers = |name: &str| column(name).as_primitive::<Float64Type>().clone();
    assert_eq!(column("stream").as_string::<i32>().value(1), "s,\"1\"");
    assert_eq!(column("round").as_primitive::<Int64Type>().values().as_ref(), [-1, 0, 1]);
    let status: Vec<_> = column("status").as_string::<i32>().iter().map(Option::unwrap).collect();
    assert_eq!(status, ["decided", "no_quorum", "decided"]);
    let d = decision();
    for (name, expected) in [
        ("value", d.value),
        ("confidence", d.confidence),
        ("mean", d.mean),
        ("sd", d.sd),
        ("low", d.low),
        ("high", d.high),
    ] {
        assert_eq!(numbers(name).value(0).to_bits(), expected.to_bits(), "{name}");
    }
    for (name, expected) in [("log_evidence", -4.25671), ("region_low", 1.0), ("region_high", 2.0)] {
        assert_eq!(
            numbers(name).iter().collect::<Vec<_>>(),
            [Some(expected), None, Some(expected)],
            "{name}"
        );
    }
    let quorum = column("quorum").as_list::<i32>();
    let names = |row: usize| {
        quorum.value(row).as_string::<i32>().iter().map(|n| n.unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        (names(0), names(1).len(), quorum.null_count()),
        (vec!["top".to_owned(), "é".to_owned()], 0, 0)
    );
    let map = column("honest").as_map();
    assert_eq!((map.is_null(0), map.is_null(1)), (false, true));
    let entries = map.value(2);
    let keys: Vec<_> = entries.column(0).as_string::<i32>().iter().map(Option::unwrap).collect();
    assert_eq!(keys, ["top", "a\"b, c", "é"]);
    assert_eq!(entries.column(1).as_primitive::<Float64Type>().values().as_ref(), honest);
}

#[test]
fn no_decisions_are_an_empty_table() {
    let file = on_disk(&DecisionWriter::new(Format::Parquet, Vec::new()).finish().unwrap());
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    assert_eq!(builder.schema().fields().len(), 14);
    assert_eq!(builder.metadata().file_metadata().key_value_metadata(), None);
    assert_eq!(builder.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 0);
}

/// Reads what may be anything: rows, or one line of error that begins with the file.
fn survives(bytes: &[u8]) {
    let directory = directory();
    let readings = Readings::new(Format::Parquet, bytes, "in", &directory);
    if let Err(error) = readings.and_then(|readings| collect_rounds(readings, &directory).map(|_| ())) {
        let message = error.to_string();
        assert!(message.starts_with("in: ") && !message.contains(char::is_control), "{message}");
        assert!(message.chars().count() < 500, "{message}");
    }
}

#[test]
fn what_is_not_parquet_is_told() {
    for (bytes, expected) in [
        (&b""[..], "in: expected a Parquet file that can be read: "),
        (b"stream,round,replica,value\ncoin,1,top,2\n", "in: expected a Parquet file that can be read: "),
        (b"PAR1PAR1", "in: expected a Parquet file that can be read: "),
        (b"PAR1\xff\xff\xff\x7fPAR1", "in: expected a Parquet file that can be read: "),
    ] {
        let error = read(bytes).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
        survives(bytes);
    }
}

#[test]
fn truncated_files_are_told() {
    let bytes = plain(good().to_vec());
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end]).is_err(), "{end}");
    }
}

/// Every bit of small files of several shapes, and bytes set to what lengths and counts fear most.
#[test]
fn damaged_files_are_read_or_told_in_one_line() {
    silence_contained_panics();
    let zstd = WriterProperties::builder().set_compression(Compression::ZSTD(Default::default()));
    let two = WriterProperties::builder().set_writer_version(WriterVersion::PARQUET_2_0);
    for bytes in [
        plain(good().to_vec()),
        file(good().to_vec(), zstd.set_dictionary_enabled(false).build()),
        file(good().to_vec(), two.set_compression(Compression::SNAPPY).set_dictionary_enabled(false).build()),
    ] {
        assert!(bytes.len() < 10_000);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            for change in [1, 0x10, 0x80, 0xff] {
                damaged[at] = bytes[at] ^ change;
                survives(&damaged);
            }
            if let Some(four) = damaged.get_mut(at..at + 4) {
                four.copy_from_slice(&[0xff, 0xff, 0xff, 0x7f]);
                survives(&damaged);
            }
        }
    }
}
