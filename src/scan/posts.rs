//! Finds the scheduled posts that will fail because of their media. Pure: the current time is an argument.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::model::{
    Item, Media, MediaAtRisk, Packed, PostAtRisk, ProfileName, RiskReason, ScheduledPost, State, UnverifiedUrl,
};
use crate::scan::listed_files::{FoundFile, ListedFiles};
use crate::scan::place::Place;
use crate::scan::presigned::Presigned;
use crate::scan::rules::Rules;
use crate::scan::seen_posts::SeenPosts;
use crate::scan::used_files::{PlaceKeys, UsedFile};

/// What Ayrshare found when it opened URLs: the HTTP status of each, or `None` if it did not say.
pub type UrlStatuses = HashMap<String, Option<u16>>;

/// What is known about one profile.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The profile.
    pub profile: &'a ProfileName,
    /// The files of its gallery that posts use; `None` when it could not be read.
    pub used: Option<&'a [UsedFile]>,
    /// Its scheduled posts with media.
    pub posts: &'a Packed<ScheduledPost>,
    /// The identities of its other scheduled posts.
    pub without_media: &'a Packed<String>,
}

/// All posts, and all files that they use.
#[derive(Debug)]
pub struct PostCheck<'a> {
    known: &'a [Known<'a>],
    rules: &'a Rules<'a>,
    /// Whether every gallery of the configuration was read.
    has_all_galleries: bool,
    listed: ListedFiles<'a>,
}

/// The posts that will fail, and the URLs that could not be verified.
#[derive(Clone, Debug, Default)]
pub struct CheckedPosts {
    /// The posts that will fail, the earliest first.
    pub at_risk: Vec<PostAtRisk>,
    /// The URLs that Ayrshare could not open, though that proves nothing. Each comes once before any is repeated for another
    /// profile.
    pub unverified: Vec<UnverifiedUrl>,
    /// All scheduled posts.
    pub seen: SeenPosts,
    /// The files of galleries that a post will lack, if those are copied.
    pub to_copy: Vec<Item>,
}

/// What is known about one URL of a post.
enum Verdict {
    /// It can be opened when the post is published.
    Safe,
    /// It cannot.
    Risk(Box<MediaAtRisk>),
    /// Nothing proves either.
    Unknown,
    /// Ayrshare could not open it, which proves nothing.
    Unverified(Option<u16>),
}

impl CheckedPosts {
    /// Returns the unverified URLs that Ayrshare could open, each once, with a profile that uses it.
    ///
    /// Presigned URLs are left out: Ayrshare asks with HEAD, which they refuse.
    #[must_use]
    pub fn urls_to_open(&self) -> Vec<(ProfileName, String)> {
        let can_be_opened = |url: &str| Place::parse(url).is_some() && Presigned::of(url) == Presigned::No;
        let mut seen = HashSet::new();
        self.unverified
            .iter()
            .filter(|unverified| can_be_opened(&unverified.url) && seen.insert(&unverified.url))
            .map(|unverified| (unverified.profile.clone(), unverified.url.clone()))
            .collect()
    }
}

impl<'a> PostCheck<'a> {
    /// Indexes the files that posts use.
    #[must_use]
    pub fn new(known: &'a [Known<'a>], rules: &'a Rules<'a>) -> Self {
        let has_all_galleries = rules.all_profiles && known.iter().all(|known| known.used.is_some());
        Self { known, rules, has_all_galleries, listed: ListedFiles::new(known) }
    }

    /// Returns the posts that will fail. URLs without a status in `statuses` are unverified if nothing else explains them.
    ///
    /// A post is at risk when one of its files
    ///
    /// - is listed by a gallery and has expired, or cannot be opened: Ayrshare's check gave 404 or 410,
    /// - is listed by a gallery and expires before the post is due or within an hour after that, or
    /// - has a presigned URL that ends by then.
    ///
    /// A post without a due date needs its files until the longest threshold. A gallery that could not be read, or a file
    /// that no gallery lists, proves nothing.
    #[must_use]
    pub fn finish(&self, statuses: &UrlStatuses) -> CheckedPosts {
        let mut checked = CheckedPosts::default();
        let mut copied = HashSet::new();
        for (index, known) in self.known.iter().enumerate() {
            for identity in known.without_media.unpack() {
                checked.seen.add(known.profile, &identity, true);
            }
            let (mut unverified, mut at_risk) = (HashSet::new(), HashSet::new());
            for post in known.posts.unpack() {
                let identity = post.identity();
                let needed_until = self.rules.needed_until(&post);
                let mut media = Vec::new();
                let mut is_known = true;
                for url in post.media_urls {
                    let verdict = self.verdict(index, &url, needed_until, statuses);
                    is_known &= matches!(verdict, Verdict::Safe | Verdict::Risk(_));
                    match verdict {
                        Verdict::Risk(risk) => {
                            self.copy(&url, &mut copied, &mut checked.to_copy);
                            media.push(*risk);
                        }
                        Verdict::Unverified(http_status) if unverified.insert(url.clone()) => {
                            let (profile, post_id) = (known.profile.clone(), post.id.clone());
                            checked.unverified.push(UnverifiedUrl { profile, post_id, url, http_status });
                        }
                        Verdict::Safe | Verdict::Unknown | Verdict::Unverified(_) => {}
                    }
                }
                checked.seen.add(known.profile, &identity, is_known);
                media.sort_by_key(|media| media.expires_at.unwrap_or(Timestamp::MIN));
                let Some(first) = media.first() else { continue };
                // A post that was changed meanwhile may be listed with both of its contents.
                if post.id.as_ref().is_some_and(|id| !at_risk.insert((id.clone(), first.expires_at))) {
                    continue;
                }
                checked.at_risk.push(PostAtRisk {
                    profile: known.profile.clone(),
                    id: post.id,
                    text: post.text,
                    platforms: post.platforms,
                    scheduled_at: post.scheduled_at,
                    media,
                });
            }
        }
        checked.at_risk.sort_by_key(|post| post.scheduled_at.unwrap_or(Timestamp::MAX));
        // Only the first ones are shown, and a URL that many profiles use must not hide the others.
        let mut urls = HashSet::new();
        let (new, repeated): (Vec<_>, Vec<_>) =
            checked.unverified.into_iter().partition(|unverified| urls.insert(unverified.url.clone()));
        checked.unverified = [new, repeated].concat();
        checked
    }

    /// What is known about a URL of a post that needs it until then. `profile` is the index of the post's profile.
    fn verdict(&self, profile: usize, url: &str, needed_until: Timestamp, statuses: &UrlStatuses) -> Verdict {
        let keys = PlaceKeys::of(url);
        let listed = keys.and_then(|keys| self.listed.find(keys, profile));
        let expiring = listed.and_then(|listed| listed.file.expiring.as_deref());
        let file_expiry = expiring.and_then(|file| file.expires_at);
        let link_expiry = Presigned::of(url).expires_at();
        let is_too_early = |expiry: Timestamp| expiry <= needed_until;
        let (reason, expires_at) = match (file_expiry, link_expiry) {
            (Some(expiry), _) if expiry <= self.rules.now => (RiskReason::AlreadyGone, Some(expiry)),
            (Some(file), link) if is_too_early(file) && link.is_none_or(|link| file <= link) => {
                (RiskReason::ExpiresBeforePost, Some(file))
            }
            (_, Some(link)) if is_too_early(link) => (RiskReason::LinkExpiresBeforePost, Some(link)),
            // Some gallery lists the file without a date, so it may expire at any time.
            _ if keys.is_some_and(|keys| self.listed.has_undated(keys)) => return Verdict::Unknown,
            // The file or the link lasts for as long as the post needs it.
            _ if listed.is_some() || link_expiry.is_some() => return self.safe_if_all_galleries_were_read(),
            _ if !self.rules.check_urls => return Verdict::Unknown,
            _ => match statuses.get(url) {
                Some(Some(404 | 410)) => (RiskReason::AlreadyGone, None),
                Some(Some(200..=299)) => return self.safe_if_all_galleries_were_read(),
                http_status => return Verdict::Unverified(http_status.copied().flatten()),
            },
        };
        Verdict::Risk(Box::new(MediaAtRisk {
            id: expiring.and_then(|file| file.id.clone()),
            owner: listed.map(|listed| listed.owner.clone()),
            file_name: expiring.and_then(|file| file.file_name.clone()),
            url: url.to_owned(),
            expires_at,
            reason,
        }))
    }

    /// Adds the listings of the file at a URL of a post, if it is copied. All of them, so that the copy is known in each
    /// gallery, and its key does not depend on which posts there are. `copied` has the files that were added before.
    fn copy(&self, url: &str, copied: &mut HashSet<PlaceKeys>, to_copy: &mut Vec<Item>) {
        let Some(keys) = self.rules.copying.and_then(|_| PlaceKeys::of(url)) else { return };
        if copied.insert(keys) {
            to_copy.extend(self.listed.all(keys).filter_map(|listed| self.item_to_copy(&listed)));
        }
    }

    fn item_to_copy(&self, listed: &FoundFile<'_>) -> Option<Item> {
        let file = listed.file.expiring.as_deref()?;
        let source = file.source.as_ref()?;
        let is_expired = file.expires_at.is_some_and(|expires_at| expires_at <= self.rules.now);
        let media = Media {
            id: file.id.clone(),
            file_name: file.file_name.clone(),
            url: source.url.clone(),
            size_bytes: source.size_bytes,
            created_at: None,
            expires_at: file.expires_at,
        };
        let state = match file.expires_at {
            None => State::Undated,
            Some(_) if is_expired => State::Expired,
            Some(_) => State::Expiring,
        };
        Some(Item { profile: listed.owner.clone(), media, state, threshold: None })
    }

    /// A gallery that was not read may list the file too, with an earlier expiry.
    fn safe_if_all_galleries_were_read(&self) -> Verdict {
        if self.has_all_galleries { Verdict::Safe } else { Verdict::Unknown }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::time::Instant;

    use globset::GlobSet;
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;
    use crate::config::RescueFiles;
    use crate::model::{Media, Threshold, Thresholds};
    use crate::scan::seen_posts::PostState;
    use crate::scan::used_files::FilesInPosts;

    const UUID: &str = "5553a26a-cffb-4a31-bd89-dee296d35648";

    fn now() -> Timestamp {
        "2026-11-23T06:00:00Z".parse().expect("a time")
    }

    fn hours(hours: i64) -> Timestamp {
        now() + SignedDuration::from_hours(hours)
    }

    fn file(url: &str, expires_at: Option<Timestamp>) -> Media {
        let end = url.rsplit('/').next().map(ToOwned::to_owned);
        Media { id: end.clone(), file_name: end, url: Some(url.into()), expires_at, ..Media::default() }
    }

    fn post(url: &str, scheduled_at: Option<Timestamp>) -> ScheduledPost {
        ScheduledPost { media_urls: vec![url.into()], scheduled_at, ..ScheduledPost::default() }
    }

    type Profile<'a> = (&'a str, &'a [Media], &'a [ScheduledPost]);

    /// Checks posts as a run does: only files that posts use are kept of the galleries.
    fn check(profiles: &[Profile<'_>], statuses: &[(&str, Option<u16>)]) -> CheckedPosts {
        check_with(&rules(), profiles, statuses)
    }

    fn check_with(rules: &Rules<'_>, profiles: &[Profile<'_>], statuses: &[(&str, Option<u16>)]) -> CheckedPosts {
        let mut in_posts = FilesInPosts::new(rules);
        for (_, _, posts) in profiles {
            in_posts.add(posts, rules);
        }
        let used = |files: &[Media]| files.iter().filter_map(|file| in_posts.keep(&file)).collect::<Vec<_>>();
        let kept: Vec<_> = profiles
            .iter()
            .map(|(name, files, posts)| (ProfileName::new(name), used(files), Packed::new(posts)))
            .collect();
        let known: Vec<_> = kept
            .iter()
            .map(|(profile, used, posts)| Known { profile, used: Some(used), posts, without_media: &NONE })
            .collect();
        let statuses = statuses.iter().map(|(url, status)| ((*url).to_owned(), *status)).collect();
        PostCheck::new(&known, rules).finish(&statuses)
    }

    static NONE: LazyLock<Packed<String>> = LazyLock::new(Packed::default);

    /// What a run keeps of the files of a gallery.
    fn used(files: &[Media], posts: &[ScheduledPost]) -> Vec<UsedFile> {
        let mut in_posts = FilesInPosts::new(&rules());
        in_posts.add(posts, &rules());
        files.iter().filter_map(|file| in_posts.keep(&file)).collect()
    }

    fn rules() -> Rules<'static> {
        static THRESHOLDS: LazyLock<Thresholds> = LazyLock::new(|| {
            let thresholds = ["7d", "1d"].map(|text| Threshold::parse(text).expect("a threshold"));
            Thresholds::new(thresholds).expect("thresholds")
        });
        static IGNORE: LazyLock<GlobSet> = LazyLock::new(GlobSet::empty);
        Rules {
            now: now(),
            thresholds: &THRESHOLDS,
            ignore: &IGNORE,
            check_posts: true,
            check_urls: true,
            all_profiles: true,
            discovery: None,
            copying: None,
        }
    }

    /// The risk of one post of a profile with this gallery.
    fn risk(listed: &[Media], post: ScheduledPost) -> Option<RiskReason> {
        check(&[("A", listed, &[post])], &[]).at_risk.first().map(|post| post.media[0].reason)
    }

    fn of_gallery(name: &str) -> String {
        format!("https://images.ayrshare.com/acme/{name}")
    }

    #[test]
    fn a_file_that_expires_before_the_post_or_up_to_an_hour_later_is_a_risk() {
        let day = 24;
        let listed = [file(&of_gallery("a.jpeg"), Some(hours(20 * day)))];
        let at = |due: Timestamp| risk(&listed, post(&of_gallery("a.jpeg"), Some(due)));
        assert_eq!(at(hours(25 * day)), Some(RiskReason::ExpiresBeforePost));
        assert_eq!(at(hours(20 * day)), Some(RiskReason::ExpiresBeforePost));
        assert_eq!(at(hours(20 * day - 1)), Some(RiskReason::ExpiresBeforePost));
        assert_eq!(at(hours(20 * day - 1) - SignedDuration::from_millis(1)), None);
        assert_eq!(at(hours(20 * day - 2)), None);
    }

    #[test]
    fn a_post_without_a_due_date_needs_its_files_within_the_widest_threshold() {
        let at = |expires_in: i64| {
            risk(&[file(&of_gallery("a.jpeg"), Some(hours(expires_in)))], post(&of_gallery("a.jpeg"), None))
        };
        assert_eq!(at(7 * 24), Some(RiskReason::ExpiresBeforePost));
        assert_eq!(at(7 * 24 + 1), None);
        assert_eq!(at(-1), Some(RiskReason::AlreadyGone));
    }

    #[test]
    fn an_expired_file_is_gone_and_an_overdue_post_is_due_now() {
        let at = |expires_in: i64, due_in: i64| {
            let listed = [file(&of_gallery("a.jpeg"), Some(hours(expires_in)))];
            risk(&listed, post(&of_gallery("a.jpeg"), Some(hours(due_in))))
        };
        assert_eq!(at(0, 5), Some(RiskReason::AlreadyGone));
        assert_eq!(at(-5, 5), Some(RiskReason::AlreadyGone));
        assert_eq!(at(1, -48), Some(RiskReason::ExpiresBeforePost));
        assert_eq!(at(2, -48), None);
        let undated = [file(&of_gallery("a.jpeg"), None)];
        assert_eq!(risk(&undated, post(&of_gallery("a.jpeg"), Some(hours(5)))), None);
    }

    #[test]
    fn a_file_that_no_gallery_lists_is_gone_only_if_ayrshare_cannot_find_it() {
        let url = of_gallery("b.jpeg");
        let found = |status: Option<Option<u16>>| {
            let statuses: Vec<_> = status.map(|status| (url.as_str(), status)).into_iter().collect();
            let posts = [post(&url, Some(hours(5)))];
            let checked = check(&[("A", &[file(&of_gallery("other.jpeg"), Some(hours(9)))], &posts)], &statuses);
            (checked.at_risk.first().map(|post| post.media[0].reason), checked.unverified.len())
        };
        assert_eq!(found(None), (None, 1), "it could not be checked");
        assert_eq!(found(Some(Some(404))), (Some(RiskReason::AlreadyGone), 0));
        assert_eq!(found(Some(Some(410))), (Some(RiskReason::AlreadyGone), 0));
        assert_eq!(found(Some(Some(200))), (None, 0));
        for status in [Some(401), Some(403), Some(500), Some(302), None] {
            assert_eq!(found(Some(status)), (None, 1), "{status:?}");
        }
    }

    #[test]
    fn urls_of_which_nothing_is_known_are_counted() {
        let presigned = "https://bucket.s3.amazonaws.com/a.png?X-Amz-Signature=ab";
        for url in ["no url", "data:image/png,x", presigned] {
            let checked = check(&[("A", &[], &[post(url, Some(hours(5)))])], &[]);
            assert_eq!((checked.at_risk.len(), checked.unverified.len()), (0, 1), "{url}");
        }
        let ends_later = format!("{presigned}&X-Amz-Date=20261123T060000Z&X-Amz-Expires=86400");
        assert_eq!(check(&[("A", &[], &[post(&ends_later, Some(hours(5)))])], &[]).unverified.len(), 0);
    }

    #[test]
    fn a_post_is_safe_only_if_all_its_files_are_known_to_be_there() {
        let (listed, other) = (of_gallery("a.jpeg"), of_gallery("b.jpeg"));
        let gallery = [file(&listed, Some(hours(20)))];
        let state = |urls: &[&str], rules: &Rules<'_>, other_gallery: Option<&[UsedFile]>, status: u16| {
            let media_urls = urls.iter().map(|url| (*url).to_owned()).collect();
            let posts = [ScheduledPost { media_urls, scheduled_at: Some(hours(5)), ..ScheduledPost::default() }];
            let (used, packed) = (used(&gallery, &posts), Packed::new(&posts));
            let (a, b) = (ProfileName::new("A"), ProfileName::new("B"));
            let known = [
                Known { profile: &a, used: Some(&used), posts: &packed, without_media: &NONE },
                Known { profile: &b, used: other_gallery, posts: &Packed::default(), without_media: &NONE },
            ];
            let statuses = UrlStatuses::from([(other.clone(), Some(status))]);
            PostCheck::new(&known, rules).finish(&statuses).seen.state(&a, &posts[0].identity())
        };
        let read: Option<&[UsedFile]> = Some(&[]);
        assert_eq!(state(&[&listed, &other], &rules(), read, 200), PostState::Known);
        // A gallery that was not read may list either file, and it may expire soon.
        assert_eq!(state(&[&listed], &rules(), None, 200), PostState::Unknown);
        assert_eq!(state(&[&listed, &other], &rules(), None, 200), PostState::Unknown);
        assert_eq!(state(&[&other], &Rules { all_profiles: false, ..rules() }, read, 200), PostState::Unknown);
        assert_eq!(state(&[&other], &rules(), read, 403), PostState::Unknown);
        assert_eq!(SeenPosts::default().state(&ProfileName::new("A"), "1"), PostState::NotScheduled);
    }

    #[test]
    fn a_presigned_link_that_ends_before_the_post_is_a_risk() {
        let presigned = |name: &str| {
            // Valid until 2026-11-24T06:00:00Z, a day from now.
            format!(
                "https://bucket.s3.amazonaws.com/{name}?X-Amz-Date=20261123T060000Z&X-Amz-Expires=86400&X-Amz-Signature=ab"
            )
        };
        let at = |due: i64| risk(&[], post(&presigned("a.png"), Some(hours(due))));
        assert_eq!(at(30), Some(RiskReason::LinkExpiresBeforePost));
        assert_eq!(at(23), Some(RiskReason::LinkExpiresBeforePost));
        assert_eq!(at(22), None);
        assert_eq!(risk(&[], post(&presigned("a.png"), None)), Some(RiskReason::LinkExpiresBeforePost));

        // Where a gallery lists the URL too, the earlier of both counts.
        let with_file = |expires_in: i64| {
            let listed = [file("https://bucket.s3.amazonaws.com/a.png", Some(hours(expires_in)))];
            let checked = check(&[("A", &listed, &[post(&presigned("a.png"), Some(hours(100)))])], &[]);
            let media = &checked.at_risk[0].media[0];
            (media.reason, media.expires_at, media.id.is_some())
        };
        assert_eq!(with_file(20), (RiskReason::ExpiresBeforePost, Some(hours(20)), true));
        assert_eq!(with_file(30), (RiskReason::LinkExpiresBeforePost, Some(hours(24)), true));
        assert_eq!(with_file(-1), (RiskReason::AlreadyGone, Some(hours(-1)), true));
    }

    #[test]
    fn a_file_is_matched_by_equivalent_urls() {
        let listed = [
            file(&of_gallery(&format!("{UUID}.jpeg")), Some(hours(100))),
            file(&of_gallery("caf%C3%A9 1.png"), Some(hours(100))),
        ];
        let check = |url: &str, is_match: bool| {
            let found = risk(&listed, post(url, Some(hours(200))));
            assert_eq!(found == Some(RiskReason::ExpiresBeforePost), is_match, "{url}: {found:?}");
        };
        check(&of_gallery(&format!("{UUID}.jpeg")), true);
        check(&format!("HTTPS://Images.Ayrshare.com/acme/{UUID}.jpeg?w=1#x"), true);
        check(&format!("https://images.ayrshare.com/%61cme/{UUID}%2Ejpeg"), true);
        check(&of_gallery("café%201.png"), true);
        check(&format!("https://images.ayrshare.com/other/{}.png", UUID.to_uppercase()), true);
        check(&format!("https://media.ayrshare.com/acme/{UUID}.jpeg"), false);
        check(&format!("https://cdn.example.com/acme/{UUID}.jpeg"), false);
        check(&of_gallery(&format!("{UUID}_1080.jpeg")), false);
        check(&of_gallery(&format!("{UUID}.jpeg/other.jpeg")), false);
        check("not a url", false);
    }

    #[test]
    fn a_post_may_use_the_file_of_another_profile() {
        let listed = [file(&of_gallery("a.jpeg"), Some(hours(900))), file(&of_gallery("b.jpeg"), Some(hours(9)))];
        let posts = [post(&of_gallery("b.jpeg"), Some(hours(20))), post(&of_gallery("a.jpeg"), Some(hours(5)))];
        let found = check(&[("A", &listed, &[]), ("B", &[], &posts)], &[]).at_risk;
        assert_eq!(found.len(), 1);
        let media = &found[0].media[0];
        assert_eq!((media.owner.as_ref().map(ProfileName::as_str), media.id.as_deref()), (Some("A"), Some("b.jpeg")));
    }

    #[test]
    fn an_exact_place_beats_a_uuid_and_of_several_galleries_the_earliest_expiry_counts() {
        let (jpeg, png) = (of_gallery(&format!("{UUID}.jpeg")), of_gallery(&format!("{UUID}.png")));
        let own = [file(&png, Some(hours(4))), file(&jpeg, Some(hours(900)))];
        assert_eq!(risk(&own, post(&jpeg, Some(hours(50)))), None);
        assert!(risk(&own[..1], post(&jpeg, Some(hours(50)))).is_some());

        let other = [file(&jpeg, Some(hours(4)))];
        let found = |own: &[Media], due: i64| {
            check(&[("B", &other, &[]), ("A", own, &[post(&jpeg, Some(hours(due)))])], &[]).at_risk.len()
        };
        assert_eq!((found(&own[1..], 50), found(&[], 50), found(&[], 1)), (1, 1, 0));
    }

    #[test]
    fn a_gallery_keeps_the_files_that_posts_use_and_the_names_of_those_that_end_too_early() {
        let files: Vec<_> = (0..100).map(|index| file(&of_gallery(&format!("{index}.png")), Some(hours(90)))).collect();
        let posts = [post(&of_gallery("1.png"), Some(hours(89))), post(&of_gallery("2.png"), Some(hours(88)))];
        let used = used(&files, &posts);
        assert_eq!(used.iter().map(|file| file.expiring.is_some()).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn a_post_lists_all_its_files_at_risk_and_the_earliest_post_comes_first() {
        let listed = [file(&of_gallery("a.jpeg"), Some(hours(9))), file(&of_gallery("b.jpeg"), Some(hours(5)))];
        let media_urls = vec![of_gallery("a.jpeg"), of_gallery("b.jpeg"), of_gallery("c.jpeg")];
        let late = ScheduledPost { media_urls, scheduled_at: Some(hours(20)), ..ScheduledPost::default() };
        let posts = [late, post(&of_gallery("a.jpeg"), Some(hours(10)))];
        let found = check(&[("A", &listed, &posts)], &[(&of_gallery("c.jpeg"), Some(404))]).at_risk;
        assert_eq!(found.iter().map(|post| post.media.len()).collect::<Vec<_>>(), [1, 3]);
        let urls: Vec<_> = found[1].media.iter().map(|media| media.url.rsplit('/').next()).collect();
        assert_eq!(urls, [Some("c.jpeg"), Some("b.jpeg"), Some("a.jpeg")]);
    }

    #[test]
    fn a_post_that_is_listed_with_two_contents_is_checked_with_both() {
        let listed = [file(&of_gallery("a.png"), Some(hours(9))), file(&of_gallery("b.png"), Some(hours(8)))];
        let at_risk = |posts: [(Option<&str>, &str, i64); 2]| {
            let posts = posts.map(|(id, name, due)| ScheduledPost {
                id: id.map(ToOwned::to_owned),
                ..post(&of_gallery(name), Some(hours(due)))
            });
            check(&[("A", &listed, &posts)], &[]).at_risk.len()
        };
        let id = Some("1");
        // Only one of them is at risk, in either order.
        assert_eq!(at_risk([(id, "a.png", 1), (id, "a.png", 20)]), 1);
        assert_eq!(at_risk([(id, "a.png", 20), (id, "a.png", 1)]), 1);
        // Both are: it is said once for each expiry.
        assert_eq!(at_risk([(id, "a.png", 20), (id, "a.png", 21)]), 1);
        assert_eq!(at_risk([(id, "a.png", 20), (id, "b.png", 20)]), 2);
        // Posts without an id may be different ones.
        assert_eq!(at_risk([(None, "a.png", 20), (None, "a.png", 21)]), 2);
    }

    #[test]
    fn each_unexplained_url_is_asked_for_once() {
        let (cdn, listed) = ("https://cdn.example.com/a.png", of_gallery("a.png"));
        let signed = "https://s3.example.com/a.png?X-Amz-Signature=ab";
        let urls = [cdn, &listed, signed, "data:image/png,x", ""].map(ToOwned::to_owned).to_vec();
        let posts = [ScheduledPost { media_urls: urls, ..ScheduledPost::default() }, post(cdn, None)];
        let (a, b) = (ProfileName::new("A"), ProfileName::new("B"));
        let used = used(&[file(&listed, None)], &posts);
        let posts = Packed::new(&posts);
        let known = |profile, used| Known { profile, used, posts: &posts, without_media: &NONE };
        let known = [known(&a, None), known(&b, Some(&used[..]))];
        let checked = PostCheck::new(&known, &rules()).finish(&UrlStatuses::new());
        assert_eq!(checked.urls_to_open(), [(a.clone(), cdn.to_owned())]);
    }

    #[test]
    fn thousands_of_posts_use_thousands_of_files_of_another_profile_quickly() {
        let url = |index: usize| of_gallery(&format!("{index}.png"));
        let files: Vec<_> = (0..4_000).map(|index| file(&url(index), Some(hours(9)))).collect();
        let posts: Vec<_> = (0..4_000).map(|index| post(&url(index), Some(hours(20)))).collect();
        let start = Instant::now();
        assert_eq!(check(&[("A", &files, &[]), ("B", &[], &posts)], &[]).at_risk.len(), 4_000);
        // It takes far less; a quadratic search takes many seconds in a debug build.
        assert!(start.elapsed().as_secs() < 3, "{:?}", start.elapsed());
    }

    proptest! {
        #[test]
        fn nothing_is_gone_without_an_expired_listing_or_a_404_or_410(
            files in proptest::collection::vec((0_usize..6, proptest::option::of(-50_i64..50)), 0..6),
            posts in proptest::collection::vec((0_usize..6, proptest::option::of(-50_i64..50)), 0..6),
            statuses in proptest::collection::vec(proptest::option::of(200_u16..600), 6),
        ) {
            let urls: Vec<_> = (0..6).map(|index| of_gallery(&format!("{index}.png"))).collect();
            let listed: Vec<_> =
                files.iter().map(|(index, at)| file(&urls[*index], at.map(hours))).collect();
            let posts: Vec<_> = posts.iter().map(|(index, at)| post(&urls[*index], at.map(hours))).collect();
            let statuses: Vec<_> = urls.iter().map(String::as_str).zip(statuses).collect();
            for risk in check(&[("A", &listed, &posts)], &statuses).at_risk.iter().flat_map(|post| &post.media) {
                let is_gone = risk.reason == RiskReason::AlreadyGone;
                let of_url = |(index, at): &(usize, Option<i64>)| urls[*index] == risk.url && at.is_some_and(|at| at <= 0);
                let has_expired = files.iter().any(of_url);
                let is_missing = statuses.iter().any(|(url, status)| *url == risk.url && matches!(status, Some(404 | 410)));
                prop_assert!(!is_gone || has_expired || is_missing);
            }
        }
    }

    #[test]
    fn a_post_without_media_is_known() {
        let (profile, none) = (ProfileName::new("A"), Packed::default());
        let without_media = Packed::new(&["id:1".to_owned()]);
        let known = [Known { profile: &profile, used: None, posts: &none, without_media: &without_media }];
        let seen = PostCheck::new(&known, &rules()).finish(&UrlStatuses::new()).seen;
        assert_eq!(seen.state(&profile, "id:1"), PostState::Known);
    }

    #[test]
    fn a_post_is_known_only_if_each_of_its_files_is() {
        const URL: &str = "https://files.example.com/a.png";
        let checked = |files: &[Media], check_urls: bool| {
            let posts = [post(URL, Some(hours(2))), post(URL, Some(hours(20)))];
            let rules = Rules { check_urls, ..rules() };
            let found = check_with(&rules, &[("A", files, &posts)], &[]);
            let state = |post: &ScheduledPost| found.seen.state(&ProfileName::new("A"), &post.identity());
            (posts.each_ref().map(state), found.at_risk.len(), found.unverified.len())
        };
        // It lasts for one of the posts.
        assert_eq!(checked(&[file(URL, Some(hours(10)))], false), ([PostState::Known; 2], 1, 0));
        // It may expire at any time.
        assert_eq!(checked(&[file(URL, None)], true), ([PostState::Unknown; 2], 0, 0));
        let twice = |expires_in: i64| [file(URL, Some(hours(expires_in))), file(URL, None)];
        assert_eq!(checked(&twice(900), true), ([PostState::Unknown; 2], 0, 0));
        assert_eq!(checked(&twice(10), true), ([PostState::Unknown, PostState::Known], 1, 0));
        // No gallery lists it, and Ayrshare is not asked, or does not know. The URL is named once.
        assert_eq!(checked(&[], false), ([PostState::Unknown; 2], 0, 0));
        assert_eq!(checked(&[], true), ([PostState::Unknown; 2], 0, 1));
    }

    #[test]
    fn a_post_is_known_only_if_every_gallery_was_read() {
        let (a, b) = (ProfileName::new("A"), ProfileName::new("B"));
        let state = |expires_at: Timestamp, of_b: Option<&[UsedFile]>, all_profiles: bool| {
            let post = post(&of_gallery("a.png"), Some(hours(2)));
            let (rules, identity) = (Rules { all_profiles, ..rules() }, post.identity());
            let used = used(&[file(&of_gallery("a.png"), Some(expires_at))], std::slice::from_ref(&post));
            let (posts, none) = (Packed::new(&[post]), Packed::default());
            let known = [
                Known { profile: &a, used: Some(&used), posts: &posts, without_media: &NONE },
                Known { profile: &b, used: of_b, posts: &none, without_media: &NONE },
            ];
            PostCheck::new(&known, &rules).finish(&UrlStatuses::new()).seen.state(&a, &identity)
        };
        // The file lasts, or it expires an hour after the post needs it. The gallery of B may list it with an earlier expiry.
        for expires_at in [hours(1_000), hours(4)] {
            assert_eq!(state(expires_at, Some(&[]), true), PostState::Known);
            assert_eq!(state(expires_at, None, true), PostState::Unknown);
            assert_eq!(state(expires_at, Some(&[]), false), PostState::Unknown);
        }
        // Nothing can make a file safe that expires too early.
        assert_eq!(state(hours(1), None, false), PostState::Known);
    }

    #[test]
    fn a_url_that_many_profiles_use_comes_once_before_it_is_repeated() {
        let [logo, own] = ["https://cdn.example.com/logo.png", "https://cdn.example.com/own.png"];
        let [with_logo, with_own] = [[post(logo, None)], [post(own, None)]];
        let found = check(&[("A", &[], &with_logo), ("B", &[], &with_logo), ("C", &[], &with_own)], &[]).unverified;
        let found: Vec<_> = found.iter().map(|unverified| (unverified.profile.as_str(), &*unverified.url)).collect();
        assert_eq!(found, [("A", logo), ("C", own), ("B", logo)]);
    }

    #[test]
    fn a_file_that_posts_will_lack_is_copied_once_for_each_gallery() {
        const LINK: &str = "https://files.example.com/c.png?\
            X-Amz-Date=20261123T060000Z&X-Amz-Expires=3600&X-Amz-Signature=ab";
        let listed = |url: &str, expires_at| Media { size_bytes: Some(7), ..file(url, expires_at) };
        let a = "https://files.example.com/a.png";
        let posts = [post(a, Some(hours(2))), post(a, Some(hours(3))), post(LINK, Some(hours(2)))];
        let of_birch = [listed(a, Some(hours(1)))];
        let of_acme = [listed(a, Some(hours(-1))), listed("https://files.example.com/c.png", None)];
        let profiles: [Profile<'_>; 2] = [("Birch", &of_birch, &posts), ("Acme", &of_acme, &[])];

        let rules = Rules { copying: Some(&RescueFiles::OfPosts), ..rules() };
        let mut copied = check_with(&rules, &profiles, &[]).to_copy;
        copied.sort_by(|one, other| (&one.profile, &one.media.id).cmp(&(&other.profile, &other.media.id)));
        let copied = copied.iter().map(|item| (item.profile.as_str(), item.label(), item.state, item.media.size_bytes));
        let expected = [
            ("Acme", "a.png".to_owned(), State::Expired, Some(7)),
            ("Acme", "c.png".to_owned(), State::Undated, Some(7)),
            ("Birch", "a.png".to_owned(), State::Expiring, Some(7)),
        ];
        assert!(copied.eq(expected));
        assert!(check(&profiles, &[]).to_copy.is_empty());
    }
}
