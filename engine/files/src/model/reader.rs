//! Reads the spanned tree of a TOML file; knows at each place the path of the key and the line.

use crate::error::FileError;
use crate::names::{expected_one_of, quoted};
use std::borrow::Cow;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The file that is being read.
#[derive(Clone, Copy)]
pub(super) struct Source<'t> {
    pub(super) file: &'t str,
    pub(super) text: &'t str,
}

impl Source<'_> {
    /// An error about `key` at the byte offset `at`.
    pub(super) fn error(&self, at: usize, key: impl Into<String>, problem: impl Into<String>) -> FileError {
        let (file, line) = (self.file.to_owned(), Some(self.line(at)));
        FileError::Model { file, line, key: key.into(), problem: problem.into() }
    }

    /// The line, counted from 1, of a byte offset.
    fn line(&self, at: usize) -> u64 {
        let before = self.text.as_bytes().get(..at).unwrap_or(self.text.as_bytes());
        1 + before.iter().filter(|&&byte| byte == b'\n').count() as u64
    }
}

/// A table and the path to it.
pub(super) struct Table<'t> {
    source: Source<'t>,
    /// What stands before a key in a message, the separator with it.
    prefix: String,
    span: Range<usize>,
    map: &'t DeTable<'t>,
}

impl<'t> Table<'t> {
    pub(super) fn root(source: Source<'t>, table: &'t Spanned<DeTable<'t>>) -> Self {
        Self { source, prefix: String::new(), span: table.span(), map: table.get_ref() }
    }

    /// The same table under another path; the separator belongs to `prefix`.
    pub(super) fn renamed(self, prefix: String) -> Self {
        Self { prefix, ..self }
    }

    /// The value at `key`, if there is one.
    pub(super) fn get(&self, key: &str) -> Option<Field<'_, 't>> {
        let (key, value) = self.map.get_key_value(key)?;
        Some(Field { table: self, key: key.get_ref(), index: None, value })
    }

    /// The value at `key`; an error tells what was `expected` where there is none.
    pub(super) fn require(&self, key: &str, expected: &str) -> Result<Field<'_, 't>, FileError> {
        self.get(key).ok_or_else(|| self.missing(key, expected))
    }

    /// An error about `key`, which is not there.
    pub(super) fn missing(&self, key: &str, expected: &str) -> FileError {
        self.source.error(self.span.start, self.path_of(key), format!("found none, expected {expected}"))
    }

    /// An error about the table itself.
    pub(super) fn error(&self, problem: impl Into<String>) -> FileError {
        let path = self.prefix.trim_end_matches(['.', ':', ' ']);
        self.source.error(self.span.start, path, problem)
    }

    /// Refuses keys that are not in `known`.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), FileError> {
        let strangers = self.map.keys().filter(|key| !known.contains(&key.get_ref().as_ref()));
        let Some(stranger) = strangers.min_by_key(|key| key.span().start) else { return Ok(()) };
        let name = stranger.get_ref().as_ref();
        let expected = expected_one_of(name, known.iter().copied());
        let problem = format!("unknown key, expected {expected}");
        Err(self.source.error(stranger.span().start, self.path_of(name), problem))
    }

    /// All entries in the order of the file.
    pub(super) fn entries(&self) -> Vec<Field<'_, 't>> {
        let mut entries: Vec<_> = self.map.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let field = |(key, value): (&'t Spanned<Cow<'t, str>>, _)| Field {
            table: self,
            key: key.get_ref(),
            index: None,
            value,
        };
        entries.into_iter().map(field).collect()
    }

    fn path_of(&self, key: &str) -> String {
        format!("{}{}", self.prefix, key_segment(key))
    }
}

/// A key as it stands in a path: bare, or in quotes where TOML would need them.
fn key_segment(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare && key.len() <= crate::limits::NAME_BYTES_MAX { key.to_owned() } else { quoted(key) }
}

/// A value and the way to it.
#[derive(Clone, Copy)]
pub(super) struct Field<'f, 't> {
    table: &'f Table<'t>,
    pub(super) key: &'t str,
    index: Option<usize>,
    value: &'t Spanned<DeValue<'t>>,
}

impl<'f, 't> Field<'f, 't> {
    /// An error about this value.
    pub(super) fn error(&self, problem: impl Into<String>) -> FileError {
        self.table.source.error(self.value.span().start, self.path(), problem)
    }

    /// The same value at another place of its list.
    pub(super) fn placed(&self, index: usize) -> Self {
        Self { index: Some(index), ..*self }
    }

    fn mismatch(&self, expected: &str) -> FileError {
        self.error(format!("found {}, expected {expected}", found(self.value.get_ref())))
    }

    pub(super) fn path(&self) -> String {
        let path = self.table.path_of(self.key);
        self.index.map_or(path.clone(), |index| format!("{path}[{index}]"))
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::String(_))
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Array(_))
    }

    pub(super) fn text(&self, expected: &str) -> Result<&'t str, FileError> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => Err(self.mismatch(expected)),
        }
    }

    /// A finite number; integers are numbers.
    pub(super) fn number(&self) -> Result<f64, FileError> {
        self.number_that("a finite number", |_| true)
    }

    /// A finite number that is `fine`.
    pub(super) fn number_that(&self, expected: &str, fine: impl Fn(f64) -> bool) -> Result<f64, FileError> {
        let number = match self.value.get_ref() {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().parse::<f64>().ok(),
            DeValue::Integer(_) => self.integer().map(|integer| integer as f64),
            DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
            _ => None,
        };
        number.filter(|&number| number.is_finite() && fine(number)).ok_or_else(|| self.mismatch(expected))
    }

    /// A whole number from `least` to `most`.
    pub(super) fn whole(&self, expected: &str, least: u64, most: u64) -> Result<u64, FileError> {
        let whole = self.integer().and_then(|integer| u64::try_from(integer).ok());
        whole.filter(|whole| (least..=most).contains(whole)).ok_or_else(|| self.mismatch(expected))
    }

    fn integer(&self) -> Option<i128> {
        match self.value.get_ref() {
            DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix()).ok(),
            _ => None,
        }
    }

    pub(super) fn list(
        &self,
        expected: &str,
    ) -> Result<impl ExactSizeIterator<Item = Self> + use<'f, 't>, FileError> {
        match self.value.get_ref() {
            DeValue::Array(items) => {
                let field = *self;
                Ok(items.iter().enumerate().map(move |(i, value)| Self { index: Some(i), value, ..field }))
            }
            _ => Err(self.mismatch(expected)),
        }
    }

    pub(super) fn table(&self, expected: &str) -> Result<Table<'t>, FileError> {
        match self.value.get_ref() {
            DeValue::Table(map) => Ok(Table {
                source: self.table.source,
                prefix: format!("{}.", self.path()),
                span: self.value.span(),
                map,
            }),
            _ => Err(self.mismatch(expected)),
        }
    }
}

/// What a value is, in a few words on one line.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(integer) => shortened(integer.to_string()),
        DeValue::Float(float) => shortened(float.to_string()),
        DeValue::Boolean(boolean) => boolean.to_string(),
        DeValue::Datetime(datetime) => format!("the date {datetime}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn shortened(mut digits: String) -> String {
    if digits.len() > crate::limits::EXCERPT_CHARS_MAX {
        digits.truncate(crate::limits::EXCERPT_CHARS_MAX);
        digits.push('…');
    }
    digits
}
