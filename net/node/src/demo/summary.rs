//! What came of it, from what was measured.

use super::Options;
use super::cluster::{MISS, Remains};
use super::display::lie_in_words;
use super::schedule::Schedule;
use super::score::{HONEST_MIN, REPORTED_MIN, Score, Standing};
use centauri_wire::Role as NodeRole;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Everything that the summary tells of.
pub(super) struct Summary<'a> {
    pub(super) options: &'a Options,
    pub(super) schedule: &'a Schedule,
    pub(super) score: &'a Score,
    pub(super) replicas: &'a [String],
    pub(super) liars: &'a [usize],
    pub(super) remains: &'a [Remains],
    /// When the last subscription was accepted, after window 0 opened; `None` where one never was.
    pub(super) settled_ns: Option<i64>,
    pub(super) interrupted: bool,
}

/// Counters that tell of something dropped, and in which words.
const DROPPED: [(&str, &str); 8] = [
    ("readings_late", "readings late at a replica"),
    ("readings_early", "readings early"),
    ("readings_duplicate", "readings twice"),
    ("readings_overflow", "readings too many"),
    ("records_late", "results late at the engine"),
    ("records_early", "results early"),
    ("records_repeated", "results twice"),
    ("records_equivocating", "results that contradict another"),
];

impl Summary<'_> {
    pub(super) fn text(&self) -> String {
        let mut text = String::from("\nSummary\n");
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<12}{value}");
        };
        line("decisions", self.decisions());
        line("deadlines", self.deadlines());
        for (at, value) in self.errors().into_iter().enumerate() {
            line(if at == 0 { "error" } else { "" }, value);
        }
        line("interval", self.interval());
        for (at, value) in self.liars().into_iter().enumerate() {
            line(if at == 0 { "liars" } else { "" }, value);
        }
        line("datagrams", self.datagrams());
        line("", self.lost());
        line("dropped", self.dropped());
        line("monitor", self.monitor());
        line(
            "seed",
            format!("{} (--seed {0} gives the same readings and the same liars)", self.options.seed),
        );
        text
    }

    fn decisions(&self) -> String {
        let Score { decided, no_quorum, unscored_early, without_truth, without_reports, scored, .. } =
            *self.score;
        let mut text = format!("{decided} of {} rounds, {scored} of them scored", self.schedule.rounds());
        for (count, why) in [
            (unscored_early, "began before all had subscribed"),
            (without_truth, "without a reading"),
            (without_reports, "without a report"),
            (no_quorum, "without a possible quorum"),
        ] {
            if count > 0 {
                let _ = write!(text, "; {count} {why}");
            }
        }
        match self.settled_ns {
            Some(at) if at > 0 => {
                let _ = write!(text, " (all had {:.2} s after the first window opened)", at as f64 * 1e-9);
            }
            Some(_) => text.push_str(" (all had subscribed before the first window)"),
            None => text.push_str(" (somebody never subscribed)"),
        }
        if self.interrupted {
            text.push_str("; ended early");
        }
        text
    }

    fn deadlines(&self) -> String {
        let Score { decided, kept, latest_ns, .. } = *self.score;
        format!(
            "{kept} of {decided} kept to within {} ms; the latest decision came {:.2} ms after its deadline",
            MISS.as_millis(),
            latest_ns as f64 * 1e-6
        )
    }

    fn errors(&self) -> Vec<String> {
        let Some([decisions, mean, median]) = self.score.errors() else {
            return vec!["nothing was scored".to_owned()];
        };
        let beside = |name: &str, other: f64| {
            let ratio = if decisions > 0.0 { other / decisions } else { f64::INFINITY };
            if decisions < other {
                format!("below that of the {name} (which is {ratio:.1} times as large)")
            } else if decisions > other {
                format!("above that of the {name} (which is {ratio:.2} times as large)")
            } else {
                format!("equal to that of the {name}")
            }
        };
        let faults = if self.score.scored < 30 { " Few rounds: chance has a say." } else { "" };
        vec![
            "root mean square distance from the true value".to_owned(),
            format!("decisions {decisions:.4}   plain mean {mean:.4}   median {median:.4}"),
            format!("The decisions' error is {}", beside("plain mean", mean)),
            format!("and {}.{faults}", beside("median", median)),
        ]
    }

    fn interval(&self) -> String {
        let Score { covered, scored, .. } = *self.score;
        let share = 100.0 * f64::from(covered) / f64::from(scored.max(1));
        format!("the 95 % interval held the true value in {covered} of {scored} rounds ({share:.0} %)")
    }

    fn liars(&self) -> Vec<String> {
        let named = self.score.named(self.options.faults());
        let name = |at: &usize| self.replicas.get(*at).map_or("?", String::as_str);
        let list = |places: &[usize]| places.iter().map(name).collect::<Vec<_>>().join(", ");
        let mut lines = Vec::new();
        for at in &named {
            if let Some(standing) = self.score.standings.get(*at) {
                lines.push(format!("{}: {}", name(at), self.reason(standing)));
            }
        }
        let mut sorted = named.clone();
        sorted.sort_unstable();
        let lie = lie_in_words(self.options.lie, self.options.lie_size * self.schedule.scales.spread);
        lines.push(match (named.is_empty(), self.liars.is_empty()) {
            (true, true) => "nobody is named, and nobody lied: right".to_owned(),
            (true, false) => format!("nobody is named, but {} {lie}: missed", list(self.liars)),
            (false, _) if sorted == self.liars => {
                format!("right: {} {lie}", list(self.liars))
            }
            (false, true) => format!("wrong: {} did not lie, and nobody did", list(&sorted)),
            (false, false) => format!("not right: {} {lie}", list(self.liars)),
        });
        let honest = self.score.standings.iter().enumerate().filter(|(at, _)| !named.contains(at));
        let least = honest.map(|(_, standing)| standing.honest()).reduce(f64::min);
        if let Some(least) = least {
            let few = REPORTED_MIN * 100.0;
            lines.push(format!(
                "(named is who is honest with probability below {HONEST_MIN} on average, or was"
            ));
            lines.push(format!(
                "heard in less than {few:.0} % of the rounds; least of the others: {least:.2})"
            ));
        }
        lines
    }

    fn reason(&self, standing: &Standing) -> String {
        let rounds = self.score.scored + self.score.without_reports;
        let mut text = format!("honest with probability {:.2} on average", standing.honest());
        if f64::from(standing.reported) < REPORTED_MIN * f64::from(rounds) {
            let _ = write!(text, ", heard in {} of {rounds} rounds", standing.reported);
        }
        if standing.equivocated > 0 {
            let _ = write!(text, ", convicted by its own signatures in {} rounds", standing.equivocated);
        }
        text
    }

    /// Sum of a counter over the nodes of a role.
    fn count(&self, role: Option<NodeRole>, name: &str) -> u64 {
        let nodes = self.remains.iter().filter(|node| role.is_none_or(|role| node.role == role));
        let counters = nodes.flat_map(|node| &node.counters);
        counters.filter(|(known, _)| *known == name).map(|(_, count)| count).sum()
    }

    fn datagrams(&self) -> String {
        let sent: u64 = self.remains.iter().map(|node| node.driver.sent).sum();
        let accepted = self.count(None, "frames_accepted");
        format!("{sent} sent, {accepted} accepted as signed by a known node, fresh and new")
    }

    /// What the bad network took: counted where a datagram is one record, at sources.
    fn lost(&self) -> String {
        let sources = self.remains.iter().filter(|node| node.role == NodeRole::Source);
        let sent: u64 = sources.map(|node| node.driver.sent).sum();
        let records = self.count(Some(NodeRole::Source), "records_sent");
        format!(
            "of {records} readings that sources sent, {} were lost on purpose",
            records.saturating_sub(sent)
        )
    }

    fn dropped(&self) -> String {
        let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, count) in self.remains.iter().flat_map(|node| &node.counters) {
            if name.starts_with("rejected_") {
                *causes.entry(name).or_default() += count;
            }
        }
        let rejected = causes.into_iter().map(|(name, count)| (count, name.replace('_', " ")));
        let late = DROPPED.iter().map(|(name, words)| (self.count(None, name), (*words).to_owned()));
        let by_kernel: u64 = self.remains.iter().map(|node| node.driver.kernel_drops).sum();
        let kernel = std::iter::once((by_kernel, "by the kernel, for want of room".to_owned()));
        let all = late.chain(rejected).chain(kernel).filter(|(count, _)| *count > 0);
        let all: Vec<String> = all.map(|(count, why)| format!("{count} {why}")).collect();
        if all.is_empty() { "nothing".to_owned() } else { all.join(",\n              ") }
    }

    fn monitor(&self) -> String {
        let published = self.count(Some(NodeRole::Monitor), "distributions_published");
        let values = self.count(Some(NodeRole::Monitor), "values_kept");
        let installed = self.count(Some(NodeRole::Engine), "fleets_installed");
        format!(
            "{published} distributions published from {values} samples; {installed} times a new model was installed"
        )
    }
}
