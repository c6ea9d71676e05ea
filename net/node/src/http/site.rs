//! What every request may need, and the routes.

use super::api::{ApiError, Health, Json};
use super::board::Board;
use super::feed::Feed;
use super::reasons::Shelf;
use super::request::{admit, without_body};
use super::tally::Tally;
use super::tokens::Tokens;
use super::{decisions, metrics, openapi, page, replicas, streams};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What every request may need.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) board: Arc<Board>,
    pub(super) feed: Arc<Feed>,
    pub(super) shelf: Shelf,
    pub(super) tokens: Option<Tokens>,
    pub(super) allow_anonymous: bool,
    pub(super) heartbeat: Duration,
    pub(super) tallies: Vec<Tally>,
    /// Answers, by the hundreds of their status.
    pub(super) answers: [AtomicU64; 6],
}

/// All routes.
pub(super) fn router(site: Arc<Site>) -> Router {
    let guarded = Router::new()
        .route("/streams", get(streams::list))
        .route("/streams/{*name}", get(streams::detail))
        .route("/decisions", get(decisions::follow))
        .route("/replicas", get(replicas::list))
        .route("/metrics", get(metrics::show))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&site), admit));
    Router::new()
        .route("/", get(page::show))
        .route("/health", get(health))
        .route("/openapi.json", get(openapi::show))
        .merge(guarded)
        .fallback(async || {
            ApiError(
                StatusCode::NOT_FOUND,
                "found no such path; / and /openapi.json say which there are".to_owned(),
            )
        })
        .method_not_allowed_fallback(async || {
            ApiError(StatusCode::METHOD_NOT_ALLOWED, "found another method, expected GET or HEAD".to_owned())
        })
        .layer(middleware::from_fn(without_body))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), finish))
        .with_state(site)
}

/// Whether the server lives.
#[utoipa::path(get, path = "/health", responses((status = 200, description = "It lives.", body = Health)), security(()))]
pub(super) async fn health() -> Json<Health> {
    Json(Health { status: "live", version: env!("CARGO_PKG_VERSION") })
}

/// Counts the answer, and says to browsers what not to do with it.
async fn finish(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    // Without the query, in which there may be a token.
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    let status = response.status();
    tracing::debug!(%method, path, status = status.as_u16(), "http");
    if let Some(count) = site.answers.get(usize::from(status.as_u16() / 100)) {
        count.fetch_add(1, Ordering::Relaxed);
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response.into_response()
}
