//! A sentence in which times are still times, because each channel shows them in its own way.

use jiff::Timestamp;

use crate::model::Zone;

/// A sentence with times in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentence(Vec<Fragment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fragment {
    Text(String),
    Time(Timestamp),
}

impl Sentence {
    /// Creates a sentence that begins with `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(vec![Fragment::Text(text.into())])
    }

    /// Appends a time.
    #[must_use]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.0.push(Fragment::Time(time));
        self
    }

    /// Appends text.
    #[must_use]
    pub fn then(mut self, text: impl Into<String>) -> Self {
        self.0.push(Fragment::Text(text.into()));
        self
    }

    /// Writes it with functions that write its text and its times.
    pub fn write(&self, text: impl Fn(&str) -> String, time: impl Fn(Timestamp) -> String) -> String {
        let fragments = self.0.iter().map(|fragment| match fragment {
            Fragment::Text(fragment) => text(fragment),
            Fragment::Time(fragment) => time(*fragment),
        });
        fragments.collect()
    }

    /// Returns it as plain text, with its times in this zone.
    #[must_use]
    pub fn plain(&self, zone: &Zone) -> String {
        self.write(ToOwned::to_owned, |time| zone.format(time))
    }
}
