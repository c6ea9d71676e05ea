//! What a wrong model costs.

use super::{Context, Section, number, percent, worst_number};
use crate::report::document::{Block, Line, Table};
use crate::report::grid::{Comparison, Ratio, Row, median, range};
use crate::report::input::Key;
use crate::report::plot::PlotError;
use std::collections::BTreeMap;

pub(super) struct Faults;

impl Section for Faults {
    fn id(&self) -> &'static str {
        "faults"
    }

    fn title(&self) -> &'static str {
        "What a wrong model costs"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["accuracy"]
    }

    fn blocks(&self, context: &Context<'_>) -> Result<Vec<Block>, PlotError> {
        let grid = &context.grid;
        let right: BTreeMap<Key, &Row<'_>> = grid
            .rows
            .iter()
            .filter(|row| row.fault().is_none())
            .filter_map(|row| Some((twin(row)?, row)))
            .collect();
        let mut groups: Vec<((String, String), Vec<&Row<'_>>)> = Vec::new();
        for row in &grid.rows {
            let Some(fault) = row.fault() else { continue };
            let name = (row.cell.prior.clone(), fault);
            match groups.iter_mut().find(|(other, _)| *other == name) {
                Some((_, rows)) => rows.push(row),
                None => groups.push((name, vec![row])),
            }
        }
        groups.sort_by_key(|((prior, _), _)| grid.priors.iter().position(|known| known == prior));
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let rows = groups.iter().map(|(name, rows)| line(context, &right, name, rows)).collect();
        let caption = Line::name(context.objective()).then(
            " where its model is wrong or the honest drift: its RMSE over that with the right model in the same cell, over that of \
             the best rival there, and how often its 95 % intervals hold the truth.",
        );
        let head = [
            "Prior",
            "Fault",
            "Cells",
            "÷ right, median",
            "largest",
            "≤ best rival",
            "Worst ratio",
            "95 %, median",
            "least",
        ];
        Ok(vec![Block::Table(Table { caption, head: head.map(Line::text).into(), rows, numbers_from: 2 })])
    }
}

/// The key of the cell in which nothing is wrong.
fn twin(row: &Row<'_>) -> Option<Key> {
    let mut key = Key::of_cell(row.records.first()?);
    key.circumstances[1] = "right".to_owned();
    key.circumstances[2] = "none".to_owned();
    Some(key)
}

fn line(
    context: &Context<'_>,
    right: &BTreeMap<Key, &Row<'_>>,
    (prior, fault): &(String, String),
    rows: &[&Row<'_>],
) -> Vec<Line> {
    let objective = context.objective();
    let ratios = rows.iter().filter_map(|row| {
        let other = right.get(&twin(row)?)?.of(objective)?;
        Some(Ratio { ours: row.of(objective)?, other })
    });
    let cost = Comparison { ratios: ratios.collect() };
    let rivals = context.grid.compare(rows.iter().copied(), None);
    let covers = || rows.iter().filter_map(|row| Some(row.of(objective)?.coverage?.p95));
    vec![
        Line::name(prior),
        Line::name(fault),
        Line::text(rows.len().to_string()),
        number(cost.median()),
        worst_number(&cost),
        percent(rivals.at_or_below()),
        worst_number(&rivals),
        percent(median(covers())),
        percent(range(covers()).map(|(low, _)| low)),
    ]
}
