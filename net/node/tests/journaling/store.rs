//! The journal as a library: what is kept and for how long, disks that fail, files that are none.

use super::blocks::Kept;
use centauri::clock::now_ns;
use centauri::journal::*;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const S: i64 = 1_000_000_000;

fn stream(name: &str) -> StreamEntry {
    let replicas = ["r1", "r2", "r3", "r4"].map(str::to_owned).to_vec();
    StreamEntry { name: name.to_owned(), replicas, epoch_ns: 0, period_ns: S, close_after_ns: S }
}

fn streams() -> Vec<StreamEntry> {
    vec![stream("b"), stream("a")]
}

fn quick() -> JournalSettings {
    JournalSettings { commit_every: Duration::from_millis(5), ..JournalSettings::default() }
}

fn place(folder: &tempfile::TempDir) -> (Place, PathBuf) {
    let path = folder.path().join("test.journal");
    (Place::file(&path), path)
}

fn block(all: &[Kept]) -> Block {
    let mut builder = BlockBuilder::new();
    for kept in all {
        assert!(builder.push(&kept.entry()));
    }
    builder.take().expect("decisions")
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn begin(place: Place, settings: JournalSettings, now: i64) -> (Journal, Beginning) {
    OpenedJournal::open(place, streams()).expect("a journal").begin(settings, now).expect("it begins")
}

fn rounds(path: &Path) -> Vec<(u32, i64)> {
    let mut rounds = Vec::new();
    let file = JournalFile::open(path).expect("a journal");
    file.for_each(i64::MIN, &mut |entry| {
        rounds.push((entry.stream, entry.round));
        Ok(())
    })
    .expect("it can be read");
    rounds
}

#[test]
fn what_is_kept_is_found_by_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let (place, path) = place(&folder);
    let now = now_ns();
    let (journal, beginning) = begin(place.clone(), quick(), now);
    assert_eq!((beginning.floor_ns, beginning.gap, beginning.found_reserved_ns), (now, None, None));
    assert_eq!(beginning.numbers, [0, 1]);
    assert!(
        journal.handle().reserved_ns() >= now + S,
        "the reservation is on the disk before anything is accepted"
    );
    let handle = journal.handle().clone();
    assert!(handle.store(block(&[Kept::plain(0, 10, now), Kept::plain(1, 10, now)])));
    assert!(handle.store(block(&[Kept::plain(0, 11, now + 1)])));
    assert!(handle.put_state("proof", b"k", b"v1") && handle.put_state("proof", b"k", b"v2"));
    assert!(handle.put_state("ledger", b"gone", b"v") && handle.remove_state("ledger", b"gone"));
    assert!(!handle.put_state("proof", b"big", &vec![0; limits::STATE_VALUE_BYTES_MAX + 1]));
    assert!(!handle.put_state("proof", &[0; 257], b"") && !handle.put_state(&"k".repeat(33), b"", b""));
    let newest_accepted_ns = now_ns() + S / 2;
    let counters = journal.close(Some(newest_accepted_ns));
    assert_eq!((counters.decisions, counters.dropped, counters.state_dropped), (3, 0, 3));
    assert!(!handle.put_state("proof", b"late", b""), "after the end nothing is taken");

    assert_eq!(rounds(&path), [(0, 10), (1, 10), (0, 11)]);
    // Another order, and a stream more: numbers stay with their streams.
    let opened = OpenedJournal::open(place, vec![stream("a"), stream("c"), stream("b")]).expect("a journal");
    assert_eq!(opened.state("proof").and_then(|kept| kept.get(b"k".as_slice())), Some(&b"v2".to_vec()));
    assert_eq!(opened.state("ledger"), None);
    let later = now + 100 * S;
    let (journal, beginning) = opened.begin(quick(), later).expect("it begins");
    assert!(beginning.was_clean);
    assert_eq!(beginning.found_reserved_ns, Some(newest_accepted_ns));
    assert_eq!((beginning.floor_ns, beginning.numbers), (later, vec![1, 2, 0]));
    let first = later.div_euclid(S) + i64::from(later.rem_euclid(S) > 0);
    assert_eq!(beginning.first_rounds, [first; 3]);
    let gap = beginning.gap.expect("a gap");
    assert_eq!((gap.from_ns, gap.until_ns, gap.streams()), (now + 1, later, 2));
    let runs: Vec<_> = gap.runs.iter().map(|run| (run.stream, run.count, run.first, run.last)).collect();
    assert_eq!(runs, [(0, 1, 12, first - 1), (1, 1, 11, first - 1)]);
    drop(journal);
    // An abrupt end: the reservation stands. Nothing was decided, so it is the same gap, and grows.
    let opened = OpenedJournal::open(Place::file(&path), streams()).expect("a journal");
    let (journal, again) = opened.begin(quick(), later).expect("it begins");
    assert!(!again.was_clean && again.floor_ns > later + S, "{again:?}");
    drop(journal);
    let info = JournalFile::open(&path).expect("a journal").info().expect("it can be read");
    assert_eq!((info.gaps.len(), info.gaps[0].until_ns, info.streams), (1, again.floor_ns, 3));
    assert_eq!((info.decisions, info.blocks, info.was_clean), (3, 2, false));
}

#[test]
fn a_round_that_was_decided_is_not_the_first_again_even_if_the_clock_was_set_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let now = now_ns();
    let (journal, _) = begin(place(&folder).0, quick(), now);
    let newest = now / S + 1_000;
    assert!(journal.handle().store(block(&[Kept::plain(1, newest, now)])));
    drop(journal);
    let (_journal, beginning) = begin(place(&folder).0, quick(), now - 3_600 * S);
    assert_eq!(beginning.first_rounds[1], newest + 1);
    assert!(beginning.floor_ns > now && beginning.floor_ns == beginning.found_reserved_ns.expect("one") + 1);
}

#[test]
fn old_blocks_go_by_age_and_by_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let (place, path) = place(&folder);
    let now = now_ns();
    let retention = Retention { keep_ns: 10 * S, keep_bytes: 400_000 };
    let settings = JournalSettings { retention, ..quick() };
    let (journal, _) = begin(place, settings, now);
    // A block of some 60 KiB takes a page of 64 KiB: six of them fit.
    let big = |round: i64| {
        block(&(0..500).map(|at| Kept::plain(0, 1_000 * round + at, now + round)).collect::<Vec<_>>())
    };
    assert!(journal.handle().store(block(&[Kept::plain(0, -1, now - 11 * S)])));
    assert!(journal.handle().store(block(&[Kept::plain(0, -2, now - S)])));
    wait_until("the first blocks are written", || journal.handle().counters().decisions == 2);
    for round in 0..20 {
        assert!(journal.handle().store(big(round)));
    }
    let counters = journal.close(None);
    assert_eq!((counters.decisions, counters.dropped), (2 + 20 * 500, 0));
    let left = rounds(&path);
    let oldest = left.first().expect("some").1;
    assert_eq!((left.len(), oldest), (6 * 500, 14_000), "the newest six are left");
    let info = JournalFile::open(&path).expect("a journal").info().expect("it can be read");
    assert_eq!((info.decisions, info.blocks), (3_000, 6));
    assert!(info.bytes <= retention.keep_bytes, "{}", info.bytes);
    let length = std::fs::metadata(&path).expect("the file").len();
    assert!(length < 16 << 20, "the file is bounded: {length}");
}

/// A disk of memory that outlives its database and can be told to fail.
#[derive(Debug, Clone)]
struct Disk {
    memory: Arc<InMemoryBackend>,
    fails: Arc<AtomicBool>,
    /// Beyond this length there is no room.
    room: Arc<AtomicU64>,
}

impl Disk {
    fn new() -> Self {
        let room = Arc::new(AtomicU64::new(u64::MAX));
        Self { memory: Arc::new(InMemoryBackend::new()), fails: Arc::default(), room }
    }

    fn place(&self) -> Place {
        let disk = self.clone();
        Place::backend("disk of memory", move || disk.clone())
    }

    fn check(&self) -> io::Result<()> {
        if self.fails.load(Ordering::SeqCst) {
            Err(io::Error::other("the disk fails on purpose"))
        } else {
            Ok(())
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.check()?;
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        if len > self.room.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.memory.write(offset, data)
    }
}

#[test]
fn a_disk_that_fails_is_counted_and_written_again_when_it_is_well() {
    let disk = Disk::new();
    let (journal, _) = begin(disk.place(), quick(), now_ns());
    let handle = journal.handle().clone();
    let store =
        |round| assert!(handle.store(block(&[Kept::plain(0, round, now_ns())])), "nobody is turned away");
    store(1);
    wait_until("the first block is written", || handle.counters().decisions == 1);
    disk.fails.store(true, Ordering::SeqCst);
    store(2);
    assert!(handle.put_state("proof", b"k", b"v"));
    wait_until("failures are counted", || handle.counters().failed_commits >= 2);
    wait_until("the reservation lapses", || handle.counters().reservation_lapsed >= 1);
    let reserved_ns = handle.reserved_ns();
    assert!(reserved_ns < now_ns());
    store(3);
    disk.fails.store(false, Ordering::SeqCst);
    wait_until("all is written", || handle.counters().decisions == 3);
    wait_until("the reservation is renewed", || handle.reserved_ns() > reserved_ns);
    let counters = journal.close(None);
    assert_eq!((counters.blocks_lost, counters.dropped, counters.state_dropped), (0, 0, 0));
    let opened = OpenedJournal::open(disk.place(), streams()).expect("a journal");
    assert_eq!(opened.state("proof").map(std::collections::BTreeMap::len), Some(1));
    let (_journal, beginning) = opened.begin(quick(), now_ns()).expect("it begins");
    assert!(beginning.was_clean && beginning.gap.is_some());
}

#[test]
fn a_full_disk_loses_the_oldest_blocks_and_goes_on_when_there_is_room() {
    let disk = Disk::new();
    let (journal, _) = begin(disk.place(), quick(), now_ns());
    let handle = journal.handle().clone();
    disk.room.store(disk.memory.len().expect("a length"), Ordering::SeqCst);
    let mut sent = 0_u64;
    let filler: Vec<Kept> = (0..500).map(|at| Kept::plain(0, at, 1)).collect();
    wait_until("blocks are given up", || {
        for _ in 0..64 {
            sent += 500 * u64::from(handle.store(block(&filler)));
        }
        handle.counters().blocks_lost > 0
    });
    assert!(handle.counters().failed_commits > 0);
    disk.room.store(u64::MAX, Ordering::SeqCst);
    let written = handle.counters().decisions;
    wait_until("it goes on", || handle.counters().decisions > written);
    let counters = journal.close(None);
    assert_eq!(counters.decisions + counters.decisions_lost, sent, "{counters:?}");
    assert_eq!(counters.decisions_lost, 500 * counters.blocks_lost);
}

/// Whoever asks and cancels, again and again under another number, fills no memory, and what was cancelled stays so.
#[test]
fn what_a_failing_disk_keeps_waiting_of_state_is_bounded_and_no_removal_is_lost() {
    let disk = Disk::new();
    let (journal, _) = begin(disk.place(), quick(), now_ns());
    let handle = journal.handle().clone();
    assert!(handle.put_state("request", b"before", b"v"));
    assert!(handle.store(block(&[Kept::plain(0, 1, now_ns())])));
    wait_until("both are written", || handle.counters().decisions == 1);
    disk.fails.store(true, Ordering::SeqCst);
    let mut full = 0;
    let mut insist = |change: &dyn Fn() -> bool| {
        wait_until("the queue has room", || {
            let has_room = change();
            full += u64::from(!has_room);
            has_room
        });
    };
    let (bound, beyond) = (limits::STATE_ENTRIES_MAX as u64 - 1, 1_000);
    for number in (0..bound + beyond).map(u64::to_le_bytes) {
        insist(&|| handle.put_state("request", &number, b"v"));
        insist(&|| handle.remove_state("request", &number));
    }
    insist(&|| handle.remove_state("request", b"before"));
    // Another kind has room of its own.
    insist(&|| handle.put_state("proof", b"k", b"v"));
    wait_until("what is beyond the bounds is dropped", || handle.counters().state_dropped - full == beyond);
    disk.fails.store(false, Ordering::SeqCst);
    let commits = handle.counters().commits;
    wait_until("it is written again", || handle.counters().commits > commits);
    assert!(handle.put_state("request", b"after", b"v"));
    let counters = journal.close(None);
    assert!(counters.failed_commits > 0, "{counters:?}");
    assert_eq!(counters.state_dropped - full, beyond, "{counters:?}");
    let opened = OpenedJournal::open(disk.place(), streams()).expect("a journal");
    let kept: Vec<_> = opened.state("request").expect("one is left").keys().collect();
    assert_eq!(kept, [b"after"]);
    assert!(opened.state("proof").is_some());
}

#[test]
fn an_end_does_not_wait_for_a_disk_that_fails() {
    let disk = Disk::new();
    let (journal, _) = begin(disk.place(), quick(), now_ns());
    let handle = journal.handle().clone();
    disk.fails.store(true, Ordering::SeqCst);
    assert!(handle.store(block(&[Kept::plain(0, 1, 1)])));
    let counters = journal.close(None);
    assert_eq!((counters.decisions, counters.blocks_lost, counters.decisions_lost), (0, 1, 1));
    assert!(counters.failed_commits > 0);
}

/// A journal with some of everything.
fn filled(path: &Path) {
    let (journal, _) = begin(Place::file(path), quick(), now_ns());
    for round in 0..40 {
        let all: Vec<Kept> =
            (0..50).map(|at| Kept::plain(at % 2, 50 * round + i64::from(at), round)).collect();
        assert!(journal.handle().store(block(&all)));
        assert!(journal.handle().put_state("proof", &round.to_le_bytes(), &[7; 500]));
    }
    assert_eq!(journal.close(None).decisions, 2_000);
}

/// Whatever the file is: an error of one line or a journal, and no panic.
fn check_hostile(path: &Path, case: &str) -> bool {
    let read = || -> Result<(), JournalError> {
        let file = JournalFile::open(path)?;
        file.info()?;
        file.streams()?;
        file.for_each(i64::MIN, &mut |_| Ok(()))
    };
    let opened =
        OpenedJournal::open(Place::file(path), streams()).and_then(|opened| opened.begin(quick(), now_ns()));
    let errors = [read().err(), opened.err()];
    for error in errors.iter().flatten() {
        let text = error.to_string();
        assert!(text.contains("test.journal") && !text.contains('\n'), "{case}: {text}");
    }
    errors.iter().any(Option::is_some)
}

#[test]
fn a_file_that_is_cut_changed_or_foreign_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("test.journal");
    filled(&path);
    let good = std::fs::read(&path).expect("the file");
    let mut found = 0;
    for at in 0..120 {
        // Bits all over the file, the first pages more densely.
        let place = if at < 60 { at * 97 % 8_192 } else { (at * 2_654_435_761_usize) % good.len() };
        let mut changed = good.clone();
        changed[place] ^= 1 << (at % 8);
        std::fs::write(&path, &changed).expect("it can be written");
        found += u32::from(check_hostile(&path, &format!("bit of byte {place}")));
    }
    println!("{found} of 120 changed bits were found; the others lie where nothing is");
    assert!(found > 10, "{found}");
    for length in [1, 100, 4_096, good.len() / 2, good.len() - 4_096] {
        std::fs::write(&path, &good[..length]).expect("it can be written");
        assert!(check_hostile(&path, &format!("cut to {length}")), "cut to {length}");
    }
    for foreign in
        [b"not a journal at all, but a text".to_vec(), vec![0; 10_000], good.iter().rev().copied().collect()]
    {
        std::fs::write(&path, &foreign).expect("it can be written");
        assert!(check_hostile(&path, "foreign"));
    }
}

const FOREIGN: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("other");
const META: redb::TableDefinition<'_, &str, i64> = redb::TableDefinition::new("meta");

#[test]
fn another_database_a_newer_version_and_a_locked_file_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (place, path) = place(&folder);
    let error = |path: &Path| JournalFile::open(path).map(|_| ()).expect_err("an error");
    let told =
        |path: &Path| OpenedJournal::open(Place::file(path), streams()).map(|_| ()).expect_err("an error");
    assert!(matches!(error(&path), JournalError::Storage { .. }), "there is none: {}", error(&path));

    let other = folder.path().join("other.redb");
    let database = redb::Database::create(&other).expect("a database");
    let transaction = database.begin_write().expect("a transaction");
    transaction.open_table(FOREIGN).expect("a table").insert("a", 1).expect("a row");
    transaction.commit().expect("it commits");
    drop(database);
    assert!(matches!(error(&other), JournalError::NoJournal { .. }), "{}", error(&other));
    assert!(matches!(told(&other), JournalError::NoJournal { .. }), "{}", told(&other));

    let (journal, _) = begin(place, quick(), now_ns());
    assert!(matches!(error(&path), JournalError::Locked { .. }), "{}", error(&path));
    assert!(matches!(told(&path), JournalError::Locked { .. }), "{}", told(&path));
    drop(journal);
    let database = redb::Database::create(&path).expect("a database");
    let transaction = database.begin_write().expect("a transaction");
    transaction.open_table(META).expect("a table").insert("version", 2).expect("a row");
    transaction.commit().expect("it commits");
    drop(database);
    for error in [error(&path), told(&path)] {
        assert!(matches!(error, JournalError::Newer { found: 2, .. }), "{error}");
    }
}
