//! How often intervals hold the truth, by attack.

use super::{Context, Section, number, percent, percents};
use crate::report::document::{Block, Figure, Line, Table};
use crate::report::grid::{median, range};
use crate::report::plot::{Dot, DotPlot, DotRow, Mark, PlotError, Scale};
use crate::report::text;
use crate::result::{Accuracy, Levels};

pub(super) struct Coverage;

/// A level: its name, the share it should hold, and where it is found.
type Level = (&'static str, f64, fn(&Levels) -> f64);

const LEVELS: [Level; 3] = [("50 %", 0.5, |l| l.p50), ("80 %", 0.8, |l| l.p80), ("95 %", 0.95, |l| l.p95)];

impl Section for Coverage {
    fn id(&self) -> &'static str {
        "coverage"
    }

    fn title(&self) -> &'static str {
        "Coverage by attack"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["accuracy"]
    }

    fn blocks(&self, context: &Context<'_>) -> Result<Vec<Block>, PlotError> {
        let (mut figures, mut rows) = (Vec::new(), Vec::new());
        for prior in &context.grid.priors {
            let by_attack: Vec<(&str, Vec<&Accuracy>)> = context
                .grid
                .attacks
                .iter()
                .map(|attack| (*attack, records(context, prior, attack)))
                .filter(|(_, records)| !records.is_empty())
                .collect();
            if by_attack.is_empty() {
                continue;
            }
            figures.push(figure(context, prior, &by_attack)?);
            rows.extend(by_attack.iter().map(|(attack, records)| row(prior, attack, records)));
        }
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let head =
            ["Prior", "Attack", "50 %", "80 %", "95 %", "95 % range", "95 % width", "Region", "Region width"];
        let caption = Line::text("How often intervals of ")
            .then_name(context.objective())
            .then(" hold the truth: medians over noises and n, where the model is right; widths in sd of the noise.");
        let table = Table { caption, head: head.map(Line::text).into(), rows, numbers_from: 2 };
        Ok(vec![Block::Figures(figures), Block::Table(table)])
    }
}

fn records<'a>(context: &Context<'a>, prior: &str, attack: &str) -> Vec<&'a Accuracy> {
    context
        .grid
        .right(prior)
        .filter(|row| row.cell.attack == attack)
        .filter_map(|row| row.of(context.objective()))
        .filter(|record| record.coverage.is_some())
        .collect()
}

fn middle(records: &[&Accuracy], value: impl Fn(&Accuracy) -> Option<f64>) -> Option<f64> {
    median(records.iter().filter_map(|record| value(record)))
}

fn row(prior: &str, attack: &str, records: &[&Accuracy]) -> Vec<Line> {
    let mut row = vec![Line::name(prior), Line::name(attack)];
    for (_, _, of) in LEVELS {
        row.push(percent(middle(records, |record| record.coverage.as_ref().map(of))));
    }
    row.push(Line::text(percents(range(records.iter().filter_map(|r| Some(r.coverage?.p95))))));
    row.push(number(middle(records, |record| Some(record.width?.p95))));
    row.push(percent(middle(records, |record| record.region_coverage)));
    row.push(number(middle(records, |record| record.region_width)));
    row
}

fn figure(
    context: &Context<'_>,
    prior: &str,
    attacks: &[(&str, Vec<&Accuracy>)],
) -> Result<Figure, PlotError> {
    let mut words = Vec::new();
    let mut rows = Vec::new();
    for (attack, records) in attacks {
        let mut dots = Vec::new();
        for (index, (_, _, of)) in LEVELS.iter().enumerate() {
            if let Some(value) = middle(records, |record| record.coverage.as_ref().map(of)) {
                dots.push(Dot { value: value * 100.0, mark: Mark::nth(index) });
            }
        }
        let span = range(records.iter().filter_map(|r| Some(r.coverage?.p95)));
        let span = span.map(|(low, high)| (low * 100.0, high * 100.0));
        words.push(format!(
            "{} {}",
            text::clip(attack, 40),
            percents(range(records.iter().filter_map(|r| Some(r.coverage?.p95))))
        ));
        rows.push(DotRow { label: (*attack).to_owned(), dots, span });
    }
    let plot = DotPlot {
        title: "Rounds in which the interval holds the truth, %".to_owned(),
        scale: Scale::Linear(0.0, 100.0),
        legend: LEVELS
            .iter()
            .enumerate()
            .map(|(i, level)| (Mark::nth(i), format!("{} interval", level.0)))
            .collect(),
        rows,
        lines: LEVELS.iter().enumerate().map(|(i, level)| (level.1 * 100.0, Mark::nth(i))).collect(),
        span_mark: Mark::nth(2),
    };
    Ok(Figure {
        id: format!("accuracy-coverage-{}", text::slug(prior)),
        caption: Line::text("Coverage of ")
            .then_name(context.objective())
            .then("’s intervals, prior ")
            .then_name(prior)
            .then(": each dot should lie on the line of its colour. The band is the 95 % intervals’ range over noises and n."),
        alt: format!("Dots in rows, one row for each attack. Range of the 95 % intervals' coverage: {}.", words.join(", ")),
        svg: plot.draw()?,
    })
}
