//! Error by attack and estimator, for each prior.

use super::{Context, Section};
use crate::report::document::{Block, Figure, Line, Table};
use crate::report::grid::{median, range};
use crate::report::plot::{Dot, DotPlot, DotRow, Mark, PlotError, Scale};
use crate::report::text;
use std::collections::BTreeMap;

pub(super) struct Error;

impl Section for Error {
    fn id(&self) -> &'static str {
        "error"
    }

    fn title(&self) -> &'static str {
        "Error by attack and estimator"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["accuracy"]
    }

    fn blocks(&self, context: &Context<'_>) -> Result<Vec<Block>, PlotError> {
        let mut blocks = Vec::new();
        for prior in &context.grid.priors {
            let medians = Medians::new(context, prior);
            if medians.cells.is_empty() {
                continue;
            }
            blocks.push(Block::Heading(Line::text("Prior ").then_name(prior)));
            blocks.push(Block::Figures(vec![medians.figure(context)?]));
            blocks.push(Block::Table(medians.table(context)));
        }
        Ok(blocks)
    }
}

/// The picture for a front page: that of the prior that tells most, of those measured.
pub(in crate::report) fn picture(context: &Context<'_>) -> Result<Option<Figure>, PlotError> {
    let known = context.grid.priors.iter().rev();
    let prior = known.map(|prior| Medians::new(context, prior)).find(|medians| !medians.cells.is_empty());
    prior.map(|medians| medians.figure(context)).transpose()
}

/// Relative errors of an estimator under an attack.
struct Entry {
    median: f64,
    range: (f64, f64),
    count: usize,
}

/// Relative errors under one prior, by attack and estimator.
struct Medians<'a> {
    prior: &'a str,
    cells: BTreeMap<(&'a str, &'a str), Entry>,
    attacks: Vec<&'a str>,
    estimators: Vec<&'a str>,
}

impl<'a> Medians<'a> {
    fn new(context: &Context<'a>, prior: &'a str) -> Self {
        let mut values: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
        let grid = &context.grid;
        for record in
            grid.rows.iter().filter(|r| r.cell.prior == prior && r.fault().is_none()).flat_map(|r| &r.records)
        {
            let key = (record.cell.attack.as_str(), record.estimator.as_str());
            values.entry(key).or_default().push(record.rel_honest_mean);
        }
        let entry = |values: Vec<f64>| {
            let all = || values.iter().copied();
            Some(Entry { median: median(all())?, range: range(all())?, count: values.len() })
        };
        let cells: BTreeMap<_, _> =
            values.into_iter().filter_map(|(key, v)| Some((key, entry(v)?))).collect();
        let has = |attack: Option<&str>, estimator: Option<&str>| {
            cells.keys().any(|(a, e)| attack.is_none_or(|x| x == *a) && estimator.is_none_or(|x| x == *e))
        };
        let attacks = grid.attacks.iter().copied().filter(|a| has(Some(a), None)).collect();
        let estimators = grid.estimators.iter().copied().filter(|e| has(None, Some(e))).collect();
        Self { prior, cells, attacks, estimators }
    }

    /// Cells that most estimators were measured in under an attack.
    fn full_count(&self, attack: &str) -> usize {
        self.cells.iter().filter(|((a, _), _)| *a == attack).map(|(_, entry)| entry.count).max().unwrap_or(0)
    }

    fn table(&self, context: &Context<'_>) -> Table {
        let mut partial = false;
        let mut rows: Vec<Vec<Line>> = self.estimators.iter().map(|name| vec![Line::name(name)]).collect();
        for attack in &self.attacks {
            let full = self.full_count(attack);
            let of = |name: &'a str| self.cells.get(&(*attack, name));
            let best = self
                .estimators
                .iter()
                .filter(|name| context.grid.roles.is_rival(name) || context.grid.roles.is_ours(name))
                .filter_map(|name| of(name).filter(|entry| entry.count == full).map(|entry| entry.median))
                .min_by(f64::total_cmp);
            for (row, name) in rows.iter_mut().zip(&self.estimators) {
                row.push(match of(name) {
                    None => Line::text("–"),
                    Some(entry) if entry.count < full => {
                        partial = true;
                        Line::text(format!("{}†", text::number(entry.median)))
                    }
                    Some(entry) if best == Some(entry.median) && !yardstick(context, name) => {
                        Line::strong(text::number(entry.median))
                    }
                    Some(entry) => Line::text(text::number(entry.median)),
                });
            }
        }
        let mut caption =
            "Median over noises and n of the error relative to the honest mean’s; the best of each attack stands out."
                .to_owned();
        if partial {
            caption.push_str(" †: measured in fewer cells than the others, and so not to be compared.");
        }
        let mut head = vec![Line::text("Estimator")];
        head.extend(self.attacks.iter().map(|attack| Line::name(attack)));
        Table { caption: Line::text(caption), head, rows, numbers_from: 1 }
    }

    fn figure(&self, context: &Context<'_>) -> Result<Figure, PlotError> {
        let roles = context.grid.roles;
        let mut legend: Vec<(Mark, String)> = Vec::new();
        for name in self.estimators.iter().filter(|name| pictured(name)) {
            let mark = Mark::of(roles, name);
            if mark.own {
                legend.push((mark, text::clip(name, 24)));
            }
        }
        if self.estimators.iter().any(|name| !Mark::of(roles, name).own) {
            legend.push((Mark::REST, "each other rival".to_owned()));
        }
        let rows = self.attacks.iter().map(|attack| self.row(context, attack)).collect();
        let plot = DotPlot {
            title: "RMSE relative to the honest mean’s (median over noises and n)".to_owned(),
            scale: self.scale(context),
            legend,
            rows,
            lines: vec![(1.0, Mark::of(roles, "median"))],
            span_mark: Mark::of(roles, &roles.objective),
        };
        Ok(Figure {
            id: format!("accuracy-error-{}", text::slug(self.prior)),
            caption: Line::text("Error by attack and estimator, prior ")
                .then_name(self.prior)
                .then(": further left is better. The band is the range of ")
                .then_name(&roles.objective)
                .then(" over noises and n; the line at 1 is the mean of the honest. Marks on the right edge lie beyond it."),
            alt: self.in_words(context),
            svg: plot.draw()?,
        })
    }

    /// A scale about ours and the median, with room for rivals; those far off are put on its edge.
    fn scale(&self, context: &Context<'_>) -> Scale {
        let near = |name: &str| context.grid.roles.is_ours(name) || name == "median";
        let close = self.cells.iter().filter(|((_, name), _)| near(name)).map(|(_, entry)| entry.median);
        let reach = range(close).map_or(f64::INFINITY, |(_, high)| high * 2.5);
        Scale::log_about(self.cells.values().map(|entry| entry.median.min(reach)))
    }

    fn row(&self, context: &Context<'_>, attack: &str) -> DotRow {
        let roles = context.grid.roles;
        // From the least to the most important, so that the latter lie above.
        let dots = self.estimators.iter().rev().filter(|name| pictured(name)).filter_map(|name| {
            let entry = self.cells.get(&(attack, *name))?;
            (!yardstick(context, name)).then(|| Dot { value: entry.median, mark: Mark::of(roles, name) })
        });
        let span = self.cells.get(&(attack, roles.objective.as_str())).map(|entry| entry.range);
        DotRow { label: attack.to_owned(), dots: dots.collect(), span }
    }

    fn in_words(&self, context: &Context<'_>) -> String {
        let objective = context.objective();
        let mut out = format!(
            "Dots in rows, one row for each attack. Relative error of {}: ",
            text::clip(objective, 40)
        );
        let words = self.attacks.iter().filter_map(|attack| {
            let entry = self.cells.get(&(*attack, objective))?;
            Some(format!("{} {}", text::clip(attack, 40), text::number(entry.median)))
        });
        out.push_str(&words.collect::<Vec<_>>().join(", "));
        out.push('.');
        out
    }
}

/// Whether an estimator is in the picture; an objective judged by its most probable value is in the table alone.
fn pictured(name: &str) -> bool {
    !name.ends_with(crate::estimator::MODE_SUFFIX)
}

fn yardstick(context: &Context<'_>, name: &str) -> bool {
    let roles = context.grid.roles;
    !roles.is_ours(name) && !roles.is_rival(name)
}
