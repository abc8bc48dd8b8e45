//! What each channel is told: the entries, their order and the texts.
//!
//! This layer owns the selection (this file), the sentences ([`wording`]) and what is new to a channel
//! ([`announce`]). It is pure: `now` is an argument, and nothing here can fail. It does not know how any channel formats
//! or sends a message; that is in [`crate::channel`].

pub mod announce;
mod copies;
#[cfg(test)]
pub(crate) mod fixtures;
mod lines;
mod opening;
mod sentence;
#[cfg(test)]
pub(crate) mod test_surveys;
mod wording;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

pub use self::lines::{DigestLine, LineSubject};
pub use self::sentence::Sentence;
pub use self::wording::{
    checked, counted, first_names, left_out, post_label, post_timing, reason, unchecked_part, unread,
    unverified_reason, unwatched, within,
};
use crate::model::threshold::{Threshold, Thresholds};
use crate::model::{
    AyrshareProfile, Copies, Discovery, DiscoveryStatus, FailedProfile, Item, Level, Listing, MediaAtRisk, Part,
    PostAtRisk, ProfileName, RiskReason, State, Zone,
};
use crate::scan::survey::Survey;

/// What one channel is told.
#[derive(Clone, Debug)]
pub struct Digest {
    /// Whether this is a sample that shows whether messages arrive.
    pub is_test: bool,
    /// The time of the run: "in 2 days" counts from here.
    pub now: Timestamp,
    /// The zone in which people read its times.
    pub zone: Zone,
    /// The profiles of this channel.
    pub profiles: Vec<ProfileName>,
    /// How many of their galleries were read.
    pub checked: usize,
    /// The longest threshold: files that expire later are not mentioned.
    pub horizon: Option<Threshold>,
    /// What is announced. It is sorted by section, then by profile, then by time.
    pub entries: Vec<Entry>,
    /// The copies that the store keeps, and what could not be copied.
    pub copies: Arc<Copies>,
    /// The profiles, or parts of profiles, that could not be checked.
    pub unchecked: Vec<FailedProfile>,
    /// Whether `unchecked` alone is reason enough to send a message. If not, it is only repeated beside other news.
    pub unchecked_is_news: bool,
    /// What could be checked again after it had been announced as failing.
    pub recovered: Vec<(ProfileName, Part)>,
    /// The profiles of the account that nobody watches.
    pub unwatched: Arc<[AyrshareProfile]>,
    /// Whether they are known: whether the run compared the profiles, and the channel receives all profiles.
    pub knows_unwatched: bool,
    /// Posts that were announced and are no longer at risk: profile and label.
    pub resolved: Vec<(ProfileName, String)>,
    /// How many entries were announced before and are still open.
    pub announced_before: usize,
    /// How many files are marked as handled, and so not announced.
    pub handled: usize,
    /// A note about the ledger, if there is anything to know.
    pub ledger_note: Option<String>,
    /// The link to the report of this channel.
    pub report_link: Option<ReportLink>,
    /// A line of the configuration, to be shown at the end.
    pub note: Option<String>,
}

/// A link that a digest carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportLink {
    /// The URL, with the signature.
    pub url: String,
    /// When it expires.
    pub until: Timestamp,
}

/// One thing that is announced.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The section that it belongs to.
    pub urgency: Urgency,
    /// The shortest threshold that it has entered, as the ledger records it.
    pub level: Level,
    /// The file or the post.
    pub subject: Subject,
}

/// What an entry is about.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A file of a gallery.
    File(Arc<Item>),
    /// A scheduled post.
    Post(Arc<PostAtRisk>),
}

impl Entry {
    /// The profile that it belongs to.
    #[must_use]
    pub fn profile(&self) -> &ProfileName {
        match &self.subject {
            Subject::File(item) => &item.profile,
            Subject::Post(post) => &post.profile,
        }
    }

    fn of_post(post: &Arc<PostAtRisk>, now: Timestamp, thresholds: &Thresholds) -> Self {
        let level = |media: &MediaAtRisk| match (media.reason, media.expires_at) {
            (RiskReason::AlreadyGone, _) => Level::OVER,
            (RiskReason::ExpiresBeforePost | RiskReason::LinkExpiresBeforePost, Some(expires_at)) => {
                thresholds.entered(expires_at.duration_since(now)).map_or(Level::SEEN, Level::of)
            }
            (RiskReason::ExpiresBeforePost | RiskReason::LinkExpiresBeforePost, None) => Level::SEEN,
        };
        let level = post.media.iter().map(level).min().unwrap_or(Level::SEEN);
        Self { urgency: Urgency::PostAtRisk, level, subject: Subject::Post(Arc::clone(post)) }
    }

    /// `None` if the file expires, but has entered none of these thresholds yet.
    fn of_item(item: &Arc<Item>, now: Timestamp, thresholds: &Thresholds) -> Option<Self> {
        let (urgency, level) = match item.state {
            State::Expired => (Urgency::Expired, Level::OVER),
            State::Undated => (Urgency::Undated, Level::SEEN),
            State::Expiring => {
                let threshold = thresholds.entered(item.remaining(now)?)?;
                (Urgency::Within(threshold.clone()), Level::of(threshold))
            }
        };
        Some(Self { urgency, level, subject: Subject::File(Arc::clone(item)) })
    }
}

/// How urgent an entry is. The sections of a digest come in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// A scheduled post that will fail.
    PostAtRisk,
    /// A file that has expired.
    Expired,
    /// A file that expires; this is the shortest threshold that it has entered.
    Within(Threshold),
    /// A file without an expiry date.
    Undated,
}

impl Urgency {
    /// The section of a file, at the shortest threshold that it has entered.
    #[must_use]
    pub fn of_item(item: &Item) -> Self {
        match (item.state, &item.threshold) {
            (State::Expired, _) => Self::Expired,
            (State::Expiring, Some(threshold)) => Self::Within(threshold.clone()),
            (State::Expiring | State::Undated, _) => Self::Undated,
        }
    }
}

/// How many entries of each kind a digest has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Scheduled posts that will fail.
    pub posts_at_risk: usize,
    /// Files that have expired.
    pub expired: usize,
    /// Files that have entered a threshold.
    pub expiring: usize,
    /// Files without an expiry date.
    pub undated: usize,
}

impl Digest {
    /// Selects from a survey everything that concerns a channel with these profiles and thresholds.
    /// [`announce::Announcement`] then removes what is not new to the channel.
    #[must_use]
    pub fn new(survey: &Survey, profiles: &[ProfileName], thresholds: &Thresholds) -> Self {
        let survey = survey.of_profiles(profiles);
        let posts = survey.posts_at_risk.iter().map(|post| Entry::of_post(post, survey.now, thresholds));
        let files = survey.items.iter().filter_map(|item| Entry::of_item(item, survey.now, thresholds));
        Self {
            is_test: false,
            now: survey.now,
            zone: Zone::UTC,
            profiles: profiles.to_vec(),
            checked: survey.checked(),
            horizon: thresholds.iter().last().cloned(),
            entries: grouped(posts.chain(files).collect()),
            copies: Arc::clone(&survey.copies),
            unchecked: survey.failed(),
            unchecked_is_news: true,
            recovered: Vec::new(),
            unwatched: Arc::default(),
            knows_unwatched: false,
            resolved: Vec::new(),
            announced_before: 0,
            handled: 0,
            ledger_note: None,
            report_link: None,
            note: None,
        }
    }

    /// Adds the outcome of reading `[profiles_from]`, as far as the channel is told.
    #[must_use]
    pub fn with_listing(mut self, listing: &Listing) -> Self {
        self.unchecked.splice(0..0, listing.failed.iter().cloned());
        self
    }

    /// Adds the profiles that nobody watches, for a channel that receives all profiles.
    #[must_use]
    pub fn with_unwatched(self, discovery: &Discovery) -> Self {
        let knows_unwatched = discovery.status == DiscoveryStatus::Ok;
        Self { unwatched: Arc::clone(&discovery.unwatched), knows_unwatched, ..self }
    }

    /// Whether there is no news.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let has_unchecked = self.unchecked_is_news && !self.unchecked.is_empty();
        self.entries.is_empty()
            && !has_unchecked
            && self.recovered.is_empty()
            && self.resolved.is_empty()
            && self.unwatched.is_empty()
    }

    /// Whether a message may say that all is clear: there is no news, and everything was checked.
    #[must_use]
    pub fn is_all_clear(&self) -> bool {
        self.is_empty() && self.unchecked.is_empty()
    }

    /// Counts the entries of each kind.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for entry in &self.entries {
            match entry.urgency {
                Urgency::PostAtRisk => counts.posts_at_risk += 1,
                Urgency::Expired => counts.expired += 1,
                Urgency::Within(_) => counts.expiring += 1,
                Urgency::Undated => counts.undated += 1,
            }
        }
        counts
    }

    /// The most severe entry, as a keyword for SNS filter policies.
    #[must_use]
    pub fn severity(&self) -> String {
        match self.entries.iter().map(|entry| &entry.urgency).min() {
            Some(Urgency::PostAtRisk) => "post-at-risk".to_owned(),
            Some(Urgency::Expired) => "expired".to_owned(),
            Some(Urgency::Within(threshold)) => threshold.label().to_owned(),
            Some(Urgency::Undated) => "undated".to_owned(),
            None if !self.unchecked.is_empty() => "profile-failing".to_owned(),
            None if !self.unwatched.is_empty() => "profile-unwatched".to_owned(),
            None => "all-clear".to_owned(),
        }
    }

    /// Whether it announces a post that will fail, or a file that has entered this threshold and has not expired.
    #[must_use]
    pub fn is_urgent_at(&self, threshold: &Threshold) -> bool {
        self.entries.iter().any(|entry| match &entry.subject {
            Subject::Post(_) => true,
            Subject::File(item) => {
                item.state == State::Expiring
                    && item.remaining(self.now).is_some_and(|remaining| threshold.is_entered(remaining))
            }
        })
    }

    /// The profiles that the digest has news about, in the order of the configuration; all of them if there is no news.
    #[must_use]
    pub fn concerned(&self) -> Vec<&ProfileName> {
        if self.is_empty() {
            return self.profiles.iter().collect();
        }
        let named: BTreeSet<_> = self
            .entries
            .iter()
            .map(Entry::profile)
            .chain(self.unchecked.iter().filter(|failed| failed.what != Part::Profiles).map(|failed| &failed.profile))
            .chain(self.recovered.iter().map(|(profile, _)| profile))
            .chain(self.resolved.iter().map(|(profile, _)| profile))
            .collect();
        self.profiles.iter().filter(|profile| named.contains(profile)).collect()
    }
}

/// Sorts entries by section, then by profile. The profile whose entry comes first leads; within a profile the order stays.
fn grouped(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|a, b| a.urgency.cmp(&b.urgency));
    let sections = entries.chunk_by(|a, b| a.urgency == b.urgency);
    sections
        .flat_map(|section| {
            let mut order: Vec<&ProfileName> = Vec::new();
            let mut ranks = HashMap::new();
            for entry in section {
                ranks.entry(entry.profile()).or_insert_with(|| {
                    order.push(entry.profile());
                    order.len()
                });
            }
            let mut section: Vec<_> = section.iter().map(|entry| (ranks[entry.profile()], entry.clone())).collect();
            section.sort_by_key(|(rank, _)| *rank);
            section
        })
        .map(|(_, entry)| entry)
        .collect()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::digest::fixtures::unwatched;
    use crate::digest::test_surveys::{digest, failure, file, file_of, post, profile, survey};

    fn sections(digest: &Digest) -> String {
        let line = |entry: &Entry| match &entry.subject {
            Subject::File(item) => format!("{}: {} {}", entry.urgency.heading(), item.profile, item.label()),
            Subject::Post(post) => format!("{}: {}", entry.urgency.heading(), post.profile),
        };
        digest.entries.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn entries_are_grouped_by_section_and_within_it_by_profile() {
        let items =
            [("Birch", "b1", 5), ("Acme", "a1", 6), ("Birch", "b2", 7), ("Acme", "a2", 71), ("Acme", "far", 169)];
        let items = items.map(|(profile, name, hours)| file_of(profile, name, Some(hours)));
        let mut found = survey(items.to_vec(), vec![post(60, Some(50))]);
        found.items.push(Arc::new(file("undated", None)));
        found.items.insert(0, Arc::new(file("expired", Some(0))));
        found.profiles.push(profile("Birch"));
        assert_snapshot!(sections(&digest(&found)), @"
        Scheduled posts that will fail: Acme
        Expired: Acme expired
        Expires within 1 day: Birch b1
        Expires within 1 day: Birch b2
        Expires within 1 day: Acme a1
        Expires within 3 days: Acme a2
        Without an expiry date: Acme undated
        ");
    }

    #[test]
    fn the_severity_is_that_of_the_most_urgent_entry() {
        let check = |hours: &[Option<i64>], expected: &str| {
            let items = hours.iter().map(|hours| file("a.png", *hours)).collect();
            assert_eq!(digest(&survey(items, Vec::new())).severity(), expected, "{hours:?}");
        };
        check(&[], "all-clear");
        check(&[None], "undated");
        check(&[None, Some(100)], "7d");
        check(&[Some(100), Some(24)], "1d");
        check(&[Some(24), Some(0)], "expired");
        assert_eq!(digest(&survey(Vec::new(), vec![post(60, None)])).severity(), "post-at-risk");
    }

    #[test]
    fn a_post_and_a_file_within_the_threshold_are_urgent() {
        let check = |items: &[Option<i64>], posts: usize, expected: bool| {
            let items_found = items.iter().map(|hours| file("a.png", *hours)).collect();
            let found = digest(&survey(items_found, vec![post(60, Some(100)); posts]));
            let threshold = Threshold::parse("48h").expect("a threshold");
            assert_eq!(found.is_urgent_at(&threshold), expected, "{items:?} {posts}");
        };
        check(&[], 0, false);
        check(&[None, Some(49), Some(0), Some(-5)], 0, false);
        check(&[Some(48)], 0, true);
        check(&[Some(1)], 0, true);
        check(&[], 1, true);
    }

    #[test]
    fn profiles_with_news_are_concerned_and_all_when_there_is_none() {
        let mut found = survey(Vec::new(), Vec::new());
        found.profiles.extend([profile("Birch"), profile("Cafe")]);
        let names = |digest: &Digest| digest.concerned().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&digest(&found)), ["Acme", "Birch", "Cafe"]);
        assert!(digest(&found).is_all_clear());
        found.profiles[2].failed = Some(failure());
        found.items.push(Arc::new(file("a.png", Some(5))));
        assert_eq!(names(&digest(&found)), ["Acme", "Cafe"]);
        found.items.clear();
        assert_eq!(digest(&found).severity(), "profile-failing");
        let quiet = Digest { unchecked_is_news: false, ..digest(&found) };
        assert!(quiet.is_empty() && !quiet.is_all_clear());
    }

    #[test]
    fn an_unwatched_profile_is_reason_enough_for_a_message() {
        let mut found = survey(Vec::new(), Vec::new());
        found.discovery = unwatched([(Some("Birch & Co".to_owned()), "r1".to_owned())]);
        let news = digest(&found);
        assert!(!news.is_empty() && !news.is_all_clear());
        assert_eq!((news.severity().as_str(), news.concerned().len()), ("profile-unwatched", 0));
        found.profiles[0].failed = Some(failure());
        assert_eq!(digest(&found).severity(), "profile-failing");
    }
}
