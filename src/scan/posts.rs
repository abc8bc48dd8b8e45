//! Finds the scheduled posts that will fail because of their media. Pure: the current time is an argument.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::model::{File, MediaAtRisk, PostAtRisk, ProfileName, RiskReason, ScheduledPost, Thresholds, UnverifiedUrl};
use crate::scan::place::Place;
use crate::scan::presigned::Presigned;
use crate::scan::rules::Rules;

/// How long after its due time a post still needs its media, because the networks fetch it while the post is published.
const STILL_NEEDED: SignedDuration = SignedDuration::from_hours(1);

/// Which files posts use.
///
/// It is built before the first gallery is read, so that of each gallery only the files that a post uses are kept. Posts
/// may use hundreds of thousands of files, so it holds hashes. A collision keeps a file that no post uses, and no more.
#[derive(Clone, Debug, Default)]
pub struct FilesInPosts(HashSet<u64>);

/// The hasher of [`FilesInPosts`]. Its key is random for each process, so no outsider can construct collisions.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl FilesInPosts {
    /// Collects the media of these posts.
    #[must_use]
    pub fn of<'a>(posts: impl IntoIterator<Item = &'a ScheduledPost>) -> Self {
        let urls = posts.into_iter().flat_map(|post| &post.media_urls);
        Self(urls.filter_map(|url| Place::parse(url.as_str())).flat_map(|place| hashes(&place)).flatten().collect())
    }

    /// Whether a post uses this file.
    #[must_use]
    pub fn contain(&self, file: &impl File) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let Some(place) = file.url().and_then(Place::parse) else { return false };
        hashes(&place).into_iter().flatten().any(|hash| self.0.contains(&hash))
    }
}

/// The hash of a place, and that of the host and the UUID in it.
fn hashes(place: &Place<'_>) -> [Option<u64>; 2] {
    [Some(HASHER.hash_one(place)), place.uuid().map(|uuid| HASHER.hash_one(uuid))]
}

/// A file of a gallery that a post uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedFile {
    /// Ayrshare's id of the file.
    pub id: Option<String>,
    /// The name under which the file was uploaded.
    pub file_name: Option<String>,
    /// The URL at which the file is served.
    pub url: String,
    /// When the file expires.
    pub expires_at: Option<Timestamp>,
}

impl UsedFile {
    /// Copies what is needed of a file. Returns `None` for a file without a URL, which no post can use.
    #[must_use]
    pub fn of(file: &impl File) -> Option<Self> {
        Some(Self {
            id: file.id().map(ToOwned::to_owned),
            file_name: file.file_name().map(ToOwned::to_owned),
            url: file.url()?.to_owned(),
            expires_at: file.expires_at(),
        })
    }
}

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
    pub posts: &'a [ScheduledPost],
    /// The identities of its other scheduled posts.
    pub without_media: &'a [String],
}

/// All posts, and all files that they use.
#[derive(Debug)]
pub struct PostCheck<'a> {
    known: &'a [Known<'a>],
    now: Timestamp,
    /// The widest threshold is how far ahead a post without a due date needs its media.
    thresholds: &'a Thresholds,
    /// Whether Ayrshare checks URLs that nothing else explains.
    checks_urls: bool,
    /// Whether every gallery of the configuration was read.
    has_all_galleries: bool,
    by_place: HashMap<Place<'a>, Vec<Listed<'a>>>,
    by_uuid: HashMap<(Cow<'a, str>, Uuid), Vec<Listed<'a>>>,
}

/// A used file with the profile whose gallery lists it.
#[derive(Clone, Copy, Debug)]
struct Listed<'a> {
    owner: &'a ProfileName,
    file: &'a UsedFile,
}

/// The posts that will fail, and the URLs of which nobody knows.
#[derive(Clone, Debug, Default)]
pub struct CheckedPosts {
    /// The posts that will fail, the earliest first.
    pub at_risk: Vec<PostAtRisk>,
    /// The URLs that Ayrshare could not open, though that proves nothing.
    pub unverified: Vec<UnverifiedUrl>,
    /// All scheduled posts.
    pub seen: SeenPosts,
}

/// The scheduled posts that were read, and whether all that matters about their media is known.
///
/// A run may read hundreds of thousands of posts, so it holds hashes.
#[derive(Clone, Debug, Default)]
pub struct SeenPosts(HashMap<u64, bool>);

/// What is known about a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostState {
    /// It is scheduled, and of each of its files it is known whether it will be there.
    Known,
    /// It is scheduled, but nobody knows whether all its files will be there.
    Unknown,
    /// It is not scheduled: it was published or deleted.
    NotScheduled,
}

impl SeenPosts {
    /// Adds a post of a profile. Of two posts with the same identity, both must be known.
    pub fn add(&mut self, profile: &ProfileName, identity: &str, is_known: bool) {
        *self.0.entry(HASHER.hash_one((profile, identity))).or_insert(true) &= is_known;
    }

    /// Returns the state of a post, of a profile whose posts were read.
    #[must_use]
    pub fn state(&self, profile: &ProfileName, identity: &str) -> PostState {
        match self.0.get(&HASHER.hash_one((profile, identity))) {
            Some(true) => PostState::Known,
            Some(false) => PostState::Unknown,
            None => PostState::NotScheduled,
        }
    }
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

impl<'a> PostCheck<'a> {
    /// Indexes the files that posts use.
    #[must_use]
    pub fn new(known: &'a [Known<'a>], rules: &Rules<'a>) -> Self {
        let mut by_place: HashMap<_, Vec<_>> = HashMap::new();
        let mut by_uuid: HashMap<_, Vec<_>> = HashMap::new();
        for Known { profile: owner, used, .. } in known {
            for file in used.iter().copied().flatten() {
                let Some(place) = Place::parse(&file.url) else { continue };
                let listed = Listed { owner, file };
                if let Some(uuid) = place.uuid() {
                    by_uuid.entry(uuid).or_default().push(listed);
                }
                by_place.entry(place).or_default().push(listed);
            }
        }
        // The earliest listing comes first, then one of each profile, found by its name.
        let order = |listings: &mut Vec<Listed<'a>>| {
            let expiry = |listed: &Listed<'_>| listed.file.expires_at.unwrap_or(Timestamp::MAX);
            listings.sort_by_key(|listed| (listed.owner, expiry(listed)));
            listings.dedup_by_key(|listed| listed.owner);
            if let Some(earliest) = listings.iter().copied().min_by_key(expiry) {
                listings.insert(0, earliest);
            }
        };
        by_place.values_mut().for_each(order);
        by_uuid.values_mut().for_each(order);
        Self {
            known,
            now: rules.now,
            thresholds: rules.thresholds,
            checks_urls: rules.check_urls,
            has_all_galleries: rules.all_profiles && known.iter().all(|known| known.used.is_some()),
            by_place,
            by_uuid,
        }
    }

    /// Finds a file by host and path, or else by host and UUID.
    ///
    /// When several files match, prefers the profile's own gallery, then the file that expires first.
    fn find(&self, place: &Place<'a>, profile: &ProfileName) -> Option<&Listed<'a>> {
        let by_uuid = || self.by_uuid.get(&place.uuid()?);
        let found = self.by_place.get(place).or_else(by_uuid)?;
        let (earliest, by_profile) = found.split_first()?;
        let own = by_profile.binary_search_by_key(&profile, |listed| listed.owner);
        Some(own.map_or(earliest, |index| &by_profile[index]))
    }

    /// Returns the URLs that neither a gallery nor the URL itself explains, each once, with the index of a profile that
    /// uses it. Only Ayrshare can tell whether they can be opened.
    ///
    /// Presigned URLs are left out: Ayrshare asks with HEAD, which they refuse.
    #[must_use]
    pub fn unexplained(&self) -> Vec<(usize, &'a str)> {
        let mut seen = HashSet::new();
        let mut unexplained = Vec::new();
        for (index, known) in self.known.iter().enumerate() {
            for url in known.posts.iter().flat_map(|post| &post.media_urls) {
                if self.is_unexplained(url, known.profile) && seen.insert(url.as_str()) {
                    unexplained.push((index, url.as_str()));
                }
            }
        }
        unexplained
    }

    fn is_unexplained(&self, url: &'a str, profile: &ProfileName) -> bool {
        let place = Place::parse(url);
        place.is_some_and(|place| self.find(&place, profile).is_none()) && Presigned::of(url) == Presigned::No
    }

    /// Returns the posts that will fail.
    ///
    /// A post is at risk when one of its files
    ///
    /// - is listed by a gallery and has expired, or cannot be opened any more: Ayrshare's check gave 404 or 410,
    /// - is listed by a gallery and expires before the post is due or within an hour after that, or
    /// - has a presigned URL that ends by then.
    ///
    /// A post without a due date needs its files until the widest threshold. A gallery that could not be read, or a file
    /// that no gallery lists, proves nothing.
    #[must_use]
    pub fn finish(&self, statuses: &UrlStatuses) -> CheckedPosts {
        let mut checked = CheckedPosts::default();
        for known in self.known {
            for identity in known.without_media {
                checked.seen.add(known.profile, identity, true);
            }
            let mut unverified = HashSet::new();
            for post in known.posts {
                let mut seen = HashSet::new();
                let mut media = Vec::new();
                let mut is_known = true;
                for url in post.media_urls.iter().filter(|url| seen.insert(*url)) {
                    let verdict = self.verdict(url, post, known.profile, statuses);
                    is_known &= matches!(verdict, Verdict::Safe | Verdict::Risk(_));
                    match verdict {
                        Verdict::Risk(risk) => media.push(*risk),
                        Verdict::Unverified(http_status) if unverified.insert(url) => {
                            checked.unverified.push(UnverifiedUrl {
                                profile: known.profile.clone(),
                                post_id: post.id.clone(),
                                url: url.clone(),
                                http_status,
                            });
                        }
                        Verdict::Safe | Verdict::Unknown | Verdict::Unverified(_) => {}
                    }
                }
                checked.seen.add(known.profile, &post.identity(), is_known);
                if media.is_empty() {
                    continue;
                }
                media.sort_by_key(|media| media.expires_at.unwrap_or(Timestamp::MIN));
                checked.at_risk.push(PostAtRisk {
                    profile: known.profile.clone(),
                    id: post.id.clone(),
                    text: post.text.clone(),
                    platforms: post.platforms.clone(),
                    scheduled_at: post.scheduled_at,
                    media,
                });
            }
        }
        checked.at_risk.sort_by_key(|post| post.scheduled_at.unwrap_or(Timestamp::MAX));
        checked
    }

    fn verdict(&self, url: &'a str, post: &ScheduledPost, profile: &ProfileName, statuses: &UrlStatuses) -> Verdict {
        let listed = Place::parse(url).and_then(|place| self.find(&place, profile));
        let file_expiry = listed.and_then(|listed| listed.file.expires_at);
        let presigned = Presigned::of(url);
        let link_expiry = presigned.expires_at();
        let is_too_early = |expiry: &Timestamp| self.is_too_early(*expiry, post);
        let (reason, expires_at) = match (file_expiry, link_expiry) {
            (Some(expiry), _) if expiry <= self.now => (RiskReason::AlreadyGone, Some(expiry)),
            (Some(file), link) if is_too_early(&file) && link.is_none_or(|link| file <= link) => {
                (RiskReason::ExpiresBeforePost, Some(file))
            }
            (_, Some(link)) if is_too_early(&link) => (RiskReason::LinkExpiresBeforePost, Some(link)),
            (Some(_), _) => return Verdict::Safe,
            // It is listed without a date, so it may expire at any time.
            (None, _) if listed.is_some() => return Verdict::Unknown,
            // A gallery that was not read may list the file, with an earlier expiry.
            (None, Some(_)) => return self.safe_if_all_galleries_were_read(),
            _ if !self.checks_urls => return Verdict::Unknown,
            _ => match statuses.get(url) {
                Some(Some(404 | 410)) => (RiskReason::AlreadyGone, None),
                Some(Some(200..=299)) => return self.safe_if_all_galleries_were_read(),
                http_status => return Verdict::Unverified(http_status.copied().flatten()),
            },
        };
        Verdict::Risk(Box::new(MediaAtRisk {
            id: listed.and_then(|listed| listed.file.id.clone()),
            owner: listed.map(|listed| listed.owner.clone()),
            file_name: listed.and_then(|listed| listed.file.file_name.clone()),
            url: url.to_owned(),
            expires_at,
            reason,
        }))
    }

    fn safe_if_all_galleries_were_read(&self) -> Verdict {
        if self.has_all_galleries { Verdict::Safe } else { Verdict::Unknown }
    }

    /// Whether a file that expires then will be missing when the post is published.
    fn is_too_early(&self, expiry: Timestamp, post: &ScheduledPost) -> bool {
        match post.scheduled_at {
            // An overdue post is paused or not yet approved, so it may be published at any moment.
            Some(due) => expiry.duration_since(due.max(self.now)) <= STILL_NEEDED,
            None => self.thresholds.entered(expiry.duration_since(self.now)).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use globset::GlobSet;
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Media, Threshold};

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
        let in_posts = FilesInPosts::of(profiles.iter().flat_map(|(_, _, posts)| *posts));
        let used = |files: &[Media]| -> Vec<_> {
            files.iter().filter(|file| in_posts.contain(file)).filter_map(|file| UsedFile::of(&file)).collect()
        };
        let kept: Vec<_> =
            profiles.iter().map(|(name, files, posts)| (ProfileName::new(name), used(files), *posts)).collect();
        let known: Vec<_> = kept
            .iter()
            .map(|(profile, used, posts)| Known { profile, used: Some(used), posts, without_media: &[] })
            .collect();
        let statuses = statuses.iter().map(|(url, status)| ((*url).to_owned(), *status)).collect();
        PostCheck::new(&known, &rules()).finish(&statuses)
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
            let used: Vec<_> = gallery.iter().filter_map(|file| UsedFile::of(&file)).collect();
            let (a, b) = (ProfileName::new("A"), ProfileName::new("B"));
            let known = [
                Known { profile: &a, used: Some(&used), posts: &posts, without_media: &[] },
                Known { profile: &b, used: other_gallery, posts: &[], without_media: &[] },
            ];
            let statuses = UrlStatuses::from([(other.clone(), Some(status))]);
            PostCheck::new(&known, rules).finish(&statuses).seen.state(&a, &posts[0].identity())
        };
        let read: Option<&[UsedFile]> = Some(&[]);
        assert_eq!(state(&[&listed], &rules(), None, 200), PostState::Known);
        assert_eq!(state(&[&listed, &other], &rules(), read, 200), PostState::Known);
        // A gallery that was not read may list the other file, and it may expire soon.
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
    fn an_exact_place_beats_a_uuid_and_the_own_gallery_beats_others() {
        let (jpeg, png) = (of_gallery(&format!("{UUID}.jpeg")), of_gallery(&format!("{UUID}.png")));
        let own = [file(&png, Some(hours(4))), file(&jpeg, Some(hours(900)))];
        assert_eq!(risk(&own, post(&jpeg, Some(hours(50)))), None);
        assert!(risk(&own[..1], post(&jpeg, Some(hours(50)))).is_some());

        let other = [file(&jpeg, Some(hours(4)))];
        let found = |own: &[Media], due: i64| {
            check(&[("B", &other, &[]), ("A", own, &[post(&jpeg, Some(hours(due)))])], &[]).at_risk.len()
        };
        assert_eq!((found(&own[1..], 50), found(&[], 50), found(&[], 1)), (0, 1, 0));
    }

    #[test]
    fn only_files_that_posts_use_are_kept() {
        let files: Vec<_> = (0..100).map(|index| file(&of_gallery(&format!("{index}.png")), Some(hours(90)))).collect();
        let posts = [post(&of_gallery("1.png"), None), post(&of_gallery("2.png"), None)];
        let in_posts = FilesInPosts::of(&posts);
        assert_eq!(files.iter().filter(|file| in_posts.contain(file)).count(), 2);
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
    fn each_unexplained_url_is_asked_for_once() {
        let (cdn, listed) = ("https://cdn.example.com/a.png", of_gallery("a.png"));
        let signed = "https://s3.example.com/a.png?X-Amz-Signature=ab";
        let urls = [cdn, &listed, signed, "data:image/png,x", ""].map(ToOwned::to_owned).to_vec();
        let posts = [ScheduledPost { media_urls: urls, ..ScheduledPost::default() }, post(cdn, None)];
        let (a, b) = (ProfileName::new("A"), ProfileName::new("B"));
        let used: Vec<_> = UsedFile::of(&&file(&listed, None)).into_iter().collect();
        let known = |profile, used| Known { profile, used, posts: &posts, without_media: &[] };
        let known = [known(&a, None), known(&b, Some(&used[..]))];
        assert_eq!(PostCheck::new(&known, &rules()).unexplained(), [(0, cdn)]);
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
}
