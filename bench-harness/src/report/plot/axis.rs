//! Scales, their round numbers, and the drawing of grid, marks and legend.

use super::theme::{self, Mark, Shape};
use super::{Area, PlotError};
use plotters::prelude::{Circle, PathElement, Polygon, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, ShapeStyle};

/// A scale from a low to a high value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Equal steps.
    Linear(f64, f64),
    /// Equal ratios; both ends above 0.
    Log(f64, f64),
}

impl Scale {
    /// A logarithmic scale about some values; values not above 0 have no place on it.
    #[must_use]
    pub fn log_about(values: impl Iterator<Item = f64>) -> Self {
        let values = values.filter(|v| *v > 0.0 && v.is_finite());
        let (low, high) = super::super::grid::range(values).unwrap_or((0.5, 2.0));
        // Room at the ends, a factor of two at least, and no overflow of what is at the edge of numbers.
        let low = (low / 1.12).clamp(1e-12, 1e12);
        Self::Log(low, (high * 1.12).clamp(low * 2.0, 1e13))
    }

    /// A linear scale about some values.
    #[must_use]
    pub fn linear_about(values: impl Iterator<Item = f64>) -> Self {
        let values = values.filter(|v| v.abs() < 1e12);
        let (low, high) = super::super::grid::range(values).unwrap_or((0.0, 1.0));
        // Values all the same still need a scale to lie on.
        let span = if high > low { high - low } else { high.abs().max(1.0) };
        let room = (span * 0.04).max(1e-9 * high.abs().max(low.abs()));
        Self::Linear(low - room, high + room)
    }

    /// The lower end.
    #[must_use]
    pub fn low(self) -> f64 {
        match self {
            Self::Linear(low, _) | Self::Log(low, _) => low,
        }
    }

    /// The upper end.
    #[must_use]
    pub fn high(self) -> f64 {
        match self {
            Self::Linear(_, high) | Self::Log(_, high) => high,
        }
    }

    /// Where a value lies, 0 at the low end and 1 at the high one.
    #[must_use]
    pub fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear(low, high) => (value - low) / (high - low),
            Self::Log(low, high) => (value / low).ln() / (high / low).ln(),
        }
    }

    /// Round numbers on the scale, about `wanted` of them, with their labels.
    #[must_use]
    pub fn ticks(self, wanted: u32) -> Vec<(f64, String)> {
        match self {
            Self::Linear(low, high) => linear_ticks(low, high, wanted),
            Self::Log(low, high) => log_ticks(low, high, wanted),
        }
    }
}

fn linear_ticks(low: f64, high: f64, wanted: u32) -> Vec<(f64, String)> {
    let raw = (high - low) / f64::from(wanted.max(1));
    let decade = 10_f64.powf(raw.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|m| m * decade).into_iter().find(|s| *s >= raw * 0.999).unwrap_or(raw);
    let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    let first = (low / step).ceil();
    (0..=wanted * 2 + 2)
        .map(|k| (first + f64::from(k)) * step)
        .take_while(|value| *value <= high * (1.0 + 1e-12) + 1e-12)
        .map(|value| {
            // No negative zero.
            let value = if value.abs() < step * 1e-6 { 0.0 } else { value };
            (value, format!("{value:.decimals$}").replace('-', "−"))
        })
        .collect()
}

fn log_ticks(low: f64, high: f64, wanted: u32) -> Vec<(f64, String)> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let decades = high.log10() - low.log10();
    let wanted = f64::from(wanted.max(1));
    let multiples: &[f64] = if decades < 0.6 {
        &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0]
    } else if decades * 3.0 <= wanted {
        &[1.0, 2.0, 5.0]
    } else if decades * 2.0 <= wanted {
        &[1.0, 3.0]
    } else {
        &[1.0]
    };
    let every = (decades / wanted).ceil().max(1.0) as i32;
    let mut out = Vec::new();
    for exponent in (first..=last).filter(|e| e.rem_euclid(every) == 0) {
        for multiple in multiples {
            let value = multiple * 10_f64.powi(exponent);
            if (low..=high).contains(&value) {
                out.push((value, log_label(value, exponent)));
            }
        }
    }
    out
}

fn log_label(value: f64, exponent: i32) -> String {
    match exponent {
        5.. => format!("{value:.0e}"),
        1..=4 => format!("{value:.0}"),
        -4..=0 => {
            let decimals = usize::try_from(1 - exponent).unwrap_or(1);
            let text = format!("{value:.decimals$}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{value:.0e}").replace('-', "−"),
    }
}

/// The rectangle in which data lie, in pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) left: i32,
    pub(crate) right: i32,
    pub(crate) top: i32,
    pub(crate) bottom: i32,
}

impl Frame {
    /// The column of a place from 0 to 1; beyond is put on the edge.
    pub(crate) fn x(self, place: f64) -> i32 {
        self.left + along(place, self.right - self.left)
    }

    /// The line of a place from 0 (below) to 1 (above).
    pub(crate) fn y(self, place: f64) -> i32 {
        self.bottom - along(place, self.bottom - self.top)
    }
}

fn along(place: f64, length: i32) -> i32 {
    // The product is within an i32's range; a NaN becomes 0.
    (place.clamp(0.0, 1.0) * f64::from(length)).round() as i32
}

/// A straight line.
pub(crate) fn stroke(area: &Area<'_>, points: [(i32, i32); 2], style: ShapeStyle) -> Result<(), PlotError> {
    Ok(area.draw(&PathElement::new(points.to_vec(), style))?)
}

/// A text at a point.
pub(crate) fn label(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    look: (u32, plotters::style::RGBColor),
    anchor: (HPos, VPos),
) -> Result<(), PlotError> {
    let style = theme::font(look.0, look.1).pos(Pos::new(anchor.0, anchor.1));
    Ok(area.draw(&Text::new(text.to_owned(), at, style))?)
}

/// Upright lines of the grid with their numbers below, and the axis' title under them.
pub(crate) fn x_axis(
    area: &Area<'_>,
    frame: Frame,
    scale: Scale,
    ticks: u32,
    title: &str,
) -> Result<(), PlotError> {
    for (value, text) in scale.ticks(ticks) {
        let x = frame.x(scale.place(value));
        stroke(area, [(x, frame.top), (x, frame.bottom)], theme::RULE.stroke_width(1))?;
        label(area, &text, (x, frame.bottom + 6), (13, theme::MUTED), (HPos::Center, VPos::Top))?;
    }
    let middle = i32::midpoint(frame.left, frame.right);
    label(area, title, (middle, frame.bottom + 26), (13, theme::INK), (HPos::Center, VPos::Top))
}

/// A mark at a point.
pub(crate) fn mark(area: &Area<'_>, mark: Mark, (x, y): (i32, i32)) -> Result<(), PlotError> {
    let full = mark.color.filled();
    let line = mark.color.stroke_width(2);
    let corners = |points: [(i32, i32); 4]| points.map(|(dx, dy)| (x + dx, y + dy)).to_vec();
    match mark.shape {
        Shape::Disc => area.draw(&Circle::new((x, y), 6, full))?,
        Shape::Square => area.draw(&Polygon::new(corners([(-5, -5), (5, -5), (5, 5), (-5, 5)]), full))?,
        Shape::Diamond => area.draw(&Polygon::new(corners([(0, -7), (7, 0), (0, 7), (-7, 0)]), full))?,
        Shape::Triangle => {
            area.draw(&Polygon::new(vec![(x, y - 7), (x + 6, y + 5), (x - 6, y + 5)], full))?;
        }
        Shape::Ring => area.draw(&Circle::new((x, y), 5, line))?,
        Shape::Stroke => stroke(area, [(x, y - 6), (x, y + 6)], line)?,
        Shape::Cross => {
            stroke(area, [(x - 5, y - 5), (x + 5, y + 5)], line)?;
            stroke(area, [(x - 5, y + 5), (x + 5, y - 5)], line)?;
        }
    }
    Ok(())
}

/// Marks and names in rows from `(left, top)`; says how high they are. Draws nothing without an area.
pub(crate) fn legend(
    area: Option<&Area<'_>>,
    entries: &[(Mark, String)],
    left: i32,
    right: i32,
    top: i32,
) -> Result<i32, PlotError> {
    const ROW: i32 = 22;
    let (mut x, mut y) = (left, top + ROW / 2);
    for (look, name) in entries {
        let wide = 18 + theme::width(name, 13) + 16;
        if x > left && x + wide - 16 > right {
            x = left;
            y += ROW;
        }
        if let Some(area) = area {
            mark(area, *look, (x + 7, y))?;
            label(area, name, (x + 18, y), (13, theme::INK), (HPos::Left, VPos::Center))?;
        }
        x += wide;
    }
    Ok(if entries.is_empty() { 0 } else { y + ROW / 2 - top })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, wanted: u32) -> String {
        scale.ticks(wanted).into_iter().map(|(_, label)| label).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(Scale::Linear(-1.04, 1.04), 5), "−1.0 −0.5 0.0 0.5 1.0");
        assert_eq!(labels(Scale::Linear(0.0, 27.0), 6), "0 5 10 15 20 25");
        assert_eq!(labels(Scale::Log(0.45, 60.0), 8), "0.5 1 2 5 10 20 50");
        assert_eq!(labels(Scale::Log(0.9, 1.7), 6), "1 1.2 1.5");
        assert_eq!(labels(Scale::Log(0.5, 2e6), 8), "1 10 100 1000 10000 1e5 1e6");
        assert_eq!(labels(Scale::Log(0.004, 0.02), 6), "0.005 0.01 0.02");
    }

    #[test]
    fn scales_hold_what_they_are_made_about() {
        let log = Scale::log_about([0.0, 0.5, 8.0, f64::INFINITY].into_iter());
        assert!(log.place(0.5) > 0.0 && log.place(8.0) < 1.0);
        assert!((log.place(2.0) - 0.5).abs() < 1e-9);
        let flat = Scale::linear_about([3.0, 3.0].into_iter());
        assert!((flat.place(3.0) - 0.5).abs() < 1e-3);
    }
}
