//! The columns of a batch of readings, whatever they are made of.

use crate::names::{closest, quoted};
use crate::readings::{RawRow, RowError};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayAccessor, ArrayRef, BinaryArray, BinaryViewArray, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, LargeBinaryArray, LargeStringArray, RecordBatch, StringArray,
    StringViewArray,
};
use arrow_schema::{DataType, Schema};

const COLUMNS: [&str; 4] = ["stream", "round", "replica", "value"];
const EXPECTED: &str = "stream, round, replica, value";

/// The position of each of [`COLUMNS`] in a schema.
///
/// # Errors
/// What is missing, unknown or there twice.
pub(super) fn places(schema: &Schema) -> Result<[usize; 4], String> {
    let mut places = [None; 4];
    for (index, field) in schema.fields().iter().enumerate() {
        let name = field.name().as_str();
        let Some((column, place)) = COLUMNS.iter().zip(&mut places).find(|(column, _)| **column == name)
        else {
            let meant =
                closest(name, COLUMNS).map_or(String::new(), |meant| format!("; did you mean {meant}?"));
            return Err(format!("unknown column {}, expected {EXPECTED}{meant}", quoted(name)));
        };
        if place.replace(index).is_some() {
            return Err(format!("found the column {column} twice"));
        }
    }
    for (place, column) in places.iter().zip(COLUMNS) {
        if place.is_none() {
            return Err(format!("found no column {column}, expected {EXPECTED}"));
        }
    }
    Ok(places.map(Option::unwrap_or_default))
}

/// The columns of a batch, each of a known type.
#[derive(Debug)]
pub(crate) struct ReadingColumns {
    rows: usize,
    stream: NameColumn,
    round: IntegerColumn,
    replica: NameColumn,
    value: NumberColumn,
}

impl ReadingColumns {
    /// # Errors
    /// The column that is not as expected.
    pub(crate) fn new(batch: &RecordBatch) -> Result<Self, String> {
        let places = places(batch.schema_ref())?;
        let [stream, round, replica, value] = places.map(|place| batch.columns().get(place));
        let column =
            |column: Option<_>| column.ok_or_else(|| format!("found a column less, expected {EXPECTED}"));
        Ok(Self {
            rows: batch.num_rows(),
            stream: NameColumn::new(column(stream)?).map_err(|e| format!("stream: {e}"))?,
            round: IntegerColumn::new(column(round)?)
                .ok_or_else(|| mismatch("round", column(round), "int64 or int32"))?,
            replica: NameColumn::new(column(replica)?).map_err(|e| format!("replica: {e}"))?,
            value: NumberColumn::new(column(value)?)
                .ok_or_else(|| mismatch("value", column(value), "float64 or float32"))?,
        })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The row at `index`, which is called `number`.
    pub(crate) fn row(&self, index: usize, number: u64) -> Result<RawRow<'_>, RowError> {
        let null = |column: &str| {
            RowError::at(number, format!("{column}: found null, expected a value in each row"))
        };
        let value = match self.value.get(index) {
            Some(value) if !value.is_finite() => {
                return Err(RowError::at(
                    number,
                    format!("value: found {value}, expected a finite number or null"),
                ));
            }
            value => value,
        };
        Ok(RawRow {
            line: number,
            stream: self.stream.get(index).ok_or_else(|| null("stream"))?,
            round: self.round.get(index).ok_or_else(|| null("round"))?,
            replica: self.replica.get(index).ok_or_else(|| null("replica"))?,
            value,
        })
    }
}

fn mismatch(name: &str, column: Result<&ArrayRef, String>, expected: &str) -> String {
    match column {
        Ok(column) => format!("{name}: found {}, expected {expected}", type_name(column.data_type())),
        Err(error) => error,
    }
}

/// A type's name, on one line and short: a nested type of a hostile file may be of any size.
fn type_name(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => "a list".to_owned(),
        DataType::Struct(_) => "a struct".to_owned(),
        DataType::Map(..) => "a map".to_owned(),
        DataType::Dictionary(_, values) => format!("a dictionary of {}", type_name(values)),
        DataType::Timestamp(..) => "a timestamp".to_owned(),
        other => other.to_string().to_ascii_lowercase(),
    };
    crate::names::plain(&name)
}

/// Names, as bytes of UTF-8.
#[derive(Debug)]
enum NameColumn {
    Utf8(StringArray),
    LargeUtf8(LargeStringArray),
    Utf8View(StringViewArray),
    Binary(BinaryArray),
    LargeBinary(LargeBinaryArray),
    BinaryView(BinaryViewArray),
    /// For each row where its name stands, if it has one, and the names.
    Dictionary(Vec<Option<usize>>, Box<Self>),
}

impl NameColumn {
    fn new(column: &ArrayRef) -> Result<Self, String> {
        Self::plain(column).or_else(|| Self::dictionary(column)).ok_or_else(|| {
            format!("found {}, expected utf8 or a dictionary of it", type_name(column.data_type()))
        })
    }

    fn plain(column: &dyn Array) -> Option<Self> {
        Some(match column.data_type() {
            DataType::Utf8 => Self::Utf8(column.as_string_opt()?.clone()),
            DataType::LargeUtf8 => Self::LargeUtf8(column.as_string_opt()?.clone()),
            DataType::Utf8View => Self::Utf8View(column.as_string_view_opt()?.clone()),
            DataType::Binary => Self::Binary(column.as_binary_opt()?.clone()),
            DataType::LargeBinary => Self::LargeBinary(column.as_binary_opt()?.clone()),
            DataType::BinaryView => Self::BinaryView(column.as_binary_view_opt()?.clone()),
            _ => return None,
        })
    }

    fn dictionary(column: &dyn Array) -> Option<Self> {
        let dictionary = column.as_any_dictionary_opt()?;
        let values = Self::plain(dictionary.values())?;
        // Keys of a dictionary without values cannot be normalised: all of them are null.
        let places = if dictionary.values().is_empty() {
            vec![None; column.len()]
        } else {
            let keys = dictionary.keys();
            let place = |(row, key)| (!keys.is_null(row)).then_some(key);
            dictionary.normalized_keys().into_iter().enumerate().map(place).collect()
        };
        Some(Self::Dictionary(places, Box::new(values)))
    }

    fn get(&self, index: usize) -> Option<&[u8]> {
        match self {
            Self::Utf8(names) => at(names, index).map(str::as_bytes),
            Self::LargeUtf8(names) => at(names, index).map(str::as_bytes),
            Self::Utf8View(names) => at(names, index).map(str::as_bytes),
            Self::Binary(names) => at(names, index),
            Self::LargeBinary(names) => at(names, index),
            Self::BinaryView(names) => at(names, index),
            Self::Dictionary(places, names) => names.get(places.get(index).copied().flatten()?),
        }
    }
}

/// Whole numbers.
#[derive(Debug)]
enum IntegerColumn {
    Int8(Int8Array),
    Int16(Int16Array),
    Int32(Int32Array),
    Int64(Int64Array),
}

impl IntegerColumn {
    fn new(column: &dyn Array) -> Option<Self> {
        Some(match column.data_type() {
            DataType::Int8 => Self::Int8(column.as_primitive_opt::<Int8Type>()?.clone()),
            DataType::Int16 => Self::Int16(column.as_primitive_opt::<Int16Type>()?.clone()),
            DataType::Int32 => Self::Int32(column.as_primitive_opt::<Int32Type>()?.clone()),
            DataType::Int64 => Self::Int64(column.as_primitive_opt::<Int64Type>()?.clone()),
            _ => return None,
        })
    }

    fn get(&self, index: usize) -> Option<i64> {
        match self {
            Self::Int8(numbers) => at(numbers, index).map(i64::from),
            Self::Int16(numbers) => at(numbers, index).map(i64::from),
            Self::Int32(numbers) => at(numbers, index).map(i64::from),
            Self::Int64(numbers) => at(numbers, index),
        }
    }
}

/// Numbers, or nothing.
#[derive(Debug)]
enum NumberColumn {
    Float32(Float32Array),
    Float64(Float64Array),
    Integer(IntegerColumn),
    Null,
}

impl NumberColumn {
    fn new(column: &dyn Array) -> Option<Self> {
        Some(match column.data_type() {
            DataType::Float32 => Self::Float32(column.as_primitive_opt::<Float32Type>()?.clone()),
            DataType::Float64 => Self::Float64(column.as_primitive_opt::<Float64Type>()?.clone()),
            DataType::Null => Self::Null,
            _ => Self::Integer(IntegerColumn::new(column)?),
        })
    }

    fn get(&self, index: usize) -> Option<f64> {
        match self {
            Self::Float32(numbers) => at(numbers, index).map(f64::from),
            Self::Float64(numbers) => at(numbers, index),
            Self::Integer(numbers) => numbers.get(index).map(|number| number as f64),
            Self::Null => None,
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "accessors are references themselves")]
fn at<A: ArrayAccessor>(array: A, index: usize) -> Option<A::Item> {
    (index < array.len() && !array.is_null(index)).then(|| array.value(index))
}
