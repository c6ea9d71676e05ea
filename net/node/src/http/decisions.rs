//! `GET /decisions`: what is decided, as it is decided.

use super::api::{ApiError, DecisionRow, Failure};
use super::feed::{Following, Message, Refused};
use super::pattern::{Pattern, Patterns};
use super::request::{Client, is_from_elsewhere, parameters};
use super::site::Site;
use super::streams::no_stream;
use axum::Extension;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{self, WebSocket, WebSocketUpgrade};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// So many bytes of events are sent together.
const CHUNK_BYTES: usize = 16 << 10;
/// The longest message that a client may send; it has nothing to say.
const INCOMING_BYTES_MAX: usize = 4 << 10;
/// What waits to be sent on a WebSocket, at most.
const OUTGOING_BYTES_MAX: usize = 256 << 10;

/// Decisions as they are made: server-sent events or, when asked to upgrade, messages of a WebSocket.
///
/// Events are `decision` (data: the row) and `missed` (data: `{"missed": N}`), when so many decisions found the queue of a slow
/// client full. A message of a WebSocket is `{"event": …, "id": …, "data": …}`.
#[utoipa::path(
    get,
    path = "/decisions",
    params(
        ("stream" = Option<Vec<Pattern>>, Query, max_items = 16, description = "Only of streams with names like this; `*` stands for any text, `/` included. May come several times."),
    ),
    responses(
        (status = 200, description = "Events without end.", body = DecisionRow, content_type = "text/event-stream"),
        (status = 101, description = "A WebSocket."),
        (status = 400, description = "A parameter, or an upgrade, that is wrong.", body = Failure),
        (status = 401, description = "No token, or a wrong one.", body = Failure),
        (status = 403, description = "A WebSocket for a page from elsewhere.", body = Failure),
        (status = 404, description = "No stream has such a name.", body = Failure),
        (status = 429, description = "The client follows as often as it may.", body = Failure),
    )
)]
pub(super) async fn follow(
    State(site): State<Arc<Site>>,
    Extension(Client(client)): Extension<Client>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let patterns = parameters(query.as_deref(), &["stream"])?.into_iter().map(|(_, value)| value).collect();
    let patterns = Patterns::new(patterns).map_err(ApiError::bad)?;
    let wants_socket = headers.contains_key(header::UPGRADE);
    if wants_socket && is_from_elsewhere(&headers) {
        return Err(ApiError(
            StatusCode::FORBIDDEN,
            "found a page from elsewhere, expected this server's".to_owned(),
        ));
    }
    let follow = || {
        site.feed.follow(&client, &patterns).map_err(|refused| match refused {
            Refused::NoStream => no_stream(&site.board, patterns.first()),
            Refused::TooMany(most) => {
                let error = format!("this client follows {most} times already, which is the most");
                ApiError(StatusCode::TOO_MANY_REQUESTS, error)
            }
            Refused::Ending => ApiError(StatusCode::SERVICE_UNAVAILABLE, "the server is ending".to_owned()),
        })
    };
    if !wants_socket {
        return Ok(events(follow()?, site.heartbeat));
    }
    let socket = socket.map_err(|error| ApiError(error.status(), error.body_text()))?;
    let (following, heartbeat) = (follow()?, site.heartbeat);
    let socket = socket.max_message_size(INCOMING_BYTES_MAX).max_frame_size(INCOMING_BYTES_MAX);
    let socket = socket.write_buffer_size(0).max_write_buffer_size(OUTGOING_BYTES_MAX);
    Ok(socket.on_upgrade(move |socket| converse(socket, following, heartbeat)))
}

fn events(following: Following, heartbeat: Duration) -> Response {
    let body = Events { following, heartbeat: beat(heartbeat), has_begun: false };
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::new(body)).into_response()
}

fn beat(every: Duration) -> Interval {
    let mut beat = interval(every);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.reset();
    beat
}

/// Server-sent events without end.
struct Events {
    following: Following,
    heartbeat: Interval,
    has_begun: bool,
}

impl HttpBody for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut text = String::new();
        if !std::mem::replace(&mut self.has_begun, true) {
            // So long a browser is to wait before it connects again.
            text.push_str("retry: 2000\n\n");
        }
        while text.len() < CHUNK_BYTES {
            match self.following.poll_next(context) {
                Poll::Ready(Some(message)) => write_event(&mut text, &message),
                Poll::Ready(None) if text.is_empty() => return Poll::Ready(None),
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        if !text.is_empty() {
            self.heartbeat.reset();
        } else if self.heartbeat.poll_tick(context).is_ready() {
            text.push_str(": nothing new\n\n");
        } else {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(text.into()))))
    }
}

fn write_event(text: &mut String, message: &Message) {
    match message {
        Message::Decision(told) => {
            // JSON has no line breaks outside of texts, and in them they are escaped.
            for part in ["id: ", &told.id, "\nevent: decision\ndata: ", &told.json, "\n\n"] {
                text.push_str(part);
            }
        }
        Message::Missed(count) => {
            text.push_str(&format!("event: missed\ndata: {{\"missed\":{count}}}\n\n"));
        }
    }
}

/// Sends what is decided until either end goes.
async fn converse(mut socket: WebSocket, mut following: Following, heartbeat: Duration) {
    let mut heartbeat = beat(heartbeat);
    loop {
        let sent = tokio::select! {
            message = following.next() => match message {
                Some(message) => {
                    heartbeat.reset();
                    socket.send(ws::Message::Text(socket_text(&message).into())).await
                }
                None => {
                    let close = ws::CloseFrame { code: ws::close_code::AWAY, reason: "the server is ending".into() };
                    let _ = socket.send(ws::Message::Close(Some(close))).await;
                    return;
                }
            },
            _ = heartbeat.tick() => socket.send(ws::Message::Ping(Bytes::new())).await,
            incoming = socket.recv() => match incoming {
                // Pings are answered below here; nothing else is expected.
                Some(Ok(ws::Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => Ok(()),
            },
        };
        if sent.is_err() {
            return;
        }
    }
}

fn socket_text(message: &Message) -> String {
    match message {
        Message::Decision(told) => {
            format!("{{\"event\":\"decision\",\"id\":\"{}\",\"data\":{}}}", told.id, told.json)
        }
        Message::Missed(count) => format!("{{\"event\":\"missed\",\"data\":{{\"missed\":{count}}}}}"),
    }
}
