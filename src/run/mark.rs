//! Marking files as handled for a channel.
//!
//! A mark is one record of its own, so it needs no lease: a run that is in progress writes other records.

use jiff::Timestamp;

use crate::ledger::{Change, Key, Record};
use crate::scan::survey::Survey;

/// A request to mark a file as handled, or to take the mark back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The name of the profile that owns the file.
    pub profile: String,
    /// The id of the file, or its URL or name if it has no id.
    pub id: String,
    /// Whether the file is handled.
    pub is_handled: bool,
}

impl Mark {
    /// Returns the changes of the channel's records. There are none if the survey has no such file, and several if the
    /// gallery lists it with several expiries.
    #[must_use]
    pub fn changes(&self, survey: &Survey, now: Timestamp) -> Vec<Change> {
        let items = survey.items.iter();
        let marked = items.filter(|item| item.profile.as_str() == self.profile && item.media.identity() == self.id);
        let change = |key: Key, expires_at| {
            if self.is_handled { Change::Put(key, Record::handled(now, expires_at)) } else { Change::Delete(key) }
        };
        marked.map(|item| change(Key::of_handled(&item.profile, &item.media), item.media.expires_at)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::fixtures::{now, survey};
    use crate::ledger::Memory;

    #[test]
    fn a_mark_is_put_for_a_file_of_the_survey_and_taken_back() {
        let survey = survey();
        let item = &survey.items[0];
        let mark = |profile: &str, id: &str, is_handled| {
            let mark = Mark { profile: profile.to_owned(), id: id.to_owned(), is_handled };
            mark.changes(&survey, now())
        };
        let apply = |changes: Vec<Change>, memory: &mut Memory| {
            for change in changes {
                change.apply(memory);
            }
        };
        let (profile, id) = (item.profile.as_str(), item.media.identity());
        let mut memory = Memory::default();
        apply(mark(profile, id, true), &mut memory);
        assert!(memory.is_handled(item));
        apply(mark(profile, id, false), &mut memory);
        assert!(!memory.is_handled(item) && memory.is_empty());
        for (profile, id) in [("Nobody", id), (profile, ""), (profile, "another"), ("", "")] {
            assert_eq!(mark(profile, id, true), [], "{profile} {id}");
        }
    }
}
