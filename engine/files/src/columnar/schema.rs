//! The columns, as Arrow and Parquet name them.

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use std::sync::Arc;

/// The key of the metadata of a decisions file or batch that tells which rows a search could not prove.
///
/// The value is a list of row numbers and ranges of them, counted from 0, ends included: `3,17-20`. Every row outside
/// them was searched exhaustively. Where there is no such row, the key is not there. (It stands for the key `exhaustive` of JSON Lines;
/// the columns are the same in all formats.) With more than 65,536 ranges, the last one reaches over those that follow.
pub const UNPROVEN_ROWS_KEY: &str = "centauri.unproven_rows";

/// The columns of readings: `stream` (utf8), `round` (int64), `replica` (utf8), `value` (float64, nullable).
///
/// Other types of the same meaning are read as well, see [`BatchEvaluator::evaluate`](super::BatchEvaluator::evaluate).
#[must_use]
pub fn readings_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("stream", DataType::Utf8, false),
        Field::new("round", DataType::Int64, false),
        Field::new("replica", DataType::Utf8, false),
        Field::new("value", DataType::Float64, true),
    ]))
}

/// The columns of decisions.
///
/// `stream` and `status` are utf8, `round` int64, the numbers float64, `quorum` a list of utf8 and `honest` a map from utf8 to
/// float64, in the model's order of replicas. `log_evidence`, `region_low`, `region_high` and `honest` may be null.
#[must_use]
pub fn decisions_schema() -> SchemaRef {
    let number = |name: &str| Field::new(name, DataType::Float64, false);
    let optional = |name: &str| Field::new(name, DataType::Float64, true);
    Arc::new(Schema::new(vec![
        Field::new("stream", DataType::Utf8, false),
        Field::new("round", DataType::Int64, false),
        Field::new("status", DataType::Utf8, false),
        number("value"),
        number("confidence"),
        number("mean"),
        number("sd"),
        number("low"),
        number("high"),
        Field::new("quorum", DataType::List(Arc::new(quorum_element())), false),
        optional("log_evidence"),
        optional("region_low"),
        optional("region_high"),
        Field::new("honest", DataType::Map(Arc::new(honest_entries()), false), true),
    ]))
}

// Names inside of lists and maps are those of the Parquet format, so that a file has the same columns as a batch.

pub(super) fn quorum_element() -> Field {
    Field::new("element", DataType::Utf8, false)
}

fn honest_entries() -> Field {
    Field::new("key_value", DataType::Struct(honest_fields()), false)
}

pub(super) fn honest_fields() -> Fields {
    Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Float64, false),
    ])
}
