//! Arrow batches decided in memory, against rounds put together by hand.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int8Type, Int64Type};
use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow_schema::{Field, Schema};
use centauri_engine::{Fleet, Report, ScalarBackend, Session, StreamId};
use centauri_files::{BatchError, BatchEvaluator, decisions_schema, parse_model, readings_schema};
use std::sync::Arc;

const MODEL: &str = r#"
version = 1
[[streams]]
name = "z"
replicas = ["a", "b", "c", "d"]
faults = 1
link = { on_time = 0.9 }
support = { min = 0, step = 0.5, points = 41 }
prior = { from = "previous", step = { family = "normal", mean = 0, sd = 1 } }
output = { computation = "identity", noise = { family = "normal", mean = 0, sd = 1 } }
[[streams]]
name = "é"
replicas = ["x", "y"]
link = { on_time = 0.9 }
support = { min = -5, step = 1, points = 11 }
output = { computation = "identity", noise = { family = "laplace", mean = 0, scale = 1 } }
"#;

fn fleet() -> Fleet {
    Fleet::compile(&parse_model(MODEL, "m").unwrap()).unwrap()
}

fn evaluator() -> BatchEvaluator {
    BatchEvaluator::new(fleet(), Box::new(ScalarBackend::new()))
}

type Row = (&'static str, i64, &'static str, Option<f64>);

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.0)).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| Some(row.2)).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.3).collect::<Float64Array>()),
    ];
    RecordBatch::try_new(readings_schema(), columns).unwrap()
}

/// (stream, round, value, confidence, P(honest) of the first replica)
type Found = (String, i64, f64, f64, f64);

fn found(batch: &RecordBatch) -> Vec<Found> {
    assert_eq!(batch.schema().fields(), decisions_schema().fields());
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let number = |name: &str, row: usize| column(name).as_primitive::<Float64Type>().value(row);
    let honest = column("honest").as_map();
    (0..batch.num_rows())
        .map(|row| {
            (
                column("stream").as_string::<i32>().value(row).to_owned(),
                column("round").as_primitive::<Int64Type>().value(row),
                number("value", row),
                number("confidence", row),
                honest.value(row).column(1).as_primitive::<Float64Type>().value(0),
            )
        })
        .collect()
}

/// The same rounds pushed by hand.
fn by_hand(rounds: &[(u32, i64, &[Report])]) -> Vec<Found> {
    let mut session = Session::new(fleet(), Box::new(ScalarBackend::new()));
    let decide = |&(stream, round, reports): &(u32, i64, &[Report])| {
        session.push(StreamId(stream), round, reports).unwrap();
        let decisions = session.flush().unwrap();
        let (decision, honest) = (*decisions.decision(0), decisions.honest(0).unwrap()[0]);
        let name = session.fleet().stream(StreamId(stream)).unwrap().name().to_owned();
        (name, round, decision.value, decision.confidence, honest)
    };
    rounds.iter().map(decide).collect()
}

#[test]
fn batches_are_decided_as_rounds_are() {
    use Report::{Equivocated, Missing, Value};
    let mut evaluator = evaluator();
    let first = batch(&[
        ("é", 4, "y", Some(1.5)),
        ("z", 2, "b", Some(7.0)),
        ("z", 1, "a", Some(6.5)),
        ("z", 1, "c", Some(6.0)),
        ("z", 2, "b", Some(7.0)),
        ("z", 2, "a", Some(7.0)),
        ("z", 1, "d", Some(6.0)),
        ("z", 2, "a", Some(1.0)),
        ("z", 2, "d", None),
        ("z", 2, "c", Some(7.5)),
    ]);
    let second = batch(&[("z", 5, "a", Some(9.0)), ("z", 5, "b", Some(9.0))]);
    let mut all = found(&evaluator.evaluate(&first).unwrap());
    all.extend(found(&evaluator.evaluate(&second).unwrap()));
    let expected = by_hand(&[
        (0, 1, &[Value(6.5), Missing, Value(6.0), Value(6.0)]),
        (0, 2, &[Equivocated, Value(7.0), Value(7.5), Missing]),
        (1, 4, &[Missing, Value(1.5)]),
        (0, 5, &[Value(9.0), Value(9.0), Missing, Missing]),
    ]);
    assert_eq!(all, expected);
    assert_eq!(evaluator.evaluate(&batch(&[])).unwrap().num_rows(), 0);
    let late = evaluator.evaluate(&second).unwrap_err();
    assert!(
        matches!(late, BatchError::Session(_)) && late.to_string().contains("found round 5 after round 5"),
        "{late}"
    );
}

#[test]
fn other_types_and_orders_mean_the_same() {
    let rows: &[Row] = &[("é", 4, "y", Some(2.0)), ("é", 4, "x", None), ("é", 5, "x", Some(-1.0))];
    let plain = evaluator().evaluate(&batch(rows)).unwrap();
    let names =
        |names: [&str; 3]| -> ArrayRef { Arc::new(names.into_iter().collect::<DictionaryArray<Int8Type>>()) };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("value", Arc::new(Int64Array::from(vec![Some(2), None, Some(-1)]))),
        ("replica", names(["y", "x", "x"])),
        ("round", Arc::new(Int32Array::from(vec![4, 4, 5]))),
        ("stream", names(["é"; 3])),
    ];
    let fields: Vec<_> =
        columns.iter().map(|(name, c)| Field::new(*name, c.data_type().clone(), true)).collect();
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let other = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    assert_eq!(evaluator().evaluate(&other).unwrap(), plain);
    assert_eq!(evaluator().evaluate(&other.slice(1, 2)).unwrap().num_rows(), 2);
}

#[test]
fn bad_batches_decide_nothing() {
    let mut evaluator = evaluator();
    let error = evaluator.evaluate(&batch(&[("z", 1, "a", Some(1.0)), ("z", 1, "q", None)])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "batch: row 1: unknown replica of \"z\": found \"q\", expected one of a, b, c, d; did you mean \"a\"?"
    );
    let error = evaluator.evaluate(&batch(&[]).project(&[0, 1, 2]).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "batch: found no column value, expected stream, round, replica, value");
    // A dictionary without values has only nulls.
    let empty: DictionaryArray<Int8Type> = [None::<&str>; 1].into_iter().collect();
    let mut columns = batch(&[("z", 1, "a", None)]).columns().to_vec();
    columns[0] = Arc::new(empty);
    let mut fields = readings_schema().fields().to_vec();
    fields[0] = Arc::new(Field::new("stream", columns[0].data_type().clone(), true));
    let nulls = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let error = evaluator.evaluate(&nulls).unwrap_err();
    assert_eq!(error.to_string(), "batch: row 0: stream: found null, expected a value in each row");
    assert_eq!(evaluator.evaluate(&batch(&[("z", 1, "a", Some(1.0))])).unwrap().num_rows(), 1);
}
