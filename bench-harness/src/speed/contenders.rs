//! The backends that are measured.

use super::measure::{Contender, Decider};
use crate::result::By;
use centauri::backends::{self, BackendChoice, OpenOptions};
use centauri_engine::{Decisions, SimdLevel};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Backends beside the scalar one; none: SIMD, and the GPU where there is one.
    pub backends: &'a [BackendChoice],
    /// SIMD's level of instructions; without it, each there is.
    pub level: Option<&'a str>,
    /// Most threads of SIMD.
    pub threads: usize,
}

/// The scalar backend, then what is wanted: SIMD on one thread at each level, and at the best also on all threads.
///
/// # Errors
/// A backend or level that is not to be had.
pub fn open(wanted: &Wanted<'_>) -> anyhow::Result<Vec<Contender>> {
    let mut all = vec![contender(BackendChoice::Scalar, None, 1)?];
    for choice in choices(wanted) {
        match choice {
            BackendChoice::Scalar => {}
            BackendChoice::Simd => {
                let levels = levels(wanted);
                for level in &levels {
                    all.push(contender(choice, Some(level), 1)?);
                }
                if wanted.threads > 1
                    && let Some(best) = levels.first()
                {
                    all.push(contender(choice, Some(best), wanted.threads)?);
                }
            }
            BackendChoice::Gpu | BackendChoice::Auto => {
                all.push(contender(choice, None, wanted.threads)?);
            }
        }
    }
    Ok(all)
}

/// One contender for each backend, on one thread and at the best level: those whose growth is measured, or what is counted.
///
/// # Errors
/// A backend or level that is not to be had.
pub fn alone(wanted: &Wanted<'_>) -> anyhow::Result<Vec<Contender>> {
    let mut choices = choices(wanted);
    if wanted.backends.is_empty() {
        choices.insert(0, BackendChoice::Scalar);
    }
    let level = |choice| match choice {
        BackendChoice::Simd => levels(wanted).into_iter().next(),
        _ => None,
    };
    choices.into_iter().map(|choice| contender(choice, level(choice).as_deref(), 1)).collect()
}

/// Whether callgrind can count it: it knows no AVX-512, and no GPU.
#[must_use]
pub fn countable(by: &By) -> bool {
    let known = by.level.as_deref().is_none_or(|level| !level.contains("512"));
    matches!(by.backend.as_str(), "scalar" | "simd") && known
}

fn choices(wanted: &Wanted<'_>) -> Vec<BackendChoice> {
    if !wanted.backends.is_empty() {
        return wanted.backends.to_vec();
    }
    let mut choices = vec![BackendChoice::Simd];
    if backends::adapters().first().is_some_and(|adapter| !adapter.is_software) {
        choices.push(BackendChoice::Gpu);
    }
    choices
}

/// Levels of SIMD, the best first.
fn levels(wanted: &Wanted<'_>) -> Vec<String> {
    match wanted.level {
        Some(level) => vec![level.to_owned()],
        None => SimdLevel::present().into_iter().map(|level| level.name().to_owned()).collect(),
    }
}

fn contender(choice: BackendChoice, level: Option<&str>, threads: usize) -> anyhow::Result<Contender> {
    let backend = match choice {
        BackendChoice::Simd => Decider::Simd(Box::new(backends::simd(level, Some(threads))?)),
        _ => Decider::Other(backends::open(choice, &OpenOptions::default())?.backend),
    };
    let level = match choice {
        BackendChoice::Gpu => backends::adapters().first().map(|adapter| adapter.name.clone()),
        _ => level.map(str::to_owned),
    };
    Ok(Contender {
        by: By { backend: choice.name().to_owned(), level, threads },
        backend,
        decisions: Decisions::new(),
    })
}
