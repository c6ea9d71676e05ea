//! Who is named a liar, rightly and wrongly.

use super::summary::Verdict;
use super::{Context, Section, percent};
use crate::report::document::{Block, Line, Table};
use crate::report::grid::{Row, median, range};
use crate::report::plot::PlotError;
use crate::report::text;
use crate::result::Accuracy;

pub(super) struct Naming;

/// The goal: at most one false naming in so many honest replica-rounds.
const FALSE_NAMINGS_MAX: f64 = 1e-4;

impl Section for Naming {
    fn id(&self) -> &'static str {
        "naming"
    }

    fn title(&self) -> &'static str {
        "Who is named"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["accuracy"]
    }

    fn blocks(&self, context: &Context<'_>) -> Result<Vec<Block>, PlotError> {
        let mut rows = Vec::new();
        for prior in &context.grid.priors {
            for attack in &context.grid.attacks {
                let all = records(context, |row| row.cell.prior == *prior && row.cell.attack == *attack);
                let lies = || all.iter().filter_map(|record| record.liars_named);
                let honest = pooled_false(&all);
                if honest.is_none() && lies().next().is_none() {
                    continue;
                }
                let least = range(lies()).map(|(low, _)| low);
                let most = range(all.iter().filter_map(|record| record.honest_named)).map(|(_, high)| high);
                rows.push(vec![
                    Line::name(prior),
                    Line::name(attack),
                    percent(median(lies())),
                    percent(least),
                    percent(honest),
                    percent(most),
                ]);
            }
        }
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let caption = Line::text("Shares of replica-rounds in which ")
            .then_name(context.objective())
            .then(
                " names a replica (its probability of honesty over a window of rounds is below 0.05), where the model is right. A lie \
                 within the noise can’t be told from the truth, and need not be.",
            );
        let head =
            ["Prior", "Attack", "Liars named, median", "least", "Honest named, all rounds", "most in a cell"];
        Ok(vec![Block::Table(Table { caption, head: head.map(Line::text).into(), rows, numbers_from: 2 })])
    }
}

fn records<'a>(context: &Context<'a>, keep: impl Fn(&Row<'_>) -> bool) -> Vec<&'a Accuracy> {
    let rows = context.grid.rows.iter().filter(|row| row.fault().is_none() && keep(row));
    rows.filter_map(|row| row.of(context.objective())).collect()
}

/// The rate of false namings over all honest replica-rounds.
fn pooled_false(records: &[&Accuracy]) -> Option<f64> {
    let (mut named, mut all) = (0.0, 0.0);
    for record in records {
        let Some(rate) = record.honest_named else { continue };
        // Without attack all replicas are honest.
        let liars = if record.cell.attack == "none" { 0 } else { record.cell.f };
        let weight = record.rounds as f64 * record.cell.n.saturating_sub(liars) as f64;
        named += rate * weight;
        all += weight;
    }
    (all > 0.0).then(|| named / all)
}

/// A line of the summary.
pub(super) fn line(context: &Context<'_>) -> Option<Line> {
    let far = records(context, |row| row.cell.attack.starts_with("far"));
    let every = records(context, |_| true);
    let honest = pooled_false(&every)?;
    let mut line = Line::text("Honest replicas are wrongly named in ")
        .then_strong(text::percent(honest))
        .then(" of their rounds, over all cells");
    if let Some(named) = median(far.iter().filter_map(|record| record.liars_named)) {
        line = line
            .then("; far liars are named in ")
            .then_strong(text::percent(named))
            .then(" of theirs (median over cells)");
    }
    Some(line.then("."))
}

/// The goal on false namings.
pub(super) fn goal(context: &Context<'_>) -> Verdict {
    let honest = pooled_false(&records(context, |_| true));
    (
        Line::text("At most one false naming in 10,000 honest replica-rounds"),
        Line::text(
            honest.map_or_else(|| "–".to_owned(), |rate| format!("{} in 10,000", text::number(rate * 1e4))),
        ),
        honest.map(|rate| rate <= FALSE_NAMINGS_MAX),
    )
}
