//! What a report says, before it is HTML or Markdown: both are written from the same blocks, so that they can't differ.

/// A piece of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Prose and numbers of ours.
    Text(String),
    /// A number or word that stands out.
    Strong(String),
    /// A name out of a result file.
    Name(String),
}

/// A line of prose, or a table's cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line(pub Vec<Piece>);

impl Line {
    /// A line that begins with prose.
    pub fn text(text: impl Into<String>) -> Self {
        Self::default().then(text)
    }

    /// A line that begins with a name out of a file.
    #[must_use]
    pub fn name(name: &str) -> Self {
        Self::default().then_name(name)
    }

    /// A line that begins with something that stands out.
    pub fn strong(text: impl Into<String>) -> Self {
        Self::default().then_strong(text)
    }

    /// Adds prose.
    #[must_use]
    pub fn then(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Text(text.into()));
        self
    }

    /// Adds a name out of a file, cleaned and cut to a bearable length.
    #[must_use]
    pub fn then_name(mut self, name: &str) -> Self {
        self.0.push(Piece::Name(super::text::clip(name, 400)));
        self
    }

    /// Adds something that stands out.
    #[must_use]
    pub fn then_strong(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Strong(text.into()));
        self
    }

    /// Adds another line's pieces.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

/// A table: the first cell of each row is the row's heading.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// What it shows.
    pub caption: Line,
    /// Headings of the columns.
    pub head: Vec<Line>,
    /// Rows, each as long as the head.
    pub rows: Vec<Vec<Line>>,
    /// Columns from this one on hold numbers, which are set to the right.
    pub numbers_from: usize,
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Anchor and file name without its ending: letters, digits, hyphens.
    pub id: String,
    /// What it shows.
    pub caption: Line,
    /// The same in plain words, for those who don't see it.
    pub alt: String,
    /// The picture.
    pub svg: super::plot::Svg,
}

/// A part of a section.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A heading within the section.
    Heading(Line),
    /// A paragraph.
    Paragraph(Line),
    /// A list.
    List(Vec<Line>),
    /// A table.
    Table(Table),
    /// Pictures that belong together.
    Figures(Vec<Figure>),
}

/// A section with its heading.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Anchor.
    pub id: &'static str,
    /// Heading.
    pub title: &'static str,
    /// What it says.
    pub blocks: Vec<Block>,
}

/// A whole report.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its title.
    pub title: &'static str,
    /// Its sections.
    pub parts: Vec<Part>,
}

impl Document {
    /// Every picture, in order.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.parts.iter().flat_map(|part| &part.blocks).flat_map(|block| match block {
            Block::Figures(figures) => figures.as_slice(),
            _ => &[],
        })
    }

    /// Makes the pictures' names differ, whatever the names they were made from.
    pub(crate) fn name_figures_apart(&mut self) {
        let mut taken = std::collections::BTreeSet::new();
        for part in &mut self.parts {
            for block in &mut part.blocks {
                let Block::Figures(figures) = block else { continue };
                for figure in figures {
                    let stem = figure.id.clone();
                    let mut count = 1;
                    while !taken.insert(figure.id.clone()) {
                        count += 1;
                        figure.id = format!("{stem}-{count}");
                    }
                }
            }
        }
    }
}
