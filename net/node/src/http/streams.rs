//! `GET /streams` and `GET /streams/{name}`: what was decided last.

use super::api::{ApiError, Failure, Json, StreamDetail, StreamPage, StreamSummary};
use super::board::Board;
use super::pattern::{Pattern, Patterns};
use super::request::parameters;
use super::site::Site;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use std::sync::Arc;

/// Streams of a page, where no number is given, and at most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;
/// Names before and after a name that is none are looked at for those that may have been meant.
const NEIGHBOURS: usize = 50;
/// So many of them are told.
const HINTS_MAX: usize = 3;

/// Streams with their latest decisions in short, in the order of their names, a page at a time.
#[utoipa::path(
    get,
    path = "/streams",
    params(
        ("after" = Option<String>, Query, description = "Only names after this one: `next` of the page before."),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "So many streams at most: 1 to 1000, by default 100."),
        ("pattern" = Option<Vec<Pattern>>, Query, max_items = 16, description = "Only names like this; `*` stands for any text, `/` included. May come several times."),
    ),
    responses(
        (status = 200, description = "The page.", body = StreamPage),
        (status = 400, description = "A parameter that is wrong.", body = Failure),
        (status = 401, description = "No token, or a wrong one.", body = Failure),
    )
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    RawQuery(query): RawQuery,
) -> Result<Json<StreamPage>, ApiError> {
    let (mut after, mut limit, mut patterns) = (None, LIMIT, Vec::new());
    for (key, value) in parameters(query.as_deref(), &["after", "limit", "pattern"])? {
        match key.as_str() {
            "after" => after = Some(value),
            "limit" => limit = limit_of(&value)?,
            _ => patterns.push(value),
        }
    }
    let patterns = Patterns::new(patterns).map_err(ApiError::bad)?;
    Ok(Json(page(&site.board, after.as_deref(), limit, &patterns)))
}

fn limit_of(text: &str) -> Result<usize, ApiError> {
    let number = text.parse().ok().filter(|number| (1..=LIMIT_MAX).contains(number));
    number.ok_or_else(|| {
        let text: String = text.chars().take(40).collect();
        ApiError::bad(format!("limit: found {text:?}, expected 1 to {LIMIT_MAX}"))
    })
}

fn page(board: &Board, after: Option<&str>, limit: usize, patterns: &Patterns) -> StreamPage {
    let from = after.map_or(0, |name| board.place(name).map_or_else(|place| place, |place| place + 1));
    let rest = board.served().get(from..).unwrap_or_default();
    let is_like = |stream: &&u32| board.names(**stream).is_some_and(|names| patterns.matches(&names.stream));
    let mut matching = rest.iter().filter(is_like);
    let shown: Vec<u32> = matching.by_ref().take(limit).copied().collect();
    let last = shown.last().and_then(|stream| board.names(*stream));
    // Only where there is more: a page that is the last by chance says so.
    let next = matching.next().and(last).map(|names| names.stream.to_string());
    StreamPage {
        streams: shown.iter().filter_map(|stream| StreamSummary::new(board, *stream)).collect(),
        next,
    }
}

/// A stream's latest decision with the reasons.
#[utoipa::path(
    get,
    path = "/streams/{name}",
    params(("name" = String, Path, description = "The stream's name; its `/` may stand as they are.")),
    responses(
        (status = 200, description = "The decision, and what was seen of each replica.", body = StreamDetail),
        (status = 401, description = "No token, or a wrong one.", body = Failure),
        (status = 404, description = "No such stream; the error tells names that are near.", body = Failure),
    )
)]
pub(super) async fn detail(
    State(site): State<Arc<Site>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<StreamDetail>, ApiError> {
    let Path(name) = name.map_err(|error| ApiError::bad(format!("found no name in the path: {error}")))?;
    let stream = site.board.find(&name).ok_or_else(|| no_stream(&site.board, &name))?;
    StreamDetail::new(&site.board, &site.shelf, stream).map(Json).ok_or_else(|| no_stream(&site.board, &name))
}

/// That there is no such stream, with those that may have been meant.
pub(super) fn no_stream(board: &Board, name: &str) -> ApiError {
    let near = near(board, name);
    let shown: String = name.chars().take(80).collect();
    let hint = if near.is_empty() {
        "GET /streams lists those there are".to_owned()
    } else {
        format!("near it: {}", near.join(", "))
    };
    ApiError(StatusCode::NOT_FOUND, format!("found no stream {shown:?}; {hint}"))
}

/// Names that share the most with a name, from its neighbours in the order of names.
fn near<'a>(board: &'a Board, name: &str) -> Vec<&'a str> {
    let place = board.place(name).unwrap_or_else(|place| place);
    let from = place.saturating_sub(NEIGHBOURS);
    let names =
        board.served().iter().skip(from).take(2 * NEIGHBOURS).filter_map(|stream| board.names(*stream));
    let mut near: Vec<(usize, &str)> = names
        .map(|names| (common(&names.stream, name), &*names.stream))
        .filter(|(common, _)| *common > 0)
        .collect();
    // In the order of names where they share as much.
    near.sort_by_key(|(common, _)| std::cmp::Reverse(*common));
    near.into_iter().take(HINTS_MAX).map(|(_, name)| name).collect()
}

/// Bytes at the beginning and at the end that two names share.
fn common(a: &str, b: &str) -> usize {
    let same = |pairs: &mut dyn Iterator<Item = (u8, u8)>| {
        pairs.take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count()
    };
    same(&mut a.bytes().zip(b.bytes())) + same(&mut a.bytes().rev().zip(b.bytes().rev()))
}
