//! Dots in rows: one row for each attack, one dot for each estimator.

use super::axis::{self, Frame, Scale};
use super::theme::{self, Mark};
use super::{PlotError, Svg};
use crate::report::text::clip;
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

const WIDTH: u32 = 620;
const ROW: i32 = 28;
/// More rows than this are not drawn; the tables have them all.
const ROWS_MAX: usize = 60;

/// A dot.
#[derive(Clone, Copy, Debug)]
pub struct Dot {
    /// Its value.
    pub value: f64,
    /// Its look.
    pub mark: Mark,
}

/// A row of dots.
#[derive(Clone, Debug)]
pub struct DotRow {
    /// What it is of.
    pub label: String,
    /// Its dots; later ones lie above earlier ones.
    pub dots: Vec<Dot>,
    /// A line under the dots from a least to a largest value.
    pub span: Option<(f64, f64)>,
}

/// Dots in rows.
#[derive(Clone, Debug)]
pub struct DotPlot {
    /// The title of the axis.
    pub title: String,
    /// The scale of the axis.
    pub scale: Scale,
    /// Marks and names.
    pub legend: Vec<(Mark, String)>,
    /// The rows, from above.
    pub rows: Vec<DotRow>,
    /// Values at which an upright line stands, each with its colour's mark.
    pub lines: Vec<(f64, Mark)>,
    /// The colour of the rows' spans.
    pub span_mark: Mark,
}

impl DotPlot {
    /// Draws it.
    ///
    /// # Errors
    /// What the drawing crate says.
    pub fn draw(&self) -> Result<Svg, PlotError> {
        let rows = &self.rows.get(..ROWS_MAX.min(self.rows.len())).unwrap_or_default();
        let labels: Vec<String> = rows.iter().map(|row| clip(&row.label, 24)).collect();
        let widest = labels.iter().map(|label| theme::width(label, 14)).max().unwrap_or(0);
        let right = WIDTH as i32 - 20;
        let legend_height = axis::legend(None, &self.legend, 12, right, 0)?;
        let top = 8 + legend_height + 6;
        let bottom = top + ROW * i32::try_from(rows.len()).unwrap_or(0) + 4;
        let frame = Frame { left: 24 + widest, right, top, bottom };
        let height = u32::try_from(bottom + 52).unwrap_or(400);
        Svg::draw((WIDTH, height), |area| {
            axis::legend(Some(area), &self.legend, 12, right, 8)?;
            let ticks = u32::try_from((frame.right - frame.left) / 60).unwrap_or(4);
            axis::x_axis(area, frame, self.scale, ticks, &self.title)?;
            for (value, mark) in &self.lines {
                if (self.scale.low()..=self.scale.high()).contains(value) {
                    let x = frame.x(self.scale.place(*value));
                    axis::stroke(area, [(x, frame.top), (x, frame.bottom)], mark.color.stroke_width(1))?;
                }
            }
            for ((row, label), index) in rows.iter().zip(&labels).zip(0..) {
                let y = frame.top + ROW * index + ROW / 2;
                let at = (frame.left - 10, y);
                axis::label(area, label, at, (14, theme::INK), (HPos::Right, VPos::Center))?;
                axis::stroke(
                    area,
                    [(frame.left, y), (frame.right, y)],
                    theme::RULE.mix(0.6).stroke_width(1),
                )?;
                self.draw_row(area, frame, row, y)?;
            }
            Ok(())
        })
    }

    fn draw_row(&self, area: &super::Area<'_>, frame: Frame, row: &DotRow, y: i32) -> Result<(), PlotError> {
        if let Some((low, high)) = row.span {
            let ends = [(frame.x(self.scale.place(low)), y), (frame.x(self.scale.place(high)), y)];
            axis::stroke(area, ends, self.span_mark.color.mix(0.45).stroke_width(5))?;
        }
        for dot in &row.dots {
            let place = self.scale.place(dot.value);
            if place.is_finite() {
                axis::mark(area, dot.mark, (frame.x(place), y))?;
            }
        }
        Ok(())
    }
}
