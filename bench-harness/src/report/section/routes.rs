//! The choice of a route.

use super::{Context, Section};
use crate::report::document::{Block, Figure, Line, Table};
use crate::report::grid::{estimator_rank, in_order};
use crate::report::plot::{Dot, DotPlot, DotRow, Mark, PlotError, Scale};
use crate::report::text;
use crate::result::Route;

pub(super) struct Routes;

impl Section for Routes {
    fn id(&self) -> &'static str {
        "routes"
    }

    fn title(&self) -> &'static str {
        "Choosing a route"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["route"]
    }

    fn blocks(&self, context: &Context<'_>) -> Result<Vec<Block>, PlotError> {
        let groups = groups(&context.results.routes);
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let mut blocks = vec![Block::Paragraph(Line::text(
            "Two routes, measured every ten minutes; at each measurement a route is chosen from what replicas have of earlier ones, for \
             a measurement is published to each of them only some ten minutes later (with a delay of its own, drawn from the real \
             ones). One replica lies about both routes. The truly faster route is that whose travel time measured for the very moment \
             of the choice is less, which nobody knows then. Regret is how much longer the chosen route took. Where one route \
             is nearly always the faster, any rule is right; the second comparison makes the matter even by counting the \
             first route as longer by the median difference of the first half (a toll that the driver thinks worth so many seconds).",
        ))];
        for group in &groups {
            let heading = Line::name(group.choice)
                .then(format!(
                    ": {} or {}, ",
                    text::clip(&group.routes[0], 40),
                    text::clip(&group.routes[1], 40)
                ))
                .then(if group.handicap_s == 0.0 {
                    "as they are".to_owned()
                } else {
                    format!("the first counted as {} s longer", text::number(group.handicap_s))
                });
            blocks.push(Block::Heading(heading));
            blocks.push(Block::Figures(vec![group.figure(context)?]));
            blocks.push(Block::Table(group.table(context)));
        }
        Ok(blocks)
    }
}

/// Records of one choice with one handicap.
struct Group<'a> {
    choice: &'a str,
    routes: &'a [String; 2],
    handicap_s: f64,
    records: Vec<&'a Route>,
}

fn groups(routes: &[Route]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for record in routes {
        let same = |g: &&mut Group<'_>| g.choice == record.choice && g.handicap_s == record.handicap_s;
        match groups.iter_mut().find(same) {
            Some(group) => group.records.push(record),
            None => groups.push(Group {
                choice: &record.choice,
                routes: &record.routes,
                handicap_s: record.handicap_s,
                records: vec![record],
            }),
        }
    }
    groups
}

impl<'a> Group<'a> {
    fn attacks(&self) -> Vec<&'a str> {
        in_order(self.records.iter().map(|r| r.attack.as_str()), |attack| usize::from(*attack != "none"))
    }

    /// Rules with their priors, in the report's order.
    fn rules(&self, context: &Context<'_>) -> Vec<(&'a str, &'a str)> {
        let mut rules: Vec<(&str, &str)> = Vec::new();
        for record in &self.records {
            let rule = (record.estimator.as_str(), record.prior.as_str());
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        rules.sort_by_key(|(name, prior)| (estimator_rank(context.grid.roles, name), *prior == "none"));
        rules
    }

    fn of(&self, rule: (&str, &str), attack: &str) -> Option<&'a Route> {
        let same = |r: &&&Route| (r.estimator.as_str(), r.prior.as_str()) == rule && r.attack == attack;
        self.records.iter().find(same).copied()
    }

    fn table(&self, context: &Context<'_>) -> Table {
        let attacks = self.attacks();
        let rows = self.rules(context).into_iter().map(|rule| {
            let mut row = vec![Line::name(rule.0), Line::name(rule.1)];
            row.extend(attacks.iter().map(|attack| {
                let cell = self
                    .of(rule, attack)
                    .map(|r| format!("{}; {} s", text::percent(r.right), text::number(r.regret_s)));
                Line::text(cell.unwrap_or_else(|| "–".to_owned()))
            }));
            row
        });
        let rows = rows.collect();
        let rounds = self.records.first().map_or(0, |r| r.rounds);
        let spread = self.records.iter().map(|r| r.right_se).fold(0.0, f64::max);
        let caption = format!(
            "How often the truly faster route was chosen, and the mean regret ({rounds} choices; standard error of a share at most {}).",
            text::percent(spread)
        );
        let mut head = vec![Line::text("Chosen by"), Line::text("Prior")];
        head.extend(attacks.iter().map(|attack| Line::name(attack)));
        Table { caption: Line::text(caption), head, rows, numbers_from: 2 }
    }

    fn figure(&self, context: &Context<'_>) -> Result<Figure, PlotError> {
        let roles = context.grid.roles;
        let shown: Vec<((&str, &str), Mark, String)> = self
            .rules(context)
            .into_iter()
            .filter_map(|(name, prior)| {
                let (mark, label) = match (name, prior) {
                    _ if name == roles.objective && prior == "none" => {
                        (Mark::nth(1), format!("{name}, no prior"))
                    }
                    _ if name == roles.objective => (Mark::of(roles, name), format!("{name}, {prior}")),
                    ("mean" | "median", _) => (Mark::of(roles, name), name.to_owned()),
                    ("last_value", _) => (Mark::nth(3), "last value".to_owned()),
                    _ => return None,
                };
                Some(((name, prior), mark, text::clip(&label, 24)))
            })
            .collect();
        let rows: Vec<DotRow> = self
            .attacks()
            .into_iter()
            .map(|attack| {
                let dot = |(rule, mark, _): &((&str, &str), Mark, String)| {
                    Some(Dot { value: self.of(*rule, attack)?.regret_s, mark: *mark })
                };
                DotRow {
                    label: attack.to_owned(),
                    dots: shown.iter().rev().filter_map(dot).collect(),
                    span: None,
                }
            })
            .collect();
        let values = rows.iter().flat_map(|row| &row.dots).map(|dot| dot.value);
        let plot = DotPlot {
            title: "mean regret, in seconds".to_owned(),
            scale: Scale::log_about(values),
            legend: shown.iter().map(|(_, mark, label)| (*mark, label.clone())).collect(),
            rows,
            lines: Vec::new(),
            span_mark: Mark::REST,
        };
        let which = if self.handicap_s == 0.0 { "as they are" } else { "made even" };
        Ok(Figure {
            id: format!("route-{}-{}", text::slug(self.choice), text::slug(which)),
            caption: Line::text("Regret by what the liar does, routes ")
                .then(which)
                .then(": further left is better."),
            alt: "Dots in rows, one row for each kind of lie; the table below has the numbers.".to_owned(),
            svg: plot.draw()?,
        })
    }
}
