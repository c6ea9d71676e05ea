//! Influence curves: what one liar's value does to the decision.

use super::summary::Verdict;
use super::{Context, Section, number};
use crate::report::document::{Block, Figure, Line, Table};
use crate::report::grid::{estimator_rank, in_order};
use crate::report::plot::{Curve, LinePlot, Mark, PlotError, Scale};
use crate::report::text;
use crate::result::Influence as Record;

pub(super) struct Influence;

/// Most pictures; the table has all curves.
const FIGURES_MAX: usize = 12;
/// The vertical axis reaches this many times as far as our own curves, so that a mean's doesn't flatten them.
const ROOM: f64 = 2.2;

impl Section for Influence {
    fn id(&self) -> &'static str {
        "influence"
    }

    fn title(&self) -> &'static str {
        "What one liar can buy"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["influence"]
    }

    fn blocks(&self, context: &Context<'_>) -> Result<Vec<Block>, PlotError> {
        let groups = groups(context);
        let (mut figures, mut rows) = (Vec::new(), Vec::new());
        for group in &groups {
            if figures.len() < FIGURES_MAX {
                figures.extend(figure(context, group)?);
            }
            for record in &group.records {
                rows.extend(row(group, record));
            }
        }
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let caption = Line::text(
            "How far one liar can push the decision, with which value, and how far the decision still is pushed at the ends of \
             the curve. A curve redescends if at both ends it has come back to at most half of its peak: then a lie that is \
             too bold buys less. All in sd of the noise.",
        );
        let head =
            ["Estimator", "Prior", "n", "f", "Most bought", "at a lie of", "At the ends", "Redescends"];
        let table = Table { caption, head: head.map(Line::text).into(), rows, numbers_from: 2 };
        Ok(vec![Block::Figures(figures), Block::Table(table)])
    }
}

/// Curves of one fleet.
struct Group<'a> {
    prior: &'a str,
    n: usize,
    f: usize,
    records: Vec<&'a Record>,
}

fn groups<'a>(context: &Context<'a>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for record in &context.results.influence {
        let same = |g: &&mut Group<'_>| g.prior == record.prior && g.n == record.n && g.f == record.f;
        match groups.iter_mut().find(same) {
            Some(group) => group.records.push(record),
            None => {
                groups.push(Group { prior: &record.prior, n: record.n, f: record.f, records: vec![record] });
            }
        }
    }
    for group in &mut groups {
        let roles = context.grid.roles;
        let names =
            in_order(group.records.iter().map(|r| r.estimator.as_str()), |name| estimator_rank(roles, name));
        group.records.sort_by_key(|record| names.iter().position(|name| *name == record.estimator));
    }
    groups
}

/// What a curve says: the largest shift and the lie that buys it, and the largest at the ends.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bought {
    most: f64,
    at: f64,
    at_ends: f64,
}

impl Bought {
    fn of(record: &Record) -> Option<Self> {
        let sorted = sorted(record);
        let peak = sorted.iter().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
        let at_ends = sorted.first()?.1.abs().max(sorted.last()?.1.abs());
        Some(Self { most: peak.1.abs(), at: peak.0, at_ends })
    }

    fn redescends(self) -> bool {
        self.at_ends <= 0.5 * self.most
    }
}

fn sorted(record: &Record) -> Vec<(f64, f64)> {
    let mut points = record.points.clone();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

fn row(group: &Group<'_>, record: &Record) -> Option<Vec<Line>> {
    let bought = Bought::of(record)?;
    Some(vec![
        Line::name(&record.estimator),
        Line::name(group.prior),
        Line::text(group.n.to_string()),
        Line::text(group.f.to_string()),
        number(Some(bought.most)),
        number(Some(bought.at)),
        number(Some(bought.at_ends)),
        Line::text(if bought.redescends() { "yes" } else { "no" }),
    ])
}

fn figure(context: &Context<'_>, group: &Group<'_>) -> Result<Option<Figure>, PlotError> {
    let roles = context.grid.roles;
    let points = |ours: bool| {
        group
            .records
            .iter()
            .filter(move |r| !ours || roles.is_ours(&r.estimator))
            .flat_map(|r| &r.points)
            .copied()
    };
    if points(false).next().is_none() {
        return Ok(None);
    }
    let x = Scale::linear_about(points(false).map(|point| point.0));
    let all = Scale::linear_about(points(false).map(|point| point.1));
    let (mut low, mut high) = (all.low(), all.high());
    if points(true).next().is_some() {
        let ours = Scale::linear_about(points(true).map(|point| point.1));
        let reach = ours.low().abs().max(ours.high().abs()) * ROOM;
        (low, high) = (low.max(-reach), high.min(reach));
    }
    let (mut curves, mut legend, mut words) = (Vec::new(), Vec::new(), Vec::new());
    for record in group.records.iter().rev() {
        let mark = Mark::of(roles, &record.estimator);
        curves.push(Curve { mark, points: sorted(record) });
        if mark.own {
            legend.push((mark, text::clip(&record.estimator, 24)));
        }
        words.extend(Bought::of(record).map(|bought| {
            format!("{} at most {}", text::clip(&record.estimator, 40), text::number(bought.most))
        }));
    }
    legend.reverse();
    words.reverse();
    if curves.iter().any(|curve| !curve.mark.own) {
        legend.push((Mark::REST, "each other rival".to_owned()));
    }
    let plot = LinePlot {
        titles: ("The liar’s value, sd from the truth".to_owned(), "Decision, sd from the truth".to_owned()),
        x: (x.low(), x.high()),
        y: (low, high),
        legend,
        curves,
        diagonal: false,
    };
    Ok(Some(Figure {
        id: format!("accuracy-influence-{}-n{}-f{}", text::slug(group.prior), group.n, group.f),
        caption: Line::text(format!(
            "The decision against one liar’s value: n = {}, f = {}, prior ",
            group.n, group.f
        ))
        .then_name(group.prior)
        .then(". Curves that leave the picture are cut at its edge."),
        alt: format!("Curves. The decision is pushed by: {}.", words.join(", ")),
        svg: plot.draw()?,
    }))
}

fn of_objective<'a>(context: &Context<'a>) -> Vec<(&'a Record, Bought)> {
    let records = context.results.influence.iter().filter(|record| record.estimator == context.objective());
    records.filter_map(|record| Some((record, Bought::of(record)?))).collect()
}

/// A line of the summary.
pub(super) fn line(context: &Context<'_>) -> Option<Line> {
    let curves = of_objective(context);
    let (record, most) = curves.iter().max_by(|a, b| a.1.most.total_cmp(&b.1.most))?;
    let back = curves.iter().filter(|(_, bought)| bought.redescends()).count();
    Some(
        Line::text("One liar can push ")
            .then_name(context.objective())
            .then(" by at most ")
            .then_strong(format!("{}\u{a0}sd", text::number(most.most)))
            .then(format!(
                " (with a value {} sd from the truth; n = {}, f = {}, prior ",
                text::number(most.at),
                record.n,
                record.f
            ))
            .then_name(&record.prior)
            .then(format!("); its influence redescends in {back} of {} curves.", curves.len())),
    )
}

/// The goal on the curve's shape.
pub(super) fn goal(context: &Context<'_>) -> Verdict {
    let curves = of_objective(context);
    let most = curves.iter().map(|(_, bought)| bought.most).max_by(f64::total_cmp);
    let all = curves.iter().all(|(_, bought)| bought.redescends());
    (
        Line::text("The influence of one liar is bounded and redescends"),
        Line::text(most.map_or_else(|| "–".to_owned(), |most| format!("at most {} sd", text::number(most)))),
        most.map(|_| all),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bought(points: &[(f64, f64)]) -> Bought {
        let record =
            Record { estimator: "e".into(), n: 7, f: 2, prior: "none".into(), points: points.to_vec() };
        Bought::of(&record).unwrap()
    }

    #[test]
    fn a_peak_and_its_return_are_found_in_any_order_of_points() {
        let curve = bought(&[(10.0, 0.01), (-10.0, -0.02), (2.0, 0.4), (-2.0, -0.5), (0.0, 0.0)]);
        assert_eq!(curve, Bought { most: 0.5, at: -2.0, at_ends: 0.02 });
        assert!(curve.redescends());
        assert!(!bought(&[(-5.0, -0.7), (0.0, 0.0), (5.0, 0.7)]).redescends());
    }
}
