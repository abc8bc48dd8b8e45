//! What is said: a digest for one channel. Pure, and the one place that decides on words, order and severity.
//!
//! How a channel says it is in [`crate::channel`], one module each.

pub mod announce;
#[cfg(test)]
pub(crate) mod fixtures;

use jiff::{SignedDuration, Timestamp};

use crate::model::text;
use crate::model::threshold::{Threshold, Thresholds};
use crate::model::{FailedProfile, Item, Level, MediaAtRisk, Part, PostAtRisk, ProfileName, RiskReason, State};
use crate::scan::survey::Survey;

/// What one channel is told.
#[derive(Clone, Debug)]
pub struct Digest {
    /// Whether it is a sample that proves the way.
    pub is_test: bool,
    /// The moment that every "in 2 days" counts from.
    pub now: Timestamp,
    /// The profiles that this channel hears of.
    pub profiles: Vec<ProfileName>,
    /// How many of them were checked.
    pub checked: usize,
    /// How far ahead was looked.
    pub horizon: Option<Threshold>,
    /// What is announced: section by section, in each profile by profile, in each by time.
    pub entries: Vec<Entry>,
    /// What could not be checked.
    pub unchecked: Vec<FailedProfile>,
    /// Whether what could not be checked is said anew, and not only once more beside what is.
    pub unchecked_is_news: bool,
    /// What could not be checked before, and was now.
    pub recovered: Vec<(ProfileName, Part)>,
    /// What posts were called that would have failed and will not any more, and whose they are.
    pub resolved: Vec<(ProfileName, String)>,
    /// How many entries this channel was told of before, and are still open.
    pub announced_before: usize,
    /// What people should know of the ledger.
    pub ledger_note: Option<String>,
    /// Where the same can be looked at.
    pub report_link: Option<ReportLink>,
}

/// A link that a digest carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportLink {
    /// Where it points.
    pub url: String,
    /// When it ends.
    pub until: Timestamp,
}

/// One thing that is announced.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Which section it is in.
    pub urgency: Urgency,
    /// How tight the threshold is that it has entered: what the ledger remembers.
    pub level: Level,
    /// What it is.
    pub subject: Subject,
}

/// What an entry is about.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A file of a gallery.
    File(Item),
    /// A scheduled post.
    Post(PostAtRisk),
}

impl Entry {
    /// Whose it is.
    #[must_use]
    pub fn profile(&self) -> &ProfileName {
        match &self.subject {
            Subject::File(item) => &item.profile,
            Subject::Post(post) => &post.profile,
        }
    }

    fn of_post(post: &PostAtRisk, now: Timestamp, thresholds: &Thresholds) -> Self {
        let level = |media: &MediaAtRisk| match (media.reason, media.expires_at) {
            (RiskReason::AlreadyGone, _) => Level::OVER,
            (RiskReason::ExpiresBeforePost, Some(expires_at)) => {
                thresholds.entered(expires_at.duration_since(now)).map_or(Level::SEEN, Level::of)
            }
            (RiskReason::ExpiresBeforePost, None) => Level::SEEN,
        };
        let level = post.media.iter().map(level).min().unwrap_or(Level::SEEN);
        Self { urgency: Urgency::PostAtRisk, level, subject: Subject::Post(post.clone()) }
    }

    /// `None` for a file that has entered none of these thresholds.
    fn of_item(item: &Item, now: Timestamp, thresholds: &Thresholds) -> Option<Self> {
        let (urgency, level) = match item.state {
            State::Expired => (Urgency::Expired, Level::OVER),
            State::Undated => (Urgency::Undated, Level::SEEN),
            State::Expiring => {
                let threshold = thresholds.entered(item.remaining(now)?)?;
                (Urgency::Within(threshold.clone()), Level::of(threshold))
            }
        };
        Some(Self { urgency, level, subject: Subject::File(item.clone()) })
    }
}

/// How urgent an entry is; the sections of a digest in their order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// A scheduled post that will fail.
    PostAtRisk,
    /// A file whose expiry is over.
    Expired,
    /// A file that has entered this threshold, and no tighter one.
    Within(Threshold),
    /// A file that does not say when it expires.
    Undated,
}

impl Urgency {
    /// The section of a file at the tightest threshold that it has entered.
    #[must_use]
    pub fn of_item(item: &Item) -> Self {
        match (item.state, &item.threshold) {
            (State::Expired, _) => Self::Expired,
            (State::Expiring, Some(threshold)) => Self::Within(threshold.clone()),
            (State::Expiring | State::Undated, _) => Self::Undated,
        }
    }

    /// The heading of its section.
    #[must_use]
    pub fn heading(&self) -> String {
        match self {
            Self::PostAtRisk => "Scheduled posts that will fail".to_owned(),
            Self::Expired => "Expired".to_owned(),
            Self::Within(threshold) => format!("Expires within {}", text::duration(threshold.span())),
            Self::Undated => "Without an expiry date".to_owned(),
        }
    }

    /// What helps, to follow a colon after what it is about.
    #[must_use]
    pub fn advice(&self) -> (&'static str, &'static str) {
        match self {
            Self::PostAtRisk => (
                "Posts",
                "publish the post before its file expires, or upload the file again and recreate the post. The media \
                 of a scheduled post cannot be changed.",
            ),
            Self::Expired => ("Expired files", "published posts are not affected; new posts need a new upload."),
            Self::Within(_) => (
                "Expiring files",
                "download what is still needed and upload it again, which gives it a new URL, or host it yourself. \
                 Ayrshare cannot extend an expiry.",
            ),
            Self::Undated => {
                ("Files without a date", "Ayrshare does not say when they expire; check those that you need.")
            }
        }
    }
}

/// How many of each kind a digest announces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Scheduled posts that will fail.
    pub posts_at_risk: usize,
    /// Files whose expiry is over.
    pub expired: usize,
    /// Files within a threshold.
    pub expiring: usize,
    /// Files without an expiry.
    pub undated: usize,
}

impl Digest {
    /// What a channel of `profiles` with `thresholds` is told of a survey.
    #[must_use]
    pub fn new(survey: &Survey, profiles: &[ProfileName], thresholds: &Thresholds) -> Self {
        let survey = survey.of_profiles(profiles);
        let posts = survey.posts_at_risk.iter().map(|post| Entry::of_post(post, survey.now, thresholds));
        let files = survey.items.iter().filter_map(|item| Entry::of_item(item, survey.now, thresholds));
        Self {
            is_test: false,
            now: survey.now,
            profiles: profiles.to_vec(),
            checked: survey.checked(),
            horizon: thresholds.iter().last().cloned(),
            entries: grouped(posts.chain(files).collect()),
            unchecked: survey.failed(),
            unchecked_is_news: true,
            recovered: Vec::new(),
            resolved: Vec::new(),
            announced_before: 0,
            ledger_note: None,
            report_link: None,
        }
    }

    /// Whether there is nothing new to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let has_unchecked = self.unchecked_is_news && !self.unchecked.is_empty();
        self.entries.is_empty() && !has_unchecked && self.recovered.is_empty() && self.resolved.is_empty()
    }

    /// Whether it can be said that there is nothing new, when people want to hear even that: everything was checked.
    #[must_use]
    pub fn is_all_clear(&self) -> bool {
        self.is_empty() && self.unchecked.is_empty()
    }

    /// How many of each kind are announced.
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

    /// The gravest thing in the digest, for SNS filter policies.
    #[must_use]
    pub fn severity(&self) -> String {
        match self.entries.iter().map(|entry| &entry.urgency).min() {
            Some(Urgency::PostAtRisk) => "post-at-risk".to_owned(),
            Some(Urgency::Expired) => "expired".to_owned(),
            Some(Urgency::Within(threshold)) => threshold.label().to_owned(),
            Some(Urgency::Undated) => "undated".to_owned(),
            None if self.unchecked.is_empty() => "all-clear".to_owned(),
            None => "profile-failing".to_owned(),
        }
    }

    /// The profiles that the digest speaks of, in the order of the configuration; all of them when all is well.
    #[must_use]
    pub fn concerned(&self) -> Vec<&ProfileName> {
        if self.is_empty() {
            return self.profiles.iter().collect();
        }
        let named: std::collections::BTreeSet<_> = self
            .entries
            .iter()
            .map(Entry::profile)
            .chain(self.unchecked.iter().map(|failed| &failed.profile))
            .chain(self.recovered.iter().map(|(profile, _)| profile))
            .chain(self.resolved.iter().map(|(profile, _)| profile))
            .collect();
        self.profiles.iter().filter(|profile| named.contains(profile)).collect()
    }

    /// The whole digest in one line: `2 scheduled posts will fail, 7 files expire within 3 days`.
    #[must_use]
    pub fn headline(&self) -> String {
        let counts = self.counts();
        let has = |number: usize| if number == 1 { "has" } else { "have" };
        let expire = if counts.expiring == 1 { "expires" } else { "expire" };
        self.summary(
            "",
            &[
                (counts.posts_at_risk, format!("{} will fail", text::count(counts.posts_at_risk, "scheduled post"))),
                (counts.expired, format!("{} {} expired", text::count(counts.expired, "file"), has(counts.expired))),
                (counts.expiring, format!("{} {expire}{}", text::count(counts.expiring, "file"), self.within())),
                (
                    counts.undated,
                    format!("{} {} no expiry date", text::count(counts.undated, "file"), has(counts.undated)),
                ),
                (self.unread(), format!("{} of {} could not be checked", self.unread(), self.all_profiles())),
            ],
        )
    }

    /// The headline in fewer words, for a mail's subject: `Ayrshare: 2 posts will fail, 7 expire within 3 days`.
    #[must_use]
    pub fn short_headline(&self) -> String {
        let counts = self.counts();
        let expire = if counts.expiring == 1 { "expires" } else { "expire" };
        self.summary(
            "Ayrshare: ",
            &[
                (counts.posts_at_risk, format!("{} will fail", text::count(counts.posts_at_risk, "post"))),
                (counts.expired, format!("{} expired", counts.expired)),
                (counts.expiring, format!("{} {expire}{}", counts.expiring, self.within())),
                (counts.undated, format!("{} undated", counts.undated)),
                (self.unread(), format!("{} of {} not checked", self.unread(), self.all_profiles())),
            ],
        )
    }

    fn summary(&self, topic: &str, parts: &[(usize, String)]) -> String {
        let mut parts: Vec<_> = parts.iter().filter(|(count, _)| 0 < *count).map(|(_, part)| part.as_str()).collect();
        let all_clear = match &self.horizon {
            Some(_) if 0 < self.announced_before => "Nothing new since the last message".to_owned(),
            Some(horizon) => format!("All clear: no file expires{}", within(horizon)),
            None => "All clear".to_owned(),
        };
        if parts.is_empty() {
            parts.push(if !self.unchecked.is_empty() {
                "Scheduled posts could not be checked"
            } else if !self.resolved.is_empty() {
                "Scheduled posts are safe again"
            } else if !self.recovered.is_empty() {
                "Profiles can be checked again"
            } else {
                &all_clear
            });
        }
        let mark = if self.is_test { "[TEST] " } else { "" };
        format!("{mark}{topic}{}", parts.join(", "))
    }

    /// ` within 3 days`: the widest threshold of what is announced.
    fn within(&self) -> String {
        let thresholds = self.entries.iter().filter_map(|entry| match &entry.urgency {
            Urgency::Within(threshold) => Some(threshold),
            _ => None,
        });
        thresholds.max().map(within).unwrap_or_default()
    }

    /// How many profiles' galleries could not be read.
    fn unread(&self) -> usize {
        self.profiles.len() - self.checked
    }

    fn all_profiles(&self) -> String {
        text::count(self.profiles.len(), "profile")
    }

    /// How much was looked at, and when: `Checked 2 of 3 profiles on 2026-11-23 06:00 UTC`.
    #[must_use]
    pub fn coverage(&self) -> String {
        let moment = text::utc(self.now);
        if self.is_test {
            return format!("This is a sample, sent on {moment} to prove that messages arrive. Nothing was checked.");
        }
        let all = self.profiles.len();
        let checked = match (self.checked, all) {
            (1, 1) => "the profile".to_owned(),
            (checked, all) if checked == all => format!("all {}", text::count(all, "profile")),
            (checked, all) => format!("{checked} of {}", text::count(all, "profile")),
        };
        format!("Checked {checked} on {moment}.")
    }

    /// What has become better: profiles that could be checked again, posts that are safe again.
    #[must_use]
    pub fn good_news(&self) -> Vec<String> {
        const MAX: usize = 10;
        let mut lines = Vec::new();
        for (part, what) in [(Part::Media, "Checked again"), (Part::Posts, "Scheduled posts checked again")] {
            let names: Vec<_> = self
                .recovered
                .iter()
                .filter(|(_, recovered)| *recovered == part)
                .map(|(profile, _)| text::shorten(&text::one_line(profile.as_str()), 100).into_owned())
                .collect();
            if !names.is_empty() {
                lines.push(format!("{what}: {}.", text::list(&names, MAX)));
            }
        }
        let posts: Vec<_> = self
            .resolved
            .iter()
            .map(|(profile, label)| {
                let profile = text::one_line(profile.as_str());
                format!("{label} ({})", text::shorten(&profile, 100))
            })
            .collect();
        if !posts.is_empty() {
            lines.push(format!("Scheduled posts that are safe again: {}.", text::list(&posts, MAX)));
        }
        lines
    }

    /// What is not news, at the end of a digest: what was announced before, and what people should know of the ledger.
    #[must_use]
    pub fn closing(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.ledger_note.iter().cloned().collect();
        if 0 < self.announced_before {
            let are = if self.announced_before == 1 {
                "was announced before and is"
            } else {
                "were announced before and are"
            };
            lines.push(format!("{} {are} still open.", text::count(self.announced_before, "item")));
        }
        lines
    }

    /// What helps, one sentence or two for each kind of entry that is there.
    #[must_use]
    pub fn advice(&self) -> Vec<String> {
        let mut urgencies: Vec<_> = self.entries.iter().map(|entry| &entry.urgency).collect();
        // What can still be saved comes before what cannot.
        urgencies.sort_by_key(|urgency| (**urgency == Urgency::Undated, **urgency == Urgency::Expired));
        let mut advice: Vec<_> = urgencies.into_iter().map(Urgency::advice).collect();
        advice.dedup();
        let mut advice: Vec<_> = advice.iter().map(|(about, what)| format!("{about}: {what}")).collect();
        let unread = |part: Part| self.unchecked.iter().any(|failed| failed.what == part);
        if unread(Part::Media) {
            advice.push(
                "Profiles that could not be checked: their files may expire too. Ask whoever looks after the Ayrshare \
                 keys to run `check`."
                    .to_owned(),
            );
        }
        if unread(Part::Posts) {
            advice.push("Posts that could not be checked: some of them may use a file that is listed here.".to_owned());
        }
        advice
    }
}

/// Puts entries in order: by section, then by profile (the one with the most urgent entry first), then as they were.
fn grouped(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|a, b| a.urgency.cmp(&b.urgency));
    let sections = entries.chunk_by(|a, b| a.urgency == b.urgency);
    sections
        .flat_map(|section| {
            let mut order: Vec<&ProfileName> = Vec::new();
            let mut ranks = std::collections::HashMap::new();
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

fn within(threshold: &Threshold) -> String {
    format!(" within {}", text::duration(threshold.span()))
}

/// Says of a failed profile why, in a content manager's words.
#[must_use]
pub fn reason(failed: &FailedProfile) -> String {
    let failure = &failed.failure;
    let status = failure.http_status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
    let part = if failed.what == Part::Posts { "its scheduled posts could not be checked: " } else { "" };
    format!("{part}{}{status}", failure.kind.in_words())
}

/// Says how a file stands in time: `expires in 2 days, 2026-11-25 06:00 UTC`.
#[must_use]
pub fn timing(item: &Item, now: Timestamp) -> String {
    match item.media.expires_at {
        None => "no expiry date".to_owned(),
        Some(expires_at) => {
            let verb = if item.state == State::Expired { "expired" } else { "expires" };
            let remaining = expires_at.duration_since(now);
            // What expires at this very moment has expired.
            let remaining = if remaining.is_zero() { SignedDuration::from_nanos(-1) } else { remaining };
            let distance = text::distance(remaining);
            format!("{verb} {distance}, {}", text::utc(expires_at))
        }
    }
}

/// What a person calls a post: the beginning of its text.
#[must_use]
pub fn post_label(post: &PostAtRisk) -> String {
    let text = text::one_line(post.text.as_deref().unwrap_or_default());
    if text.is_empty() { "(a post without text)".to_owned() } else { format!("“{}”", text::shorten(&text, 100)) }
}

/// Where and when a post is due: `instagram and tiktok, due in 3 days, 2026-11-26 09:00 UTC`.
#[must_use]
pub fn post_timing(post: &PostAtRisk, now: Timestamp) -> String {
    let platforms: Vec<_> = post.platforms.iter().map(|platform| text::one_line(platform)).collect();
    let due = match post.scheduled_at {
        Some(due) => format!("due {}, {}", text::distance(due.duration_since(now)), text::utc(due)),
        None => "no due date".to_owned(),
    };
    let platforms = text::shorten(&text::list(&platforms, 5), 100).into_owned();
    if platforms.is_empty() { due } else { format!("{platforms}, {due}") }
}

/// Why a post will fail, one sentence a file, and how many more there are.
#[must_use]
pub fn post_reasons(post: &PostAtRisk, now: Timestamp) -> Vec<String> {
    const MAX: usize = 3;
    let mut reasons: Vec<_> = post
        .media
        .iter()
        .take(MAX)
        .map(|media| {
            let name = media.label();
            let name = text::shorten(&name, 80);
            match (media.reason, media.expires_at) {
                (RiskReason::AlreadyGone, _) => format!("its file {name} is gone already"),
                (RiskReason::ExpiresBeforePost, Some(expires_at)) => {
                    let distance = text::distance(expires_at.duration_since(now));
                    format!("its file {name} expires {distance}, {}", text::utc(expires_at))
                }
                (RiskReason::ExpiresBeforePost, None) => format!("its file {name} expires before that"),
            }
        })
        .collect();
    if MAX < post.media.len() {
        reasons.push(format!("and {} more", text::count(post.media.len() - MAX, "file")));
    }
    reasons
}

/// Counts entries that a message has no room for: `… and 12 more that there is no room for here: 2 files expired, …`.
#[must_use]
pub fn left_out(entries: &[Entry]) -> String {
    let kinds: Vec<_> = entries
        .chunk_by(|a, b| a.urgency == b.urgency)
        .map(|section| {
            let all = section.len();
            match &section[0].urgency {
                Urgency::PostAtRisk => text::count(all, "scheduled post"),
                Urgency::Expired => format!("{all} expired"),
                Urgency::Within(threshold) => format!("{all} within {}", text::duration(threshold.span())),
                Urgency::Undated => format!("{all} without a date"),
            }
        })
        .collect();
    let kinds = text::list(&kinds, 6);
    let all = text::thousands(i64::try_from(entries.len()).unwrap_or(i64::MAX));
    format!("… and {all} more that there is no room for here: {kinds}.")
}
