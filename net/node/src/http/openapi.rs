//! `GET /openapi.json`: the routes and what they answer, for programs.

use super::api::{DecisionRow, Failure, Health, LeftOut, StreamDetail, StreamPage};
use super::pattern::Pattern;
use super::replicas::ReplicaHealth;
use super::site::Site;
use super::{decisions, metrics, replicas, site, streams};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use std::sync::{Arc, LazyLock};
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};

#[derive(OpenApi)]
#[openapi(
    info(title = "Centauri", description = "Decisions of a Centauri server, as they are and as they come."),
    paths(streams::list, streams::detail, decisions::follow, replicas::list, metrics::show, site::health),
    components(schemas(StreamPage, StreamDetail, DecisionRow, LeftOut, ReplicaHealth, Failure, Health, Pattern)),
    security(("token" = []), ("token_in_query" = [])),
    modifiers(&Token)
)]
struct Description;

/// How a client shows who it is.
struct Token;

impl utoipa::Modify for Token {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let text = "A client's token, as `centauri token` makes it.";
        let header = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(text)).build();
        let query = ApiKeyValue::with_description("access_token", "The same, where no header can be set.");
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(header));
        components.add_security_scheme("token_in_query", SecurityScheme::ApiKey(ApiKey::Query(query)));
    }
}

/// Of a server with tokens.
static GUARDED: LazyLock<String> = LazyLock::new(|| Description::openapi().to_json().unwrap_or_default());

/// Of a server without: none is asked for, and none is wrong.
static OPEN: LazyLock<String> = LazyLock::new(|| {
    let mut open = serde_json::to_value(Description::openapi()).unwrap_or_default();
    let remove = |from: Option<&mut serde_json::Value>, key| {
        from.and_then(serde_json::Value::as_object_mut).and_then(|from| from.remove(key));
    };
    remove(Some(&mut open), "security");
    remove(open.get_mut("components"), "securitySchemes");
    let paths = open.get_mut("paths").and_then(serde_json::Value::as_object_mut);
    for path in paths.into_iter().flat_map(serde_json::Map::values_mut) {
        remove(path.pointer_mut("/get/responses"), "401");
    }
    open.to_string()
});

/// The description; it tells no secrets, so nobody is asked for a token.
pub(super) async fn show(State(site): State<Arc<Site>>) -> impl IntoResponse {
    let text = if site.tokens.is_some() { &GUARDED } else { &OPEN };
    ([(header::CONTENT_TYPE, "application/json")], text.as_str())
}
