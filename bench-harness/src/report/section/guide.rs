//! Which objective to use when, and what these results do not show.

use super::{Context, Section};
use crate::estimator::objectives;
use crate::report::document::{Block, Line};
use crate::report::plot::PlotError;

pub(super) struct Guide;

impl Section for Guide {
    fn id(&self) -> &'static str {
        "guide"
    }

    fn title(&self) -> &'static str {
        "What to use, and what this does not show"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[]
    }

    fn blocks(&self, context: &Context<'_>) -> Result<Vec<Block>, PlotError> {
        let measured = |name: &str| context.grid.estimators.contains(&name);
        let advice: Vec<Line> = objectives()
            .filter(|objective| measured(objective.name()))
            .filter_map(|objective| {
                Some(Line::name(objective.name()).then(": ").then(advice(objective.name())?))
            })
            .collect();
        if advice.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![
            Block::Paragraph(Line::text("Which objective to use when:")),
            Block::List(advice),
            Block::Paragraph(Line::text("What these results do not show:")),
            Block::List(LIMITS.map(Line::text).into()),
        ])
    }
}

/// When to use an objective.
fn advice(name: &str) -> Option<&'static str> {
    Some(match name {
        "marginal" => {
            "the default. It trusts no single quorum and weighs all explanations of what came, so that it is robust where the number \
             of liars is not known, and it is the one that scales to large sets. Give it a prior that follows the stream where there \
             is one. Against liars who agree on a value within a few standard deviations, with f near half of the replicas and no \
             prior, a median is safer."
        }
        "coalition" => {
            "where liars may agree on a value near the others’, or where replicas compute on the same window of messages and so err \
             together. It averages as marginal does."
        }
        "evidence" => {
            "when the answer must come from one named quorum, as when the quorum itself is to be audited. Its intervals leave out \
             that the quorum may be the wrong one."
        }
        "joint" => {
            "when the single likeliest pair of a value and a quorum is asked for; else evidence is to be preferred."
        }
        "posterior" => {
            "for comparison with the paper (Definition 2.1). With noise of one scale it cannot tell quorums apart, and a liar who \
             reports what only one value explains is believed."
        }
        _ => return None,
    })
}

const LIMITS: [&str; 6] = [
    "Generated replicas err independently of each other, but for partial windows, which all replicas read from the same messages: there \
     the model’s independence fails, and coverage with it.",
    "The omniscient liar searches a bounded number of lies, so that what it finds is a lower bound on what such a liar can do.",
    "The best rival of a cell is chosen after the fact; no one rival is the best in all of them.",
    "On real readings there is no truth: distances are to a mean of readings, which no honest replica need agree with.",
    "A fault that all honest replicas share (icing, a common bias) is seen by no vote, and is left out of the real readings where it is known.",
    "Figures of a cell have a spread of their own, which is told beside them; a share of cells has the chance of all of them in it.",
];
