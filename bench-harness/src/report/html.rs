//! The report as one HTML page that needs nothing else: style and pictures are in it, and no script.

use super::document::{Block, Document, Figure, Line, Piece, Table};
use super::{plot, text};
use std::fmt::Write;

const STYLE: &str = include_str!("style.css");

/// The whole page.
#[must_use]
pub fn page(document: &Document) -> String {
    let title = text::html(document.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}{}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n",
        plot::theme::dark_rules()
    );
    contents(&mut out, document);
    for part in &document.parts {
        let heading = text::html(part.title);
        let _ = write!(
            out,
            "<section id=\"{0}\" aria-labelledby=\"{0}-title\">\n<h2 id=\"{0}-title\">{heading}</h2>\n",
            part.id
        );
        for block in &part.blocks {
            self::block(&mut out, block);
        }
        out.push_str("</section>\n");
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn contents(out: &mut String, document: &Document) {
    out.push_str("<nav aria-label=\"Sections\"><ul>\n");
    for part in &document.parts {
        let _ = writeln!(out, "<li><a href=\"#{}\">{}</a></li>", part.id, text::html(part.title));
    }
    out.push_str("</ul></nav>\n");
}

fn block(out: &mut String, block: &Block) {
    match block {
        Block::Heading(line) => {
            let _ = writeln!(out, "<h3>{}</h3>", self::line(line));
        }
        Block::Paragraph(line) => {
            let _ = writeln!(out, "<p>{}</p>", self::line(line));
        }
        Block::List(lines) => {
            out.push_str("<ul>\n");
            for line in lines {
                let _ = writeln!(out, "<li>{}</li>", self::line(line));
            }
            out.push_str("</ul>\n");
        }
        Block::Table(table) => self::table(out, table),
        Block::Figures(figures) => {
            out.push_str("<div class=\"figures\">\n");
            for figure in figures {
                self::figure(out, figure);
            }
            out.push_str("</div>\n");
        }
    }
}

fn table(out: &mut String, table: &Table) {
    let label: String = plain(&table.caption);
    let _ = write!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">\n<table>\n<caption><span>{}</span></caption>\n<thead><tr>",
        text::html(&label),
        line(&table.caption)
    );
    for (column, cell) in table.head.iter().enumerate() {
        let class = if column >= table.numbers_from { " class=\"n\"" } else { "" };
        let _ = write!(out, "<th scope=\"col\"{class}>{}</th>", line(cell));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let class = if column >= table.numbers_from { " class=\"n\"" } else { "" };
            let _ = match column {
                0 => write!(out, "<th scope=\"row\">{}</th>", line(cell)),
                _ => write!(out, "<td{class}>{}</td>", line(cell)),
            };
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
}

fn figure(out: &mut String, figure: &Figure) {
    let _ = write!(
        out,
        "<figure id=\"{}\">\n{}<figcaption>{}</figcaption>\n</figure>\n",
        figure.id,
        figure.svg.inline(&figure.id, &plain(&figure.caption), &figure.alt),
        line(&figure.caption)
    );
}

fn line(line: &Line) -> String {
    line.0
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text::html(text),
            Piece::Strong(text) => format!("<strong>{}</strong>", text::html(text)),
            Piece::Name(name) => format!("<code>{}</code>", text::html(name)),
        })
        .collect()
}

/// A line's text alone.
pub(super) fn plain(line: &Line) -> String {
    let text = |piece: &'_ Piece| match piece {
        Piece::Text(text) | Piece::Strong(text) | Piece::Name(text) => text.clone(),
    };
    line.0.iter().map(text).collect()
}
