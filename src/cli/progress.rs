//! Progress bars on standard error, if that is a terminal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::run::ProgressListener;
use crate::model::text::one_line;
use crate::run::rescue::CopyProgress;

/// A bar that counts the checked profiles and disappears when all are checked. Then, if files are copied, one for each file
/// that is being copied and one for all of them.
#[derive(Clone, Debug)]
pub struct Progress {
    bars: MultiProgress,
    profiles: ProgressBar,
    copies: Arc<Mutex<CopyBars>>,
}

/// The bars of files that are being copied.
#[derive(Debug, Default)]
struct CopyBars {
    all: Option<ProgressBar>,
    by_index: HashMap<usize, ProgressBar>,
}

impl Progress {
    /// Creates bars that are not visible yet. They are never drawn if standard error is not a terminal.
    pub fn hidden() -> Self {
        Self {
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            profiles: ProgressBar::hidden(),
            copies: Arc::default(),
        }
    }

    /// Removes the bars.
    pub fn end(&self) {
        self.profiles.finish_and_clear();
        let copies = std::mem::take(&mut *self.copies.lock().unwrap_or_else(PoisonError::into_inner));
        for bar in copies.by_index.into_values().chain(copies.all) {
            bar.finish_and_clear();
        }
    }

    /// Hides the bars while `write` writes to the terminal.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bars.suspend(write)
    }

    /// Shows the progress of copying.
    pub fn on_copied(&self, step: CopyProgress<'_>) {
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        match step {
            CopyProgress::Planned { files: 0, .. } => {}
            CopyProgress::Planned { files, .. } => {
                let all = self.bars.add(ProgressBar::new(u64::try_from(files).unwrap_or(u64::MAX)));
                all.set_style(style("Copied files [{bar:30}] {pos}/{len}"));
                all.tick();
                copies.all = Some(all);
            }
            CopyProgress::Started { index, item, bytes } => {
                let bar = ProgressBar::new(bytes);
                let bar = match &copies.all {
                    Some(all) => self.bars.insert_before(all, bar),
                    None => self.bars.add(bar),
                };
                bar.set_style(style("{msg:30!} [{bar:20}] {decimal_bytes}/{decimal_total_bytes}"));
                // The name comes from outside, so it must not have characters that move the cursor.
                bar.set_message(one_line(&item.label()));
                copies.by_index.insert(index, bar);
            }
            CopyProgress::Advanced { index, bytes } => {
                if let Some(bar) = copies.by_index.get(&index) {
                    bar.inc(bytes);
                }
            }
            CopyProgress::Ended { index, .. } => {
                if let Some(bar) = copies.by_index.remove(&index) {
                    bar.finish_and_clear();
                    self.bars.remove(&bar);
                }
                if let Some(all) = &copies.all {
                    all.inc(1);
                }
            }
        }
    }
}

impl ProgressListener for Progress {
    /// Shows the bar. A single profile needs none.
    fn on_start(&self, profiles: usize) {
        if profiles < 2 {
            return;
        }
        self.profiles.set_style(style("Reading profiles [{bar:30}] {pos}/{len}"));
        self.profiles.set_length(u64::try_from(profiles).unwrap_or(u64::MAX));
        self.bars.add(self.profiles.clone());
        self.profiles.tick();
    }

    fn on_scanned(&self) {
        self.profiles.inc(1);
        if self.profiles.length().is_some_and(|length| length <= self.profiles.position()) {
            self.profiles.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Item, Media, ProfileName, State};

    #[test]
    fn each_file_has_a_bar_while_it_is_copied() {
        let media = Media { file_name: Some("a\u{1b}[2J.png".into()), ..Media::default() };
        let item = Item { profile: ProfileName::new("Acme"), media, state: State::Expiring, threshold: None };
        let progress = Progress::hidden();
        let bars = || progress.copies.lock().expect("no panic").by_index.clone();
        let copied = || progress.copies.lock().expect("no panic").all.as_ref().map(ProgressBar::position);
        progress.on_copied(CopyProgress::Planned { files: 3, bytes: 200 });
        for index in [0, 1] {
            progress.on_copied(CopyProgress::Started { index, item: &item, bytes: 100 });
        }
        progress.on_copied(CopyProgress::Advanced { index: 1, bytes: 60 });
        assert_eq!((bars()[&0].position(), bars()[&1].position(), bars()[&1].length()), (0, 60, Some(100)));
        assert_eq!(bars()[&0].message(), "a[2J.png");
        progress.on_copied(CopyProgress::Ended { index: 1, item: &item, failure: None });
        // There was no time to start it.
        progress.on_copied(CopyProgress::Ended { index: 2, item: &item, failure: None });
        assert_eq!((bars().len(), copied()), (1, Some(2)));
        progress.end();
        assert_eq!((bars().len(), copied()), (0, None));
    }
}
