//! Colours and marks. Hues are Okabe and Ito's, which colour-blind readers tell apart (yellow, too pale on white, is
//! replaced by ochre); every series has a shape of its own besides. Each colour has a twin for dark screens, put in by style
//! rules that select on the colour itself.

use super::super::grid::Roles;
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, RGBColor, TextStyle};

/// The ground of a picture.
pub(crate) const GROUND: RGBColor = RGBColor(0xff, 0xff, 0xff);
/// Text and axes.
pub(crate) const INK: RGBColor = RGBColor(0x1b, 0x1f, 0x24);
/// Text of lesser rank.
pub(crate) const MUTED: RGBColor = RGBColor(0x57, 0x60, 0x6a);
/// Lines of the grid.
pub(crate) const RULE: RGBColor = RGBColor(0xd5, 0xda, 0xe1);
/// Series that are there for the whole picture, not for themselves.
pub(crate) const REST: RGBColor = RGBColor(0x8a, 0x93, 0xa0);
const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
const VERMILION: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
const GREEN: RGBColor = RGBColor(0x00, 0x9e, 0x73);
const PURPLE: RGBColor = RGBColor(0xcc, 0x79, 0xa7);
const ORANGE: RGBColor = RGBColor(0xe6, 0x9f, 0x00);
const SKY: RGBColor = RGBColor(0x56, 0xb4, 0xe9);
const OCHRE: RGBColor = RGBColor(0x8a, 0x6d, 0x00);

/// Colours and what they are on a dark screen.
const DARK: [(RGBColor, &str); 12] = [
    (GROUND, "#11161d"),
    (INK, "#e6eaf0"),
    (MUTED, "#a3adba"),
    (RULE, "#333b47"),
    (REST, "#76818f"),
    (BLUE, "#4da3e0"),
    (VERMILION, "#ff8a3d"),
    (GREEN, "#2cc79a"),
    (PURPLE, "#e29bc4"),
    (ORANGE, "#f5b83d"),
    (SKY, "#8fd0f5"),
    (OCHRE, "#cdb84a"),
];

/// Style rules for dark screens.
pub(crate) fn dark_rules() -> String {
    let mut out = String::from(".plot text { font-family: system-ui, sans-serif; }\n");
    out.push_str("@media screen and (prefers-color-scheme: dark) {\n");
    for (RGBColor(r, g, b), dark) in DARK {
        for property in ["fill", "stroke"] {
            out.push_str(&format!(
                "  .plot [{property}=\"#{r:02X}{g:02X}{b:02X}\"] {{ {property}: {dark}; }}\n"
            ));
        }
    }
    out.push_str("}\n");
    out
}

/// The shape of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A disc.
    Disc,
    /// A square.
    Square,
    /// A triangle.
    Triangle,
    /// A square on its corner.
    Diamond,
    /// An x.
    Cross,
    /// An open circle.
    Ring,
    /// A short upright stroke.
    Stroke,
}

/// How a series is marked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    /// Its colour.
    pub color: RGBColor,
    /// Its shape.
    pub shape: Shape,
    /// Whether it has a colour of its own; the others share one entry of the legend.
    pub own: bool,
}

impl Mark {
    const fn new(color: RGBColor, shape: Shape) -> Self {
        Self { color, shape, own: true }
    }

    /// The mark of all that has none of its own.
    pub const REST: Self = Self { color: REST, shape: Shape::Stroke, own: false };

    /// The mark of an estimator, the same in every picture.
    #[must_use]
    pub fn of(roles: &Roles, estimator: &str) -> Self {
        match estimator {
            _ if estimator == roles.objective => Self::new(BLUE, Shape::Disc),
            "marginal" => Self::new(MUTED, Shape::Disc),
            "evidence" => Self::new(VERMILION, Shape::Square),
            "joint" => Self::new(GREEN, Shape::Triangle),
            "posterior" => Self::new(PURPLE, Shape::Diamond),
            "mean" => Self::new(ORANGE, Shape::Cross),
            "median" => Self::new(INK, Shape::Ring),
            _ if roles.is_ours(estimator) => Self::new(OCHRE, Shape::Diamond),
            _ => Self::REST,
        }
    }

    /// The mark of the `index`-th of some series without estimators of their own.
    #[must_use]
    pub fn nth(index: usize) -> Self {
        const MARKS: [Mark; 7] = [
            Mark::new(SKY, Shape::Disc),
            Mark::new(GREEN, Shape::Square),
            Mark::new(BLUE, Shape::Diamond),
            Mark::new(VERMILION, Shape::Triangle),
            Mark::new(PURPLE, Shape::Ring),
            Mark::new(OCHRE, Shape::Cross),
            Mark::new(ORANGE, Shape::Square),
        ];
        MARKS.get(index % MARKS.len()).copied().unwrap_or(Self::REST)
    }
}

/// Text of a height in pixels.
pub(crate) fn font(pixels: u32, color: RGBColor) -> TextStyle<'static> {
    // The backend writes the size divided by 1.24.
    let size = f64::from(pixels) * 1.24;
    let mut style = TextStyle::from(FontDesc::new(FontFamily::SansSerif, size, FontStyle::Normal));
    style.color = color.to_backend_color();
    style
}

/// About how many pixels wide a text is: fonts differ, and it is only to keep things apart.
pub(crate) fn width(text: &str, pixels: u32) -> i32 {
    let chars = i32::try_from(text.chars().count()).unwrap_or(i32::MAX / 64).min(i32::MAX / 64);
    let pixels = i32::try_from(pixels).unwrap_or(16).min(64);
    chars * pixels * 57 / 100
}
