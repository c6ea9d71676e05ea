//! What requests are answered with.

use super::board::Board;
use super::reasons::Shelf;
use super::record::Record;
use super::words;
use crate::serve::Names;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use centauri_engine::{Report, Status};
use centauri_files::{DecisionRecord, DecisionWriter, Format};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An answer in JSON.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_string(&self.0) {
            Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
            Err(error) => {
                tracing::error!(%error, "an answer could not be written");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Failure {
    /// In one line: what was found and what was expected.
    error: String,
}

/// A failure with its status.
#[derive(Debug)]
pub(super) struct ApiError(pub(super) StatusCode, pub(super) String);

impl ApiError {
    pub(super) fn bad(error: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, error.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self(status, error) = self;
        let mut response = (status, Json(Failure { error })).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers
                    .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"centauri\""));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

/// Whether the server lives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `live`.
    pub(super) status: &'static str,
    /// The server's version.
    pub(super) version: &'static str,
}

/// Streams in the order of their names.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StreamPage {
    /// The streams.
    pub(super) streams: Vec<StreamSummary>,
    /// What to give as `after` for those that follow; null where there are none.
    pub(super) next: Option<String>,
}

/// A stream with its latest decision in short. What depends on a decision is null before the first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StreamSummary {
    /// Its name.
    name: String,
    /// Its replicas' names, in the order of the model.
    replicas: Vec<String>,
    /// How many of these may be faulty.
    faults: usize,
    /// The round that was decided last.
    round: Option<i64>,
    /// `decided` or `no_quorum`.
    status: Option<&'static str>,
    /// The most probable value.
    value: Option<f64>,
    /// Its probability.
    confidence: Option<f64>,
    /// When it was decided: Unix time, in seconds.
    decided_at: Option<f64>,
}

/// A stream with its latest decision and the reasons.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StreamDetail {
    /// Its name.
    name: String,
    /// How many of its replicas may be faulty.
    faults: usize,
    /// The latest decision; null before the first.
    #[schema(value_type = Option<DecisionRow>)]
    decision: Option<serde_json::Value>,
    /// What was seen of each replica, in the order of the model; empty before the first decision.
    replicas: Vec<ReplicaView>,
}

/// What was seen of a replica in a round, and what it came to.
#[derive(Debug, Serialize, ToSchema)]
struct ReplicaView {
    /// Its name.
    name: String,
    /// `value`, `missing` or `equivocated`: two different values, both signed.
    report: &'static str,
    /// The value that it reported.
    value: Option<f64>,
    /// The probability that it is honest, given all reports; null without a quorum.
    honest: Option<f64>,
    /// Whether it is in the quorum.
    in_quorum: bool,
    /// Why, or why not, in plain words.
    reason: String,
}

/// The decision on one round, as a decision file has it, with its times and what it was made from.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "told in the description; who follows in a terminal shows only some")]
pub(crate) struct DecisionRow {
    /// The stream.
    pub(crate) stream: String,
    /// The round.
    pub(crate) round: i64,
    /// `decided`, or `no_quorum`: then value, confidence and interval are the prior's.
    pub(crate) status: String,
    /// The most probable value.
    pub(crate) value: f64,
    /// Its probability.
    pub(crate) confidence: f64,
    /// Mean of the distribution of the value.
    mean: f64,
    /// Its standard deviation.
    sd: f64,
    /// Lower end of the credible interval.
    pub(crate) low: f64,
    /// Upper end of the credible interval.
    pub(crate) high: f64,
    /// Names of the replicas in the quorum.
    quorum: Vec<String>,
    /// Natural logarithm of the quorum's evidence.
    log_evidence: Option<f64>,
    /// Lower end of the region of the most probable values of all possible quorums.
    region_low: Option<f64>,
    /// Upper end of it.
    region_high: Option<f64>,
    /// For each replica the probability that it is honest; null without a quorum.
    honest: Option<BTreeMap<String, f64>>,
    /// There, and false, only where the search for the quorum could not prove its result.
    #[serde(default)]
    exhaustive: Option<bool>,
    /// When the round was to be decided: Unix time, in seconds.
    deadline_at: f64,
    /// When it was.
    pub(crate) decided_at: f64,
    /// When the decision could first be read.
    published_at: f64,
    /// What each replica reported; null where no value came in time, or two.
    reports: BTreeMap<String, Option<f64>>,
    /// Replicas that signed two different values for the round.
    equivocated: Vec<String>,
    /// Replicas that are not in the quorum, each with the reason; empty without a quorum.
    pub(crate) left_out: Vec<LeftOut>,
}

/// A replica that is not in the quorum.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct LeftOut {
    /// Its name.
    pub(crate) replica: String,
    /// Why, in plain words.
    pub(crate) reason: String,
}

/// What a decision has here beyond a decision file's columns.
#[derive(Serialize)]
struct Beyond<'a> {
    deadline_at: f64,
    decided_at: f64,
    published_at: f64,
    reports: BTreeMap<&'a str, Option<f64>>,
    equivocated: Vec<&'a str>,
    left_out: Vec<LeftOut>,
}

impl<'a> Beyond<'a> {
    fn new(names: &'a Names, record: &Record) -> Self {
        let each = || names.replicas.iter().map(String::as_str).zip(&record.reports);
        let value = |report: &Report| match report {
            Report::Value(value) => Some(*value),
            Report::Missing | Report::Equivocated => None,
        };
        let left_out = |(position, replica): (usize, &String)| {
            Some(LeftOut { replica: replica.clone(), reason: words::left_out(record, position)? })
        };
        Self {
            deadline_at: seconds(record.deadline_ns),
            decided_at: seconds(record.closed_ns),
            published_at: seconds(record.published_ns),
            reports: each().map(|(name, report)| (name, value(report))).collect(),
            equivocated: each()
                .filter(|(_, report)| **report == Report::Equivocated)
                .map(|(name, _)| name)
                .collect(),
            left_out: names.replicas.iter().enumerate().filter_map(left_out).collect(),
        }
    }
}

fn seconds(ns: i64) -> f64 {
    ns as f64 / 1e9
}

/// A decision as one JSON object: first a decision file's columns, as such a file has them. `None` for what no line can hold.
pub(super) fn decision_json(names: &Names, record: &Record) -> Option<String> {
    let mut row = DecisionWriter::new(Format::JsonLines, Vec::with_capacity(1_024));
    let columns = DecisionRecord {
        stream: &names.stream,
        round: record.round,
        replicas: &names.replicas,
        decision: &record.decision,
        honest: record.honest.as_deref(),
    };
    row.write(&columns).ok()?;
    let row = String::from_utf8(row.finish().ok()?).ok()?;
    let beyond = serde_json::to_string(&Beyond::new(names, record)).ok()?;
    let (row, beyond) = (row.strip_suffix("}\n")?, beyond.strip_prefix('{')?);
    Some(format!("{row},{beyond}"))
}

impl StreamSummary {
    /// What there is to say of a stream; `None` for one that is none.
    pub(super) fn new(board: &Board, stream: u32) -> Option<Self> {
        let names = board.names(stream)?;
        let record = board.read(stream);
        let decision = record.as_ref().map(|record| &record.decision);
        Some(Self {
            name: names.stream.to_string(),
            replicas: names.replicas.to_vec(),
            faults: names.faults,
            round: record.as_ref().map(|record| record.round),
            status: decision.map(|decision| decision.status.name()),
            value: decision.map(|decision| decision.value),
            confidence: decision.map(|decision| decision.confidence),
            decided_at: record.as_ref().map(|record| seconds(record.closed_ns)),
        })
    }
}

impl StreamDetail {
    /// What there is to say of a stream; `None` for one that is none.
    pub(super) fn new(board: &Board, shelf: &Shelf, stream: u32) -> Option<Self> {
        let names = board.names(stream)?;
        let record = board.read(stream);
        let json = record.as_ref().and_then(|record| decision_json(names, record));
        let decision = json.and_then(|json| serde_json::from_str(&json).ok());
        let view = |record: &Record| {
            let mut sentences = shelf.sentences(stream, record).unwrap_or_default().into_iter();
            let each = names.replicas.iter().enumerate();
            each.map(|(position, name)| ReplicaView::new(name, record, position, sentences.next())).collect()
        };
        let replicas = record.as_ref().map_or_else(Vec::new, view);
        Some(Self { name: names.stream.to_string(), faults: names.faults, decision, replicas })
    }
}

impl ReplicaView {
    fn new(name: &str, record: &Record, position: usize, sentence: Option<String>) -> Self {
        let (report, value) = match record.reports.get(position) {
            Some(Report::Value(value)) => ("value", Some(*value)),
            Some(Report::Equivocated) => ("equivocated", None),
            Some(Report::Missing) | None => ("missing", None),
        };
        let decision = &record.decision;
        Self {
            name: name.to_owned(),
            report,
            value,
            honest: record.honest.as_ref().and_then(|honest| honest.get(position)).copied(),
            in_quorum: decision.status == Status::Decided && decision.quorum.contains(position),
            reason: sentence.unwrap_or_else(|| words::of_replica(record, position)),
        }
    }
}
