//! Who asks, and for what: tokens and parameters.

use super::api::ApiError;
use super::site::Site;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;

/// A token where no header can be set: the browser's EventSource and WebSocket.
const TOKEN: &str = "access_token";
/// The most parameters of a request.
const PARAMETERS_MAX: usize = 100;

/// Who asks: the token's name, or nobody.
#[derive(Clone, Debug)]
pub(super) struct Client(pub(super) Arc<str>);

/// Lets in who may read, and says who it is.
pub(super) async fn admit(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    match client(&site, request.headers(), request.uri()) {
        Ok(name) => {
            request.extensions_mut().insert(Client(name.into()));
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

fn client<'a>(site: &'a Site, headers: &HeaderMap, uri: &Uri) -> Result<&'a str, ApiError> {
    let Some(shown) = token(headers, uri)? else {
        return if site.allow_anonymous {
            Ok("")
        } else if site.tokens.is_none() {
            // A page from elsewhere may have the machine's browser ask under a name that leads here.
            is_local(headers).then_some("").ok_or_else(|| {
                let error =
                    "without tokens this server is for its own machine, by localhost or a loopback address";
                ApiError(StatusCode::FORBIDDEN, error.to_owned())
            })
        } else {
            let error = "found no token, expected the header `Authorization: Bearer TOKEN`, or the parameter access_token";
            Err(ApiError(StatusCode::UNAUTHORIZED, error.to_owned()))
        };
    };
    // Where there are no tokens, none is wrong.
    let Some(tokens) = &site.tokens else {
        return if site.allow_anonymous || is_local(headers) {
            Ok("")
        } else {
            Err(ApiError(StatusCode::FORBIDDEN, "this server has no tokens".to_owned()))
        };
    };
    tokens
        .client(&shown)
        .ok_or_else(|| ApiError(StatusCode::UNAUTHORIZED, "found a token of no client".to_owned()))
}

fn token(headers: &HeaderMap, uri: &Uri) -> Result<Option<String>, ApiError> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let value = value.to_str().unwrap_or_default();
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(ApiError(
                StatusCode::UNAUTHORIZED,
                "found another Authorization, expected Bearer".to_owned(),
            ));
        }
        return Ok(Some(token.trim().to_owned()));
    }
    let mut pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).take(PARAMETERS_MAX);
    Ok(pairs.find(|(key, _)| key == TOKEN).map(|(_, value)| value.into_owned()))
}

fn is_local(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let host = host.to_str().unwrap_or_default();
    // A port follows the last colon, but in an IPv6 address alone, which has brackets.
    let name = if host.ends_with(']') { host } else { host.rsplit_once(':').map_or(host, |(name, _)| name) };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a browser asks on behalf of a page from elsewhere, which it does not keep from opening a WebSocket.
pub(super) fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let of = |value: Option<&HeaderValue>| value.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let origin = of(Some(origin)).and_then(|text| text.parse::<Uri>().ok());
    let host = of(headers.get(header::HOST));
    match (origin.as_ref().and_then(Uri::authority), host) {
        (Some(origin), Some(host)) => !origin.as_str().eq_ignore_ascii_case(&host),
        _ => true,
    }
}

/// Turns away requests with a body: none has anything to say in one.
pub(super) async fn without_body(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let length = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    if length || headers.contains_key(header::TRANSFER_ENCODING) {
        let error = "found a body, expected none".to_owned();
        return ApiError(StatusCode::PAYLOAD_TOO_LARGE, error).into_response();
    }
    next.run(request).await
}

/// The parameters of a request, all of them `known`.
///
/// # Errors
/// One that is not, or too many.
pub(super) fn parameters(query: Option<&str>, known: &[&str]) -> Result<Vec<(String, String)>, ApiError> {
    let mut found = Vec::new();
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if key == TOKEN {
            continue;
        }
        if !known.contains(&&*key) {
            let key: String = key.chars().take(40).collect();
            return Err(ApiError::bad(format!(
                "found the parameter {key:?}, expected {}",
                known.join(" or ")
            )));
        }
        if found.len() >= PARAMETERS_MAX {
            return Err(ApiError::bad(format!("found more than {PARAMETERS_MAX} parameters")));
        }
        found.push((key.into_owned(), value.into_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn names_of_the_machine_itself() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST:80", true),
            ("127.0.0.1:8080", true),
            ("127.9.9.9", true),
            ("[::1]:80", true),
            ("[::1]", true),
            ("example.org", false),
            ("localhost.example.org:80", false),
            ("10.0.0.1:80", false),
            ("127.0.0.1.example.org", false),
            ("", false),
        ] {
            assert_eq!(is_local(&headers(&[(header::HOST, host)])), expected, "{host}");
        }
        assert!(is_local(&HeaderMap::new()));
    }

    #[test]
    fn pages_from_elsewhere_are_told_apart() {
        for (origin, host, expected) in [
            ("http://a:80", "a:80", false),
            ("https://a.example", "A.example", false),
            ("http://b:80", "a:80", true),
            ("http://a:81", "a:80", true),
            ("null", "a", true),
        ] {
            let headers = headers(&[(header::ORIGIN, origin), (header::HOST, host)]);
            assert_eq!(is_from_elsewhere(&headers), expected, "{origin} {host}");
        }
        assert!(!is_from_elsewhere(&headers(&[(header::HOST, "a")])));
    }

    #[test]
    fn parameters_are_known_ones() {
        let found = parameters(Some("a=1&b=x%2Fy+z&access_token=s&a=2"), &["a", "b"]).unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(found, [pair("a", "1"), pair("b", "x/y z"), pair("a", "2")]);
        let ApiError(status, error) = parameters(Some("c"), &["a", "b"]).unwrap_err();
        assert_eq!(
            (status, error.as_str()),
            (StatusCode::BAD_REQUEST, "found the parameter \"c\", expected a or b")
        );
        assert!(parameters(Some(&"a&".repeat(101)), &["a"]).is_err());
        assert!(parameters(None, &[]).unwrap().is_empty());
    }
}
