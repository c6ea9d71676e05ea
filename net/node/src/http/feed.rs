//! From what is decided to those who follow it: each has a queue with a limit, and what finds it full is counted.

use super::api::decision_json;
use super::board::{Board, Event, Followed};
use super::pattern::Patterns;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};

/// So often is looked for new decisions while somebody follows. Those who decide wake nobody: that would cost them a system call.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// After so many decisions those who follow get their turn to send them.
const TURN: usize = 64;

/// What one who follows is told.
#[derive(Clone, Debug)]
pub(super) enum Message {
    /// A decision.
    Decision(Arc<Told>),
    /// So many decisions found no room since the last message.
    Missed(u64),
}

/// A decision as text, made once for all who follow it.
#[derive(Debug)]
pub(super) struct Told {
    /// The stream's number on this server and the round.
    pub(super) id: String,
    /// The JSON object.
    pub(super) json: String,
}

/// Why nobody more can follow.
#[derive(Debug)]
pub(super) enum Refused {
    /// No stream matches.
    NoStream,
    /// The client follows too often already.
    TooMany(usize),
    /// The server ends.
    Ending,
}

/// All who follow.
#[derive(Debug)]
pub(super) struct Feed {
    board: Arc<Board>,
    queue: usize,
    each_max: usize,
    wake: Notify,
    followers: Mutex<Followers>,
    sent: AtomicU64,
    missed: AtomicU64,
}

#[derive(Debug, Default)]
struct Followers {
    list: BTreeMap<u64, Follower>,
    next: u64,
    is_ended: bool,
    /// For each stream that is followed the number of the last decision that was passed on.
    last: Vec<u64>,
}

#[derive(Debug)]
struct Follower {
    client: String,
    streams: Set,
    send: mpsc::Sender<Message>,
    missed: u64,
}

/// Streams, a bit for each.
#[derive(Debug)]
struct Set(Vec<u64>);

impl Set {
    fn insert(&mut self, stream: u32) {
        if let Some(word) = self.0.get_mut(stream as usize / 64) {
            *word |= 1 << (stream % 64);
        }
    }

    fn contains(&self, stream: u32) -> bool {
        self.0.get(stream as usize / 64).is_some_and(|word| word >> (stream % 64) & 1 == 1)
    }
}

impl Follower {
    /// Puts a message in the queue; what finds no room is counted, and told as soon as there is some.
    fn tell(&mut self, told: &Arc<Told>) -> bool {
        let has_told = self.tell_missed() && self.send.try_send(Message::Decision(Arc::clone(told))).is_ok();
        self.missed += u64::from(!has_told);
        has_told
    }

    fn tell_missed(&mut self) -> bool {
        if self.missed > 0 && self.send.try_send(Message::Missed(self.missed)).is_ok() {
            self.missed = 0;
        }
        self.missed == 0
    }
}

/// One who follows; no longer when it is dropped.
#[derive(Debug)]
pub(super) struct Following {
    feed: Arc<Feed>,
    id: u64,
    receive: mpsc::Receiver<Message>,
}

impl Following {
    /// The next message; `None` when the server ends.
    pub(super) async fn next(&mut self) -> Option<Message> {
        self.receive.recv().await
    }

    /// As [`Following::next`].
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.receive.poll_recv(context)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.feed.leave(self.id);
    }
}

impl Feed {
    /// Nobody follows yet: `queue` decisions may wait for each, and one client may follow `each_max` times.
    pub(super) fn new(board: Arc<Board>, queue: usize, each_max: usize) -> Self {
        Self {
            board,
            queue,
            each_max,
            wake: Notify::new(),
            followers: Mutex::default(),
            sent: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        }
    }

    /// `client` follows the streams that match.
    pub(super) fn follow(self: &Arc<Self>, client: &str, patterns: &Patterns) -> Result<Following, Refused> {
        let mut streams = Set(vec![0; self.board.len().div_ceil(64)]);
        let matching =
            |stream: &u32| self.board.names(*stream).is_some_and(|names| patterns.matches(&names.stream));
        let matching: Vec<u32> = self.board.served().iter().copied().filter(matching).collect();
        if matching.is_empty() {
            return Err(Refused::NoStream);
        }
        let mut followers = self.lock();
        if followers.is_ended {
            return Err(Refused::Ending);
        }
        if followers.list.values().filter(|follower| follower.client == client).count() >= self.each_max {
            return Err(Refused::TooMany(self.each_max));
        }
        followers.last.resize(self.board.len(), 0);
        for stream in matching {
            streams.insert(stream);
            if let Some(number) = self.board.follow(stream)
                && let Some(last) = followers.last.get_mut(stream as usize)
            {
                *last = number;
            }
        }
        let (send, receive) = mpsc::channel(self.queue);
        let id = followers.next;
        followers.next += 1;
        followers.list.insert(id, Follower { client: client.to_owned(), streams, send, missed: 0 });
        self.wake.notify_one();
        Ok(Following { feed: Arc::clone(self), id, receive })
    }

    fn leave(&self, id: u64) {
        let Some(follower) = self.lock().list.remove(&id) else { return };
        self.set_free(&follower);
    }

    fn set_free(&self, follower: &Follower) {
        let followed = self.board.served().iter().filter(|stream| follower.streams.contains(**stream));
        followed.for_each(|stream| self.board.leave(*stream));
    }

    /// How many follow, how many decisions they were told, and how many they missed.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let followers = self.lock().list.len() as u64;
        (followers, self.sent.load(Ordering::Relaxed), self.missed.load(Ordering::Relaxed))
    }

    /// Passes on what is written on followed streams until `stop` says so, and then what is left.
    pub(super) async fn run(&self, mut written: Vec<Followed>, mut stop: watch::Receiver<bool>) {
        loop {
            let is_followed = !self.lock().list.is_empty();
            let next = async {
                if is_followed { tokio::time::sleep(LOOK_EVERY).await } else { self.wake.notified().await }
            };
            let stopped = tokio::select! {
                () = next => false,
                // Nobody can say so any more only when the server is ending, too.
                _ = stop.changed() => true,
            };
            self.pass_on(&mut written).await;
            if stopped {
                return self.end();
            }
        }
    }

    async fn pass_on(&self, written: &mut [Followed]) {
        for written in written {
            let mut count = 0;
            while let Some(event) = written.next(&self.board) {
                self.tell(&event);
                count += 1;
                if count % TURN == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }
        for follower in self.lock().list.values_mut() {
            follower.tell_missed();
        }
    }

    fn tell(&self, event: &Event) {
        let mut followers = self.lock();
        let Followers { list, last, .. } = &mut *followers;
        let Some(last) = last.get_mut(event.stream as usize) else { return };
        // From before anybody followed.
        let Some(gap) = event.number.checked_sub(*last + 1) else { return };
        *last = event.number;
        let mut told = None;
        for follower in list.values_mut().filter(|follower| follower.streams.contains(event.stream)) {
            follower.missed += gap;
            let told = told.get_or_insert_with(|| Arc::new(self.text(event)));
            let has_told = follower.tell(told);
            self.sent.fetch_add(u64::from(has_told), Ordering::Relaxed);
            self.missed.fetch_add(gap + u64::from(!has_told), Ordering::Relaxed);
        }
    }

    fn text(&self, event: &Event) -> Told {
        let names = self.board.names(event.stream);
        let json =
            names.and_then(|names| decision_json(names, &event.record)).unwrap_or_else(|| "null".to_owned());
        Told { id: format!("{}-{}", event.stream, event.record.round), json }
    }

    /// Nobody follows any more, and nobody can.
    fn end(&self) {
        let mut followers = self.lock();
        followers.is_ended = true;
        for follower in std::mem::take(&mut followers.list).values_mut() {
            follower.tell_missed();
            self.set_free(follower);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Followers> {
        // What a thread that panicked left is whole: every change is made by calls that do not fail half-way.
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
