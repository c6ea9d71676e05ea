//! Request messages: start or cancel a continuous computation.

use crate::bytes::{Reader, check_range, is_plain_text};
use crate::encode::{EncodeError, encode_frame};
use crate::header::FrameType;
use crate::{MalformedReason, NodeId, QUERY_BYTES_MAX, SigningIdentity};

const DURATION_MAX_NS: u64 = i64::MAX as u64;

/// The paper's `⟨request, id, req, v, ttl, r⟩`, sent by clients to replicas and by replicas to replicas.
///
/// ```
/// use centauri_wire::{FrameView, KeyFile, MessageView, NodeId, Request, RequestAction};
/// let request = Request { request_id: 9, action: RequestAction::Cancel };
/// let mut bytes = Vec::new();
/// request.encode(1_000, NodeId(7), &KeyFile::generate([1; 32]).identity(NodeId(5)), &mut bytes)?;
/// assert!(matches!(FrameView::parse(&bytes)?.message(), MessageView::Request(read) if *read == request));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The client's number for this request; a cancellation names the one it ends.
    pub request_id: u64,
    /// What is asked.
    pub action: RequestAction<'a>,
}

/// What a request asks of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestAction<'a> {
    /// Run a continuous computation and stream its results to the sender.
    Start {
        /// The computation, `req`: 1 to 1,024 bytes without control characters.
        query: &'a str,
        /// Data older than this at the time of a computation is left out, `v`; nanoseconds, at least 1.
        validity_ns: u64,
        /// How long to run, `ttl`; nanoseconds, at least 1.
        ttl_ns: u64,
        /// Time between two results: the paper's rate `r` as a period; nanoseconds, at least 1.
        period_ns: u64,
    },
    /// End the computation.
    Cancel,
}

impl<'a> Request<'a> {
    /// Writes the signed frame to `receiver` into `out`, whose content it replaces.
    ///
    /// # Errors
    /// A query that is empty, too long or holds control characters; a duration of 0 or beyond `i64::MAX`.
    /// `out` is empty then.
    pub fn encode(
        &self,
        timestamp_ns: i64,
        receiver: NodeId,
        identity: &SigningIdentity,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let kind = (FrameType::Request, Some(receiver));
        encode_frame(out, kind, timestamp_ns, identity, |out| self.push_body(out))
    }

    fn push_body(&self, out: &mut Vec<u8>) -> Result<u16, EncodeError> {
        let (code, query, durations) = match self.action {
            RequestAction::Start { query, validity_ns, ttl_ns, period_ns } => {
                check_start(query, [validity_ns, ttl_ns, period_ns])?;
                (1, query, [validity_ns, ttl_ns, period_ns])
            }
            RequestAction::Cancel => (2, "", [0; 3]),
        };
        let query_len = u16::try_from(query.len()).map_err(|_| EncodeError::Query { found: query.len() })?;
        out.extend_from_slice(&self.request_id.to_le_bytes());
        for duration in durations {
            out.extend_from_slice(&duration.to_le_bytes());
        }
        out.extend_from_slice(&[code, 0]);
        out.extend_from_slice(&query_len.to_le_bytes());
        out.extend_from_slice(query.as_bytes());
        Ok(0)
    }

    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, MalformedReason> {
        let mut reader = Reader::new(body);
        let request_id = reader.u64("the request id")?;
        let validity_ns = reader.u64("the validity")?;
        let ttl_ns = reader.u64("the ttl")?;
        let period_ns = reader.u64("the period")?;
        let code = reader.u8("the action")?;
        reader.reserved::<1>("the request's reserved byte")?;
        let query_len = reader.u16("the query's length")?;
        let range = match code {
            1 => 1..=DURATION_MAX_NS,
            // A cancellation has one encoding: nothing but the id.
            2 => 0..=0,
            found => {
                return Err(MalformedReason::Code {
                    field: "the action",
                    found: u64::from(found),
                    expected: "1 (start) or 2 (cancel)",
                });
            }
        };
        let query_max = (*range.end()).min(QUERY_BYTES_MAX as u64);
        check_range("the validity", validity_ns, &range)?;
        check_range("the ttl", ttl_ns, &range)?;
        check_range("the period", period_ns, &range)?;
        check_range("the query's length", u64::from(query_len), &(*range.start()..=query_max))?;
        let query = reader.text(usize::from(query_len), "the query")?;
        reader.end()?;
        let action = if code == 1 {
            RequestAction::Start { query, validity_ns, ttl_ns, period_ns }
        } else {
            RequestAction::Cancel
        };
        Ok(Self { request_id, action })
    }
}

fn check_start(query: &str, durations: [u64; 3]) -> Result<(), EncodeError> {
    if query.is_empty() || query.len() > QUERY_BYTES_MAX {
        return Err(EncodeError::Query { found: query.len() });
    }
    if !is_plain_text(query) {
        return Err(EncodeError::ControlCharacter { field: "the query" });
    }
    for (field, found) in ["the validity", "the ttl", "the period"].into_iter().zip(durations) {
        if found == 0 || found > DURATION_MAX_NS {
            return Err(EncodeError::Duration { field, found });
        }
    }
    Ok(())
}
