//! What the lines of a run come to: the evidence in a few numbers.

use crate::result::{Accuracy, Cell, Influence, Line};
use std::fmt::Write as _;

/// Our estimators; all others are rivals.
const OURS: [&str; 7] =
    ["marginal", "marginal_mode", "coalition", "coalition_mode", "evidence", "joint", "posterior"];

/// A cell with the lines of its estimators.
struct Judged<'a> {
    cell: &'a Cell,
    lines: Vec<&'a Accuracy>,
}

impl Judged<'_> {
    fn of(&self, estimator: &str) -> Option<&Accuracy> {
        self.lines.iter().find(|l| l.estimator == estimator).copied()
    }

    fn best_rival(&self) -> Option<&Accuracy> {
        let rivals = self.lines.iter().filter(|l| !OURS.contains(&l.estimator.as_str()));
        rivals.min_by(|a, b| a.rmse_truth.total_cmp(&b.rmse_truth)).copied()
    }
}

/// The summary as text.
#[must_use]
pub fn of(lines: &[Line]) -> String {
    let mut cells: Vec<Judged<'_>> = Vec::new();
    for line in lines {
        if let Line::Accuracy(accuracy) = line {
            match cells.last_mut() {
                Some(last) if *last.cell == accuracy.cell => last.lines.push(accuracy),
                _ => cells.push(Judged { cell: &accuracy.cell, lines: vec![accuracy] }),
            }
        }
    }
    let mut text = String::new();
    for name in OURS {
        text += &of_estimator(name, &cells);
    }
    let curves = lines.iter().filter_map(|l| if let Line::Influence(i) = l { Some(i) } else { None });
    text += &influence(curves);
    text
}

fn core(cell: &Cell) -> bool {
    cell.model == "right" && cell.drift == "none"
}

fn of_estimator(name: &str, cells: &[Judged<'_>]) -> String {
    let mut text = format!("\n{name}\n");
    let with = |prior: &'static [&'static str]| {
        cells.iter().filter(move |j| core(j.cell) && prior.contains(&j.cell.prior.as_str()))
    };
    let against_best = |j: &Judged<'_>| Some(Pair::of(j.of(name)?, j.best_rival()?));
    let against_median = |j: &Judged<'_>| Some(Pair::of(j.of(name)?, j.of("median")?));
    text += &ratios("strong or following prior, best rival", with(&["strong", "following"]), against_best);
    text += &ratios("  strong", with(&["strong"]), against_best);
    text += &ratios("  following", with(&["following"]), against_best);
    text += &ratios("weak prior, best rival", with(&["weak"]), against_best);
    text += &ratios("no prior, median", with(&["none"]), against_median);
    text += &ratios("no prior, best rival", with(&["none"]), against_best);
    let wrong = cells.iter().filter(|j| j.cell.model != "right");
    text += &ratios("wrong models, best rival", wrong, against_best);
    let own: Vec<&Accuracy> =
        cells.iter().flat_map(|j| &j.lines).filter(|l| l.estimator == name).copied().collect();
    text += &coverage(&own);
    text + &naming(&own)
}

/// Two estimators that played the same rounds.
struct Pair {
    /// Error of the first over that of the second.
    ratio: f64,
    /// Whether the first errs more by over two standard errors of the difference of their squares.
    surely_above: bool,
}

impl Pair {
    fn of(ours: &Accuracy, theirs: &Accuracy) -> Self {
        let pairs = ours.batch_squares.iter().zip(&theirs.batch_squares);
        let differences: Vec<f64> = pairs.map(|(a, b)| a - b).collect();
        let n = differences.len() as f64;
        let centre = differences.iter().sum::<f64>() / n;
        let spread = differences.iter().map(|d| (d - centre).powi(2)).sum::<f64>() / (n - 1.0) / n;
        Self { ratio: ours.rmse_truth / theirs.rmse_truth, surely_above: centre > 2.0 * spread.sqrt() }
    }
}

/// In how many cells the first of two errors is at most the second, in how many it is surely above it, and where it is
/// largest beside it.
fn ratios<'a>(
    what: &str,
    cells: impl Iterator<Item = &'a Judged<'a>>,
    pair: impl Fn(&Judged<'_>) -> Option<Pair>,
) -> String {
    let (mut all, mut good, mut above, mut worst) = (0usize, 0usize, 0usize, (0.0, None));
    for judged in cells {
        let Some(Pair { ratio, surely_above }) = pair(judged) else { continue };
        all += 1;
        good += usize::from(ratio <= 1.0);
        above += usize::from(surely_above);
        if ratio > worst.0 {
            worst = (ratio, Some(judged));
        }
    }
    let Some(at) = worst.1 else { return String::new() };
    let share = 100.0 * good as f64 / all as f64;
    format!(
        "  {what}: at or below in {good} of {all} cells ({share:.1} %), above by over 2 standard errors in {above}, \
         worst {:.3} ({})\n",
        worst.0,
        place(at.cell)
    )
}

fn place(cell: &Cell) -> String {
    let mut place = format!("{} {} n={} f={} prior={}", cell.noise, cell.attack, cell.n, cell.f, cell.prior);
    if cell.model != "right" {
        let _ = write!(place, " model={}", cell.model);
    }
    place
}

/// What it is called, which cells are meant, and the bounds within which the coverage is to lie.
type Kind = (&'static str, fn(&Cell) -> bool, f64, f64);

/// Coverage of the 95 % interval and of the region under the right model: range and worst cell.
fn coverage(own: &[&Accuracy]) -> String {
    let mut text = String::new();
    let kinds: [Kind; 3] = [
        ("no attack", |c| c.attack == "none", 0.93, 0.97),
        ("attacks that do not search", |c| c.attack != "none" && c.attack != "omniscient", 0.90, 1.0),
        ("omniscient", |c| c.attack == "omniscient", 0.0, 1.0),
    ];
    for (what, kind, low, high) in kinds {
        let cells: Vec<_> = own.iter().filter(|l| core(&l.cell) && kind(&l.cell)).collect();
        let covered = |l: &&&Accuracy| l.coverage.map(|c| (c.p95, place(&l.cell)));
        let all: Vec<(f64, String)> = cells.iter().filter_map(covered).collect();
        text += &range(&format!("95 % interval covers, {what}"), &all, low, high);
        let region: Vec<_> =
            cells.iter().filter_map(|l| l.region_coverage.map(|c| (c, place(&l.cell)))).collect();
        text += &range(&format!("widened region covers, {what}"), &region, 0.95, 1.0);
    }
    text
}

fn range(what: &str, all: &[(f64, String)], low: f64, high: f64) -> String {
    let Some(least) = all.iter().min_by(|a, b| a.0.total_cmp(&b.0)) else { return String::new() };
    let most = all.iter().map(|a| a.0).fold(0.0, f64::max);
    let mean = all.iter().map(|a| a.0).sum::<f64>() / all.len() as f64;
    let within = all.iter().filter(|a| low <= a.0 && a.0 <= high).count();
    format!(
        "  {what}: {:.3} to {most:.3}, mean {mean:.3}, {within} of {} cells within {low:.2} to {high:.2}; least at {}\n",
        least.0,
        all.len(),
        least.1
    )
}

fn naming(own: &[&Accuracy]) -> String {
    let mut text = String::new();
    for attack in ["liar_5sd", "collude_4sd", "far"] {
        let named: Vec<_> = own
            .iter()
            .filter(|l| core(&l.cell) && l.cell.attack == attack)
            .filter_map(|l| l.liars_named.map(|c| (c, place(&l.cell))))
            .collect();
        text += &range(&format!("liars named within 3 rounds, {attack}"), &named, 0.99, 1.0);
    }
    let (mut false_names, mut honest) = (0.0, 0.0);
    for line in own.iter().filter(|l| core(&l.cell) && l.cell.attack != "omniscient") {
        if let Some(share) = line.honest_named {
            let liars = match line.cell.attack.as_str() {
                "none" => 0,
                "liar_5sd" => 1,
                _ => line.cell.f,
            };
            let replica_rounds = ((line.cell.n - liars) * line.rounds) as f64;
            false_names += share * replica_rounds;
            honest += replica_rounds;
        }
    }
    if honest > 0.0 {
        let rate = 1e4 * false_names / honest;
        let _ =
            writeln!(text, "  honest replicas named, in 10,000 of their rounds: {rate:.2} (of {honest:.0})");
    }
    text
}

fn influence<'a>(curves: impl Iterator<Item = &'a Influence>) -> String {
    let mut text =
        "\ninfluence of one liar: farthest decision within ±12 sd (at the liar's value), and at 12 sd\n"
            .to_owned();
    for curve in curves {
        let far = curve.points.iter().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
        if let (Some(far), Some(last)) = (far, curve.points.last()) {
            let _ = writeln!(
                text,
                "  {} n={} f={} prior={}: {:.3} ({:.1}), {:.3}",
                curve.estimator, curve.n, curve.f, curve.prior, far.1, far.0, last.1
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(attack: &str, prior: &str, estimator: &str, rmse: f64) -> Line {
        let text = format!(
            r#"{{"kind":"accuracy","cell":{{"noise":"gaussian","attack":"{attack}","n":7,"f":2,"prior":"{prior}","loss":0.05,
            "drift":"none","model":"right"}},"estimator":"{estimator}","rounds":100,"rmse_truth":{rmse},"rmse_truth_se":0.01,
            "rmse_honest":1.0,"rel_honest_mean":1.0,"bias":0.0,"bias_max":null,"coverage":null,"width":null,
            "region_coverage":null,"region_width":null,"log_score":null,"calibration":null,"liars_named":null,
            "honest_named":0.001,"seed":1}}"#
        );
        let line: Line = serde_json::from_str(&text).unwrap();
        let Line::Accuracy(mut accuracy) = line else { panic!("{text}") };
        accuracy.batch_squares = [0.9, 1.1].map(|share| share * rmse * rmse).to_vec();
        Line::Accuracy(accuracy)
    }

    #[test]
    fn cells_are_counted_against_the_best_rival_and_the_median() {
        let mut lines = Vec::new();
        for (attack, prior, ours) in [("none", "strong", 0.4), ("far", "strong", 0.6), ("far", "none", 0.55)]
        {
            lines.push(line(attack, prior, "marginal", ours));
            lines.push(line(attack, prior, "mean", 0.7));
            lines.push(line(attack, prior, "median", 0.5));
        }
        let text = of(&lines);
        assert!(text.contains(
            "strong or following prior, best rival: at or below in 1 of 2 cells (50.0 %), above by over 2 standard errors \
             in 1, worst 1.200"
        ));
        assert!(text.contains("no prior, median: at or below in 0 of 1 cells (0.0 %), above by over 2"));
        assert!(text.contains("honest replicas named, in 10,000 of their rounds: 10.00"));
    }
}
