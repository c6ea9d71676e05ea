//! The report as Markdown (GitHub's), with the pictures in files of their own.

use super::document::{Block, Document, Figure, Line, Piece, Table};
use super::html::plain;
use super::text;
use std::fmt::Write;

/// The whole report; `images` is the pictures' folder as seen from the file, `/` between its names.
#[must_use]
pub fn page(document: &Document, images: &str) -> String {
    let mut out = format!("# {}\n", text::markdown(document.title));
    for part in &document.parts {
        let _ = write!(out, "\n## {}\n", text::markdown(part.title));
        for block in &part.blocks {
            self::block(&mut out, block, images);
        }
    }
    out
}

/// Some blocks alone.
#[must_use]
pub fn blocks(blocks: &[Block], images: &str) -> String {
    let mut out = String::new();
    for block in blocks {
        self::block(&mut out, block, images);
    }
    out
}

fn block(out: &mut String, block: &Block, images: &str) {
    out.push('\n');
    match block {
        Block::Heading(line) => {
            let _ = writeln!(out, "### {}", self::line(line));
        }
        Block::Paragraph(line) => {
            let _ = writeln!(out, "{}", self::line(line));
        }
        Block::List(lines) => {
            for line in lines {
                let _ = writeln!(out, "- {}", self::line(line));
            }
        }
        Block::Table(table) => self::table(out, table),
        Block::Figures(figures) => {
            for (index, figure) in figures.iter().enumerate() {
                if index > 0 {
                    out.push('\n');
                }
                self::figure(out, figure, images);
            }
        }
    }
}

fn table(out: &mut String, table: &Table) {
    let _ = write!(out, "{}\n\n|", line(&table.caption));
    for cell in &table.head {
        let _ = write!(out, " {} |", line(cell));
    }
    out.push_str("\n|");
    for column in 0..table.head.len() {
        out.push_str(if column >= table.numbers_from { " ---: |" } else { " --- |" });
    }
    out.push('\n');
    for row in &table.rows {
        out.push('|');
        for cell in row {
            let _ = write!(out, " {} |", line(cell));
        }
        out.push('\n');
    }
}

fn figure(out: &mut String, figure: &Figure, images: &str) {
    let alt = text::markdown(&plain(&figure.caption));
    let _ = write!(out, "![{alt}](<{images}/{}.svg>)\n\n{}\n", figure.id, line(&figure.caption));
}

fn line(line: &Line) -> String {
    line.0
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text::markdown(text),
            Piece::Strong(text) => format!("**{}**", text::markdown(text)),
            Piece::Name(name) => text::markdown_code(name),
        })
        .collect()
}
