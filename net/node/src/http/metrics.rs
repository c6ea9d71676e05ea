//! `GET /metrics`: what is counted, as Prometheus reads it.

use super::site::Site;
use super::{replicas, tally};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The text's form.
const FORM: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The server's counters, at most some seconds old.
#[utoipa::path(
    get,
    path = "/metrics",
    responses(
        (status = 200, description = "Counters in Prometheus' text form.", body = String, content_type = "text/plain"),
        (status = 401, description = "No token, or a wrong one.", body = super::api::Failure),
    )
)]
pub(super) async fn show(State(site): State<Arc<Site>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, FORM)], text(&site))
}

fn text(site: &Site) -> String {
    let mut out = String::new();
    let (mut numbers, texts) = tally::sum(&site.tallies);
    let nodes = replicas::count(&site.tallies);
    for (name, count) in &mut numbers {
        if let Some(state) = name.strip_prefix("nodes_") {
            *count = nodes.get(state).copied().unwrap_or_default();
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    let verifier = texts.get("verifier").map_or("", String::as_str);
    head(&mut out, "centauri_info", "gauge", "The server's version, and what verifies signatures.");
    let _ = writeln!(out, "centauri_info{{version=\"{version}\",verifier=\"{}\"}} 1", escaped(verifier));
    line(&mut out, "centauri_streams", "gauge", "Streams that are served.", site.board.served().len() as u64);
    for (name, count) in &numbers {
        let (name, kind) = name_and_kind(name);
        line(&mut out, &name, kind, "As in the counters file; see docs/HTTP.md.", *count);
    }
    own(&mut out, site);
    out
}

/// What the HTTP side itself counts.
fn own(out: &mut String, site: &Site) {
    let (followers, sent, missed) = site.feed.counts();
    line(out, "centauri_http_followers", "gauge", "Clients that follow decisions.", followers);
    line(
        out,
        "centauri_http_decisions_sent_total",
        "counter",
        "Decisions put in the queues of who follows.",
        sent,
    );
    line(
        out,
        "centauri_http_decisions_missed_total",
        "counter",
        "Decisions that slow clients missed.",
        missed,
    );
    let name = "centauri_http_answers_total";
    head(out, name, "counter", "Answers by the first digit of their status.");
    for (class, count) in site.answers.iter().enumerate().skip(1) {
        let _ = writeln!(out, "{name}{{class=\"{class}xx\"}} {}", count.load(Ordering::Relaxed));
    }
}

/// Largest values and what is open now go down, too; the rest only counts.
fn name_and_kind(name: &str) -> (String, &'static str) {
    let is_good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name: String = name.chars().map(|c| if is_good(c) { c } else { '_' }).collect();
    let goes_down = ["nodes_", "clocks_off", "tcp_open"].iter().any(|known| name.starts_with(known));
    if name.contains("_max_") || goes_down {
        (format!("centauri_{name}"), "gauge")
    } else {
        (format!("centauri_{name}_total"), "counter")
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a text does not fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(out: &mut String, name: &str, kind: &str, help: &str, count: u64) {
    head(out, name, kind, help);
    let _ = writeln!(out, "{name} {count}");
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
