//! `centauri demo`: a whole system on one machine, for somebody who sees it for the first time.
//!
//! Sources, replicas of which some lie, the monitor and the engine server run as threads. Each has a key and a socket of its
//! own; they talk by signed datagrams on loopback and share nothing but the list of nodes. Sources and replicas lose and
//! delay what they send on purpose, so that honest replicas differ too. Every reading is known beforehand, so the true
//! value of each window is, and decisions can be judged.

mod cluster;
mod display;
mod engine;
mod error;
mod model;
mod options;
mod replay;
mod schedule;
mod score;
mod summary;

pub use error::DemoError;
pub use options::{Lie, Options, Replay};

use crate::clock::now_ns;
use centauri_files::{DecisionRecord, DecisionWriter, Format};
use cluster::{Cluster, Remains};
use display::Display;
use engine::{Event, Round};
use schedule::Schedule;
use score::Score;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// What is written while rounds are decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A line a decision for people, and the summary after it.
    Text {
        /// Whether the output is a terminal that shows colours.
        colour: bool,
    },
    /// The decisions as JSON Lines, as `centauri eval` writes them; the summary goes to the notes.
    JsonLines,
}

/// How long after the last deadline its round is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

/// Runs the demonstration until its duration has passed, the readings have ended, or `stop` is set, and writes decisions
/// and summary to `out` and `notes`.
///
/// # Errors
/// Options or a file that make no run, a socket that cannot be opened. Output that nobody reads any more ends the run
/// early and is no error.
///
/// ```
/// use centauri::demo::{Form, Options, run};
/// use std::{sync::atomic::AtomicBool, time::Duration};
/// let options = Options { duration: Duration::from_millis(800), seed: 7, ..Options::default() };
/// let (mut decisions, mut summary) = (Vec::new(), Vec::new());
/// run(&options, Form::JsonLines, &mut decisions, &mut summary, &AtomicBool::new(false))?;
/// assert_eq!(String::from_utf8(decisions)?.lines().count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn run(
    options: &Options,
    form: Form,
    out: &mut dyn Write,
    notes: &mut dyn Write,
    stop: &AtomicBool,
) -> Result<(), DemoError> {
    options.check()?;
    let schedule = match &options.replay {
        None => schedule::generate(options.duration, options.seed)?,
        Some(replay) => replay::replay(replay, options.duration)?,
    };
    let (events, happened) = channel();
    let cluster = Cluster::start(options, &schedule, &events)?;
    drop(events);
    let mut course = Course::new(options, &schedule, &cluster);
    let watched = match form {
        Form::Text { colour } => course.watch(&happened, stop, &mut People { out: &mut *out, colour }),
        Form::JsonLines => {
            let writer = DecisionWriter::new(Format::JsonLines, &mut *out);
            course.watch(&happened, stop, &mut Lines { writer })
        }
    };
    let Course { score, subscribed_ns, epoch_ns, .. } = course;
    let (replicas, liars) = (cluster.replicas.clone(), cluster.liars.clone());
    let remains: Vec<Remains> = cluster.end()?;
    match watched {
        Ok(()) => {}
        // Whoever read the output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        Err(cause) => return Err(DemoError::Io { what: "output".to_owned(), cause }),
    }
    let settled_ns = subscribed_ns.map(|at| at.saturating_sub(epoch_ns));
    let text = summary::Summary {
        options,
        schedule: &schedule,
        score: &score,
        replicas: &replicas,
        liars: &liars,
        remains: &remains,
        settled_ns,
        interrupted: stop.load(Ordering::Relaxed),
    }
    .text();
    let written = match form {
        Form::Text { .. } => out.write_all(text.as_bytes()).and_then(|()| out.flush()),
        Form::JsonLines => notes.write_all(text.as_bytes()).and_then(|()| notes.flush()),
    };
    match written {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            Err(DemoError::Io { what: "output".to_owned(), cause })
        }
        _ => Ok(()),
    }
}

/// Where decisions are shown.
trait Show {
    fn begin(&mut self, display: &Display<'_>) -> io::Result<()>;
    fn round(&mut self, display: &Display<'_>, round: &Round, scored: bool) -> io::Result<()>;
}

struct People<'a> {
    out: &'a mut dyn Write,
    colour: bool,
}

impl Show for People<'_> {
    fn begin(&mut self, display: &Display<'_>) -> io::Result<()> {
        self.out.write_all(display.header(self.colour).as_bytes())?;
        self.out.flush()
    }

    fn round(&mut self, display: &Display<'_>, round: &Round, scored: bool) -> io::Result<()> {
        writeln!(self.out, "{}", display.line(round, scored, self.colour))?;
        self.out.flush()
    }
}

struct Lines<W> {
    writer: DecisionWriter<W>,
}

impl<W: Write> Show for Lines<W> {
    fn begin(&mut self, _: &Display<'_>) -> io::Result<()> {
        Ok(())
    }

    fn round(&mut self, display: &Display<'_>, round: &Round, _: bool) -> io::Result<()> {
        self.writer.write(&DecisionRecord {
            stream: model::STREAM,
            round: round.round,
            replicas: display.replicas,
            decision: &round.decision,
            honest: round.honest.as_deref(),
        })?;
        self.writer.get_mut().flush()
    }
}

/// A run as it is seen from outside.
struct Course<'a> {
    schedule: &'a Schedule,
    display: Display<'a>,
    score: Score,
    epoch_ns: i64,
    /// When the last round has surely been decided.
    end_ns: i64,
    subscriptions_left: usize,
    subscribed_ns: Option<i64>,
}

impl<'a> Course<'a> {
    fn new(options: &'a Options, schedule: &'a Schedule, cluster: &'a Cluster) -> Self {
        let length = i128::from(schedule.window_ns) * i128::from(schedule.rounds());
        let after = cluster.deadlines.engine + PATIENCE;
        let end_ns = i128::from(cluster.epoch_ns) + length + after.as_nanos() as i128;
        Self {
            schedule,
            display: Display { options, schedule, replicas: &cluster.replicas },
            score: Score::new(cluster.replicas.len(), model::width(schedule)),
            epoch_ns: cluster.epoch_ns,
            end_ns: i64::try_from(end_ns).unwrap_or(i64::MAX),
            subscriptions_left: cluster.subscriptions(schedule),
            subscribed_ns: None,
        }
    }

    /// Shows and scores what happens, to the last round.
    fn watch(&mut self, events: &Receiver<Event>, stop: &AtomicBool, show: &mut dyn Show) -> io::Result<()> {
        show.begin(&self.display)?;
        while !stop.load(Ordering::Relaxed) && now_ns() < self.end_ns {
            match events.recv_timeout(LOOK) {
                Ok(Event::Subscribed { at_ns }) => {
                    self.subscriptions_left = self.subscriptions_left.saturating_sub(1);
                    if self.subscriptions_left == 0 && self.subscribed_ns.is_none() {
                        self.subscribed_ns = Some(at_ns);
                    }
                }
                Ok(Event::Round(round)) if round.round < self.schedule.rounds() => {
                    let opened = i128::from(self.epoch_ns)
                        + i128::from(round.round) * i128::from(self.schedule.window_ns);
                    let subscribed = self.subscribed_ns.is_some_and(|at| i128::from(at) <= opened);
                    self.score.add(&round, self.schedule.truth(round.round), subscribed);
                    show.round(&self.display, &round, subscribed)?;
                    if round.round + 1 == self.schedule.rounds() {
                        break;
                    }
                }
                Ok(Event::Round(_)) | Err(RecvTimeoutError::Timeout) => {}
                // What failed is told when the threads are joined.
                Ok(Event::Failed) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }
}
