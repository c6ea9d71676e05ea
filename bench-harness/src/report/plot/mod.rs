//! Pictures as SVG, drawn with the crate `plotters` in a palette that survives colour-blindness, print and dark screens.

mod axis;
mod dots;
mod lines;
pub mod theme;

pub use axis::Scale;
pub use dots::{Dot, DotPlot, DotRow};
pub use lines::{Curve, LinePlot};
pub use theme::Mark;

use super::text;
use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, IntoDrawingArea, SVGBackend};

/// What is drawn on.
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A picture can't be drawn.
#[derive(Debug, thiserror::Error)]
#[error("a picture can't be drawn: {0}")]
pub struct PlotError(String);

impl<E: std::error::Error + Send + Sync> From<plotters::drawing::DrawingAreaErrorKind<E>> for PlotError {
    fn from(error: plotters::drawing::DrawingAreaErrorKind<E>) -> Self {
        Self(error.to_string())
    }
}

/// A picture: its size and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Svg {
    size: (u32, u32),
    body: String,
}

impl Svg {
    /// Draws on an empty ground.
    pub(crate) fn draw(
        size: (u32, u32),
        draw: impl FnOnce(&Area<'_>) -> Result<(), PlotError>,
    ) -> Result<Self, PlotError> {
        let mut buffer = String::new();
        {
            let area = SVGBackend::with_string(&mut buffer, size).into_drawing_area();
            area.fill(&theme::GROUND)?;
            draw(&area)?;
            area.present()?;
        }
        // The opening tag is written anew, with a title for readers who don't see the picture.
        let body = buffer
            .split_once(">\n")
            .and_then(|(_, rest)| rest.rsplit_once("</svg>"))
            .ok_or_else(|| PlotError("the SVG backend wrote no svg element".to_owned()))?;
        Ok(Self { size, body: body.0.to_owned() })
    }

    /// The element to put into a page; `id` is unique in it and safe.
    #[must_use]
    pub fn inline(&self, id: &str, title: &str, description: &str) -> String {
        self.element(id, title, description, "")
    }

    /// A file of its own, with its own rules for dark screens.
    #[must_use]
    pub fn file(&self, id: &str, title: &str, description: &str) -> String {
        let style = format!("<style>\n{}</style>\n", theme::dark_rules());
        self.element(id, title, description, &style)
    }

    fn element(&self, id: &str, title: &str, description: &str, style: &str) -> String {
        let (width, height) = self.size;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\n\
             <title id=\"{id}-t\">{}</title>\n<desc id=\"{id}-d\">{}</desc>\n{style}{}</svg>\n",
            text::html(title),
            text::html(description),
            self.body
        )
    }
}
