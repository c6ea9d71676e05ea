//! `centauri-bench accuracy --readings`: every estimator on real readings, some of which are replaced by lies.
//!
//! A [`series::Series`] comes from a file ([`table`]), or from one of the folders that [`known`] knows how to prepare. The first half
//! is given to `centauri-fit` ([`fitted`]); on the second half [`runner`] plays every estimator under every [`lie`].

pub mod fitted;
pub mod known;
pub mod lie;
pub mod runner;
pub mod series;
pub mod summary;
pub mod table;
pub mod time;

use crate::result::Line;
use crate::routes;
use anyhow::Context as _;
use series::Series;
use std::path::{Path, PathBuf};

/// What `--readings` was given.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Streams to measure.
    pub series: Vec<Series>,
    /// Route choices to evaluate.
    pub routes: Vec<routes::data::Routes>,
}

/// Reads what `paths` name: a folder of which [`known`] knows the files (or which holds such folders), or a file in wide form, of
/// which `columns` are taken (all but the first, where none are named).
///
/// # Errors
/// A path that cannot be read, a folder without a file that is known, and what is wrong with a file.
pub fn find(paths: &[PathBuf], columns: &[String]) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for path in paths {
        let before = found.series.len() + found.routes.len();
        if path.is_dir() {
            for known in known::ALL {
                if let Some(file) = known.within(path) {
                    found.series.push(known.read(&file).with_context(|| file.display().to_string())?);
                }
            }
            if let Some(folder) = routes::data::within(path) {
                found
                    .routes
                    .extend(routes::data::read(&folder).with_context(|| folder.display().to_string())?);
            }
        } else {
            found.series.push(file(path, columns).with_context(|| path.display().to_string())?);
        }
        anyhow::ensure!(
            found.series.len() + found.routes.len() > before,
            "{}: found none of {}, expected one of them or a CSV file",
            path.display(),
            known::names()
        );
    }
    Ok(found)
}

fn file(path: &Path, columns: &[String]) -> anyhow::Result<Series> {
    if columns.is_empty()
        && let Some(known) = known::ALL.iter().find(|known| path.ends_with(known.file))
    {
        return known.read(path);
    }
    let wide = table::read(path, None, columns)?;
    let name =
        path.file_stem().map_or_else(|| "readings".to_owned(), |stem| stem.to_string_lossy().into_owned());
    Series::new(name, wide)
}

/// Measures everything that was found; `step` is told of each piece of work that is done.
///
/// # Errors
/// A model that cannot be fitted, or a round that the engine refuses.
pub fn measure(
    found: &Found,
    options: &runner::Options,
    step: &(dyn Fn() + Sync),
) -> anyhow::Result<Vec<Line>> {
    let mut lines = runner::measure(&found.series, options, step)?;
    for routes in &found.routes {
        let chosen = routes::evaluate(routes, &routes::Options { seed: options.seed, ..Default::default() })
            .with_context(|| routes.choice.clone())?;
        lines.extend(chosen.into_iter().map(Line::Route));
        step();
    }
    Ok(lines)
}

/// How many pieces of work [`measure`] tells of.
#[must_use]
pub fn steps(found: &Found) -> usize {
    runner::steps(&found.series) + found.routes.len()
}
