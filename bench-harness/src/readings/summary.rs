//! What the lines of real readings and routes come to, as text.

use super::fitted::{Model, Prior};
use crate::estimator::{is_objective, objectives};
use crate::result::{Line, Reading, Route, Stream};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A yardstick: its name, and an estimator's distance to it.
pub type Yardstick = (&'static str, fn(&Reading) -> f64);
/// Both yardsticks.
pub const YARDSTICKS: [Yardstick; 2] = [("honest mean", |r| r.rmse), ("mean of all", |r| r.rmse_all)];

/// Cells that share a stream, an attack and a prior, each with its estimators (ours once for each model).
#[must_use]
pub fn cells<'a>(readings: impl Iterator<Item = &'a Reading>) -> Vec<Vec<&'a Reading>> {
    let mut index = BTreeMap::new();
    let mut cells: Vec<Vec<&Reading>> = Vec::new();
    for reading in readings {
        let key =
            (reading.stream.as_str(), reading.attack.as_str(), reading.prior.as_str(), reading.n, reading.f);
        let at = *index.entry(key).or_insert(cells.len());
        if at == cells.len() {
            cells.push(Vec::new());
        }
        cells[at].push(reading);
    }
    cells
}

/// An estimator beside the rival that is nearest to a yardstick.
#[derive(Clone, Copy, Debug)]
pub struct Against<'a> {
    /// Ours.
    pub ours: &'a Reading,
    /// The best rival.
    pub rival: &'a Reading,
    /// Ours over the rival's distance; 1 where both are 0.
    pub ratio: f64,
}

/// `estimator`, told `model`, against the best rival of a cell; none where it was not measured.
#[must_use]
pub fn against<'a>(
    cell: &[&'a Reading],
    (estimator, model): (&str, &str),
    of: fn(&Reading) -> f64,
) -> Option<Against<'a>> {
    let ours = *cell.iter().find(|r| r.estimator == estimator && r.model == model)?;
    let rivals = cell.iter().filter(|r| !is_objective(&r.estimator));
    let rival = *rivals.min_by(|a, b| of(a).total_cmp(&of(b)))?;
    // A mean of the same values in another order differs by rounding.
    let zero = |distance: f64| if distance < 1e-9 { 0.0 } else { distance };
    let (mine, theirs) = (zero(of(ours)), zero(of(rival)));
    let ratio = if mine == theirs { 1.0 } else { mine / theirs };
    Some(Against { ours, rival, ratio })
}

/// Whether every value that comes under this attack is an honest one, so that the mean of what came *is* the mean of the honest.
#[must_use]
pub fn no_lie_comes(attack: &str) -> bool {
    matches!(attack, "none" | "silent")
}

/// The summary.
#[must_use]
pub fn of(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        if let Line::Stream(stream) = line {
            text += &of_stream(stream);
        }
    }
    let readings = lines.iter().filter_map(|l| if let Line::Reading(r) = l { Some(&**r) } else { None });
    let cells = cells(readings);
    for (name, of) in YARDSTICKS {
        if !cells.is_empty() {
            let _ = writeln!(text, "\ndistance to the {name}");
        }
        for objective in objectives() {
            for model in Model::ALL {
                for prior in Prior::ALL {
                    text += &of_estimator((objective.name(), model.name()), prior.name(), &cells, of);
                }
            }
        }
    }
    let routes: Vec<&Route> =
        lines.iter().filter_map(|l| if let Line::Route(r) = l { Some(r) } else { None }).collect();
    text + &of_routes(&routes)
}

fn of_stream(stream: &Stream) -> String {
    let mut text = format!(
        "\n{}: {} replicas, f = {}, fitted to {} rounds, judged on {}; sd {:.3}, replay {:.1} days old",
        stream.stream,
        stream.replicas.len(),
        stream.f,
        stream.fitted,
        stream.judged,
        stream.sd,
        stream.lag_s / 86_400.0
    );
    for note in &stream.notes {
        let _ = write!(text, "; {note}");
    }
    text
}

fn of_estimator(
    (name, model): (&str, &str),
    prior: &str,
    cells: &[Vec<&Reading>],
    of: fn(&Reading) -> f64,
) -> String {
    let all: Vec<Against<'_>> = cells
        .iter()
        .filter(|cell| cell.iter().any(|r| r.prior == prior))
        .filter_map(|cell| against(cell, (name, model), of))
        .collect();
    let mut text = String::new();
    for (what, keep) in [("all cells", false), ("cells in which a lie comes", true)] {
        let kept: Vec<_> = all.iter().filter(|a| !keep || !no_lie_comes(&a.ours.attack)).collect();
        let Some(worst) = kept.iter().max_by(|a, b| a.ratio.total_cmp(&b.ratio)) else { continue };
        let good = kept.iter().filter(|a| a.ratio <= 1.0 + 1e-9).count();
        let _ = writeln!(
            text,
            "  {name}, model {model}, prior {prior}, {what}: at or below the best rival in {good} of {}, worst {:.3} ({} {} against {})",
            kept.len(),
            worst.ratio,
            worst.ours.stream,
            worst.ours.attack,
            worst.rival.estimator
        );
    }
    text
}

fn of_routes(routes: &[&Route]) -> String {
    let mut text = String::new();
    let mut groups: Vec<(&str, f64)> = Vec::new();
    for route in routes {
        let group = (route.choice.as_str(), route.handicap_s);
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    for (choice, handicap) in groups {
        let group: Vec<&&Route> =
            routes.iter().filter(|r| r.choice == choice && r.handicap_s == handicap).collect();
        let mut attacks: Vec<&str> = Vec::new();
        for route in &group {
            if !attacks.contains(&route.attack.as_str()) {
                attacks.push(&route.attack);
            }
        }
        let _ = writeln!(
            text,
            "\nroute choice {choice}, handicap {handicap:.0} s: share of right choices / mean regret in seconds\n  {:<24}{}",
            "",
            attacks.iter().map(|a| format!("{a:>16}")).collect::<String>()
        );
        let mut rules: Vec<(&str, &str)> = Vec::new();
        for route in &group {
            let rule = (route.estimator.as_str(), route.prior.as_str());
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        for (estimator, prior) in rules {
            let _ = write!(text, "  {:<24}", format!("{estimator} {prior}"));
            for attack in &attacks {
                let found = group
                    .iter()
                    .find(|r| r.estimator == estimator && r.prior == prior && r.attack == *attack);
                let cell = found.map_or(String::new(), |r| format!("{:.3} / {:.1}", r.right, r.regret_s));
                let _ = write!(text, "{cell:>16}");
            }
            text.push('\n');
        }
    }
    text
}
