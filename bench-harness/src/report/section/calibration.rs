//! Calibration curves: how often an interval of a level holds the truth.

use super::summary::OMNISCIENT;
use super::{Context, Section};
use crate::report::document::{Block, Figure, Line};
use crate::report::plot::{Curve, LinePlot, Mark, PlotError};
use crate::report::text;
use crate::result::Accuracy;
use std::collections::BTreeMap;

pub(super) struct Calibration;

/// A picture: anchor, caption, and which attacks are in it.
type Group = (&'static str, &'static str, fn(&str) -> bool);

const GROUPS: [Group; 3] = [
    ("calm", "without attack", |attack| attack == "none"),
    ("attacked", "under attacks that don’t know the estimator", |attack| {
        attack != "none" && attack != OMNISCIENT
    }),
    ("omniscient", "under the omniscient attack", |attack| attack == OMNISCIENT),
];

impl Section for Calibration {
    fn id(&self) -> &'static str {
        "calibration"
    }

    fn title(&self) -> &'static str {
        "Calibration"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["accuracy"]
    }

    fn blocks(&self, context: &Context<'_>) -> Result<Vec<Block>, PlotError> {
        let mut figures = Vec::new();
        for group in GROUPS {
            figures.extend(figure(context, group)?);
        }
        if figures.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![
            Block::Paragraph(Line::text(
                "An interval of level p should hold the truth in a share p of rounds: on the diagonal. Below it the answer is \
                 surer of itself than it may be, above it more careful than it need be. Rounds of all noises, n and priors in \
                 which the model is right are taken together.",
            )),
            Block::Figures(figures),
        ])
    }
}

fn figure(context: &Context<'_>, (id, what, attack): Group) -> Result<Option<Figure>, PlotError> {
    let rows = || context.grid.rows.iter().filter(|row| row.fault().is_none() && attack(&row.cell.attack));
    let (mut curves, mut legend, mut words) = (Vec::new(), Vec::new(), Vec::new());
    // The judged objective comes first among the estimators, and last in the drawing.
    for name in context.grid.estimators.iter().rev() {
        let points = pooled(rows().filter_map(|row| row.of(name)));
        if points.is_empty() {
            continue;
        }
        let mark = Mark::of(context.grid.roles, name);
        let worst = points
            .iter()
            .map(|(level, observed)| observed - level)
            .max_by(|a, b| a.abs().total_cmp(&b.abs()));
        let worst = format!(
            "{}{}",
            if worst > Some(0.0) { "+" } else { "" },
            text::number(worst.unwrap_or(0.0) * 100.0)
        );
        words.push(format!("{} at most {worst} points off", text::clip(name, 40)));
        legend.push((mark, text::clip(name, 24)));
        curves.push(Curve { mark, points: std::iter::once((0.0, 0.0)).chain(points).collect() });
    }
    if curves.is_empty() {
        return Ok(None);
    }
    legend.reverse();
    words.reverse();
    let plot = LinePlot {
        titles: ("Level of the interval".to_owned(), "Share of rounds that it holds".to_owned()),
        x: (0.0, 1.0),
        y: (0.0, 1.0),
        legend,
        curves,
        diagonal: true,
    };
    Ok(Some(Figure {
        id: format!("accuracy-calibration-{id}"),
        caption: Line::text(format!("Calibration {what}.")),
        alt: format!("Curves of observed against nominal coverage: {}.", words.join("; ")),
        svg: plot.draw()?,
    }))
}

/// Shares observed at each level, weighted by rounds.
fn pooled<'a>(records: impl Iterator<Item = &'a Accuracy>) -> Vec<(f64, f64)> {
    // Shares are at least 0, so that their bits are in their order.
    let mut levels: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for record in records {
        let weight = record.rounds as f64;
        for (level, observed) in record.calibration.iter().flatten() {
            let sum = levels.entry((level + 0.0).to_bits()).or_default();
            sum.0 += weight * observed;
            sum.1 += weight;
        }
    }
    let levels = levels.into_iter().filter(|(_, (_, weight))| *weight > 0.0);
    levels.map(|(bits, (sum, weight))| (f64::from_bits(bits), sum / weight)).collect()
}
