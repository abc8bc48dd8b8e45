//! Selects the files of a gallery that matter to a run. Pure: the current time is an argument.

use std::collections::HashSet;

use crate::model::{File, Item, ProfileName, State};
use crate::scan::rules::{Decision, Rules};
use crate::scan::used_files::{FilesInPosts, UsedFile};

/// What a run keeps of one profile's gallery.
///
/// Files that cannot matter are counted and dropped while the gallery is being read. Memory therefore grows with the
/// number of files that expire soon, not with the number of files in the gallery.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    /// How many files Ayrshare listed, including the ignored ones.
    pub listed: usize,
    /// How many of them are ignored.
    pub ignored: usize,
    /// The files that matter, in Ayrshare's order.
    pub items: Vec<Item>,
    /// The files that expire too late to matter but are copied now, in Ayrshare's order.
    pub to_copy: Vec<Item>,
    /// How many files have an expiry that cannot be read, apart from ignored ones that no post uses.
    pub unreadable_dates: usize,
    /// The files that posts use.
    pub used: Vec<UsedFile>,
}

impl Gallery {
    /// Adds a file of the gallery of `profile`. Keeps it if it matters to the run or a post uses it.
    pub fn add(&mut self, profile: &ProfileName, file: impl File, rules: &Rules<'_>, in_posts: &FilesInPosts) {
        self.listed += 1;
        let used = in_posts.keep(&file);
        let is_used = used.is_some();
        self.used.extend(used);
        let decision = rules.decide(&file);
        if is_used || !matches!(decision, Decision::Ignored) {
            self.unreadable_dates += usize::from(file.has_unreadable_expiry());
        }
        match decision {
            Decision::Ignored => self.ignored += 1,
            Decision::Later if rules.copying.is_some() && rules.copies_expiring(file.expires_at()) => {
                let (profile, media) = (profile.clone(), file.into_media());
                self.to_copy.push(Item { profile, media, state: State::Expiring, threshold: None });
            }
            Decision::Later => {}
            Decision::Matters(state, threshold) => {
                self.items.push(Item { profile: profile.clone(), media: file.into_media(), state, threshold });
            }
        }
    }

    /// Ends the reading of the gallery: frees what growing has left over, and drops the items that Ayrshare has listed
    /// more than once, with the same id, URL and expiry.
    #[must_use]
    pub fn complete(mut self) -> Self {
        self.used.shrink_to_fit();
        let mut seen = HashSet::new();
        let mut is_first = Vec::with_capacity(self.items.len());
        for Item { media, .. } in &self.items {
            let identity = (media.id.as_deref(), media.url.as_deref(), media.expires_at);
            // Files without an id and a URL cannot be told apart.
            is_first.push((media.id.is_none() && media.url.is_none()) || seen.insert(identity));
        }
        let mut is_first = is_first.into_iter();
        self.items.retain(|_| is_first.next().unwrap_or(true));
        self
    }
}

#[cfg(test)]
mod tests {
    use globset::{Glob, GlobSetBuilder};
    use jiff::SignedDuration;
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::config::RescueFiles;
    use crate::model::{Media, Threshold, Thresholds};

    const DAY_MS: i64 = 86_400_000;

    fn now() -> Timestamp {
        "2026-11-23T06:00:00Z".parse().expect("a time")
    }

    fn thresholds(texts: &[&str]) -> Thresholds {
        Thresholds::new(texts.iter().map(|text| Threshold::parse(text).expect("a threshold"))).expect("thresholds")
    }

    fn expiring_in(ms: i64) -> Media {
        Media { expires_at: Some(now() + SignedDuration::from_millis(ms)), ..Media::default() }
    }

    fn gallery(media: impl IntoIterator<Item = Media>, ignore: &[&str]) -> Gallery {
        gallery_with_copies(media, ignore, None)
    }

    fn gallery_with_copies(
        media: impl IntoIterator<Item = Media>,
        ignore: &[&str],
        copying: Option<&RescueFiles>,
    ) -> Gallery {
        let media: Vec<_> = media.into_iter().collect();
        gallery_of(&media, ignore, copying)
    }

    fn gallery_of(
        files: impl IntoIterator<Item = impl File>,
        ignore: &[&str],
        copying: Option<&RescueFiles>,
    ) -> Gallery {
        let mut globs = GlobSetBuilder::new();
        for glob in ignore {
            globs.add(Glob::new(glob).expect("a glob"));
        }
        let ignore = globs.build().expect("globs");
        let thresholds = thresholds(&["7d", "3d", "1d"]);
        let rules = Rules {
            now: now(),
            thresholds: &thresholds,
            ignore: &ignore,
            check_posts: false,
            check_urls: false,
            all_profiles: true,
            discovery: None,
            copying,
        };
        let mut gallery = Gallery::default();
        for file in files {
            gallery.add(&ProfileName::new("A"), file, &rules, &FilesInPosts::default());
        }
        gallery
    }

    #[test]
    fn threshold_boundaries_are_exact_to_the_millisecond() {
        let check = |ms: i64, expected: Option<(State, Option<&str>)>| {
            let gallery = gallery([expiring_in(ms)], &[]);
            let found = gallery.items.first().map(|item| (item.state, item.threshold.as_ref().map(Threshold::label)));
            assert_eq!(found, expected, "{ms} ms");
        };
        check(7 * DAY_MS + 1, None);
        check(7 * DAY_MS, Some((State::Expiring, Some("7d"))));
        check(3 * DAY_MS + 1, Some((State::Expiring, Some("7d"))));
        check(3 * DAY_MS, Some((State::Expiring, Some("3d"))));
        check(DAY_MS, Some((State::Expiring, Some("1d"))));
        check(1, Some((State::Expiring, Some("1d"))));
        check(0, Some((State::Expired, None)));
        check(-1, Some((State::Expired, None)));
    }

    #[test]
    fn ignored_files_are_counted_but_not_selected() {
        let named =
            |name: &str, id: &str| Media { file_name: Some(name.into()), id: Some(id.into()), ..expiring_in(DAY_MS) };
        let gallery = gallery(
            [named("a.tmp", "1-tmp"), named("b.png", "5553a26a-png"), named("c.png", "2-png")],
            &["*.tmp", "5553a26a-*"],
        );
        assert_eq!((gallery.listed, gallery.ignored, gallery.items.len()), (3, 2, 1));
    }

    #[test]
    fn names_match_globs_however_their_accents_are_written() {
        let named = |name: &str| Media { file_name: Some(name.into()), ..expiring_in(DAY_MS) };
        let files = ["Caf\u{e9} nfc.jpg", "Cafe\u{301} nfd.jpg", "Cafe.jpg"];
        let gallery = gallery(files.map(named), &["Caf\u{e9}*"]);
        assert_eq!((gallery.ignored, gallery.items.len()), (2, 1));
    }

    #[test]
    fn a_file_that_expires_too_late_to_be_announced_may_still_be_copied() {
        let copied = |files: Option<&RescueFiles>| {
            let media = [7 * DAY_MS, 8 * DAY_MS, 30 * DAY_MS, 30 * DAY_MS + 1].map(expiring_in);
            let gallery = gallery_with_copies(media, &[], files);
            assert_eq!(gallery.items.len(), 1);
            gallery.to_copy.len()
        };
        assert_eq!(copied(None), 0);
        assert_eq!(copied(Some(&RescueFiles::OfPosts)), 0);
        let month = Threshold::parse("30d").expect("a threshold");
        assert_eq!(copied(Some(&RescueFiles::Expiring(month))), 2);
        assert_eq!(copied(Some(&RescueFiles::All)), 3);
    }

    #[test]
    fn an_entry_that_is_listed_twice_is_one_item() {
        let file = |id: Option<&str>, url: Option<&str>, ms: i64| Media {
            id: id.map(Into::into),
            url: url.map(Into::into),
            ..expiring_in(ms)
        };
        let count = |second: Media| {
            let gallery = gallery([file(Some("a"), Some("u"), 5), second], &[]).complete();
            (gallery.listed, gallery.items.len())
        };
        assert_eq!(count(file(Some("a"), Some("u"), 5)), (2, 1));
        assert_eq!(count(file(Some("b"), Some("u"), 5)), (2, 2));
        assert_eq!(count(file(Some("a"), Some("v"), 5)), (2, 2));
        assert_eq!(count(file(Some("a"), Some("u"), 6)), (2, 2));

        let anonymous = gallery([expiring_in(5), expiring_in(5)], &[]).complete();
        assert_eq!(anonymous.items.len(), 2);
    }

    proptest! {
        /// Compares the selection with a naive implementation of its definition, for random expiries.
        #[test]
        fn selection_matches_its_definition(
            offsets in proptest::collection::vec(proptest::option::of(-20 * DAY_MS..20 * DAY_MS), 0..60),
        ) {
            let media = offsets.iter().map(|offset| offset.map_or_else(Media::default, expiring_in));
            let gallery = gallery(media, &[]);
            let items = &gallery.items;
            let in_state = |state: State| items.iter().filter(|item| item.state == state).count();

            let within = |low: i64, high: i64| {
                offsets.iter().flatten().filter(|&&ms| low < ms && ms <= high).count()
            };
            let labelled = |label: &str| {
                items.iter().filter(|item| item.threshold.as_ref().is_some_and(|t| t.label() == label)).count()
            };
            prop_assert_eq!(gallery.listed, offsets.len());
            prop_assert_eq!(in_state(State::Expired), within(i64::MIN, 0));
            prop_assert_eq!(in_state(State::Expiring), within(0, 7 * DAY_MS));
            prop_assert_eq!(in_state(State::Undated), offsets.iter().filter(|offset| offset.is_none()).count());
            prop_assert_eq!(labelled("1d"), within(0, DAY_MS));
            prop_assert_eq!(labelled("3d"), within(DAY_MS, 3 * DAY_MS));
            prop_assert_eq!(labelled("7d"), within(3 * DAY_MS, 7 * DAY_MS));
        }
    }

    #[test]
    fn dates_that_cannot_be_read_are_counted_unless_the_file_is_ignored() {
        struct Unreadable(&'static str);
        impl File for Unreadable {
            fn id(&self) -> Option<&str> {
                None
            }
            fn file_name(&self) -> Option<&str> {
                Some(self.0)
            }
            fn url(&self) -> Option<&str> {
                None
            }
            fn size_bytes(&self) -> Option<u64> {
                None
            }
            fn expires_at(&self) -> Option<Timestamp> {
                None
            }
            fn has_unreadable_expiry(&self) -> bool {
                true
            }
            fn into_media(self) -> Media {
                Media::default()
            }
        }
        let gallery = gallery_of(["a.png", "b.png", "c.tmp"].map(Unreadable), &["*.tmp"], None);
        assert_eq!((gallery.listed, gallery.ignored, gallery.unreadable_dates), (3, 1, 2));
    }

    #[test]
    fn a_file_that_is_listed_twice_is_kept_once_if_it_can_be_told_apart() {
        let kept = |file: Media| gallery([file.clone(), file], &[]).complete().items.len();
        assert_eq!(kept(Media { id: Some("a".into()), ..Media::default() }), 1);
        assert_eq!(kept(Media { url: Some("https://x/a".into()), ..Media::default() }), 1);
        assert_eq!(kept(Media::default()), 2);
    }
}
