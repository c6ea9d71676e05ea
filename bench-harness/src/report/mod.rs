//! `centauri-bench report`: result files as one HTML page, as Markdown with pictures, and as the marked part of a README.
//!
//! A [`document::Document`] is made of sections ([`section`]), and written as HTML or Markdown. It depends on the result files
//! and the options alone, so that equal input gives equal bytes. Names out of the files are anybody's text, and are escaped.

pub mod document;
pub mod grid;
pub mod html;
pub mod input;
pub mod markdown;
mod output;
pub mod plot;
mod readme;
pub mod section;
pub(crate) mod text;

pub use output::OutputError;
pub use readme::MarkerError;

use document::{Block, Document};
use grid::{Grid, Roles};
use input::{InputError, Results};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Show results: one HTML page, Markdown with pictures, or the marked part of a README.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Example:
  centauri-bench report docs/results/accuracy.jsonl --html report.html
  centauri-bench report docs/results/*.jsonl --markdown docs/ACCURACY.md --images docs/img --readme README.md

A README has the lines <!-- accuracy:begin --> and <!-- accuracy:end -->, or the same with `speed`, `ingest` or `fleet`, or several of them; what is between
them is replaced by what the results say of it.")]
#[group(skip)]
pub struct Args {
    /// Result files (JSON Lines); a later record replaces an earlier one for the same cell and estimator.
    #[arg(required = true, value_name = "RESULTS")]
    results: Vec<PathBuf>,
    /// Write the HTML page here; it needs no other file.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["markdown", "readme"])]
    html: Option<PathBuf>,
    /// Write the same as Markdown here, with pictures in --images.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Replace the marked part of this Markdown file by the summary's table and picture; may be given again.
    #[arg(long, value_name = "FILE")]
    readme: Vec<PathBuf>,
    /// The pictures' folder; without it, `img` beside the first Markdown file.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// The objective to judge.
    #[arg(long, value_name = "NAME", default_value = "marginal")]
    objective: String,
    /// An estimator that is no rival but one of ours, beside the objectives that are known; may be given again.
    #[arg(long, value_name = "NAME")]
    ours: Vec<String>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The results can't be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A picture can't be drawn.
    #[error(transparent)]
    Plot(#[from] plot::PlotError),
    /// The judged objective was not measured.
    #[error("--objective {objective}: no record of this estimator; there are {found}")]
    Objective {
        /// What was asked for.
        objective: String,
        /// The estimators that there are.
        found: String,
    },
    /// A file lacks its marks.
    #[error(transparent)]
    Marker(#[from] MarkerError),
    /// A file can't be read or written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Runs the subcommand. Exit codes: 0 done, 2 bad input (one line on standard error).
#[must_use]
pub fn main(arguments: &Args) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("centauri-bench: {error}");
            ExitCode::from(2)
        }
    }
}

/// Reads, makes and writes; everything is made before anything is written.
///
/// # Errors
/// [`ReportError`]: results that can't be read, an objective that was not measured, files that can't be written.
pub fn run(arguments: &Args) -> Result<(), ReportError> {
    let results = input::read(&arguments.results)?;
    let roles = Roles { objective: arguments.objective.clone(), ours: arguments.ours.clone() };
    let report = Report::new(&results, &roles)?;
    let mut files = Vec::new();
    if let Some(path) = &arguments.html {
        files.push((path.clone(), html::page(&report.document)));
    }
    let first = arguments.markdown.iter().chain(&arguments.readme).next();
    if let Some(first) = first {
        let beside = || first.parent().unwrap_or(Path::new("")).join("img");
        let images = arguments.images.clone().unwrap_or_else(beside);
        if let Some(path) = &arguments.markdown {
            files.push((path.clone(), markdown::page(&report.document, &output::link(path, &images)?)));
        }
        for path in &arguments.readme {
            let link = output::link(path, &images)?;
            let parts = report.fronts.iter().map(|(name, blocks)| (*name, markdown::blocks(blocks, &link)));
            files.push((path.clone(), readme::replaced(path, parts)?));
        }
        let all = arguments.markdown.is_some();
        for figure in report.figures(all) {
            let svg = figure.svg.file(&figure.id, &html::plain(&figure.caption), &figure.alt);
            files.push((images.join(format!("{}.svg", figure.id)), svg));
        }
    }
    for (path, text) in &files {
        output::write(path, text)?;
    }
    Ok(())
}

/// A report: the whole of it, and the blocks for a front page.
#[derive(Clone, Debug)]
pub struct Report {
    /// The whole.
    pub document: Document,
    /// A table and a picture for each marked part of a README, with the part's name.
    pub fronts: Vec<(&'static str, Vec<Block>)>,
}

impl Report {
    /// Makes it.
    ///
    /// # Errors
    /// The judged objective was not measured, or a picture can't be drawn.
    pub fn new(results: &Results, roles: &Roles) -> Result<Self, ReportError> {
        let context = section::Context { results, grid: Grid::new(results, roles) };
        let estimators = &context.grid.estimators;
        if !estimators.is_empty() && !estimators.contains(&roles.objective.as_str()) {
            let names: Vec<String> = estimators.iter().take(30).map(|name| text::clip(name, 30)).collect();
            let objective = roles.objective.clone();
            return Err(ReportError::Objective { objective, found: names.join(", ") });
        }
        let mut document = Document { title: title(results), parts: section::parts(&context)? };
        document.name_figures_apart();
        // Under the name that it has in the document, where names were made to differ.
        let named = |figure: document::Figure| {
            let figure = document.figures().find(|other| other.svg == figure.svg).cloned().unwrap_or(figure);
            Block::Figures(vec![figure])
        };
        let mut fronts = Vec::new();
        let others = !results.speed.is_empty() || !results.ingest.is_empty() || !results.fleet.is_empty();
        if !context.grid.rows.is_empty() || !others {
            let mut front = Vec::new();
            if !context.grid.rows.is_empty() {
                front.push(Block::Table(section::summary_table(&context)));
                front.extend(section::error_picture(&context)?.map(&named));
            }
            fronts.push(("accuracy", front));
        }
        if !results.speed.is_empty() {
            let table = Block::Table(section::speed_table(&context));
            fronts.push(("speed", vec![table, named(section::speed_picture(&context)?)]));
        }
        if !results.ingest.is_empty() {
            fronts.push(("ingest", section::ingest_blocks(&context)));
        }
        if !results.fleet.is_empty() {
            fronts.push(("fleet", section::fleet_blocks(&context)));
        }
        Ok(Self { document, fronts })
    }

    /// The pictures that the Markdown needs: all, or those of the front page.
    fn figures(&self, all: bool) -> Vec<&document::Figure> {
        if all {
            return self.document.figures().collect();
        }
        let front = self.fronts.iter().flat_map(|(_, blocks)| blocks).filter_map(|block| match block {
            Block::Figures(figures) => Some(figures),
            _ => None,
        });
        front.flatten().collect()
    }
}

fn title(results: &Results) -> &'static str {
    match (results.accuracy.is_empty() && results.influence.is_empty(), results.speed.is_empty()) {
        (true, false) => "What Centauri is worth: speed",
        (false, false) => "What Centauri is worth: accuracy and speed",
        (_, true) => "What Centauri is worth: accuracy",
    }
}
