//! A progress bar on standard error, if that is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::run::Watcher;

/// A bar that counts the checked profiles. It disappears when all are checked.
#[derive(Clone, Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Creates a bar that is not visible yet.
    pub fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Removes the bar.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }

    /// Hides the bar while `write` writes to the terminal.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }
}

impl Watcher for Progress {
    /// Shows the bar. A single profile needs none.
    fn begins(&self, profiles: usize) {
        if profiles < 2 {
            return;
        }
        let template = "Reading profiles [{bar:30}] {pos}/{len}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        self.0.set_style(style.progress_chars("=> "));
        self.0.set_length(u64::try_from(profiles).unwrap_or(u64::MAX));
        // Draws nothing if standard error is not a terminal.
        self.0.set_draw_target(ProgressDrawTarget::stderr());
        self.0.tick();
    }

    fn on_scanned(&self) {
        self.0.inc(1);
        if self.0.length().is_some_and(|length| length <= self.0.position()) {
            self.end();
        }
    }
}
