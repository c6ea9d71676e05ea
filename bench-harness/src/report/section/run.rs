//! How the results were made.

use super::{Context, Section};
use crate::report::document::{Block, Line, Table};
use crate::report::plot::PlotError;

pub(super) struct Runs;

impl Section for Runs {
    fn id(&self) -> &'static str {
        "run"
    }

    fn title(&self) -> &'static str {
        "How this was measured"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["run"]
    }

    fn blocks(&self, context: &Context<'_>) -> Result<Vec<Block>, PlotError> {
        let results = context.results;
        let mut blocks = Vec::new();
        let text = "Fleets are simulated with a known truth, so that every estimator is judged against it on the same rounds. Every \
             length is in standard deviations of an honest replica's error; RMSE is the root of the mean squared error to the \
             truth; a relative error is divided by that of the mean of the honest replicas, which nobody can compute who \
             doesn't know who is honest. A rival is every estimator that is not one of Centauri's objectives; rivals are \
             given the prior too.";
        let of_accuracy = !results.accuracy.is_empty() || !results.influence.is_empty();
        if of_accuracy || results.speed.is_empty() {
            blocks.push(Block::Paragraph(Line::text(text)));
        }
        if !results.runs.is_empty() {
            blocks.push(Block::Table(table(results)));
        }
        let mut counts = format!(
            "{} cells, {} estimators, {} records",
            context.grid.rows.len(),
            context.grid.estimators.len(),
            results.accuracy.len()
        );
        if results.replaced > 0 {
            counts.push_str(&format!(
                "; {} records were replaced by later ones of the same cell",
                results.replaced
            ));
        }
        counts.push('.');
        if results.runs.iter().any(|run| run.quick) {
            counts.push_str(
                " A quick run is among them: its few rounds leave a wide spread, so read it as a smoke test.",
            );
        }
        if of_accuracy || results.speed.is_empty() {
            blocks.push(Block::Paragraph(Line::text(counts)));
        }
        Ok(blocks)
    }
}

fn table(results: &crate::report::input::Results) -> Table {
    let mut head = vec![Line::text("")];
    let mut rows: Vec<Vec<Line>> =
        ["Date", "Command", "Seed", "Commit", "Version", "Machine"].map(|name| vec![Line::text(name)]).into();
    for (index, run) in results.runs.iter().enumerate() {
        let quick = if run.quick { " (quick)" } else { "" };
        head.push(Line::text(format!("Run {}{quick}", index + 1)));
        let cells = [
            Line::name(&run.date),
            Line::name(&run.command),
            Line::text(run.seed.to_string()),
            Line::name(&run.commit),
            Line::name(&run.version),
            Line::name(&run.machine),
        ];
        for (row, cell) in rows.iter_mut().zip(cells) {
            row.push(cell);
        }
    }
    Table { caption: Line::text("The runs."), head, rows, numbers_from: usize::MAX }
}
