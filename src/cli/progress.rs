//! How far the looking is: a bar on standard error, where that is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::run::Watcher;

/// A bar that counts profiles, and is gone when all of them were looked at.
#[derive(Clone, Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// One that shows nothing yet.
    pub fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }

    /// Writes something else to the terminal, with the bar out of its way.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }
}

impl Watcher for Progress {
    /// Shows itself; for a single profile there is nothing to count.
    fn begins(&self, profiles: usize) {
        if profiles < 2 {
            return;
        }
        let template = "Reading profiles [{bar:30}] {pos}/{len}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        self.0.set_style(style.progress_chars("=> "));
        self.0.set_length(u64::try_from(profiles).unwrap_or(u64::MAX));
        // It draws nothing where standard error is no terminal.
        self.0.set_draw_target(ProgressDrawTarget::stderr());
        self.0.tick();
    }

    fn looked_at(&self) {
        self.0.inc(1);
        if self.0.length().is_some_and(|length| length <= self.0.position()) {
            self.end();
        }
    }
}
