//! How fast backends decide, beside each other and beside rivals, and how their time grows.

use super::{Context, Section, number};
use crate::report::document::{Block, Figure, Line, Table};
use crate::report::plot::{Curve, Dot, DotPlot, DotRow, LinePlot, Mark, PlotError, Scale};
use crate::report::text;
use crate::result::{By, Growth, Instructions, Speed as Record, SpeedWork};
use crate::speed::table::rate;

pub(super) struct Speed;

/// Most curves of one picture.
const CURVES_MAX: usize = 7;

impl Section for Speed {
    fn id(&self) -> &'static str {
        "speed"
    }

    fn title(&self) -> &'static str {
        "How fast it decides"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["speed", "growth", "instructions"]
    }

    fn blocks(&self, context: &Context<'_>) -> Result<Vec<Block>, PlotError> {
        let results = context.results;
        let mut blocks = Vec::new();
        if !results.speed.is_empty() {
            blocks.push(Block::Paragraph(Line::text(
                "A work is a batch of one round of each of its streams, whose models differ; values are mixed with missing \
                 ones, and half of the rounds have liars. Rates are per second of processor time, medians; where a GPU \
                 decides, per second on the wall. All of a work were measured in turns on the same rounds.",
            )));
            blocks.push(Block::Table(table(context)));
            blocks.push(Block::Figures(vec![picture(context)?]));
        }
        if !results.growth.is_empty() {
            blocks.push(Block::Heading(Line::text("How time grows")));
            blocks.push(Block::Table(growth_table(&results.growth)));
            let figures = growth_pictures(&results.growth)?;
            if !figures.is_empty() {
                blocks.push(Block::Figures(figures));
            }
        }
        if !results.instructions.is_empty() {
            blocks.push(Block::Heading(Line::text("Instructions")));
            blocks.push(Block::Table(instructions_table(&results.instructions)));
        }
        Ok(blocks)
    }
}

/// The works' table.
pub(in crate::report) fn table(context: &Context<'_>) -> Table {
    let rows = context.results.speed.iter().map(|record| {
        vec![
            work(&record.work),
            by(&record.by),
            Line::text(record.by.threads.to_string()),
            Line::strong(rate(shown(record))),
            Line::text(text::percent(record.spread)),
            number(record.against_scalar.filter(|_| record.by.backend != "scalar")),
            agreement(record),
        ]
    });
    let head = ["Work", "By", "Threads", "Decisions/s", "Spread", "× scalar", "Decided otherwise"]
        .map(Line::text)
        .into();
    let caption = Line::text(
        "Decisions in a second. “× scalar”: against the scalar backend in the same run. “Decided otherwise”: rounds whose value, \
         status or quorum is not the scalar backend’s, of those compared; a rival in float32 settles near-ties its own way.",
    );
    Table { caption, head, rows: rows.collect(), numbers_from: 2 }
}

/// Decisions in a second: of the time on the wall where another device than the processor works.
fn shown(record: &Record) -> f64 {
    if matches!(record.by.backend.as_str(), "gpu" | "auto") {
        record.decisions_per_wall_s
    } else if record.by.threads > 1 {
        record.decisions_per_busiest_s
    } else {
        record.decisions_per_cpu_s
    }
}

fn agreement(record: &Record) -> Line {
    record.agreement.map_or_else(
        || Line::text("–"),
        |found| Line::text(format!("{} of {}", found.different, found.rounds)),
    )
}

fn work(work: &SpeedWork) -> Line {
    let region = if work.region { ", region" } else { "" };
    Line::name(&work.name)
        .then(format!(": n = {}, f = {}, {} points, ", work.n, work.f, work.points))
        .then_name(&work.objective)
        .then(region)
}

fn by(by: &By) -> Line {
    let line = Line::name(&by.backend);
    match &by.level {
        Some(level) => line.then(" ").then_name(level),
        None => line,
    }
}

fn plain_by(by: &By) -> String {
    let threads = if by.threads > 1 { format!(", {} threads", by.threads) } else { String::new() };
    let level = by.level.as_ref().map_or_else(String::new, |level| format!(" {level}"));
    text::clip(&format!("{}{level}{threads}", by.backend), 30)
}

/// Everybody in the order of their first appearance.
fn everybody<'a>(all: impl Iterator<Item = &'a By>) -> Vec<&'a By> {
    let mut found: Vec<&By> = Vec::new();
    for by in all {
        if !found.contains(&by) {
            found.push(by);
        }
    }
    found
}

/// Rates of every backend, a row for each work.
pub(in crate::report) fn picture(context: &Context<'_>) -> Result<Figure, PlotError> {
    let records = &context.results.speed;
    let people = everybody(records.iter().map(|record| &record.by));
    let place = |by: &By| people.iter().position(|other| *other == by).unwrap_or(0);
    let mut rows: Vec<DotRow> = Vec::new();
    let mut works: Vec<&SpeedWork> = Vec::new();
    for record in records {
        let at = works.iter().position(|other| **other == record.work).unwrap_or_else(|| {
            let region = if record.work.region { " + region" } else { "" };
            let label = format!("{}: n {}, f {}{region}", record.work.name, record.work.n, record.work.f);
            works.push(&record.work);
            rows.push(DotRow { label, dots: Vec::new(), span: None });
            rows.len() - 1
        });
        if let Some(row) = rows.get_mut(at) {
            row.dots.push(Dot { value: shown(record), mark: Mark::nth(place(&record.by)) });
        }
    }
    let plot = DotPlot {
        title: "decisions in a second".to_owned(),
        scale: Scale::log_about(records.iter().map(shown)),
        legend: people.iter().enumerate().map(|(i, by)| (Mark::nth(i), plain_by(by))).collect(),
        rows,
        lines: Vec::new(),
        span_mark: Mark::REST,
    };
    Ok(Figure {
        id: "speed".to_owned(),
        caption: Line::text("Decisions in a second by work and backend."),
        alt: "Dots on a logarithmic scale of decisions in a second, a row for each work, a mark for each backend. The numbers \
              are in the table beside it."
            .to_owned(),
        svg: plot.draw()?,
    })
}

fn growth_table(growth: &[Growth]) -> Table {
    let rows = growth.iter().map(|record| {
        let (first, last) = (record.times_us.first().copied(), record.times_us.last().copied());
        let (first, last) = (first.unwrap_or((f64::NAN, f64::NAN)), last.unwrap_or((f64::NAN, f64::NAN)));
        vec![
            Line::name(&record.against),
            Line::name(&record.objective),
            by(&record.by),
            Line::name(&record.fixed),
            Line::text(format!("{} … {}", first.0, last.0)),
            Line::text(format!("{} … {}", text::number(first.1), text::number(last.1))),
            Line::text(format!("{:.2} ± {:.2}", record.exponent, record.exponent_se)),
        ]
    });
    let head = ["Against", "Objective", "By", "Fixed", "Sizes", "µs", "Exponent"].map(Line::text).into();
    let caption = Line::text(
        "Processor time of a batch (against streams) or of a decision, and the exponent p of time ∝ sizeᵖ by least squares of \
         the logarithms, with its standard error.",
    );
    Table { caption, head, rows: rows.collect(), numbers_from: 4 }
}

/// A picture for each size and objective.
fn growth_pictures(growth: &[Growth]) -> Result<Vec<Figure>, PlotError> {
    let mut groups: Vec<Vec<&Growth>> = Vec::new();
    for record in growth.iter().filter(|record| record.times_us.len() > 1) {
        let same = |group: &&mut Vec<&Growth>| {
            group.first().is_some_and(|g| g.against == record.against && g.objective == record.objective)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(record),
            None => groups.push(vec![record]),
        }
    }
    groups.iter().map(|group| growth_picture(group)).collect()
}

fn growth_picture(group: &[&Growth]) -> Result<Figure, PlotError> {
    let (against, objective) = group.first().map_or(("", ""), |g| (g.against.as_str(), g.objective.as_str()));
    let log2 = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
        points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0).map(|(x, y)| (x.log2(), y.log2())).collect()
    };
    let curves: Vec<Curve> = group
        .iter()
        .take(CURVES_MAX)
        .enumerate()
        .map(|(i, record)| Curve { mark: Mark::nth(i), points: log2(&record.times_us) })
        .collect();
    let about = |of: fn(&(f64, f64)) -> f64| {
        let scale = Scale::linear_about(curves.iter().flat_map(|curve| curve.points.iter().map(of)));
        (scale.low(), scale.high())
    };
    let (x, y) = (about(|p| p.0), about(|p| p.1));
    let legend =
        group.iter().take(CURVES_MAX).enumerate().map(|(i, g)| (Mark::nth(i), plain_by(&g.by))).collect();
    let titles = (format!("log₂ of {}", text::clip(against, 20)), "log₂ of µs".to_owned());
    let plot = LinePlot { titles, x, y, legend, curves, diagonal: false };
    Ok(Figure {
        id: format!("speed-growth-{}-{}", text::slug(against), text::slug(objective)),
        caption: Line::name(objective).then(": processor time against ").then_name(against).then("."),
        alt: "A curve for each backend on logarithmic scales; the exponents are in the table above."
            .to_owned(),
        svg: plot.draw()?,
    })
}

fn instructions_table(counted: &[Instructions]) -> Table {
    let rows = counted.iter().map(|record| {
        vec![
            work(&record.work),
            by(&record.by),
            Line::name(&record.tool),
            Line::text(record.rounds.to_string()),
            Line::strong(rate(record.per_decision)),
        ]
    });
    let head = ["Work", "By", "Counted by", "Rounds", "Instructions a decision"].map(Line::text).into();
    let caption = Line::text(
        "Instructions of a decision, which what else the machine does doesn’t change. callgrind knows no AVX-512.",
    );
    Table { caption, head, rows: rows.collect(), numbers_from: 3 }
}
