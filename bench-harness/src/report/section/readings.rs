//! Real readings: how far estimators are from the mean of the honest.

use super::summary::Verdict;
use super::{Context, Section, number, percent};
use crate::estimator::{averaging, objectives};
use crate::readings::fitted::{Model, Prior};
use crate::readings::summary::{Against, YARDSTICKS, Yardstick, against, cells, no_lie_comes};
use crate::report::document::{Block, Figure, Line, Table};
use crate::report::grid::{estimator_rank, in_order, median, range, share};
use crate::report::plot::{Dot, DotPlot, DotRow, Mark, PlotError, Scale};
use crate::report::text;
use crate::result::{Reading, Stream};

pub(super) struct Readings;

/// The goal: at or below the best rival in this share of cells, and nowhere more than so many times it.
const GOAL: (f64, f64) = (5.0 / 6.0, 1.1);

impl Section for Readings {
    fn id(&self) -> &'static str {
        "readings"
    }

    fn title(&self) -> &'static str {
        "Real readings"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["stream", "reading"]
    }

    fn blocks(&self, context: &Context<'_>) -> Result<Vec<Block>, PlotError> {
        let readings = &context.results.readings;
        if readings.is_empty() {
            return Ok(Vec::new());
        }
        let mut blocks = vec![
            Block::Paragraph(Line::text(
                "A model is fitted to the first half of each stream; in the second half some replicas’ readings are replaced by lies. \
                 There is no truth to be had: the yardstick is the mean of the honest replicas’ readings. It is kind to rules that \
                 average values as they come. Where no lie comes (none, silent) the mean is the yardstick itself, at a distance of 0; \
                 and where a rule throws out exactly the liars and averages the rest, so is that rule. Beside it, therefore, \
                 stands the mean of all replicas’ readings as they were before any was replaced, which nobody can compute under \
                 attack. Our objectives are told one of two models: fitted, in which each replica has a bias and a noise of its own \
                 and the answer is what they have in common beneath these; and alike, in which all replicas have the same normal \
                 noise, and the answer is the mean of those believed. Rivals are told neither, but get the prior.",
            )),
            Block::Table(streams(context)),
        ];
        let notes: Vec<Line> = context.results.streams.iter().flat_map(prepared).collect();
        if !notes.is_empty() {
            blocks.push(Block::List(notes));
        }
        blocks.push(Block::Table(compared(context)));
        blocks.push(Block::Table(each_rival(context)));
        for prior in priors(readings) {
            blocks.push(Block::Heading(Line::text("Prior ").then_name(prior)));
            blocks.push(Block::Figures(vec![figure(context, prior)?]));
            blocks.push(Block::Table(distances(context, prior)));
        }
        blocks.push(Block::Table(covered(context)));
        Ok(blocks)
    }
}

fn priors(readings: &[Reading]) -> Vec<&str> {
    in_order(readings.iter().map(|r| r.prior.as_str()), |prior| usize::from(*prior != "following"))
}

fn attacks(readings: &[Reading]) -> Vec<&str> {
    in_order(readings.iter().map(|r| r.attack.as_str()), |attack| usize::from(*attack != "none"))
}

/// What was done to a stream before.
fn prepared(stream: &Stream) -> impl Iterator<Item = Line> {
    stream
        .notes
        .iter()
        .take(8)
        .map(|note| Line::name(&stream.stream).then(": ").then(text::clip(note, 200)).then("."))
}

fn streams(context: &Context<'_>) -> Table {
    let rows = context.results.streams.iter().map(|s| {
        vec![
            Line::name(&s.stream),
            Line::text(s.replicas.len().to_string()),
            Line::text(s.f.to_string()),
            Line::text(s.fitted.to_string()),
            Line::text(s.judged.to_string()),
            number(Some(s.sd)),
            number(Some(s.lag_s / 86_400.0)),
        ]
    });
    Table {
        caption: Line::text(
            "The streams: rounds that the model was fitted to and that were judged; sd of a replica’s distance to the mean of all, \
             in the stream’s unit, which is the unit of all distances below; how many days old a replayed value is (a week, or as many \
             whole days as lie before the judged half).",
        ),
        head: ["Stream", "n", "f", "Fitted", "Judged", "sd", "Replay, days"].map(Line::text).into(),
        rows: rows.collect(),
        numbers_from: 1,
    }
}

/// Ours against the best rival of each cell, for a model and a prior.
fn against_rivals<'a>(
    context: &Context<'a>,
    (objective, model): (&str, &str),
    prior: &str,
    of: fn(&Reading) -> f64,
    keep: impl Fn(&str) -> bool,
) -> Vec<Against<'a>> {
    let results: &'a [Reading] = &context.results.readings;
    let readings = results.iter().filter(|r| r.prior == prior && keep(&r.attack));
    cells(readings).iter().filter_map(|cell| against(cell, (objective, model), of)).collect()
}

fn compared(context: &Context<'_>) -> Table {
    let mut rows = Vec::new();
    for objective in judged(context) {
        for model in Model::ALL {
            for prior in Prior::ALL {
                rows.extend(YARDSTICKS.into_iter().filter_map(|yardstick| {
                    compared_row(context, (objective, model.name()), prior.name(), yardstick)
                }));
            }
        }
    }
    let head = [
        "Objective",
        "Model",
        "Prior",
        "Distance to",
        "Cells",
        "≤ best",
        "Worst",
        "≤ best, lied to",
        "Median",
        "Worst",
    ];
    Table {
        caption: Line::text(
            "Ours against the best rival of each cell (a stream and an attack), chosen after the fact: the share of cells in which it is \
             at or below, and the largest ratio of distances, in all cells; then the same, and the median ratio, in those in which a \
             lie comes (without none and silent). A ratio of ∞ is to a rival at a distance of 0.",
        ),
        head: head.map(Line::text).into(),
        rows,
        numbers_from: 4,
    }
}

/// The objective that the report judges, and those that average over quorums.
fn judged<'a>(context: &'a Context<'_>) -> Vec<&'a str> {
    let measured = |name: &&str| context.results.readings.iter().any(|r| r.estimator == *name);
    let others = objectives().map(|objective| -> &'a str { objective.name() }).filter(|name| averaging(name));
    in_order(std::iter::once(context.objective()).chain(others).filter(measured), |_| 0)
}

fn compared_row(
    context: &Context<'_>,
    ours: (&str, &str),
    prior: &str,
    (name, of): Yardstick,
) -> Option<Vec<Line>> {
    let all = against_rivals(context, ours, prior, of, |_| true);
    let lied = against_rivals(context, ours, prior, of, |attack| !no_lie_comes(attack));
    let good = |cells: &[Against<'_>]| share(cells.iter().map(|a| a.ratio <= 1.0 + 1e-9));
    (!all.is_empty()).then(|| {
        vec![
            Line::name(ours.0),
            Line::name(ours.1),
            Line::name(prior),
            Line::text(name),
            Line::text(all.len().to_string()),
            percent(good(&all)),
            worst(&all),
            percent(good(&lied)),
            number(median(lied.iter().map(|a| a.ratio))),
            worst(&lied),
        ]
    })
}

/// The judged objective beside each rival alone, in cells in which a lie comes.
fn each_rival(context: &Context<'_>) -> Table {
    let ways = || Model::ALL.into_iter().flat_map(|m| Prior::ALL.map(|p| (m.name(), p.name())));
    let readings = &context.results.readings;
    let rivals = in_order(
        readings.iter().map(|r| r.estimator.as_str()).filter(|name| context.grid.roles.is_rival(name)),
        |name| estimator_rank(context.grid.roles, name),
    );
    let ratios = |(model, prior): (&str, &str), rival: &str| -> Vec<f64> {
        let lied = readings.iter().filter(|r| r.prior == prior && !no_lie_comes(&r.attack));
        let cells = cells(lied);
        let of = |cell: &[&Reading], name: &str, model: Option<&str>| {
            let same = |r: &&&Reading| r.estimator == name && model.is_none_or(|model| r.model == model);
            cell.iter().find(same).map(|r| r.rmse_all)
        };
        let pairs = cells
            .iter()
            .filter_map(|cell| Some((of(cell, context.objective(), Some(model))?, of(cell, rival, None)?)));
        pairs.filter(|(_, theirs)| *theirs > 0.0).map(|(ours, theirs)| ours / theirs).collect()
    };
    let rows = rivals.into_iter().map(|rival| {
        let cell = |way: (&str, &str)| {
            let ratios = ratios(way, rival);
            match (share(ratios.iter().map(|r| *r <= 1.0 + 1e-9)), median(ratios.iter().copied())) {
                (Some(good), Some(middle)) => {
                    Line::text(format!("{}; {}", text::percent(good), text::number(middle)))
                }
                _ => Line::text("–"),
            }
        };
        std::iter::once(Line::name(rival)).chain(ways().map(cell)).collect()
    });
    let rows = rows.collect();
    let mut head = vec![Line::text("Rival")];
    head.extend(ways().map(|(model, prior)| Line::text(format!("{model}, prior {prior}"))));
    Table {
        caption: Line::name(context.objective()).then(
            " beside each rival alone, by the distance to the mean of all, where a lie comes: the share of cells in which it is at or \
             below this rival; the median ratio of distances. No one knows beforehand which rival will be the best.",
        ),
        head,
        rows,
        numbers_from: 1,
    }
}

fn worst(cells: &[Against<'_>]) -> Line {
    match range(cells.iter().map(|a| a.ratio)) {
        Some((_, high)) if high.is_infinite() => Line::text("∞"),
        other => number(other.map(|(_, high)| high)),
    }
}

/// A name in tables and legends: ours bear their model.
fn label(reading: &Reading) -> String {
    if crate::estimator::is_objective(&reading.estimator) {
        format!("{}, {}", reading.estimator, reading.model)
    } else {
        reading.estimator.clone()
    }
}

/// Estimators of a prior with their models, in the report's order: names and labels.
fn estimators<'a>(context: &Context<'a>, prior: &str) -> Vec<(&'a Reading, String)> {
    let mut seen = std::collections::BTreeSet::new();
    let all = context.results.readings.iter().filter(|r| r.prior == prior);
    let mut out: Vec<(&Reading, String)> =
        all.map(|r| (r, label(r))).filter(|(_, label)| seen.insert(label.clone())).collect();
    out.sort_by_key(|(r, _)| (estimator_rank(context.grid.roles, &r.estimator), r.model != "fitted"));
    out
}

/// The median over streams of the distance to the mean of the honest.
fn over_streams(context: &Context<'_>, like: &Reading, prior: &str, attack: &str) -> Option<f64> {
    let same = |r: &&Reading| {
        r.prior == prior && r.attack == attack && r.estimator == like.estimator && r.model == like.model
    };
    // A mean of the same values in another order differs by rounding.
    median(context.results.readings.iter().filter(same).map(|r| if r.rmse < 1e-9 { 0.0 } else { r.rmse }))
}

fn distances(context: &Context<'_>, prior: &str) -> Table {
    let attacks = attacks(&context.results.readings);
    let estimators = estimators(context, prior);
    let of = |like: &Reading, attack: &str| over_streams(context, like, prior, attack);
    let best: Vec<Option<f64>> = attacks
        .iter()
        .map(|attack| estimators.iter().filter_map(|(like, _)| of(like, attack)).min_by(f64::total_cmp))
        .collect();
    let rows = estimators.iter().map(|(like, label)| {
        let cells = attacks.iter().zip(&best).map(|(attack, best)| match of(like, attack) {
            Some(value) if Some(value) == *best => Line::strong(text::number(value)),
            other => number(other),
        });
        let same = |r: &&Reading| r.prior == prior && r.estimator == like.estimator && r.model == like.model;
        let most = range(context.results.readings.iter().filter(same).map(|r| r.rmse)).map(|(_, high)| high);
        std::iter::once(Line::name(label)).chain(cells).chain([number(most)]).collect()
    });
    let mut head = vec![Line::text("Estimator")];
    head.extend(attacks.iter().map(|attack| Line::name(attack)));
    head.push(Line::text("Largest"));
    Table {
        caption: Line::text(
            "Root of the mean squared distance to the mean of the honest, in sd: median over streams; the least of each attack stands \
             out. In the last column, the largest of all streams and attacks.",
        ),
        head,
        rows: rows.collect(),
        numbers_from: 1,
    }
}

fn figure(context: &Context<'_>, prior: &str) -> Result<Figure, PlotError> {
    let roles = context.grid.roles;
    let estimators = estimators(context, prior);
    let mark = |reading: &Reading| match reading.model.as_str() {
        "alike" if reading.estimator == roles.objective => Mark::nth(3),
        _ if reading.estimator == roles.objective || !roles.is_ours(&reading.estimator) => {
            Mark::of(roles, &reading.estimator)
        }
        // The other objectives are in the table.
        _ => Mark::REST,
    };
    let shown =
        || estimators.iter().filter(|(r, _)| r.estimator == roles.objective || !roles.is_ours(&r.estimator));
    let mut legend: Vec<(Mark, String)> =
        shown().filter(|(r, _)| mark(r).own).map(|(r, label)| (mark(r), text::clip(label, 24))).collect();
    legend.push((Mark::REST, "each other rival".to_owned()));
    let rows: Vec<DotRow> = attacks(&context.results.readings)
        .into_iter()
        .map(|attack| {
            let dot = |reading: &Reading| {
                let value = over_streams(context, reading, prior, attack)?;
                // What is at no distance at all has no place on this scale, and lies on its edge.
                Some(Dot { value: value.max(1e-3), mark: mark(reading) })
            };
            let dots = shown().rev().filter_map(|(r, _)| dot(r)).collect();
            DotRow { label: attack.to_owned(), dots, span: None }
        })
        .collect();
    let near = |v: f64| v.clamp(0.03, 8.0);
    let scale = Scale::log_about(rows.iter().flat_map(|row| &row.dots).map(|dot| near(dot.value)));
    let plot = DotPlot {
        title: "distance to the mean of the honest, in sd (median over streams)".to_owned(),
        scale,
        legend,
        rows,
        lines: Vec::new(),
        span_mark: Mark::REST,
    };
    Ok(Figure {
        id: format!("readings-{}", text::slug(prior)),
        caption: Line::text(
            "Real readings: distance to the mean of the honest by attack and estimator, prior ",
        )
        .then_name(prior)
        .then(": further left is better. Marks on an edge lie beyond it."),
        alt: format!(
            "Dots in rows, one row for each attack; the table below has the numbers of prior {prior}."
        ),
        svg: plot.draw()?,
    })
}

fn covered(context: &Context<'_>) -> Table {
    let mut rows = Vec::new();
    let readings = &context.results.readings;
    for model in Model::ALL {
        for prior in Prior::ALL {
            for attack in attacks(readings) {
                let own: Vec<&Reading> = readings
                    .iter()
                    .filter(|r| r.estimator == context.objective() && r.model == model.name())
                    .filter(|r| r.prior == prior.name() && r.attack == attack)
                    .collect();
                if own.is_empty() {
                    continue;
                }
                let p95 = || own.iter().filter_map(|r| Some(r.coverage?.p95));
                rows.push(vec![
                    Line::name(model.name()),
                    Line::name(prior.name()),
                    Line::name(attack),
                    percent(median(own.iter().filter_map(|r| Some(r.coverage?.p50)))),
                    percent(median(own.iter().filter_map(|r| Some(r.coverage?.p80)))),
                    percent(median(p95())),
                    percent(range(p95()).map(|(low, _)| low)),
                    percent(median(own.iter().filter_map(|r| Some(r.coverage_all?.p95)))),
                    number(median(own.iter().filter_map(|r| Some(r.width?.p95)))),
                    percent(median(own.iter().filter_map(|r| r.liars_named))),
                    percent(range(own.iter().filter_map(|r| r.honest_named)).map(|(_, high)| high)),
                ]);
            }
        }
    }
    let head = [
        "Model",
        "Prior",
        "Attack",
        "50 %",
        "80 %",
        "95 %",
        "95 % least",
        "95 %, all",
        "95 % width",
        "Liars named",
        "Honest, most",
    ];
    Table {
        caption: Line::text("How often intervals of ").then_name(context.objective()).then(
            " hold the mean of the honest (and, in one column, the mean of all), and who is named: medians over streams.",
        ),
        head: head.map(Line::text).into(),
        rows,
        numbers_from: 3,
    }
}

/// The goals on real readings, for each objective and yardstick.
pub(super) fn goals(context: &Context<'_>) -> Vec<Verdict> {
    let mut names = judged(context);
    if names.is_empty() {
        // Where nothing was measured the goal is told all the same.
        names.push(context.objective());
    }
    let of_name = |name| YARDSTICKS.into_iter().map(move |yardstick| goal(context, name, yardstick));
    names.into_iter().flat_map(of_name).collect()
}

fn goal(context: &Context<'_>, objective: &str, (name, of): Yardstick) -> Verdict {
    let wanted = Line::text("Real readings, ").then_name(objective).then(format!(
        ", prior following, distance to the {name}: at or below the best rival in all cells but one in six, nowhere more than 10 % above"
    ));
    let told = (objective, Model::Fitted.name());
    let all = against_rivals(context, told, Prior::Following.name(), of, |_| true);
    let (Some(good), Some((_, high))) =
        (share(all.iter().map(|a| a.ratio <= 1.0 + 1e-9)), range(all.iter().map(|a| a.ratio)))
    else {
        return (wanted, Line::text("–"), None);
    };
    let found = Line::text(format!("{} of {}; at worst ", text::percent(good), all.len()));
    (wanted, found.join(worst(&all)).then(" ×"), Some(good >= GOAL.0 && high <= GOAL.1))
}
