//! The survey: everything that a run found in its profiles, the most urgent first. Pure.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{
    Copies, Discovery, FailedProfile, Failure, FailureKind, Item, KeptCopy, Listing, MediaAtRisk, Part, PostAtRisk,
    ProfileName, State, Status, Tags, UnverifiedUrl, text,
};
use crate::scan::ayrshare::ScheduledPosts;
use crate::scan::posts::{CheckedPosts, Known};
use crate::scan::seen_posts::SeenPosts;
use crate::scan::select::Gallery;

/// The result of scanning one profile.
#[derive(Debug)]
pub struct Scan {
    /// The profile.
    pub profile: ProfileName,
    /// What the run keeps of its gallery, or why the gallery could not be read.
    pub media: Result<Gallery, Failure>,
    /// Its scheduled posts; `None` when posts are not checked.
    pub posts: Option<ScheduledPosts>,
}

impl Scan {
    /// What is known about the profile for finding posts at risk.
    #[must_use]
    pub fn known(&self) -> Known<'_> {
        static NONE: LazyLock<ScheduledPosts> = LazyLock::new(ScheduledPosts::default);
        let posts = self.posts.as_ref().unwrap_or(&NONE);
        Known {
            profile: &self.profile,
            used: self.media.as_ref().ok().map(|gallery| gallery.used.as_slice()),
            posts: &posts.posts,
            without_media: &posts.without_media,
        }
    }
}

/// Everything that a run found.
///
/// Its long lists are not a part of what it serializes to. The store writes and reads their entries one by one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Survey {
    /// When the run started.
    pub now: Timestamp,
    /// The outcome of reading `[profiles_from]`.
    pub listing: Listing,
    /// The profiles that the run had to check, in the order of the configuration.
    #[serde(skip)]
    pub profiles: Vec<SurveyedProfile>,
    /// The files that matter, sorted by expiry. Files without an expiry come last; files with the same expiry keep the
    /// order of their galleries.
    #[serde(skip)]
    pub items: Vec<Arc<Item>>,
    /// The scheduled posts that will fail, the earliest first.
    #[serde(skip)]
    pub posts_at_risk: Vec<Arc<PostAtRisk>>,
    /// The URLs of posts that Ayrshare could not open, though that proves nothing.
    #[serde(skip)]
    pub unverified: Vec<UnverifiedUrl>,
    /// The scheduled posts that were read. Only announcing needs them, so they are not stored.
    #[serde(skip)]
    pub seen_posts: Arc<SeenPosts>,
    /// The files that are copied although they are not among the items. Only copying needs them, so they are not stored.
    #[serde(skip)]
    pub to_copy: Vec<Arc<Item>>,
    /// The copies of files that the store keeps, and what could not be copied.
    #[serde(skip)]
    pub copies: Arc<Copies>,
    /// The profiles of the account that nobody watches, if the run looked for them.
    pub discovery: Discovery,
}

/// What a survey knows about one profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurveyedProfile {
    /// The profile.
    pub name: ProfileName,
    /// Its tags, by which channels can select it.
    pub tags: Tags,
    /// How many files its gallery listed, including the ignored ones.
    pub listed: usize,
    /// How many of them are ignored.
    pub ignored: usize,
    /// Why its gallery could not be read; `None` when it was read.
    pub failed: Option<Failure>,
    /// Whether the expiries of its files could be read.
    pub dates: Result<(), Failure>,
    /// How many scheduled posts with media were read.
    pub scheduled: usize,
    /// Whether all its scheduled posts and their due dates were read; `None` when posts are not checked.
    pub posts: Option<Result<(), Failure>>,
}

impl SurveyedProfile {
    /// Returns whether this part of the profile was read successfully.
    #[must_use]
    pub fn has_seen(&self, part: Part) -> bool {
        match part {
            Part::Media => self.failed.is_none(),
            Part::Dates => self.failed.is_none() && self.dates.is_ok(),
            Part::Posts => self.posts == Some(Ok(())),
            Part::Profiles => false,
        }
    }
}

impl Survey {
    /// Combines the scans of all profiles, and what was found out about their posts.
    #[must_use]
    pub fn new(now: Timestamp, scans: Vec<Scan>, posts: CheckedPosts) -> Self {
        let CheckedPosts { at_risk: posts_at_risk, unverified, seen: seen_posts, to_copy } = posts;
        let posts_at_risk = posts_at_risk.into_iter().map(Arc::new).collect();
        let seen_posts = Arc::new(seen_posts);
        let mut survey = Self {
            now,
            listing: Listing::default(),
            profiles: Vec::new(),
            items: Vec::new(),
            posts_at_risk,
            unverified,
            seen_posts,
            to_copy: to_copy.into_iter().map(Arc::new).collect(),
            copies: Arc::default(),
            discovery: Discovery::default(),
        };
        for Scan { profile: name, media, posts } in scans {
            let (gallery, failed) = match media {
                Ok(gallery) => (gallery, None),
                Err(failure) => (Gallery::default(), Some(failure)),
            };
            let Gallery { listed, ignored, items, to_copy, unreadable_dates, .. } = gallery;
            let dates = all_readable(unreadable_dates, "the expiry", "file");
            let scheduled = posts.as_ref().map_or(0, |posts| posts.posts.len());
            let posts = posts.map(|posts| {
                posts.failed.map_or(Ok(()), Err)?;
                all_readable(posts.unreadable_dates, "the due date", "scheduled post")?;
                all_readable(posts.unknown_shapes, "the media or the text", "scheduled post")
            });
            let tags = Tags::default();
            survey.profiles.push(SurveyedProfile { name, tags, listed, ignored, failed, dates, scheduled, posts });
            survey.items.extend(items.into_iter().map(Arc::new));
            survey.to_copy.extend(to_copy.into_iter().map(Arc::new));
        }
        survey.items.sort_by_key(|item| item.media.expires_at.unwrap_or(Timestamp::MAX));
        survey
    }

    /// The survey restricted to `profiles`. A channel for these profiles must not learn about any other, so it contains
    /// neither failures of `[profiles_from]` nor unwatched profiles.
    #[must_use]
    pub fn of_profiles(&self, profiles: &[ProfileName]) -> Self {
        let profiles: HashSet<_> = profiles.iter().collect();
        let named = |name: &ProfileName| profiles.contains(name);
        Self {
            now: self.now,
            listing: Listing::default(),
            profiles: self.profiles.iter().filter(|profile| named(&profile.name)).cloned().collect(),
            items: self.items.iter().filter(|item| named(&item.profile)).cloned().collect(),
            posts_at_risk: self.posts_at_risk.iter().filter(|post| named(&post.profile)).cloned().collect(),
            unverified: self.unverified.iter().filter(|url| named(&url.profile)).cloned().collect(),
            seen_posts: Arc::clone(&self.seen_posts),
            to_copy: Vec::new(),
            copies: Arc::new(self.copies.of_profiles(&profiles)),
            discovery: Discovery::default(),
        }
    }

    /// Returns the name and the tags of each profile that the run had to check.
    pub fn known(&self) -> impl Iterator<Item = (&ProfileName, &Tags)> + Clone {
        self.profiles.iter().map(|profile| (&profile.name, &profile.tags))
    }

    /// How many profiles the run had to check.
    #[must_use]
    pub fn configured(&self) -> usize {
        self.profiles.len()
    }

    /// How many galleries were read.
    #[must_use]
    pub fn checked(&self) -> usize {
        self.profiles.iter().filter(|profile| profile.failed.is_none()).count()
    }

    /// What could not be read: `[profiles_from]` first, then the profiles in the order of the configuration.
    #[must_use]
    pub fn failed(&self) -> Vec<FailedProfile> {
        let failed = |profile: &SurveyedProfile| {
            // Once the gallery has failed, a failure of the posts tells the reader nothing new.
            let failures = match (&profile.failed, &profile.posts) {
                (Some(failure), _) => [Some((Part::Media, failure.clone())), None],
                (None, posts) => {
                    let failure = |result: Option<&Result<(), Failure>>| result?.as_ref().err().cloned();
                    let dates = failure(Some(&profile.dates)).map(|failure| (Part::Dates, failure));
                    [dates, failure(posts.as_ref()).map(|failure| (Part::Posts, failure))]
                }
            };
            let profile = profile.name.clone();
            failures.into_iter().flatten().map(move |(what, failure)| FailedProfile {
                profile: profile.clone(),
                what,
                failure,
            })
        };
        self.listing.failed.iter().cloned().chain(self.profiles.iter().flat_map(failed)).collect()
    }

    /// The ids of the posts at risk, keyed by the owner and the id of the file that each post will be missing.
    #[must_use]
    pub fn posts_by_media(&self) -> PostsByMedia<'_> {
        let mut posts: HashMap<_, HashMap<_, Vec<String>>> = HashMap::new();
        for post in &self.posts_at_risk {
            let Some(id) = &post.id else { continue };
            for media in &post.media {
                if let (Some(owner), Some(media)) = (&media.owner, &media.id) {
                    let posts = posts.entry(owner).or_default().entry(media.as_str()).or_default();
                    if posts.last() != Some(id) {
                        posts.push(id.clone());
                    }
                }
            }
        }
        PostsByMedia(posts)
    }

    /// What people call the file whose copy has this key, if the survey names it.
    #[must_use]
    pub fn name_of_copy(&self, key: &str) -> Option<String> {
        let is_it = |copy: Option<&KeptCopy>| copy.is_some_and(|copy| copy.has_key(key));
        let item = self.items.iter().find(|item| is_it(self.copies.of(item))).map(|item| item.label());
        let in_post = || {
            let mut media = self.posts_at_risk.iter().flat_map(|post| &post.media);
            media.find(|media| is_it(self.copies.of_media(media))).map(MediaAtRisk::label)
        };
        item.or_else(in_post)
    }

    /// The number of files, by state.
    #[must_use]
    pub fn counts(&self) -> MediaCounts {
        let in_state = |state: State| self.items.iter().filter(|item| item.state == state).count();
        MediaCounts {
            listed: self.profiles.iter().map(|profile| profile.listed).sum(),
            expiring: in_state(State::Expiring),
            expired: in_state(State::Expired),
            undated: in_state(State::Undated),
            ignored: self.profiles.iter().map(|profile| profile.ignored).sum(),
        }
    }

    /// The number of scheduled posts, and of their URLs that could not be verified.
    #[must_use]
    pub fn post_counts(&self) -> PostCounts {
        let urls: HashSet<_> = self.unverified.iter().map(|unverified| unverified.url.as_str()).collect();
        PostCounts {
            scheduled: self.profiles.iter().map(|profile| profile.scheduled).sum(),
            at_risk: self.posts_at_risk.len(),
            urls_unverified: urls.len(),
        }
    }

    /// The status of the run. It is never `ok` when any part of a profile could not be read.
    #[must_use]
    pub fn status(&self) -> Status {
        if self.checked() == 0 || self.listing.status() == Status::Failed {
            Status::Failed
        } else if !self.failed().is_empty() {
            Status::Partial
        } else {
            Status::Ok
        }
    }
}

/// Fails when some dates could not be read. What is present but not understood must not pass for absent.
fn all_readable(unreadable: usize, date: &str, thing: &str) -> Result<(), Failure> {
    if unreadable == 0 {
        return Ok(());
    }
    let message = format!("{date} of {} cannot be read", text::count(unreadable, thing));
    Err(Failure { kind: FailureKind::BadResponse, http_status: None, code: None, message })
}

/// Which scheduled posts will fail because of a file.
#[derive(Clone, Debug)]
pub struct PostsByMedia<'a>(HashMap<&'a ProfileName, HashMap<&'a str, Vec<String>>>);

impl PostsByMedia<'_> {
    /// The ids of the posts that will lack `item`.
    #[must_use]
    pub fn of(&self, item: &Item) -> &[String] {
        let posts = item.media.id.as_deref().and_then(|id| self.0.get(&item.profile)?.get(id));
        posts.map_or(&[], Vec::as_slice)
    }
}

/// The number of files that a run found, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MediaCounts {
    /// All listed files, including the ignored ones.
    pub listed: usize,
    /// Files that expire within a threshold.
    pub expiring: usize,
    /// Files that have expired.
    pub expired: usize,
    /// Files without a readable expiry.
    pub undated: usize,
    /// Files that match `alerts.ignore`.
    pub ignored: usize,
}

/// The number of scheduled posts, and of their URLs that could not be verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PostCounts {
    /// All scheduled posts with media.
    pub scheduled: usize,
    /// Those that will fail.
    pub at_risk: usize,
    /// The URLs that Ayrshare could not open, though that proves nothing.
    pub urls_unverified: usize,
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::model::{FailureKind, KeptCopy, Media, MediaAtRisk, Packed, RiskReason, ScheduledPost};

    fn now() -> Timestamp {
        "2026-11-23T06:00:00Z".parse().expect("a time")
    }

    fn gallery(profile: &ProfileName, hours: &[Option<i64>]) -> Gallery {
        let item = |&hours: &Option<i64>| {
            let expires_at = hours.map(|hours| now() + SignedDuration::from_hours(hours));
            let state = match hours {
                None => State::Undated,
                Some(hours) if hours <= 0 => State::Expired,
                Some(_) => State::Expiring,
            };
            let media = Media { expires_at, ..Media::default() };
            Item { profile: profile.clone(), media, state, threshold: None }
        };
        Gallery { listed: hours.len() + 2, ignored: 1, items: hours.iter().map(item).collect(), ..Gallery::default() }
    }

    #[test]
    fn items_are_sorted_by_expiry_and_a_failed_profile_makes_the_status_partial() {
        let [a, b, c] = ["A", "B", "C"].map(ProfileName::new);
        let failure =
            Failure { kind: FailureKind::Forbidden, http_status: Some(403), code: None, message: "no".into() };
        let scans = vec![
            Scan { media: Ok(gallery(&a, &[None, Some(30), Some(-2)])), profile: a.clone(), posts: None },
            Scan { media: Err(failure), profile: b.clone(), posts: None },
            Scan { media: Ok(gallery(&c, &[Some(1)])), profile: c.clone(), posts: None },
        ];
        let survey = Survey::new(now(), scans, CheckedPosts::default());
        let hours = |item: &Arc<Item>| item.remaining(now()).map(|left| left.as_hours());
        assert_eq!(survey.items.iter().map(hours).collect::<Vec<_>>(), [Some(-2), Some(1), Some(30), None]);
        assert_eq!((survey.configured(), survey.checked(), survey.status()), (3, 2, Status::Partial));
        assert!(survey.known().map(|(name, _)| name.as_str()).eq(["A", "B", "C"]));
        let expected = MediaCounts { listed: 8, expiring: 2, expired: 1, undated: 1, ignored: 2 };
        assert_eq!(survey.counts(), expected);

        let of_a = survey.of_profiles(&[a]);
        assert_eq!((of_a.counts().listed, of_a.items.len(), of_a.status()), (5, 3, Status::Ok));
        assert_eq!(survey.of_profiles(&[b]).status(), Status::Failed);
        assert_eq!(survey.of_profiles(&[c]).failed(), []);
    }

    #[test]
    fn dates_that_cannot_be_read_are_failures_of_a_profile_that_was_checked() {
        let name = ProfileName::new("A");
        let media = Gallery { unreadable_dates: 3, ..gallery(&name, &[None, None, None]) };
        let posts = ScheduledPosts {
            posts: Packed::new(&[ScheduledPost::default()]),
            unreadable_dates: 1,
            ..ScheduledPosts::default()
        };
        let survey = Survey::new(
            now(),
            vec![Scan { profile: name.clone(), media: Ok(media), posts: Some(posts) }],
            CheckedPosts::default(),
        );
        let failed = survey.failed();
        let failed: Vec<_> =
            failed.iter().map(|one| (one.what, one.failure.kind, one.failure.message.as_str())).collect();
        assert_eq!(
            failed,
            [
                (Part::Dates, FailureKind::BadResponse, "the expiry of 3 files cannot be read"),
                (Part::Posts, FailureKind::BadResponse, "the due date of 1 scheduled post cannot be read"),
            ]
        );
        assert_eq!((survey.checked(), survey.items.len(), survey.status()), (1, 3, Status::Partial));
        let has_seen = [Part::Media, Part::Dates, Part::Posts].map(|part| survey.profiles[0].has_seen(part));
        assert_eq!(has_seen, [true, false, false]);
    }

    #[test]
    fn posts_that_were_read_are_counted_though_others_could_not_be() {
        let failure =
            Failure { kind: FailureKind::Forbidden, http_status: Some(403), code: None, message: "no".into() };
        let posts = ScheduledPosts {
            posts: Packed::new(&[ScheduledPost::default()]),
            unreadable_dates: 1,
            failed: Some(failure.clone()),
            ..ScheduledPosts::default()
        };
        let scan = Scan { profile: ProfileName::new("A"), media: Ok(Gallery::default()), posts: Some(posts) };
        let survey = Survey::new(now(), vec![scan], CheckedPosts::default());
        assert_eq!((survey.post_counts().scheduled, survey.status()), (1, Status::Partial));
        assert_eq!(survey.profiles[0].posts, Some(Err(failure)));
        assert!(!survey.profiles[0].has_seen(Part::Posts));
    }

    #[test]
    fn posts_and_copies_are_found_by_the_file_that_a_post_will_lack() {
        let [a, b] = ["A", "B"].map(ProfileName::new);
        let lacks = |id: &str| MediaAtRisk {
            id: Some(id.to_owned()),
            owner: Some(a.clone()),
            file_name: Some(format!("{id}.png")),
            url: String::new(),
            expires_at: None,
            reason: RiskReason::AlreadyGone,
        };
        let post = |id: &str, media: Vec<MediaAtRisk>| PostAtRisk {
            profile: b.clone(),
            id: Some(id.to_owned()),
            text: None,
            platforms: Vec::new(),
            scheduled_at: None,
            media,
        };
        let item = |id: &str| {
            let media = Media { id: Some(id.to_owned()), ..Media::default() };
            Item { profile: a.clone(), media, state: State::Undated, threshold: None }
        };
        let at_risk = vec![post("p1", vec![lacks("m1"), lacks("m1"), lacks("m2")]), post("p2", vec![lacks("m1")])];
        let media = Gallery { items: vec![item("m1")], ..Gallery::default() };
        let scans = vec![Scan { profile: a.clone(), media: Ok(media), posts: None }];
        let mut survey = Survey::new(now(), scans, CheckedPosts { at_risk, ..CheckedPosts::default() });

        let posts = survey.posts_by_media();
        assert_eq!(
            (posts.of(&item("m1")), posts.of(&item("m2"))),
            (&["p1", "p2"].map(String::from)[..], &["p1"].map(String::from)[..])
        );
        assert!(posts.of(&item("m3")).is_empty());

        let mut copies = Copies::on();
        for id in ["m1", "m2", "m3"] {
            let copy = KeptCopy::new(a.clone(), format!("copies/{id}"), 1, false);
            copies.add(a.clone(), id, Arc::new(copy));
        }
        survey.copies = Arc::new(copies);
        let names = ["m1", "m2", "m3"].map(|id| survey.name_of_copy(&format!("copies/{id}")));
        // The gallery gives the first file no name, and nothing names the third.
        assert_eq!(names.each_ref().map(Option::as_deref), [Some("m1"), Some("m2.png"), None]);
    }
}
