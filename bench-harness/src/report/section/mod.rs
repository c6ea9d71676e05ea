//! The sections of a report. A section for a new kind of record is a module with a [`Section`], an entry in [`SECTIONS`], and
//! an arm in the reader.

mod calibration;
mod coverage;
mod error;
mod faults;
mod fleet;
mod guide;
mod influence;
mod ingest;
mod naming;
mod readings;
mod rest;
mod routes;
mod run;
mod speed;
mod summary;
mod worst;

pub(super) use error::picture as error_picture;
pub(super) use fleet::blocks as fleet_blocks;
pub(super) use ingest::blocks as ingest_blocks;
pub(super) use speed::{picture as speed_picture, table as speed_table};
pub(super) use summary::table as summary_table;

use super::document::{Block, Line, Part};
use super::grid::{Comparison, Grid, Ratio};
use super::input::Results;
use super::plot::PlotError;
use super::text;
use crate::result::Cell;

/// What sections are made from.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// All records.
    pub results: &'a Results,
    /// The accuracy records in order.
    pub grid: Grid<'a>,
}

impl Context<'_> {
    /// The judged objective.
    #[must_use]
    pub fn objective(&self) -> &str {
        &self.grid.roles.objective
    }
}

/// A section of the report.
pub trait Section: Sync {
    /// Its anchor.
    fn id(&self) -> &'static str;
    /// Its heading.
    fn title(&self) -> &'static str;
    /// Kinds of records that it shows.
    fn kinds(&self) -> &'static [&'static str];
    /// What it says; nothing, if the records have nothing for it.
    ///
    /// # Errors
    /// A picture that can't be drawn.
    fn blocks(&self, context: &Context<'_>) -> Result<Vec<Block>, PlotError>;
}

/// All sections in the report's order.
pub const SECTIONS: [&dyn Section; 16] = [
    &run::Runs,
    &summary::Summary,
    &guide::Guide,
    &error::Error,
    &worst::Worst,
    &coverage::Coverage,
    &calibration::Calibration,
    &naming::Naming,
    &influence::Influence,
    &faults::Faults,
    &readings::Readings,
    &routes::Routes,
    &speed::Speed,
    &ingest::Ingest,
    &fleet::Fleet,
    &rest::Rest,
];

/// All sections that have something to say.
pub(super) fn parts(context: &Context<'_>) -> Result<Vec<Part>, PlotError> {
    let mut parts = Vec::new();
    for section in SECTIONS {
        let blocks = section.blocks(context)?;
        if !blocks.is_empty() {
            parts.push(Part { id: section.id(), title: section.title(), blocks });
        }
    }
    Ok(parts)
}

/// A cell in words; the prior is told elsewhere.
fn cell(cell: &Cell) -> Line {
    let mut line = Line::name(&cell.noise)
        .then(", ")
        .then_name(&cell.attack)
        .then(format!(", n = {}, f = {}", cell.n, cell.f));
    if cell.loss > 0.0 {
        line = line.then(format!(", loss {}", text::percent(cell.loss)));
    }
    line
}

/// A ratio and where it is.
fn ratio_at(ratio: &Ratio<'_>) -> Line {
    let excess = text::number(ratio.value());
    Line::strong(format!("{excess}\u{a0}×"))
        .then(" (")
        .join(cell(&ratio.ours.cell))
        .then(", against ")
        .then_name(&ratio.other.estimator)
        .then(")")
}

/// A number or a dash.
fn number(value: Option<f64>) -> Line {
    Line::text(value.map_or_else(|| "–".to_owned(), text::number))
}

/// A share or a dash.
fn percent(value: Option<f64>) -> Line {
    Line::text(value.map_or_else(|| "–".to_owned(), text::percent))
}

/// A range of shares or a dash.
fn percents(range: Option<(f64, f64)>) -> String {
    range.map_or_else(
        || "–".to_owned(),
        |(low, high)| {
            let (low, high) = (text::percent(low), text::percent(high));
            if low == high { low } else { format!("{} – {high}", low.trim_end_matches("\u{a0}%")) }
        },
    )
}

/// The largest ratio of a comparison, or a dash.
fn worst_number(comparison: &Comparison<'_>) -> Line {
    number(comparison.worst().map(|ratio| ratio.value()))
}
