//! What the files have that this version doesn't show.

use super::{Context, SECTIONS, Section};
use crate::report::document::{Block, Line};
use crate::report::plot::PlotError;

pub(super) struct Rest;

impl Section for Rest {
    fn id(&self) -> &'static str {
        "rest"
    }

    fn title(&self) -> &'static str {
        "Not shown"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[]
    }

    fn blocks(&self, context: &Context<'_>) -> Result<Vec<Block>, PlotError> {
        let shown = |kind: &str| SECTIONS.iter().any(|section| section.kinds().contains(&kind));
        let others = context.results.others.iter().filter(|(kind, _)| !shown(kind));
        let lines: Vec<Line> =
            others.map(|(kind, count)| Line::name(kind).then(format!(": {count} records"))).collect();
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let text = "The files have records of kinds that this version of the report doesn’t know:";
        Ok(vec![Block::Paragraph(Line::text(text)), Block::List(lines)])
    }
}
