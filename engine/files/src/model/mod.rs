//! Model files (TOML).

mod distribution;
mod locate;
mod reader;
mod stream;
mod write;

use crate::error::FileError;
use crate::limits::MODEL_BYTES_MAX;
use crate::names;
use crate::pieces::{Pieces, pieces};
use centauri_engine::{Distribution, ModelSet};
use reader::{Field, Source, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use locate::locate;
pub use stream::Gaps;
pub use write::{distribution_to_toml, write_model};

/// The array of streams.
const STREAMS: &str = "streams";

/// Reads the text of a model file; `file` is what errors call it.
///
/// Everything that can be told from the file alone is checked: keys, types, names, ranges, the parameters of
/// distributions. Whether the streams can be computed is checked when they are compiled, see [`locate`].
///
/// - `uniform` cannot be the name of a published distribution, because `prior = "uniform"` is the flat prior.
/// - Names are 1 to 256 bytes long and hold no control characters.
/// - `faults` left out is 0; a file may publish distributions without any stream.
///
/// # Errors
/// [`FileError::Model`] with line and key, for the first fault that is found.
pub fn parse_model(text: &str, file: &str) -> Result<ModelSet, FileError> {
    parse(text, file, stream::read, |spec| &spec.name)
        .map(|(distributions, streams)| ModelSet { distributions, streams })
}

/// Reads the text of a template: a model file in which `support` may be left out, with what each stream leaves out.
///
/// # Errors
/// As [`parse_model`].
pub fn parse_template(text: &str, file: &str) -> Result<(ModelSet, Vec<Gaps>), FileError> {
    let (distributions, streams) = parse(text, file, stream::read_template, |(spec, _)| &spec.name)?;
    let (streams, gaps) = streams.into_iter().unzip();
    Ok((ModelSet { distributions, streams }, gaps))
}

/// Reads a file whose streams are read by `read`.
fn parse<T>(
    text: &str,
    file: &str,
    read: impl Fn(&Field<'_, '_>, &stream::Published) -> Result<T, FileError>,
    name: impl Fn(&T) -> &String,
) -> Result<Parsed<T>, FileError> {
    // What is wrong with a file, and where, is told by reading it whole.
    parse_pieces(text, file, &read, &name).map_or_else(|| parse_whole(text, file, &read, &name), Ok)
}

/// The distributions and the streams of a file.
type Parsed<T> = (BTreeMap<String, Distribution>, Vec<T>);

fn parse_whole<T>(
    text: &str,
    file: &str,
    read: impl Fn(&Field<'_, '_>, &stream::Published) -> Result<T, FileError>,
    name: impl Fn(&T) -> &String,
) -> Result<Parsed<T>, FileError> {
    let source = Source { file, text };
    let document = document(source)?;
    let root = Table::root(source, &document);
    let distributions = head(&root)?;
    let mut streams = Vec::new();
    let mut positions = BTreeMap::new();
    if let Some(field) = root.get(STREAMS) {
        for (position, item) in field.list("a list of streams ([[streams]])")?.enumerate() {
            let stream = read(&item, &distributions)?;
            if let Some(first) = positions.insert(name(&stream).clone(), position) {
                let found = names::quoted(name(&stream));
                return Err(
                    item.error(format!("name: found {found}, which is the name of streams[{first}] too"))
                );
            }
            streams.push(stream);
        }
    }
    Ok((distributions, streams))
}

/// Reads a file a stream at a time, since the tree of all takes some fifty times the memory of the text; `None` if anything is wrong with
/// it, or if it does not come in pieces.
fn parse_pieces<T>(
    text: &str,
    file: &str,
    read: impl Fn(&Field<'_, '_>, &stream::Published) -> Result<T, FileError>,
    name: impl Fn(&T) -> &String,
) -> Option<Parsed<T>> {
    let Pieces { rest, elements } = pieces(text, STREAMS)?;
    let source = Source { file, text: &rest };
    let document = document(source).ok()?;
    let root = Table::root(source, &document);
    if root.get(STREAMS).is_some() {
        return None;
    }
    let distributions = head(&root).ok()?;
    let mut streams = Vec::with_capacity(elements.len());
    let mut seen = BTreeSet::new();
    for (position, element) in elements.into_iter().enumerate() {
        let source = Source { file, text: text.get(element)? };
        let document = self::document(source).ok()?;
        let root = Table::root(source, &document);
        let list = root.get(STREAMS)?;
        let mut items = list.list("a list").ok()?;
        let (item, 0) = (items.next()?, items.len()) else { return None };
        let stream = read(&item.placed(position), &distributions).ok()?;
        if !seen.insert(name(&stream).clone()) {
            return None;
        }
        streams.push(stream);
    }
    Some((distributions, streams))
}

/// What a file has beside streams.
fn head(root: &Table<'_>) -> Result<BTreeMap<String, Distribution>, FileError> {
    root.require("version", "1")?.whole("1", 1, 1)?;
    root.only(&["version", "distributions", STREAMS])?;
    distributions(root)
}

/// Reads the model file at `path`, at most 64 MiB.
///
/// # Errors
/// As [`parse_model`], and when the file cannot be read or is not UTF-8.
pub fn read_model(path: &Path) -> Result<ModelSet, FileError> {
    parse_model(&read_model_text(path)?, &path.display().to_string())
}

/// The text of the model file at `path`, at most 64 MiB, for those who need it again for [`locate`].
///
/// # Errors
/// [`FileError::Io`] when the file cannot be read, [`FileError::Model`] when it is too large or not UTF-8.
pub fn read_model_text(path: &Path) -> Result<String, FileError> {
    let file = std::fs::File::open(path).map_err(FileError::io(path, "opening"))?;
    let mut bytes = Vec::new();
    file.take(MODEL_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(FileError::io(path, "reading"))?;
    let whole_file = |line, problem: String| {
        let file = path.display().to_string();
        FileError::Model { file, line, key: String::new(), problem }
    };
    if bytes.len() as u64 > MODEL_BYTES_MAX {
        return Err(whole_file(
            None,
            format!("found more than {MODEL_BYTES_MAX} bytes, expected a model file"),
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count() as u64;
        whole_file(Some(line), "found bytes that are not UTF-8, expected text".to_owned())
    })
}

/// Reads one distribution in the inline form of a model file, for example
/// `{ family = "normal", mean = 0.0, sd = 1.0 }`; errors call the file `distribution`.
///
/// # Errors
/// [`FileError::Model`] with line and key.
///
/// ```
/// let hop = centauri_files::parse_distribution(r#"{ family = "exponential", mean = 0.02 }"#)?;
/// assert_eq!(hop, centauri_engine::Distribution::exponential(0.02).unwrap());
/// assert_eq!(centauri_files::distribution_to_toml(&hop), r#"{ family = "exponential", mean = 0.02 }"#);
/// # Ok::<(), centauri_files::FileError>(())
/// ```
pub fn parse_distribution(text: &str) -> Result<Distribution, FileError> {
    let source = Source { file: "distribution", text };
    let value = DeValue::parse(text).map_err(|error| syntax(source, &error))?;
    let span = value.span();
    match value.into_inner() {
        DeValue::Table(map) => distribution::read(&Table::root(source, &Spanned::new(span, map))),
        _ => Err(source.error(span.start, "", format!("expected {}", distribution::EXPECTED))),
    }
}

fn document(source: Source<'_>) -> Result<Spanned<DeTable<'_>>, FileError> {
    DeTable::parse(source.text).map_err(|error| syntax(source, &error))
}

/// A fault in the TOML itself.
fn syntax(source: Source<'_>, error: &toml::de::Error) -> FileError {
    let at = error.span().map_or(0, |span| span.start);
    let message: Vec<_> = error.message().lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    source.error(at, "", names::plain(&message.join("; ")))
}

fn distributions(root: &Table<'_>) -> Result<BTreeMap<String, Distribution>, FileError> {
    let Some(field) = root.get("distributions") else { return Ok(BTreeMap::new()) };
    let table = field.table("a table of distributions by name")?;
    let mut published = BTreeMap::new();
    for field in table.entries() {
        names::check(field.key).map_err(|problem| field.error(problem))?;
        if field.key == stream::UNIFORM {
            return Err(field.error("found the name of the flat prior, expected another name"));
        }
        published.insert(field.key.to_owned(), distribution::read(&field.table(distribution::EXPECTED)?)?);
    }
    Ok(published)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &str = "[[streams]]\nname = \"NAME\"\nreplicas = [\"a\", \"b\", \"c\"]\nfaults = 1\n\
         support = { min = 0.0, step = 1, points = 11 }\noutput = { computation = \"mean\", noise = \"noise\" }\n\
         link = { on_time = 0.9 }\n[streams.replica.b]\nlink = { on_time = 0.5 }\n";
    const HEAD: &str = "version = 1\n[distributions]\nnoise = { family = \"normal\", mean = 0, sd = 2 }\n";

    fn both(text: &str) -> [Option<Parsed<centauri_engine::StreamSpec>>; 2] {
        [
            parse_pieces(text, "m.toml", stream::read, |spec| &spec.name),
            parse_whole(text, "m.toml", stream::read, |spec| &spec.name).ok(),
        ]
    }

    #[test]
    fn a_file_in_pieces_says_what_it_says_whole() {
        let streams: String = ["x", "y", "[[streams]]"].map(|name| STREAM.replace("NAME", name)).concat();
        let text = format!("{HEAD}{streams}");
        let [pieces, whole] = both(&text);
        assert_eq!(pieces.as_ref().map(|(_, streams)| streams.len()), Some(3));
        assert_eq!(pieces, whole);
        // Errors are told as of the whole.
        let twice = format!("{text}{}", STREAM.replace("NAME", "y"));
        let error = parse_model(&twice, "m.toml").unwrap_err().to_string();
        assert!(
            error.starts_with("m.toml:31: streams[3]: name: found \"y\", which is the name of streams[1]"),
            "{error}"
        );
    }

    proptest! {
        /// Whatever is done to a file: if it can be read in pieces, it can be read whole, and says the same.
        #[test]
        fn what_can_be_read_in_pieces_says_the_same_whole(
            parts in proptest::collection::vec(0_usize..6, 0..6),
            cuts in proptest::collection::vec((0_usize..900, 0_usize..12, 0_usize..6), 0..3),
        ) {
            let mut text = String::new();
            for (place, part) in parts.iter().enumerate() {
                text += &match part {
                    0 => HEAD.to_owned(),
                    1 => "[distributions.far]\nfamily = \"normal\"\nmean = 9\nsd = 1\n".to_owned(),
                    2 => "[streams.replica.c]\nlink = { on_time = 0.7 }\n".to_owned(),
                    _ => STREAM.replace("NAME", &format!("s{place}")),
                };
            }
            for (at, length, instead) in cuts {
                let instead = ["", "\n", "[[streams]]\n", "\"", "]", "#"][instead];
                let at = at.min(text.len());
                text.replace_range(at..(at + length).min(text.len()), instead);
            }
            let [pieces, whole] = both(&text);
            if pieces.is_some() {
                prop_assert_eq!(pieces, whole, "{}", text);
            }
        }
    }
}
