//! What a node keeps beyond the end of the process, where the configuration asks for a journal.

use crate::clock::now_ns;
use crate::journal::{Beginning, Journal, JournalCounters, JournalHandle, OpenedJournal, Place};
use crate::serve::{
    DistributionKeeper, JournalConfig, Kept, Left, RequestKeeper, read_distributions, tell_beginning,
    time_text,
};
use centauri_roles::{Effect, Lasting, Note};
use centauri_wire::Limits;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The longest time between two looks at whether the node is to end.
const NAP: Duration = Duration::from_millis(20);

/// A journal that is being written, and what an earlier node left in it.
pub(super) struct Keeping {
    journal: Journal,
    left: Left,
    requests: RequestKeeper,
    distributions: DistributionKeeper,
    news: News,
}

/// What has changed since it was kept last.
#[derive(Debug, Default)]
struct News {
    requests: bool,
    distributions: bool,
}

/// What an earlier node left that a role is made of.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The distributions that were published last.
    pub(super) distributions: BTreeMap<String, Kept>,
    /// Nothing timestamped up to this is done once more: an earlier node may have.
    pub(super) done_until_ns: Option<i64>,
}

impl Keeping {
    /// Opens the journal and begins to write it. Then it waits until the clock has passed all timestamps that an earlier node may have
    /// accepted or given out, or until `stop` is no longer 0: so what the node numbers by its clock, it numbers anew.
    pub(super) fn begin(
        config: &JournalConfig,
        limits: &mut Limits,
        stop: &AtomicUsize,
    ) -> anyhow::Result<(Self, Found)> {
        let opened = OpenedJournal::open(Place::file(&config.path), Vec::new())?;
        let left = Left::read(|kind| opened.state(kind).cloned());
        let distributions = read_distributions(&opened);
        let (settings, now) = (config.settings(), now_ns());
        let (journal, beginning) = opened.begin(settings, now)?;
        tell_beginning(&beginning, &settings.reservation, now);
        let Beginning { floor_ns, found_reserved_ns, .. } = beginning;
        if now_ns() < floor_ns {
            tracing::info!(until = %time_text(floor_ns), "silent and deaf: an earlier node may have accepted frames up to then");
        }
        while now_ns() < floor_ns && stop.load(Ordering::Relaxed) == 0 {
            let left_ns = floor_ns.saturating_sub(now_ns()).max(0).unsigned_abs();
            std::thread::sleep(Duration::from_nanos(left_ns).min(NAP));
        }
        limits.not_before_ns = limits.not_before_ns.max(floor_ns).max(now_ns());
        let ahead_ns = settings.reservation.clock_ahead_ns.max(0).unsigned_abs();
        limits.future_ns = limits.future_ns.min(ahead_ns);
        let handle = journal.handle().clone();
        let keeping = Self {
            requests: RequestKeeper::new(handle.clone(), now_ns(), &left, |_| true),
            distributions: DistributionKeeper::new(handle),
            news: News::default(),
            journal,
            left,
        };
        Ok((keeping, Found { distributions, done_until_ns: found_reserved_ns }))
    }

    pub(super) fn handle(&self) -> &JournalHandle {
        self.journal.handle()
    }

    /// Has the role serve again whom it served.
    pub(super) fn restore(&self, role: &mut impl Lasting) {
        role.reserve_until(self.handle().reserved_ns());
        self.left.restore_requests(|kept| role.restore_request(now_ns(), kept));
    }

    /// Notes what an effect changes.
    pub(super) fn see(&mut self, effect: &Effect<'_>) {
        match effect {
            Effect::Note(Note::Subscribed { .. } | Note::Cancelled { .. }) => self.news.requests = true,
            Effect::Published { .. } => self.news.distributions = true,
            _ => {}
        }
    }

    /// Keeps what has changed.
    pub(super) fn keep(&mut self, role: &impl Lasting) {
        let (now, news) = (now_ns(), std::mem::take(&mut self.news));
        self.requests.keep(now, news.requests, || role.kept_requests().into_iter());
        self.distributions.keep(now, news.distributions, role.published());
    }

    /// Keeps everything, and ends the journal in an orderly way: nothing is accepted any more.
    pub(super) fn close(mut self, role: &impl Lasting) -> JournalCounters {
        self.requests.keep_now(role.kept_requests().into_iter());
        self.distributions.keep(now_ns(), true, role.published());
        self.journal.close(role.newest_accepted_ns())
    }
}
