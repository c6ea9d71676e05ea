//! The decisions as they come, a line each.

use super::engine::Round;
use super::model;
use super::schedule::Schedule;
use super::score::{HONEST_MIN, Plain};
use super::{Lie, Options};
use centauri_engine::{Report, Status};
use std::fmt::Write as _;

/// Lines for people.
#[derive(Debug)]
pub(super) struct Display<'a> {
    pub(super) options: &'a Options,
    pub(super) schedule: &'a Schedule,
    pub(super) replicas: &'a [String],
}

const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// How numbers of one stream are written.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    decimals: usize,
    width: usize,
}

impl Numbers {
    /// As many decimals as the step of the support has.
    fn of(schedule: &Schedule) -> Self {
        let digits = -model::width(schedule).log10().floor();
        let decimals = digits.clamp(0.0, 12.0) as usize;
        let width_of = |value: f64| format!("{value:.decimals$}").len();
        let scales = schedule.scales;
        let width = width_of(scales.low).max(width_of(scales.high)).max("median".len());
        Self { decimals, width }
    }

    fn text(self, value: f64) -> String {
        let Self { decimals, width } = self;
        format!("{value:>width$.decimals$}")
    }

    fn optional(self, value: Option<f64>) -> String {
        value.map_or_else(|| format!("{:>1$}", "-", self.width), |value| self.text(value))
    }
}

impl Display<'_> {
    /// What runs, and what the columns are.
    pub(super) fn header(&self, colour: bool) -> String {
        let Options { liars, loss, delay, .. } = self.options;
        let (sources, replicas) = (self.schedule.sources.len(), self.replicas.len());
        let window = self.schedule.window_ns as f64 * 1e-9;
        let delay = delay.as_secs_f64() * 1e3;
        let mut text = String::new();
        let _ = match (&self.options.replay, self.schedule.speed) {
            (Some(replay), Some(speed)) => writeln!(
                text,
                "Replaying {} ({speed:.6} s of it in a second): {sources} sources,",
                replay.path.display()
            ),
            _ => writeln!(text, "{sources} sources (thermometers in one room; generated readings),"),
        };
        let lying = match liars {
            0 => "none of which lies".to_owned(),
            1 => format!("one of which {}", self.options.lie.describe()),
            liars => format!("{liars} of which lie (each {})", self.options.lie.describe()),
        };
        let _ = write!(
            text,
            "{replicas} replicas, {lying}, a monitor and the engine server,\n\
             each with its own key; they talk only by signed datagrams on loopback.\n\
             {:.0} % of what sources and replicas send is lost; the rest is {delay:.0} ms late on average.\n\
             Each {window:.3} s the engine decides, at its deadline, on the mean of the readings.\n\n\
             round     number of the decision\n\
             value     the decided value, and the interval that holds the true one with probability 95 %\n\
             sure      probability of exactly this value; many values near it may be almost as likely\n\
             true      mean of all readings that were made: what nobody in the system knows\n\
             mean,     the plain mean and the median of what the replicas reported\n\
             median    (what one would take without Centauri)\n\
             left out  replicas the decision does not rest on, with the probability that they are honest\n\n",
            loss * 100.0,
        );
        let width = Numbers::of(self.schedule).width;
        let (on, off) = if colour { (BOLD, PLAIN) } else { ("", "") };
        let interval = 2 * width + 3;
        let _ = writeln!(
            text,
            "{on}{:>5}  {:>width$}  {:^interval$}  {:>4}  {:>width$}  {:>width$}  {:>width$}  left out{off}",
            "round", "value", "95 % interval", "sure", "true", "mean", "median",
        );
        text
    }

    /// One decision.
    pub(super) fn line(&self, round: &Round, scored: bool, colour: bool) -> String {
        let paint = |on: &'static str| if colour { (on, PLAIN) } else { ("", "") };
        let numbers = Numbers::of(self.schedule);
        let decision = &round.decision;
        let plain = Plain::of(&round.reports);
        let ((bold, off), (dim, undim)) = (paint(BOLD), paint(DIM));
        let mut text = format!(
            "{:>5}  {bold}{}{off}  {} … {}  {:>4.2}  {}  {dim}{}  {}{undim}  ",
            round.round,
            numbers.text(decision.value),
            numbers.text(decision.low),
            numbers.text(decision.high),
            decision.confidence,
            numbers.optional(self.schedule.truth(round.round)),
            numbers.optional(plain.map(|plain| plain.mean)),
            numbers.optional(plain.map(|plain| plain.median)),
        );
        if decision.status == Status::NoQuorum {
            text.push_str("no quorum: what was known before stands");
        } else {
            text.push_str(&self.left_out(round, colour));
        }
        if !scored {
            text.push_str("  (warming up)");
        }
        text.trim_end().to_owned()
    }

    fn left_out(&self, round: &Round, colour: bool) -> String {
        let honest = |at: usize| round.honest.as_ref().and_then(|honest| honest.get(at)).copied();
        let all = self.replicas.iter().zip(&round.reports).enumerate();
        let out = all.filter(|(at, _)| !round.decision.quorum.contains(*at)).map(|(at, (name, report))| {
            let p = honest(at).unwrap_or(0.0);
            let how = match report {
                Report::Value(_) => "",
                Report::Missing => ", nothing came",
                Report::Equivocated => ", two-faced",
            };
            let text = format!("{name} ({p:.2}{how})");
            if colour && p < HONEST_MIN { format!("{RED}{text}{PLAIN}") } else { text }
        });
        out.collect::<Vec<_>>().join(" ")
    }
}

/// A sentence on what a lie is, for the summary.
pub(super) fn lie_in_words(lie: Lie, size: f64) -> String {
    match lie {
        Lie::Offset | Lie::Stuck | Lie::Equivocate | Lie::Collude => {
            format!("{} ({size:+.3} off)", lie.describe())
        }
        Lie::Random | Lie::Silent => lie.describe().to_owned(),
    }
}
