//! The answer in numbers, and which goals it meets.

use super::{Context, Section, percents, ratio_at, worst_number};
use crate::report::document::{Block, Line, Table};
use crate::report::grid::{Row, range};
use crate::report::plot::PlotError;
use crate::report::text;

/// The attack that searches for the worst values against the estimator itself, and so has goals of its own.
pub(super) const OMNISCIENT: &str = "omniscient";

pub(super) struct Summary;

impl Section for Summary {
    fn id(&self) -> &'static str {
        "summary"
    }

    fn title(&self) -> &'static str {
        "Summary"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["accuracy", "influence"]
    }

    fn blocks(&self, context: &Context<'_>) -> Result<Vec<Block>, PlotError> {
        if context.grid.rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut lines = Vec::new();
        for prior in &context.grid.priors {
            lines.extend(error_line(context, prior));
        }
        lines.extend(coverage_line(context));
        lines.extend(super::naming::line(context));
        lines.extend(super::influence::line(context));
        Ok(vec![Block::Table(table(context)), Block::List(lines), Block::Table(goals(context))])
    }
}

/// The summary's table: a row for each prior.
pub(in crate::report) fn table(context: &Context<'_>) -> Table {
    let rows = context
        .grid
        .priors
        .iter()
        .map(|prior| {
            let rivals = context.grid.compare(context.grid.right(prior), None);
            let median = context.grid.compare(context.grid.right(prior), Some("median"));
            vec![
                Line::name(prior),
                Line::text(rivals.cells().to_string()),
                super::percent(rivals.at_or_below()),
                super::percent(rivals.within_spread()),
                worst_number(&rivals),
                super::percent(median.at_or_below()),
                worst_number(&median),
                Line::text(percents(coverage(context, context.grid.right(prior).filter(not_omniscient)))),
            ]
        })
        .collect();
    let mut head = vec![Line::text("Prior")];
    head.extend(
        [
            "Cells",
            "≤ best rival",
            "not beyond spread",
            "Worst ratio",
            "≤ median",
            "Worst ratio",
            "95 % intervals cover",
        ]
        .map(Line::text),
    );
    Table {
        caption: Line::name(context.objective()).then(
            " where the model is right. A cell is a noise, an attack and a number of replicas; the best rival is chosen in \
             each cell, after the fact. “Not beyond spread”: above the best rival by no more than two combined standard \
             errors. Coverage is the range over cells without the omniscient attack.",
        ),
        head,
        rows,
        numbers_from: 1,
    }
}

fn not_omniscient(row: &&Row<'_>) -> bool {
    row.cell.attack != OMNISCIENT
}

/// The range of the 95 % intervals' coverage.
fn coverage<'a: 'b, 'b>(
    context: &Context<'_>,
    rows: impl Iterator<Item = &'b Row<'a>>,
) -> Option<(f64, f64)> {
    range(rows.filter_map(|row| Some(row.of(context.objective())?.coverage?.p95)))
}

fn error_line(context: &Context<'_>, prior: &str) -> Option<Line> {
    let rivals = context.grid.compare(context.grid.right(prior), None);
    let median = context.grid.compare(context.grid.right(prior), Some("median"));
    let worst = rivals.worst()?;
    let mut line = Line::text("Prior ")
        .then_name(prior)
        .then(": ")
        .then_name(context.objective())
        .then(" is at or below the best rival in ");
    line = line
        .then_strong(rivals.at_or_below().map(text::percent).unwrap_or_default())
        .then(format!(" of {} cells, at worst ", rivals.cells()))
        .join(ratio_at(&worst));
    if let (Some(share), Some(worst)) = (median.at_or_below(), median.worst()) {
        line = line
            .then("; at or below the median in ")
            .then_strong(text::percent(share))
            .then(", at worst ")
            .join(ratio_at(&worst));
    }
    Some(line.then("."))
}

fn coverage_line(context: &Context<'_>) -> Option<Line> {
    let rows = || context.grid.rows.iter().filter(|row| row.fault().is_none());
    let honest = coverage(context, rows().filter(|row| row.cell.attack == "none"));
    let attacked = coverage(context, rows().filter(|row| row.cell.attack != "none").filter(not_omniscient));
    let omniscient = coverage(context, rows().filter(|row| row.cell.attack == OMNISCIENT));
    honest.or(attacked).or(omniscient)?;
    Some(
        Line::text("95 % intervals cover the truth in ")
            .then_strong(percents(honest))
            .then(" of rounds without attack, in ")
            .then_strong(percents(attacked))
            .then(" under attacks that don't know the estimator, and in ")
            .then_strong(percents(omniscient))
            .then(" under the omniscient one (ranges over cells)."),
    )
}

fn goals(context: &Context<'_>) -> Table {
    let mut goals = Vec::new();
    for prior in ["strong", "following"] {
        goals.push(error_goal(context, prior, None, (0.85, 1.15)));
    }
    goals.push(error_goal(context, "none", Some("median"), (0.75, 1.25)));
    goals.extend(coverage_goals(context));
    goals.push(super::naming::goal(context));
    goals.push(super::influence::goal(context));
    goals.extend(super::readings::goals(context));
    let rows = goals
        .into_iter()
        .map(|(wanted, found, met)| {
            let verdict = match met {
                Some(true) => Line::text("yes"),
                Some(false) => Line::strong("no"),
                None => Line::text("not measured"),
            };
            vec![wanted, found, verdict]
        })
        .collect();
    Table {
        caption: Line::text("The goals, and whether they are met."),
        head: ["Goal", "Measured", "Met"].map(Line::text).into(),
        rows,
        numbers_from: usize::MAX,
    }
}

/// What is wanted, what was found, and whether that is enough (`None` where nothing was measured).
pub(super) type Verdict = (Line, Line, Option<bool>);

fn error_goal(
    context: &Context<'_>,
    prior: &str,
    other: Option<&str>,
    (least, ratio): (f64, f64),
) -> Verdict {
    let comparison = context.grid.compare(context.grid.right(prior), other);
    let name = other.unwrap_or("best rival");
    let wanted = Line::text(format!(
        "Prior {prior}: RMSE at or below the {name}’s in at least {} of cells, nowhere more than {} above",
        text::percent(least),
        text::percent(ratio - 1.0)
    ));
    let (Some(share), Some(worst)) = (comparison.at_or_below(), comparison.worst()) else {
        return (wanted, Line::text("–"), None);
    };
    let found = Line::text(format!("{}; at worst {} ×", text::percent(share), text::number(worst.value())));
    (wanted, found, Some(share >= least && worst.value() <= ratio))
}

fn coverage_goals(context: &Context<'_>) -> [Verdict; 3] {
    let rows = || context.grid.rows.iter().filter(|row| row.fault().is_none());
    let honest = coverage(context, rows().filter(|row| row.cell.attack == "none"));
    let attacked = coverage(context, rows().filter(|row| row.cell.attack != "none").filter(not_omniscient));
    let region = range(
        rows()
            .filter(|row| row.cell.attack == OMNISCIENT)
            .filter_map(|row| row.of(context.objective())?.region_coverage),
    );
    [
        (
            Line::text("95 % intervals cover 93 – 97 % without attack"),
            Line::text(percents(honest)),
            honest.map(|(low, high)| low >= 0.93 && high <= 0.97),
        ),
        (
            Line::text("95 % intervals cover at least 90 % under every attack but the omniscient one"),
            Line::text(percents(attacked)),
            attacked.map(|(low, _)| low >= 0.9),
        ),
        (
            Line::text("Under the omniscient attack the widened region covers at least 95 %"),
            Line::text(percents(region)),
            region.map(|(low, _)| low >= 0.95),
        ),
    ]
}
