//! Curves over a horizontal axis.

use super::axis::{self, Frame, Scale};
use super::theme::{self, Mark};
use super::{Area, PlotError, Svg};
use plotters::prelude::{ChartBuilder, LineSeries, PathElement};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, FontTransform};

const WIDTH: i32 = 520;
const HEIGHT: i32 = 400;
/// More points of a curve than this are thinned out: the picture has no more columns.
const POINTS_MAX: usize = 500;

/// A curve.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Its look.
    pub mark: Mark,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// Curves over a horizontal axis.
#[derive(Clone, Debug)]
pub struct LinePlot {
    /// Titles of the horizontal and the vertical axis.
    pub titles: (String, String),
    /// Scale of the horizontal axis; linear.
    pub x: (f64, f64),
    /// Scale of the vertical axis; linear.
    pub y: (f64, f64),
    /// Marks and names.
    pub legend: Vec<(Mark, String)>,
    /// The curves; later ones lie above earlier ones.
    pub curves: Vec<Curve>,
    /// Whether the line y = x is drawn.
    pub diagonal: bool,
}

impl LinePlot {
    /// Draws it.
    ///
    /// # Errors
    /// What the drawing crate says.
    pub fn draw(&self) -> Result<Svg, PlotError> {
        let right = WIDTH - 20;
        let top = 8 + axis::legend(None, &self.legend, 12, right, 0)? + 8;
        let frame = Frame { left: 76, right, top, bottom: top + HEIGHT - 80 };
        let size = (WIDTH as u32, u32::try_from(frame.bottom + 52).unwrap_or(HEIGHT as u32));
        Svg::draw(size, |area| {
            axis::legend(Some(area), &self.legend, 12, right, 8)?;
            axis::x_axis(area, frame, Scale::Linear(self.x.0, self.x.1), 8, &self.titles.0)?;
            self.y_axis(area, frame)?;
            self.draw_curves(area, frame, size)?;
            self.draw_marks(area, frame)
        })
    }

    fn y_axis(&self, area: &Area<'_>, frame: Frame) -> Result<(), PlotError> {
        let scale = Scale::Linear(self.y.0, self.y.1);
        for (value, text) in scale.ticks(6) {
            let y = frame.y(scale.place(value));
            axis::stroke(area, [(frame.left, y), (frame.right, y)], theme::RULE.stroke_width(1))?;
            axis::label(area, &text, (frame.left - 8, y), (13, theme::MUTED), (HPos::Right, VPos::Center))?;
        }
        let style = theme::font(13, theme::INK)
            .transform(FontTransform::Rotate270)
            .pos(plotters::style::text_anchor::Pos::new(HPos::Center, VPos::Center));
        let at = (18, i32::midpoint(frame.top, frame.bottom));
        Ok(area.draw(&plotters::prelude::Text::new(self.titles.1.clone(), at, style))?)
    }

    fn draw_curves(&self, area: &Area<'_>, frame: Frame, size: (u32, u32)) -> Result<(), PlotError> {
        let mut chart = ChartBuilder::on(area)
            .margin_left(frame.left)
            .margin_right(size.0.cast_signed() - frame.right)
            .margin_top(frame.top)
            .margin_bottom(size.1.cast_signed() - frame.bottom)
            .build_cartesian_2d(self.x.0..self.x.1, self.y.0..self.y.1)?;
        if self.diagonal {
            let (low, high) = (self.x.0.max(self.y.0), self.x.1.min(self.y.1));
            let line = PathElement::new(vec![(low, low), (high, high)], theme::MUTED.stroke_width(1));
            chart.draw_series(std::iter::once(line))?;
        }
        for curve in &self.curves {
            let width = if curve.mark.own { 2 } else { 1 };
            let points = thinned(&curve.points);
            let inside = points.map(|(x, y)| (x.clamp(self.x.0, self.x.1), y.clamp(self.y.0, self.y.1)));
            chart.draw_series(LineSeries::new(inside, curve.mark.color.stroke_width(width)))?;
        }
        Ok(())
    }

    /// A few marks on each curve, staggered, so that curves that lie together can be told apart.
    fn draw_marks(&self, area: &Area<'_>, frame: Frame) -> Result<(), PlotError> {
        let (x, y) = (Scale::Linear(self.x.0, self.x.1), Scale::Linear(self.y.0, self.y.1));
        for (index, curve) in self.curves.iter().enumerate().filter(|(_, curve)| curve.mark.own) {
            let every = (curve.points.len() / 8).max(1);
            for point in curve.points.iter().skip(index * 2 % every).step_by(every) {
                axis::mark(area, curve.mark, (frame.x(x.place(point.0)), frame.y(y.place(point.1))))?;
            }
        }
        Ok(())
    }
}

fn thinned(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    points.iter().copied().step_by((points.len() / POINTS_MAX).max(1))
}
