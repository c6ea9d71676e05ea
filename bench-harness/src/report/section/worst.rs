//! The cells in which the judged objective does worst against its best rival.

use super::{Context, Section, cell, number};
use crate::report::document::{Block, Line, Table};
use crate::report::plot::PlotError;
use crate::report::text;

/// Cells shown for each prior.
const SHOWN: usize = 6;

pub(super) struct Worst;

impl Section for Worst {
    fn id(&self) -> &'static str {
        "worst"
    }

    fn title(&self) -> &'static str {
        "Where it does worst"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["accuracy"]
    }

    fn blocks(&self, context: &Context<'_>) -> Result<Vec<Block>, PlotError> {
        let mut rows = Vec::new();
        for prior in &context.grid.priors {
            let comparison = context.grid.compare(context.grid.right(prior), None);
            for ratio in comparison.sorted().into_iter().take(SHOWN) {
                let (ours, other) = (ratio.ours, ratio.other);
                rows.push(vec![
                    Line::name(prior),
                    cell(&ours.cell),
                    Line::name(&other.estimator),
                    Line::text(format!(
                        "{} ± {}",
                        text::number(ours.rmse_truth),
                        text::number(ours.rmse_truth_se)
                    )),
                    Line::text(format!(
                        "{} ± {}",
                        text::number(other.rmse_truth),
                        text::number(other.rmse_truth_se)
                    )),
                    number(Some(ratio.value())),
                    Line::text(if ratio.beyond_spread() { "yes" } else { "no" }),
                ]);
            }
        }
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let caption = Line::text(format!("The {SHOWN} largest ratios to the best rival for each prior, where the model is right: RMSE with its standard error of "))
            .then_name(context.objective())
            .then(" and of that rival, and whether they differ by more than two combined standard errors.");
        let head = ["Prior", "Cell", "Best rival", "RMSE", "Rival’s", "Ratio", "Beyond spread"]
            .map(Line::text)
            .into();
        Ok(vec![Block::Table(Table { caption, head, rows, numbers_from: 3 })])
    }
}
