//! The lines of a digest: which of its entries are shown together, and which are not shown because a post names them.

use std::collections::HashMap;

use super::wording::MAX_NAMED_FILES;
use super::{Digest, Entry, Subject, Urgency};
use crate::model::{Item, PostAtRisk, ProfileName};

/// If more files of a profile than this expire in the same minute, they share a line.
const MAX_SINGLE_FILES: usize = 3;

/// A line of a digest.
#[derive(Clone, Debug)]
pub struct DigestLine<'a> {
    /// What it shows.
    pub subject: LineSubject<'a>,
    /// The section that it belongs to.
    pub urgency: &'a Urgency,
    /// The profile that it belongs to.
    pub profile: &'a ProfileName,
    /// How many entries it announces: those that it shows, and the following ones that have no line because a post above names
    /// them.
    pub entries: usize,
    /// The sections of the files that have no line because this one, a post, names them first.
    pub named: Vec<&'a Urgency>,
}

/// What a line shows.
#[derive(Clone, Debug)]
pub enum LineSubject<'a> {
    /// A scheduled post, with the files that it will lack.
    Post(&'a PostAtRisk),
    /// A file.
    File(&'a Item),
    /// Files that expire in the same minute.
    Files(Vec<&'a Item>),
}

impl DigestLine<'_> {
    /// How many posts or files it shows.
    #[must_use]
    pub fn shown(&self) -> usize {
        match &self.subject {
            LineSubject::Post(_) | LineSubject::File(_) => 1,
            LineSubject::Files(files) => files.len(),
        }
    }
}

impl Digest {
    /// Returns the lines of the digest. They announce all its entries, in the same order.
    #[must_use]
    pub fn lines(&self) -> Vec<DigestLine<'_>> {
        let named = self.named_files();
        let mut lines: Vec<DigestLine<'_>> = Vec::new();
        for together in self.entries.chunk_by(expire_together) {
            let Entry { urgency, .. } = &together[0];
            let profile = together[0].profile();
            let line = |subject, entries| DigestLine { subject, urgency, profile, entries, named: Vec::new() };
            let mut files = Vec::new();
            for item in together.iter().filter_map(item) {
                match named.get(&identity(item)).and_then(|post| lines.get_mut(*post)) {
                    Some(post) => post.named.push(urgency),
                    None => files.push(item),
                }
            }
            if MAX_SINGLE_FILES < files.len() {
                lines.push(line(LineSubject::Files(files), together.len()));
                continue;
            }
            for entry in together {
                let subject = match &entry.subject {
                    Subject::Post(post) => LineSubject::Post(post),
                    Subject::File(item) => LineSubject::File(item),
                };
                match (&subject, lines.last_mut()) {
                    // Posts come first, so a line precedes every file that one of them names.
                    (LineSubject::File(item), Some(last)) if named.contains_key(&identity(item)) => last.entries += 1,
                    _ => lines.push(line(subject, 1)),
                }
            }
        }
        lines
    }

    /// The files that the lines of posts name, with the first line that does. Their own lines would only repeat them.
    fn named_files(&self) -> HashMap<(&ProfileName, &str), usize> {
        let mut named = HashMap::new();
        // The posts come first, and each has a line.
        for (line, entry) in self.entries.iter().enumerate() {
            let Subject::Post(post) = &entry.subject else { break };
            for media in post.media.iter().take(MAX_NAMED_FILES) {
                if let Some(owner) = &media.owner {
                    named.entry((owner, media.id.as_deref().unwrap_or(&media.url))).or_insert(line);
                }
            }
        }
        named
    }
}

fn item(entry: &Entry) -> Option<&Item> {
    match &entry.subject {
        Subject::File(item) => Some(item),
        Subject::Post(_) => None,
    }
}

/// What identifies a file in [`Digest::named_files`].
fn identity(item: &Item) -> (&ProfileName, &str) {
    let media = &item.media;
    (&item.profile, media.id.as_deref().or(media.url.as_deref()).unwrap_or_default())
}

/// Whether both are files of one section and profile that expire in the same minute.
fn expire_together(a: &Entry, b: &Entry) -> bool {
    let minute = |entry: &Entry| Some(item(entry)?.media.expires_at?.as_second().div_euclid(60));
    a.urgency == b.urgency && a.profile() == b.profile() && minute(a).is_some() && minute(a) == minute(b)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use insta::assert_snapshot;
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use crate::digest::fixtures::{digest, hostile_survey};
    use crate::digest::test_surveys::{self, file, file_of, hours, post, profile, survey};
    use crate::digest::{self, Digest, LineSubject};
    use crate::model::{Item, MediaAtRisk, PostAtRisk, ProfileName};

    /// A file that expires in so many hours and seconds.
    fn file_at(name: &str, in_hours: i64, seconds: i64) -> Item {
        let mut item = file(name, Some(in_hours));
        item.media.expires_at = Some(hours(in_hours) + SignedDuration::from_secs(seconds));
        item
    }

    /// A post that lacks files of the profile `Acme`, by id.
    fn post_with(files: &[&str]) -> PostAtRisk {
        let post = post(60, Some(50));
        let media = |id: &&str| MediaAtRisk {
            id: Some((*id).to_owned()),
            owner: Some(ProfileName::new("Acme")),
            file_name: Some((*id).to_owned()),
            ..post.media[0].clone()
        };
        PostAtRisk { media: files.iter().map(media).collect(), ..post.clone() }
    }

    fn shown(digest: &Digest) -> String {
        let lines = digest.lines();
        let mut text = String::new();
        let mut last = None;
        for line in &lines {
            if last != Some(line.urgency) {
                text += &format!("{}: {}\n", line.urgency.heading(), digest.tally(&lines, line.urgency));
            }
            last = Some(line.urgency);
            let what = match &line.subject {
                LineSubject::Post(post) => digest::post_label(post),
                LineSubject::File(item) => item.label(),
                LineSubject::Files(files) => digest::first_names(files, Item::label),
            };
            text += &format!("  {what} [{}]\n", line.entries);
        }
        text
    }

    fn of(items: Vec<Item>, posts: Vec<PostAtRisk>) -> String {
        let mut found = survey(items, posts);
        found.profiles.push(profile("Birch"));
        shown(&test_surveys::digest(&found))
    }

    #[test]
    fn more_than_three_files_of_a_profile_in_one_minute_are_one_line() {
        let together = |count: i64| (0..count).map(|index| file_at(&format!("{index}.jpg"), 50, index)).collect();
        assert_snapshot!(of(together(3), Vec::new()), @"
        Expires within 3 days: 3
          0.jpg [1]
          1.jpg [1]
          2.jpg [1]
        ");
        assert_snapshot!(of(together(38), Vec::new()), @"
        Expires within 3 days: 38
          0.jpg, 1.jpg and 36 more [38]
        ");
        let mut mixed: Vec<Item> = together(4);
        mixed.insert(0, file_at("earlier.jpg", 50, -1));
        mixed.extend((0..4).map(|index| file_of("Birch", &format!("birch-{index}.jpg"), Some(50))));
        mixed.push(file_at("later.jpg", 50, 60));
        assert_snapshot!(of(mixed, Vec::new()), @"
        Expires within 3 days: 10
          earlier.jpg [1]
          0.jpg, 1.jpg and 2 more [4]
          later.jpg [1]
          birch-0.jpg, birch-1.jpg and 2 more [4]
        ");
        // Files without a date do not expire together.
        assert_snapshot!(of((0..4).map(|index| file(&format!("{index}.jpg"), None)).collect(), Vec::new()), @"
        Without an expiry date: 4
          0.jpg [1]
          1.jpg [1]
          2.jpg [1]
          3.jpg [1]
        ");
    }

    #[test]
    fn a_file_that_a_post_names_is_not_repeated_but_counted() {
        let items = || vec![file("a.png", Some(5)), file("b.png", Some(5)), file("c.png", Some(50))];
        assert_snapshot!(of(items(), vec![post_with(&["a.png", "c.png"])]), @"
        Scheduled posts that will fail: 1
          “Our launch is near” [2]
        Expires within 1 day: 2, 1 of them above
          b.png [2]
        ");
        // A file of another profile may have the same id.
        let mut other = vec![file_of("Birch", "a.png", Some(5))];
        assert_snapshot!(of(other.clone(), vec![post_with(&["a.png"])]), @"
        Scheduled posts that will fail: 1
          “Our launch is near” [1]
        Expires within 1 day: 1
          a.png [1]
        ");
        // The line of a post names three files.
        other = ["1", "2", "3", "4", "5"].map(|name| file(name, Some(50))).to_vec();
        assert_snapshot!(of(other, vec![post_with(&["1", "2", "3", "4"])]), @"
        Scheduled posts that will fail: 1
          “Our launch is near” [4]
        Expires within 3 days: 5, 3 of them above
          4 [1]
          5 [1]
        ");
    }

    #[test]
    fn files_that_a_post_names_are_left_out_of_a_line_of_many() {
        let items: Vec<_> = (0..38).map(|index| file(&format!("{index}.jpg"), Some(50))).collect();
        assert_snapshot!(of(items, vec![post_with(&["0.jpg", "1.jpg", "2.jpg", "3.jpg"])]), @"
        Scheduled posts that will fail: 1
          “Our launch is near” [1]
        Expires within 3 days: 38, 3 of them above
          3.jpg, 4.jpg and 33 more [38]
        ");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_lines_announce_every_entry_and_each_is_shown_or_named_above(
            mut survey in hostile_survey(),
            minutes in 1_i64..4,
            named in any::<bool>(),
        ) {
            for item in &mut survey.items {
                // Many files that expire together.
                let item = Arc::make_mut(item);
                let at = item.media.expires_at.map(|at| at.as_second() / (3_600 * minutes) * 3_600 * minutes);
                item.media.expires_at = at.and_then(|at| jiff::Timestamp::from_second(at).ok());
            }
            let items = survey.items.clone();
            for (post, item) in survey.posts_at_risk.iter_mut().zip(&items).filter(|_| named) {
                let media = &mut Arc::make_mut(post).media[0];
                media.owner = Some(item.profile.clone());
                media.id.clone_from(&item.media.id);
            }
            let digest = digest(&survey);
            let lines = digest.lines();
            prop_assert_eq!(lines.iter().map(|line| line.entries).sum::<usize>(), digest.entries.len());
            let mut entries = digest.entries.as_slice();
            for line in &lines {
                prop_assert!(line.shown() <= line.entries);
                let (of_line, rest) = entries.split_at(line.entries);
                prop_assert_eq!((line.urgency, line.profile), (&of_line[0].urgency, of_line[0].profile()));
                entries = rest;
            }
            // Whatever has no line of its own is counted by the line that names it, so that it is not lost with that line.
            let shown: usize = lines.iter().map(|line| line.shown() + line.named.len()).sum();
            prop_assert_eq!(shown, digest.entries.len());
        }
    }
}
