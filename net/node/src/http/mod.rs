//! What is decided, by HTTP: lists, reasons, streams of events, counters, and a page for people.
//!
//! One thread of its own does all of it. The threads that decide write each decision on a board and go on; they wait for
//! nobody, however many read and however slow they are.

mod api;
mod board;
mod config;
mod decisions;
mod feed;
mod guarded;
mod listen;
mod metrics;
mod openapi;
mod page;
mod pattern;
mod reasons;
mod record;
mod replicas;
mod request;
mod site;
mod streams;
mod tally;
pub(crate) mod tls;
pub(crate) mod tokens;
mod words;

pub(crate) use api::DecisionRow;
pub use config::HttpConfig;
pub(crate) use reasons::Shelf;
pub(crate) use words::figure;

use crate::clock::Stopwatch;
use crate::serve::{Names, ServeConfig};
use anyhow::Context;
use board::{Board, BoardWriter, Followed};
use centauri_engine::Fleet;
use centauri_roles::Decided;
use feed::Feed;
use listen::Terms;
use serde_json::{Map, Value};
use site::Site;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tally::Tally;
use tokens::Tokens;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// So often a thread that decides tells its counters.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The running HTTP side.
#[derive(Debug)]
pub(crate) struct Http {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
    shelf: Shelf,
}

/// Where a thread that decides leaves what others may read.
#[derive(Debug)]
pub(crate) struct Desk {
    writer: BoardWriter,
    tally: Tally,
    /// Since the counters were told.
    told: Option<Stopwatch>,
}

impl Desk {
    /// Makes a decision known. Waits for nobody.
    pub(crate) fn publish(&mut self, decided: &Decided<'_>) {
        self.writer.publish(decided);
    }

    /// Tells the counters, if it is time again.
    pub(crate) fn count(&mut self, counters: impl FnOnce() -> Map<String, Value>) {
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            self.tally.tell(counters());
            self.told = Some(Stopwatch::start());
        }
    }
}

impl Http {
    /// Listens as the configuration says, with a desk for each of `count` threads that decide. `None` where it says nothing
    /// of HTTP.
    ///
    /// # Errors
    /// A file or an address that is not to be had.
    pub(crate) fn start(
        config: &ServeConfig,
        names: &Arc<[Names]>,
        fleet: &Fleet,
        count: usize,
    ) -> anyhow::Result<Option<(Self, Vec<Desk>)>> {
        let Some(http) = &config.http else { return Ok(None) };
        let tokens = http.tokens.as_deref().map(Tokens::read).transpose().context("http.tokens")?;
        let tls = http
            .tls()
            .map(|(certificate, key)| tls::server(certificate, key))
            .transpose()
            .context("http.tls")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.context("http: no runtime")?;
        let listener = runtime.block_on(async { listen::bind(http.listen) });
        let listener = listener.with_context(|| format!("http.listen {}", http.listen))?;
        tell_address(http, &listener, tls.is_some())?;
        let served: BTreeSet<&str> = config.streams.iter().map(|s| s.name.as_str()).collect();
        let board = Arc::new(Board::new(Arc::clone(names), |name| served.contains(name)));
        let (desks, written): (Vec<Desk>, Vec<Followed>) = (0..count)
            .map(|_| {
                let (writer, followed) = board.writer();
                (Desk { writer, tally: Tally::default(), told: None }, followed)
            })
            .unzip();
        let shelf = Shelf::new(fleet.clone());
        let site = Arc::new(Site {
            shelf: shelf.clone(),
            feed: Arc::new(Feed::new(Arc::clone(&board), http.queue_decisions, http.clients_max.div_ceil(2))),
            board,
            tokens,
            allow_anonymous: http.allow_anonymous,
            heartbeat: Duration::from_secs_f64(http.heartbeat_s),
            tallies: desks.iter().map(|desk| desk.tally.clone()).collect(),
            answers: Default::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let terms = Terms {
            tls: tls.map(TlsAcceptor::from),
            clients_max: http.clients_max,
            stall: Duration::from_secs_f64(http.stall_s),
            stop: stopped,
        };
        let thread = std::thread::Builder::new().name("http".to_owned());
        let thread =
            thread.spawn(move || run(&runtime, listener, site, written, terms)).context("http: no thread")?;
        Ok(Some((Self { stop, thread, shelf }, desks)))
    }

    /// Where the models are to be put that are in force.
    pub(crate) fn shelf(&self) -> Shelf {
        self.shelf.clone()
    }

    /// Passes on what has been decided, says goodbye to who follows, and ends.
    pub(crate) fn end(self) {
        let _ = self.stop.send(true);
        if self.thread.join().is_err() {
            tracing::error!("the HTTP side ended unexpectedly");
        }
    }
}

fn tell_address(config: &HttpConfig, listener: &TcpListener, is_tls: bool) -> anyhow::Result<()> {
    let address = listener.local_addr().context("http.listen")?;
    tracing::info!(http = %address, tls = is_tls, "listening");
    if !is_tls && config.tokens.is_some() && !address.ip().is_loopback() {
        tracing::warn!(
            "tokens cross the network in the clear: http.tls_certificate and http.tls_key would hide them"
        );
    }
    if config.allow_anonymous && !address.ip().is_loopback() {
        tracing::warn!("whoever reaches the address can read what is decided: http.allow_anonymous");
    }
    Ok(())
}

fn run(runtime: &Runtime, listener: TcpListener, site: Arc<Site>, written: Vec<Followed>, terms: Terms) {
    runtime.block_on(async {
        let feed = Arc::clone(&site.feed);
        let stop = terms.stop.clone();
        let feeding = async { feed.run(written, stop).await };
        tokio::join!(feeding, listen::listen(listener, site::router(site), terms));
    });
}
