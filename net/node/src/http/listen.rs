//! Takes connections, as many as there may be, and speaks HTTP on each.

use super::guarded::Guarded;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// Connections that wait to be taken.
const BACKLOG: u32 = 1_024;
/// What the kernel keeps of what a slow client has not taken yet; it takes twice as much for it.
const SEND_BYTES: u32 = 128 << 10;
/// A request's head at most, and what is made ready to be sent.
const BUFFER_BYTES: usize = 16 << 10;
/// Headers of a request at most.
const HEADERS_MAX: usize = 64;
/// So many who find no place are told so at a time; others are just turned away.
const REFUSALS_MAX: usize = 32;
/// So long that may take.
const REFUSAL: Duration = Duration::from_secs(1);
/// How long to wait when the system gives no more connections.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);
/// So long connections have to end after the server did.
const GOODBYE: Duration = Duration::from_secs(3);

const CROWDED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 63\r\n\
    Retry-After: 5\r\nConnection: close\r\n\r\n{\"error\":\"found no place for one more client, try again later\"}";

/// What connections are held to.
pub(super) struct Terms {
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) clients_max: usize,
    pub(super) stall: Duration,
    pub(super) stop: watch::Receiver<bool>,
}

/// A socket that listens.
///
/// # Errors
/// What the system says.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Takes connections until it is told to stop, and waits then for a while until they have ended.
pub(super) async fn listen(listener: TcpListener, router: Router, mut terms: Terms) {
    let places = Arc::new(Semaphore::new(terms.clients_max));
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = terms.stop.changed() => break,
        };
        match accepted {
            Ok((stream, peer)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => drop(tokio::spawn(converse(stream, place, peer, router.clone(), &terms))),
                Err(_) => refuse(stream, terms.tls.is_some(), &refusals),
            },
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                sleep(OUT_OF_DESCRIPTORS).await;
            }
        }
    }
    drop(listener);
    let all = u32::try_from(terms.clients_max).unwrap_or(u32::MAX);
    if timeout(GOODBYE, places.acquire_many(all)).await.is_err() {
        tracing::debug!("some connections are cut off");
    }
}

fn refuse(mut stream: TcpStream, is_tls: bool, refusals: &Arc<Semaphore>) {
    let Ok(place) = Arc::clone(refusals).try_acquire_owned() else { return };
    // Who speaks TLS would not understand it.
    if is_tls {
        return;
    }
    tokio::spawn(timeout(REFUSAL, async move {
        let _place = place;
        stream.write_all(CROWDED).await?;
        stream.shutdown().await?;
        // Closed with something unread, the connection would take back the answer.
        let mut rest = [0; 1_024];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    }));
}

fn converse(
    stream: TcpStream,
    place: OwnedSemaphorePermit,
    peer: SocketAddr,
    router: Router,
    terms: &Terms,
) -> impl Future<Output = ()> + Send + use<> {
    let (tls, stall, stop) = (terms.tls.clone(), terms.stall, terms.stop.clone());
    async move {
        // Decisions are small and should not wait for each other.
        let _ = stream.set_nodelay(true);
        let stream = Guarded::new(stream, stall, place);
        let Some(tls) = tls else { return speak(stream, router, stall, stop).await };
        match timeout(stall, tls.accept(stream)).await {
            Ok(Ok(stream)) => speak(stream, router, stall, stop).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
            Err(_) => tracing::debug!(%peer, "no TLS in time"),
        }
    }
}

async fn speak<S>(stream: S, router: Router, stall: Duration, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(stall)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut is_stopped = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection failed");
                }
                return;
            }
            _ = stop.changed(), if !is_stopped => {
                is_stopped = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_as_long_as_it_says() {
        let text = std::str::from_utf8(CROWDED).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a body");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok_and(|body| body["error"].is_string()));
    }
}
