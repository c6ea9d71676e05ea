//! From an URL to the events that a server sends.

use crate::http::tls;
use anyhow::{Context, anyhow, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// So long a server may take to begin to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// So much of an answer is read that is none.
const FAILURE_BYTES: usize = 64 << 10;

/// A server and what is asked of it.
pub(super) struct Server {
    name: String,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    authority: String,
    path: String,
    authorization: Option<HeaderValue>,
}

/// Why there are no events.
pub(super) enum Failed {
    /// Another try may do.
    Now(anyhow::Error),
    /// It would be the same each time.
    ForGood(anyhow::Error),
}

impl Server {
    /// The server at `url`, of which `streams` are asked for.
    ///
    /// # Errors
    /// An URL, a token or a file that is none.
    pub(super) fn new(
        url: &str,
        streams: &[String],
        token: Option<String>,
        authorities: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("--url: found {url:?}"))?;
        let expected = || format!("--url: found {url:?}, expected http://HOST:PORT or https://HOST:PORT");
        let authority = uri.authority().with_context(expected)?;
        ensure!(uri.query().is_none() && !authority.as_str().contains('@'), expected());
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let (default_port, tls) = match uri.scheme_str() {
            Some("http") => (80, None),
            Some("https") => {
                let name = ServerName::try_from(host.clone()).with_context(expected)?;
                (443, Some((TlsConnector::from(tls::client(authorities)?), name)))
            }
            _ => bail!(expected()),
        };
        let token = token.map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(streams.iter().map(|stream| ("stream", stream)));
        let path = format!("{}/decisions?{}", uri.path().trim_end_matches('/'), query.finish());
        Ok(Self {
            name: format!("{}://{authority}", uri.scheme_str().unwrap_or_default()),
            host,
            port: authority.port_u16().unwrap_or(default_port),
            tls,
            authority: authority.to_string(),
            path: path.trim_end_matches('?').to_owned(),
            authorization: token.transpose().context("the token")?,
        })
    }

    /// Its address, for messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Asks for events.
    pub(super) async fn connect(&self) -> Result<Incoming, Failed> {
        let answered = tokio::time::timeout(PATIENCE, self.ask()).await;
        let response = answered
            .unwrap_or_else(|_| Err(Failed::Now(anyhow!("no answer in {} s", PATIENCE.as_secs()))))?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response.into_body());
        }
        let error = anyhow!(
            "the server answers {status}: {}",
            tokio::time::timeout(PATIENCE, failure(response)).await.unwrap_or_default()
        );
        // What it has no room for now, it may have later; what is wrong stays wrong.
        let is_for_good = status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS;
        Err(if is_for_good { Failed::ForGood(error) } else { Failed::Now(error) })
    }

    async fn ask(&self) -> Result<Response<Incoming>, Failed> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.context("no connection").map_err(Failed::Now)?;
        let Some((connector, name)) = &self.tls else { return self.ask_on(stream).await };
        match connector.connect(name.clone(), stream).await {
            Ok(stream) => self.ask_on(stream).await,
            // A certificate that is not believed is not believed the next time either.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Err(Failed::ForGood(anyhow::Error::new(error).context("no TLS")))
            }
            Err(error) => Err(Failed::Now(anyhow::Error::new(error).context("no TLS"))),
        }
    }

    async fn ask_on<S>(&self, stream: S) -> Result<Response<Incoming>, Failed>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let request = self.request().map_err(Failed::ForGood)?;
        let now = |error: hyper::Error| Failed::Now(error.into());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(now)?;
        // It ends with the body, which tells what went wrong.
        tokio::spawn(async move { drop(connection.await) });
        sender.send_request(request).await.map_err(now)
    }

    fn request(&self) -> anyhow::Result<Request<Empty<Bytes>>> {
        let mut request = Request::get(&self.path)
            .header(header::HOST, &self.authority)
            .header(header::ACCEPT, "text/event-stream")
            .header(header::USER_AGENT, concat!("centauri/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        Ok(request.body(Empty::new())?)
    }
}

/// What a server says that has no events.
async fn failure(response: Response<Incoming>) -> String {
    let Ok(body) = Limited::new(response.into_body(), FAILURE_BYTES).collect().await else {
        return String::new();
    };
    let body = body.to_bytes();
    let told = serde_json::from_slice::<serde_json::Value>(&body).ok();
    told.and_then(|told| told["error"].as_str().map(super::clean)).unwrap_or_default()
}
