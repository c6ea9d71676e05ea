//! What a server keeps beyond its end, where the configuration asks for a journal.

use super::config::ServeConfig;
use super::known::Left;
use super::setup::Prepared;
use crate::clock::now_ns;
use crate::journal::{
    Beginning, Block, BlockBuilder, Entry, Journal, JournalCounters, JournalHandle, OpenedJournal, Place,
    StreamEntry,
};
use centauri_engine::{Distribution, Fleet};
use centauri_roles::{ClientConfig, Decided, ReservationPolicy};
use std::collections::BTreeMap;

/// The kind of state that published distributions are.
pub(crate) const DISTRIBUTIONS: &str = "distribution";

/// A journal that has been read, for a server that is being put together.
pub(super) struct Opening {
    opened: OpenedJournal,
    settings: crate::journal::JournalSettings,
}

/// A journal that is being written.
pub(super) struct Keeper {
    journal: Journal,
    /// By the stream's number in the fleet, that in the journal.
    numbers: Vec<Option<u32>>,
    hold_ns: i64,
}

/// What one thread has decided and the journal does not have yet.
pub(super) struct Recorder {
    numbers: Vec<Option<u32>>,
    builder: BlockBuilder,
    whole: Vec<Block>,
    /// A block is handed over when its first decision is so old.
    hold_ns: i64,
}

impl Opening {
    /// Opens the journal, if the configuration asks for one, and has the fleet decide by the distributions that were published last.
    pub(super) fn open(config: &ServeConfig, prepared: &mut Prepared) -> anyhow::Result<Option<Self>> {
        let Some(journal) = &config.journal else { return Ok(None) };
        let streams = stream_entries(prepared);
        let opened = OpenedJournal::open(Place::file(&journal.path), streams)?;
        use_distributions(&mut prepared.client, &mut prepared.fleet, read_distributions(&opened));
        Ok(Some(Self { opened, settings: journal.settings() }))
    }

    /// What an earlier server knew of its replicas and of those who asked it.
    pub(super) fn left(&self) -> Left {
        Left::read(|kind| self.opened.state(kind).cloned())
    }

    /// Begins to write at time `now_ns`, and has the client accept and decide nothing that an earlier server may have.
    pub(super) fn begin(self, prepared: &mut Prepared, now_ns: i64) -> anyhow::Result<Keeper> {
        let Self { opened, settings } = self;
        let (journal, beginning) = opened.begin(settings, now_ns)?;
        tell(&beginning, &settings.reservation, now_ns);
        let client = &mut prepared.client;
        client.limits.not_before_ns = beginning.floor_ns;
        let ahead_ns = settings.reservation.clock_ahead_ns.max(0).unsigned_abs();
        client.limits.future_ns = client.limits.future_ns.min(ahead_ns);
        let mut numbers = vec![None; prepared.fleet.streams().len()];
        let streams = client.streams.iter_mut().zip(&beginning.first_rounds).zip(&beginning.numbers);
        for ((stream, first), number) in streams {
            stream.first_round = *first;
            let place = prepared.fleet.stream_id(&stream.name).and_then(|id| numbers.get_mut(id.0 as usize));
            if let Some(place) = place {
                *place = Some(*number);
            }
        }
        let hold_ns = i64::try_from(settings.commit_every.as_nanos()).unwrap_or(i64::MAX);
        Ok(Keeper { journal, numbers, hold_ns })
    }
}

/// The distributions that an earlier process kept.
pub(crate) fn read_distributions(opened: &OpenedJournal) -> BTreeMap<String, Kept> {
    let kept = opened.state(DISTRIBUTIONS).into_iter().flatten();
    kept.filter_map(|(name, value)| read_distribution(name, value)).collect()
}

/// Has a client and its fleet decide by the distributions that were published last.
pub(crate) fn use_distributions(client: &mut ClientConfig, fleet: &mut Fleet, kept: BTreeMap<String, Kept>) {
    if kept.is_empty() {
        return;
    }
    let (with_kept, used) = super::compiler::with_distributions(fleet, kept, client.distributions, now_ns());
    *fleet = with_kept;
    let restored = used.into_iter().map(|(name, kept)| (name, kept.distribution, kept.published_ns));
    client.restored = restored.collect();
}

/// What the journal has to know of the configuration's streams, in their order.
fn stream_entries(prepared: &Prepared) -> Vec<StreamEntry> {
    let entry = |stream: &centauri_roles::ClientStream| {
        let (id, timing) = (prepared.fleet.stream_id(&stream.name), stream.timing);
        let replicas = id
            .and_then(|id| prepared.fleet.stream(id))
            .map_or_else(Vec::new, |info| info.replicas().to_vec());
        StreamEntry {
            name: stream.name.clone(),
            replicas,
            epoch_ns: timing.windows.epoch_ns(),
            period_ns: timing.windows.period_ns(),
            close_after_ns: timing.close_after_ns,
        }
    };
    prepared.client.streams.iter().map(entry).collect()
}

/// Says what an earlier server left and what is missing.
pub(crate) fn tell(beginning: &Beginning, policy: &ReservationPolicy, now_ns: i64) {
    let Some(reserved_ns) = beginning.found_reserved_ns else {
        tracing::info!("a new journal");
        return;
    };
    let ahead_ns = beginning.floor_ns.saturating_sub(now_ns);
    let usual_ns = policy.clock_ahead_ns.saturating_add(policy.margin_ns);
    if ahead_ns > usual_ns {
        tracing::warn!(
            clock = %time_text(now_ns),
            reserved = %time_text(reserved_ns),
            "frames may have been accepted up to a time far ahead of the clock, which was set back: nothing is accepted until then"
        );
    }
    let ended = if beginning.was_clean { "in order" } else { "abruptly" };
    let until = time_text(beginning.floor_ns);
    match &beginning.gap {
        None => tracing::info!(ended, from = %until, "the journal goes on without a gap"),
        Some(gap) => tracing::info!(
            ended,
            newest = %time_text(gap.from_ns),
            from = %until,
            streams = gap.streams(),
            rounds = gap.rounds(),
            "a gap: rounds of which the journal has no decision"
        ),
    }
}

impl Keeper {
    pub(super) fn handle(&self) -> &JournalHandle {
        self.journal.handle()
    }

    /// A recorder for a thread that decides.
    pub(super) fn recorder(&self) -> Recorder {
        let (numbers, hold_ns) = (self.numbers.clone(), self.hold_ns);
        Recorder { numbers, builder: BlockBuilder::new(), whole: Vec::new(), hold_ns }
    }

    /// Ends the journal in an orderly way: nothing is accepted any more.
    pub(super) fn close(self, newest_accepted_ns: Option<i64>) -> JournalCounters {
        self.journal.close(newest_accepted_ns)
    }
}

/// Keeps what was published for the next server.
pub(crate) struct DistributionKeeper {
    journal: JournalHandle,
    /// By name, when what is kept was published.
    kept: BTreeMap<String, i64>,
    look_ns: i64,
}

/// So often published distributions are looked at, for those that were only renewed.
const LOOK_EVERY_NS: i64 = 10_000_000_000;

impl DistributionKeeper {
    pub(crate) fn new(journal: JournalHandle) -> Self {
        Self { journal, kept: BTreeMap::new(), look_ns: i64::MIN }
    }

    /// Keeps those that were published since the last time: at once where there `is_news`, and else now and then.
    pub(crate) fn keep<'a>(
        &mut self,
        now_ns: i64,
        is_news: bool,
        all: impl Iterator<Item = (&'a str, &'a Distribution, i64)>,
    ) {
        if !is_news && (self.look_ns.saturating_sub(LOOK_EVERY_NS)..self.look_ns).contains(&now_ns) {
            return;
        }
        self.look_ns = now_ns.saturating_add(LOOK_EVERY_NS);
        for (name, distribution, published_ns) in all {
            if self.kept.get(name) == Some(&published_ns) {
                continue;
            }
            let value = write_distribution(distribution, published_ns);
            if self.journal.put_state(DISTRIBUTIONS, name.as_bytes(), &value) {
                self.kept.insert(name.to_owned(), published_ns);
            } else {
                tracing::warn!(
                    name,
                    bytes = value.len(),
                    "a published distribution is not kept: no room for it"
                );
            }
        }
    }
}

impl Recorder {
    /// Takes in a decision.
    pub(super) fn see(&mut self, decided: &Decided<'_>) {
        let Some(Some(stream)) = self.numbers.get(decided.stream.0 as usize).copied() else { return };
        let &Decided { round, closed_ns, decision, honest, reports, .. } = decided;
        self.builder.push(&Entry { stream, round, closed_ns, decision, replicas: reports.len(), honest });
        if self.builder.is_full() {
            self.whole.extend(self.builder.take());
        }
    }

    /// The blocks that are to be handed over, once their decisions have been published: whole ones, and one that has waited long
    /// enough.
    pub(super) fn ready(&mut self, now_ns: i64) -> Vec<Block> {
        let waited_ns = self.builder.since_ns().map(|since| now_ns.saturating_sub(since));
        // A clock that was set back is no reason to hold it for longer.
        if waited_ns.is_some_and(|waited| !(0..self.hold_ns).contains(&waited)) {
            self.whole.extend(self.builder.take());
        }
        std::mem::take(&mut self.whole)
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> Vec<Block> {
        self.whole.extend(self.builder.take());
        std::mem::take(&mut self.whole)
    }
}

/// When it was published, and then its words.
fn write_distribution(distribution: &Distribution, published_ns: i64) -> Vec<u8> {
    let mut value = published_ns.to_le_bytes().to_vec();
    value.extend_from_slice(centauri_files::distribution_to_toml(distribution).as_bytes());
    value
}

fn read_distribution(name: &[u8], value: &[u8]) -> Option<(String, Kept)> {
    let kept = parse_kept(value);
    let name = String::from_utf8_lossy(name).into_owned();
    if kept.is_none() {
        tracing::warn!(name, "a published distribution that was kept cannot be read and is not used");
    }
    Some((name, kept?))
}

/// A published distribution that was kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) published_ns: i64,
    pub(crate) distribution: Distribution,
}

/// What was kept under a name, if it is a distribution.
pub(crate) fn parse_kept(value: &[u8]) -> Option<Kept> {
    let (time, text) = value.split_first_chunk()?;
    let distribution = centauri_files::parse_distribution(std::str::from_utf8(text).ok()?).ok()?;
    Some(Kept { published_ns: i64::from_le_bytes(*time), distribution })
}

/// A time as people read it.
pub(crate) fn time_text(at_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(at_ns))
        .map_or_else(|_| at_ns.to_string(), |time| format!("{time:.3}"))
}
