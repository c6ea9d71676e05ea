//! A progress bar on standard error, for a person who looks at it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::path::Path;

/// Steps between two looks at the clock.
const STEPS: u32 = 1_024;

/// How far a long task has come. Where nobody looks it does nothing, and it leaves nothing behind.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    steps: u32,
}

impl Progress {
    /// Shows itself where standard error is a terminal, and `output` does not write to a terminal, too.
    pub(super) fn new(output: &Path) -> Self {
        let to_stdout = output == Path::new("-") || output == Path::new("/dev/stdout");
        let shown = std::io::stderr().is_terminal() && !(to_stdout && std::io::stdout().is_terminal());
        let bar = || ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Self { bar: shown.then(bar), steps: 0 }
    }

    /// Begins a part of the task that takes `bytes`.
    pub(super) fn begin_bytes(&self, what: &'static str, bytes: u64) {
        self.begin(what, bytes, "{msg} [{bar:40}] {bytes}/{total_bytes} {eta}");
    }

    /// Begins a part of the task that takes `rows`.
    pub(super) fn begin_rows(&self, what: &'static str, rows: u64) {
        self.begin(what, rows, "{msg} [{bar:40}] {human_pos}/{human_len} rows {eta}");
    }

    fn begin(&self, what: &'static str, length: u64, template: &str) {
        let Some(bar) = &self.bar else { return };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar.reset();
        bar.set_length(length);
    }

    /// Tells how far it has come; cheap enough for every row.
    pub(super) fn step(&mut self, position: impl FnOnce() -> u64) {
        let Some(bar) = &self.bar else { return };
        self.steps = (self.steps + 1) % STEPS;
        if self.steps == 0 {
            bar.set_position(position());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
