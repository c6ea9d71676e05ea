//! `GET /`: a page for people.

use super::api::ApiError;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

const PAGE: &str = include_str!("page.html");
/// Stands in the page where the number goes that tells its own script and style from any that got in.
const NONCE: &str = "NONCE";

/// The page. It holds no data, so nobody is asked for a token before it asks for one itself.
pub(super) async fn show() -> Response {
    let mut random = [0; 16];
    if getrandom::fill(&mut random).is_err() {
        let error = "the system gives no randomness".to_owned();
        return ApiError(StatusCode::INTERNAL_SERVER_ERROR, error).into_response();
    }
    let nonce = format!("{:032x}", u128::from_le_bytes(random));
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    (headers, PAGE.replace(NONCE, &nonce)).into_response()
}
