//! From the engine's judgement of a model to the line of the model file.

use super::document;
use super::reader::Source;
use crate::error::FileError;
use crate::names::quoted;
use centauri_engine::ModelError;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Puts file, line and key to what the engine found wrong with a model that was read from `text`.
///
/// The line is that of the key, or of the nearest table around it that the file has.
#[must_use]
pub fn locate(error: &ModelError, text: &str, file: &str) -> FileError {
    let source = Source { file, text };
    let place = document(source).ok().and_then(|root| find(root.get_ref(), error));
    match place {
        Some((at, path)) => source.error(at, path, error.problem.clone()),
        None => {
            let stream = if error.stream.is_empty() {
                String::new()
            } else {
                format!("stream {}: ", quoted(&error.stream))
            };
            let key = format!("{stream}{}", error.key);
            FileError::Model { file: file.to_owned(), line: None, key, problem: error.problem.clone() }
        }
    }
}

/// The byte offset of what `error` is about, and the path to be shown.
fn find(root: &DeTable<'_>, error: &ModelError) -> Option<(usize, String)> {
    if error.stream.is_empty() {
        return Some((descend(root, &error.key)?, error.key.clone()));
    }
    let DeValue::Array(streams) = root.get("streams")?.get_ref() else { return None };
    let named = |item: &&Spanned<DeValue<'_>>| name(item) == Some(error.stream.as_str());
    let index = streams.iter().position(|item| named(&item))?;
    let item = streams.get(index)?;
    let DeValue::Table(stream) = item.get_ref() else { return None };
    let at = descend(stream, &error.key).unwrap_or(item.span().start);
    Some((at, format!("streams[{index}] {}: {}", quoted(&error.stream), error.key)))
}

fn name<'v>(stream: &'v Spanned<DeValue<'_>>) -> Option<&'v str> {
    match stream.get_ref() {
        DeValue::Table(table) => match table.get("name")?.get_ref() {
            DeValue::String(name) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// Where the value lies that the first part of `path` leads to, as far as the file goes along.
///
/// A key may itself hold dots (`replica.north.east.noise`), so at each table the longest key that fits is taken.
fn descend(table: &DeTable<'_>, path: &str) -> Option<usize> {
    let fits = |key: &str| {
        path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let (key, value) =
        table.iter().filter(|(key, _)| fits(key.get_ref())).max_by_key(|(key, _)| key.get_ref().len())?;
    let rest = path.get(key.get_ref().len()..).unwrap_or_default();
    let inner = match value.get_ref() {
        DeValue::Table(table) => rest.strip_prefix('.').and_then(|rest| descend(table, rest)),
        DeValue::Array(items) => {
            let index =
                rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(index, _)| index.parse());
            index.and_then(Result::ok).and_then(|index: usize| items.get(index)).map(|item| item.span().start)
        }
        _ => None,
    };
    Some(inner.unwrap_or(value.span().start))
}
