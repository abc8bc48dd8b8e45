//! The sentences of a digest: headlines, reasons, advice, times, and counts of what is left out. `opening` and `copies` have
//! the sentences about what to do first and about copies.
//!
//! Channels, page, calendar and terminal take their words from here and only lay them out.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Counts, Digest, DigestLine, Sentence, Urgency};
use crate::model::text;
use crate::model::threshold::Threshold;
use crate::model::{
    AyrshareProfile, FailedProfile, FailureKind, Item, MediaAtRisk, Part, PostAtRisk, RiskReason, State,
};

/// How many files a post names.
pub(super) const MAX_NAMED_FILES: usize = 3;

impl Urgency {
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

    /// What people can do about the entries of its section, in one line.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::PostAtRisk => {
                "Publish it before its file expires, or upload the file again and recreate the post: the media of a \
                 scheduled post cannot be changed."
            }
            Self::Expired => "Published posts are not affected; new posts need a new upload.",
            Self::Within(_) => "Download what you still need and upload it again, which gives it a new URL.",
            Self::Undated => "Ayrshare does not say when these expire; check those that you need.",
        }
    }

    /// What the advice is about, where it does not stand below the heading.
    fn topic(&self) -> &'static str {
        match self {
            Self::PostAtRisk => "Posts",
            Self::Expired => "Expired files",
            Self::Within(_) => "Expiring files",
            Self::Undated => "Files without a date",
        }
    }
}

impl Digest {
    /// The digest in one line: `2 scheduled posts will fail, 7 files expire within 3 days`.
    #[must_use]
    pub fn headline(&self) -> String {
        self.summary("", &self.headline_parts())
    }

    /// The parts of the headline, the most serious first.
    pub(super) fn headline_parts(&self) -> Vec<String> {
        let unwatched = self.unwatched.len();
        let are = if unwatched == 1 { "is" } else { "are" };
        let mut parts = counted(&self.counts(), self.widest());
        if 0 < self.unread() {
            parts.push(unread(self.unread(), self.profiles.len()));
        }
        if 0 < unwatched {
            parts.push(format!("{} {are} not watched", text::count(unwatched, "profile")));
        }
        parts
    }

    /// A shorter headline, for the subject of an email: `Ayrshare: 2 posts will fail, 7 expire within 3 days`.
    #[must_use]
    pub fn short_headline(&self) -> String {
        let counts = self.counts();
        let expire = if counts.expiring == 1 { "expires" } else { "expire" };
        let parts = [
            (counts.posts_at_risk, format!("{} will fail", text::count(counts.posts_at_risk, "post"))),
            (counts.expired, format!("{} expired", counts.expired)),
            (counts.expiring, format!("{} {expire}{}", counts.expiring, within(self.widest()))),
            (counts.undated, format!("{} undated", counts.undated)),
            (
                self.unread(),
                format!("{} of {} not checked", self.unread(), text::count(self.profiles.len(), "profile")),
            ),
            (self.unwatched.len(), format!("{} not watched", text::count(self.unwatched.len(), "profile"))),
        ];
        let parts = parts.into_iter().filter(|(count, _)| 0 < *count).map(|(_, part)| part);
        self.summary("Ayrshare: ", &parts.collect::<Vec<_>>())
    }

    /// How many profiles were checked, and when: `Checked 2 of 3 profiles on Mon 23 Nov 2026, 06:00 UTC.`
    #[must_use]
    pub fn coverage(&self) -> Sentence {
        if self.is_test {
            let purpose = " to prove that messages arrive. Nothing was checked.";
            return Sentence::new("This is a sample, sent on ").at(self.now).then(purpose);
        }
        let checked = checked(self.checked, self.profiles.len());
        Sentence::new(format!("Checked {checked} on ")).at(self.now).then(".")
    }

    /// What to know about profiles that nobody watches: `Nobody watches 1 profile: Birch & Co. Its media can …`.
    ///
    /// Names as many profiles as fit into `room`, measured by `size`, and counts the rest. `None` if there are none.
    #[must_use]
    pub fn unwatched(&self, room: usize, size: impl Fn(&str) -> usize) -> Option<String> {
        unwatched(&self.unwatched, room, size)
    }

    /// What has improved: profiles that can be checked again, and posts that are safe again.
    #[must_use]
    pub fn good_news(&self) -> Vec<String> {
        const MAX: usize = 10;
        let mut lines = Vec::new();
        let parts = [
            (Part::Media, "Checked again"),
            (Part::Dates, "All expiry dates can be read again"),
            (Part::Posts, "Scheduled posts checked again"),
            (Part::Profiles, "No longer wrong in the list of profiles"),
        ];
        for (part, what) in parts {
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
                format!("{} ({})", text::one_line(label), text::shorten(&profile, 100))
            })
            .collect();
        if !posts.is_empty() {
            lines.push(format!("Scheduled posts that are safe again: {}.", text::list(&posts, MAX)));
        }
        lines
    }

    /// The last lines of a digest: the note about the ledger, how many open items were announced before or are handled, and
    /// what could not be copied.
    #[must_use]
    pub fn closing(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.ledger_note.iter().map(|note| text::one_line(note)).collect();
        if 0 < self.announced_before {
            let are = if self.announced_before == 1 {
                "was announced before and is"
            } else {
                "were announced before and are"
            };
            lines.push(format!("{} {are} still open.", text::count(self.announced_before, "item")));
        }
        if 0 < self.handled {
            let are = if self.handled == 1 { "is" } else { "are" };
            lines.push(format!("{} {are} marked as handled.", text::count(self.handled, "file")));
        }
        lines.extend(self.not_copied());
        lines
    }

    /// What people can do about what could not be checked, in one line for each kind.
    #[must_use]
    pub fn unchecked_advice(&self) -> Vec<&'static str> {
        let advice = [
            (Part::Media, "More files may expire. Ask whoever looks after the Ayrshare keys to check them."),
            (
                Part::Profiles,
                "Nobody watches a profile that is missing from the list, or whose entry cannot be used. Ask whoever \
                 looks after the list to mend it.",
            ),
            (
                Part::Dates,
                "Look up in Ayrshare when those files expire, and report it to whoever looks after this tool.",
            ),
            (Part::Posts, "Scheduled posts that could not be checked may use a file that is listed here."),
        ];
        let is_unchecked = |part: Part| self.unchecked.iter().any(|failed| failed.what == part);
        advice.into_iter().filter(|(part, _)| is_unchecked(*part)).map(|(_, advice)| advice).collect()
    }

    /// What people can do, for channels that have a place of their own for it.
    #[must_use]
    pub fn next_steps(&self) -> Vec<String> {
        let sections = self.entries.chunk_by(|a, b| a.urgency == b.urgency).map(|section| &section[0].urgency);
        // All thresholds have the same advice.
        let mut steps: Vec<_> = sections.map(|urgency| format!("{}: {}", urgency.topic(), urgency.advice())).collect();
        steps.dedup();
        steps.extend(self.unchecked_advice().into_iter().map(|advice| format!("Could not be checked: {advice}")));
        steps
    }

    /// How many entries a section has.
    #[must_use]
    pub fn total(&self, urgency: &Urgency) -> usize {
        self.entries.iter().filter(|entry| entry.urgency == *urgency).count()
    }

    /// How many entries a section has, in words: `3`, or `3, 1 of them above` if a post above names one of its files.
    #[must_use]
    pub fn tally(&self, lines: &[DigestLine<'_>], urgency: &Urgency) -> String {
        let all = self.total(urgency);
        let shown: usize = lines.iter().filter(|line| line.urgency == urgency).map(DigestLine::shown).sum();
        let total = text::number(all);
        if shown == all { total } else { format!("{total}, {} of them above", text::number(all - shown)) }
    }
}

/// Does the same as [`Digest::unwatched`] for any list of profiles.
#[must_use]
pub fn unwatched(profiles: &[AyrshareProfile], room: usize, size: impl Fn(&str) -> usize) -> Option<String> {
    const MAX_NAMED: usize = 20;
    if profiles.is_empty() {
        return None;
    }
    let mut left = room;
    let fitting = profiles.iter().take(MAX_NAMED).map_while(|profile| {
        let label = text::shorten(&profile.label(), MAX_UNWATCHED_LABEL).into_owned();
        left = left.checked_sub(size(&label) + ", ".len())?;
        Some(label)
    });
    let mut names: Vec<_> = fitting.collect();
    let more = profiles.len() - names.len();
    if 0 < more {
        let number = text::number(more);
        names.push(format!("{number} more"));
    }
    let names = text::list(&names, names.len());
    let end = if names.ends_with(['.', '…', '!', '?']) { "" } else { "." };
    let (its, it) = if profiles.len() == 1 { ("Its", "it") } else { ("Their", "them") };
    Some(format!(
        "Nobody watches {}: {names}{end} {its} media can expire without a word. Add {it} to the configuration, or to \
         ignore_profiles.",
        text::count(profiles.len(), "profile"),
    ))
}

/// The longest name of an unwatched profile in a sentence, in characters.
const MAX_UNWATCHED_LABEL: usize = 100;

/// Why a profile could not be checked, in words for a content manager.
#[must_use]
pub fn reason(failed: &FailedProfile) -> String {
    let failure = &failed.failure;
    let status = failure.http_status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
    let words = failure.kind.in_words(failed.what);
    if failure.kind == FailureKind::InvalidEntry {
        // The message is short and says what to fix.
        return format!("{words}: {}", failure.message);
    }
    format!("{}{words}{status}", unchecked_part(failed.what))
}

/// What could not be checked when the gallery could: `some of its scheduled posts could not be checked: `.
#[must_use]
pub fn unchecked_part(part: Part) -> &'static str {
    match part {
        Part::Media | Part::Profiles => "",
        Part::Dates => "some of its expiry dates could not be read: ",
        Part::Posts => "some of its scheduled posts could not be checked: ",
    }
}

/// When a file expires or expired: `expires in 2 days, Wed 25 Nov 2026, 06:00 UTC`.
pub(super) fn timing(item: &Item, now: Timestamp) -> Sentence {
    match item.media.expires_at {
        None => Sentence::new("no expiry date"),
        Some(expires_at) => {
            let verb = if item.state == State::Expired { "expired" } else { "expires" };
            let remaining = expires_at.duration_since(now);
            // A file that expires exactly now has expired.
            let remaining = if remaining.is_zero() { SignedDuration::from_nanos(-1) } else { remaining };
            let distance = text::distance(remaining);
            Sentence::new(format!("{verb} {distance}, ")).at(expires_at)
        }
    }
}

/// The name of a post: the beginning of its text, in quotation marks.
#[must_use]
pub fn post_label(post: &PostAtRisk) -> String {
    let text = text::one_line(post.text.as_deref().unwrap_or_default());
    if text.is_empty() { "(a post without text)".to_owned() } else { format!("“{}”", text::shorten(&text, 100)) }
}

/// Where and when a post is due: `instagram and tiktok, due in 3 days, Thu 26 Nov 2026, 09:00 UTC`.
#[must_use]
pub fn post_timing(post: &PostAtRisk, now: Timestamp) -> Sentence {
    let platforms: Vec<_> = post.platforms.iter().map(|platform| text::one_line(platform)).collect();
    let platforms = text::shorten(&text::list(&platforms, 5), 100).into_owned();
    let platforms = if platforms.is_empty() { platforms } else { format!("{platforms}, ") };
    match post.scheduled_at {
        Some(due) => {
            let distance = text::distance(due.duration_since(now));
            Sentence::new(format!("{platforms}due {distance}, ")).at(due)
        }
        None => Sentence::new(format!("{platforms}no due date")),
    }
}

/// Why a file will be missing when a post is published: `its file a.png expires in 2 days, Wed 25 Nov 2026, 06:00 UTC`.
fn risk_reason(media: &MediaAtRisk, name: &str, now: Timestamp) -> Sentence {
    match (media.reason, media.expires_at) {
        (RiskReason::AlreadyGone, _) => Sentence::new(format!("its file {name} is gone already")),
        (RiskReason::ExpiresBeforePost, Some(at)) => {
            let distance = text::distance(at.duration_since(now));
            Sentence::new(format!("its file {name} expires {distance}, ")).at(at)
        }
        (RiskReason::ExpiresBeforePost, None) => Sentence::new(format!("its file {name} expires before that")),
        (RiskReason::LinkExpiresBeforePost, Some(at)) => {
            Sentence::new(format!("the link to its file {name} ends at the latest on "))
                .at(at)
                .then(", before the post is published; use a link that lasts")
        }
        (RiskReason::LinkExpiresBeforePost, None) => Sentence::new(format!(
            "the link to its file {name} ends before the post is published; use a link that lasts"
        )),
    }
}

/// Why nobody knows whether URLs of posts work, and what helps.
#[must_use]
pub fn unverified_reason(http_status: Option<u16>) -> String {
    match http_status {
        Some(status) => format!("Ayrshare could not open these ({status}): make sure that they are public"),
        None => "these could not be checked: make sure that they are public".to_owned(),
    }
}

/// Why a post will fail: one clause for each of the first files, and how many more files there are.
pub(super) fn post_reasons(post: &PostAtRisk, now: Timestamp) -> Vec<Sentence> {
    let mut reasons: Vec<_> = post
        .media
        .iter()
        .take(MAX_NAMED_FILES)
        .map(|media| {
            let name = media.label();
            risk_reason(media, &text::shorten(&name, 80), now)
        })
        .collect();
    if MAX_NAMED_FILES < post.media.len() {
        reasons.push(Sentence::new(format!("and {} more", text::count(post.media.len() - MAX_NAMED_FILES, "file"))));
    }
    reasons
}

/// The names of files that share a line: `a.jpg, b.jpg and 36 more`. `name` writes a name.
#[must_use]
pub fn first_names(files: &[&Item], name: impl Fn(&Item) -> String) -> String {
    const NAMED: usize = 2;
    let names: Vec<_> = files.iter().take(NAMED).map(|item| name(item)).collect();
    format!("{} and {} more", names.join(", "), files.len() - names.len())
}

/// Counts what a message has no room for: `… and 12 more that there is no room for here: 2 files expired, …`.
#[must_use]
pub fn left_out(lines: &[DigestLine<'_>]) -> String {
    let mut by_urgency: BTreeMap<&Urgency, usize> = BTreeMap::new();
    for line in lines {
        *by_urgency.entry(line.urgency).or_default() += line.shown();
        // Nothing else tells of the files that only this line would have named.
        for urgency in &line.named {
            *by_urgency.entry(urgency).or_default() += 1;
        }
    }
    let kinds = by_urgency.iter().map(|(urgency, &all)| match urgency {
        Urgency::PostAtRisk => text::count(all, "scheduled post"),
        Urgency::Expired => format!("{all} expired"),
        Urgency::Within(threshold) => format!("{all} within {}", text::duration(threshold.span())),
        Urgency::Undated => format!("{all} without a date"),
    });
    let kinds = text::list(&kinds.collect::<Vec<_>>(), 6);
    let all: usize = by_urgency.values().sum();
    let all = text::number(all);
    format!("… and {all} more that there is no room for here: {kinds}.")
}

impl Digest {
    pub(super) fn summary(&self, topic: &str, parts: &[String]) -> String {
        let all_clear = match &self.horizon {
            Some(_) if 0 < self.announced_before + self.handled => "Nothing new since the last message".to_owned(),
            Some(horizon) => format!("All clear: no file expires{}", within(Some(horizon))),
            None => "All clear".to_owned(),
        };
        let nothing = || {
            if self.unchecked.iter().any(|failed| failed.what == Part::Profiles) {
                "Some profiles are not watched"
            } else if !self.unchecked.is_empty() {
                "Some scheduled posts could not be checked"
            } else if !self.resolved.is_empty() {
                "Scheduled posts are safe again"
            } else if !self.recovered.is_empty() {
                "Profiles can be checked again"
            } else {
                all_clear.as_str()
            }
            .to_owned()
        };
        let summary = if parts.is_empty() { nothing() } else { parts.join(", ") };
        let mark = if self.is_test { "[TEST] " } else { "" };
        format!("{mark}{topic}{summary}")
    }

    /// The longest threshold among the entries; `None` if no file is expiring.
    fn widest(&self) -> Option<&Threshold> {
        let thresholds = self.entries.iter().filter_map(|entry| match &entry.urgency {
            Urgency::Within(threshold) => Some(threshold),
            _ => None,
        });
        thresholds.max()
    }

    /// How many galleries could not be read.
    fn unread(&self) -> usize {
        self.profiles.len() - self.checked
    }
}

/// The number of items of each kind in words, the most serious kind first: `2 scheduled posts will fail`,
/// `7 files expire within 3 days`.
#[must_use]
pub fn counted(counts: &Counts, widest: Option<&Threshold>) -> Vec<String> {
    let verb = |number: usize, one: &'static str, more: &'static str| if number == 1 { one } else { more };
    let files = |number: usize, one, more| format!("{} {}", text::count(number, "file"), verb(number, one, more));
    let Counts { posts_at_risk, expired, expiring, undated } = *counts;
    let parts = [
        (posts_at_risk, format!("{} will fail", text::count(posts_at_risk, "scheduled post"))),
        (expired, format!("{} expired", files(expired, "has", "have"))),
        (expiring, format!("{}{}", files(expiring, "expires", "expire"), within(widest))),
        (undated, format!("{} no expiry date", files(undated, "has", "have"))),
    ];
    parts.into_iter().filter(|(count, _)| 0 < *count).map(|(_, part)| part).collect()
}

/// How many galleries could not be read: `1 of 3 profiles could not be checked`.
#[must_use]
pub fn unread(number: usize, all: usize) -> String {
    format!("{number} of {} could not be checked", text::count(all, "profile"))
}

/// How many profiles were checked: `the profile`, `all 3 profiles`, `2 of 3 profiles`.
#[must_use]
pub fn checked(checked: usize, all: usize) -> String {
    match (checked, all) {
        (_, 0) => "no profile".to_owned(),
        (1, 1) => "the profile".to_owned(),
        (checked, all) if checked == all => format!("all {}", text::count(all, "profile")),
        (checked, all) => format!("{checked} of {}", text::count(all, "profile")),
    }
}

/// ` within 3 days`; empty without a threshold.
#[must_use]
pub fn within(threshold: Option<&Threshold>) -> String {
    threshold.map(|threshold| format!(" within {}", text::duration(threshold.span()))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use std::sync::Arc;

    use super::*;
    use crate::digest::fixtures::unwatched;
    use crate::digest::test_surveys::{digest, failure, file, now, post, survey};
    use crate::model::{MediaAtRisk, ProfileName, Zone};

    fn files(hours: &[Option<i64>]) -> Digest {
        digest(&survey(hours.iter().map(|hours| file("a.png", *hours)).collect(), Vec::new()))
    }

    fn said(sentence: &Sentence) -> String {
        sentence.plain(&Zone::UTC)
    }

    fn headlines(digest: &Digest) -> String {
        format!("{}\n{}", digest.headline(), digest.short_headline())
    }

    #[test]
    fn each_reason_names_the_file_and_its_expiry_if_that_is_known() {
        let why = |reason: RiskReason, expires_at: Option<Timestamp>| {
            let media = MediaAtRisk { expires_at, reason, ..post(9, Some(5)).media[0].clone() };
            said(&risk_reason(&media, "a.png", now()))
        };
        let at = Some(now() + jiff::SignedDuration::from_hours(5));
        assert_snapshot!(
            [
                why(RiskReason::AlreadyGone, at),
                why(RiskReason::ExpiresBeforePost, at),
                why(RiskReason::ExpiresBeforePost, None),
                why(RiskReason::LinkExpiresBeforePost, at),
                why(RiskReason::LinkExpiresBeforePost, None),
            ]
            .join("\n"),
            @"
        its file a.png is gone already
        its file a.png expires in 5 hours, Mon 23 Nov 2026, 11:00 UTC
        its file a.png expires before that
        the link to its file a.png ends at the latest on Mon 23 Nov 2026, 11:00 UTC, before the post is published; use a link that lasts
        the link to its file a.png ends before the post is published; use a link that lasts
        "
        );
    }

    #[test]
    fn a_sample_says_that_nothing_was_checked() {
        let sample = Digest { is_test: true, ..files(&[]) };
        assert_snapshot!(
            said(&sample.coverage()),
            @"This is a sample, sent on Mon 23 Nov 2026, 06:00 UTC to prove that messages arrive. Nothing was checked."
        );
    }

    #[test]
    fn a_headline_counts_each_kind_and_says_why_there_is_none() {
        assert_snapshot!(headlines(&files(&[Some(-1), Some(5), Some(50), None])), @"
        1 file has expired, 2 files expire within 3 days, 1 file has no expiry date
        Ayrshare: 1 expired, 2 expire within 3 days, 1 undated
        ");
        assert_snapshot!(headlines(&files(&[Some(-1), Some(0), None, None, Some(150)])), @"
        2 files have expired, 1 file expires within 7 days, 2 files have no expiry date
        Ayrshare: 2 expired, 1 expires within 7 days, 2 undated
        ");
        assert_snapshot!(headlines(&digest(&survey(Vec::new(), vec![post(60, Some(50))]))), @"
        1 scheduled post will fail
        Ayrshare: 1 post will fail
        ");
        let clear = files(&[]);
        assert_snapshot!(headlines(&clear), @"
        All clear: no file expires within 7 days
        Ayrshare: All clear: no file expires within 7 days
        ");
        assert_eq!(
            headlines(&Digest { handled: 1, ..clear.clone() }),
            headlines(&Digest { announced_before: 2, ..clear.clone() })
        );
        assert_snapshot!(headlines(&Digest { announced_before: 2, ..clear.clone() }), @"
        Nothing new since the last message
        Ayrshare: Nothing new since the last message
        ");
        assert_snapshot!(headlines(&Digest { is_test: true, horizon: None, ..clear.clone() }), @"
        [TEST] All clear
        [TEST] Ayrshare: All clear
        ");
        let name = ProfileName::new("Acme");
        assert_snapshot!(headlines(&Digest { recovered: vec![(name.clone(), Part::Media)], ..clear.clone() }), @"
        Profiles can be checked again
        Ayrshare: Profiles can be checked again
        ");
        assert_snapshot!(headlines(&Digest { resolved: vec![(name.clone(), "“Launch”".into())], ..clear.clone() }), @"
        Scheduled posts are safe again
        Ayrshare: Scheduled posts are safe again
        ");
        let failing = |what| FailedProfile { profile: name.clone(), what, failure: failure() };
        let unchecked = |what| Digest { unchecked: vec![failing(what)], ..clear.clone() }.headline();
        assert_eq!(unchecked(Part::Profiles), "Some profiles are not watched");
        assert_eq!(unchecked(Part::Posts), "Some scheduled posts could not be checked");
    }

    #[test]
    fn the_profiles_that_were_checked_are_counted() {
        let said = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 1)].map(|(one, all)| checked(one, all));
        assert_eq!(said, ["no profile", "the profile", "all 2 profiles", "1 of 2 profiles", "0 of 1 profile"]);
    }

    #[test]
    fn it_is_said_whether_ayrshare_tried_to_open_a_url() {
        assert_eq!(unverified_reason(Some(403)), "Ayrshare could not open these (403): make sure that they are public");
        assert_eq!(unverified_reason(None), "these could not be checked: make sure that they are public");
    }

    #[test]
    fn unwatched_profiles_are_named_as_far_as_there_is_room_and_the_others_are_counted() {
        let said = |titles: &[&str], room: usize| {
            let titles =
                titles.iter().enumerate().map(|(index, title)| (Some((*title).to_owned()), format!("r{index}")));
            let digest = files(&[]).with_unwatched(&unwatched(titles));
            format!("{}\n{}", headlines(&digest), digest.unwatched(room, str::len).unwrap_or_default())
        };
        assert_snapshot!(said(&["Birch & Co"], 100), @"
        1 profile is not watched
        Ayrshare: 1 profile not watched
        Nobody watches 1 profile: Birch & Co. Its media can expire without a word. Add it to the configuration, or to ignore_profiles.
        ");
        assert_snapshot!(said(&["Birch & Co.", "<b>\u{202e}Cafe\n", " "], 100), @"
        3 profiles are not watched
        Ayrshare: 3 profiles not watched
        Nobody watches 3 profiles: Birch & Co., <b>Cafe and the profile with refId r2. Their media can expire without a word. Add them to the configuration, or to ignore_profiles.
        ");
        assert_snapshot!(said(&["Acme", "Birch", "Cafe", "Dunes"], 15), @"
        4 profiles are not watched
        Ayrshare: 4 profiles not watched
        Nobody watches 4 profiles: Acme, Birch and 2 more. Their media can expire without a word. Add them to the configuration, or to ignore_profiles.
        ");
        let many: Vec<_> = (0..1_030).map(|number| format!("Client {number}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(said(&many, 10_000).contains(", Client 19 and 1,010 more. Their media"));
        assert_eq!(files(&[]).unwatched(100, str::len), None);
    }

    #[test]
    fn coverage_next_steps_good_news_and_closing() {
        let mut found = survey(vec![file("a.png", Some(-1)), file("b.png", Some(5))], vec![post(60, Some(50))]);
        found.items.push(Arc::new(file("c.png", None)));
        found.profiles[0].posts = Some(Err(failure()));
        let mut failing = crate::digest::test_surveys::profile("Birch");
        failing.failed = Some(failure());
        found.profiles.push(failing);
        let mut digest = digest(&found);
        digest.recovered = vec![(ProfileName::new("Cafe"), Part::Media), (ProfileName::new("Cafe"), Part::Posts)];
        digest.resolved = vec![(ProfileName::new("Cafe"), "“Launch”".into())];
        digest.announced_before = 1;
        digest.handled = 2;
        digest.ledger_note = Some("The ledger\n was \u{202E}damaged.".into());
        let reasons: Vec<_> = digest.unchecked.iter().map(reason).collect();
        let lines =
            [vec![said(&digest.coverage())], digest.good_news(), reasons, digest.next_steps(), digest.closing()];
        assert_snapshot!(lines.concat().join("\n"), @"
        Checked 1 of 2 profiles on Mon 23 Nov 2026, 06:00 UTC.
        Checked again: Cafe.
        Scheduled posts checked again: Cafe.
        Scheduled posts that are safe again: “Launch” (Cafe).
        some of its scheduled posts could not be checked: Ayrshare denies access to this profile (HTTP 403)
        Ayrshare denies access to this profile (HTTP 403)
        Posts: Publish it before its file expires, or upload the file again and recreate the post: the media of a scheduled post cannot be changed.
        Expired files: Published posts are not affected; new posts need a new upload.
        Expiring files: Download what you still need and upload it again, which gives it a new URL.
        Files without a date: Ayrshare does not say when these expire; check those that you need.
        Could not be checked: More files may expire. Ask whoever looks after the Ayrshare keys to check them.
        Could not be checked: Scheduled posts that could not be checked may use a file that is listed here.
        The ledger was damaged.
        1 item was announced before and is still open.
        2 files are marked as handled.
        ");
    }

    #[test]
    fn times_reasons_and_what_is_left_out() {
        let timings = [Some(-3), Some(0), Some(50), None].map(|hours| timing(&file("a.png", hours), now()));
        assert_snapshot!(timings.each_ref().map(said).join("\n"), @"
        expired 3 hours ago, Mon 23 Nov 2026, 03:00 UTC
        expired less than a minute ago, Mon 23 Nov 2026, 06:00 UTC
        expires in 2 days, Wed 25 Nov 2026, 08:00 UTC
        no expiry date
        ");
        let mut post = post(60, Some(50));
        let gone = MediaAtRisk { reason: RiskReason::AlreadyGone, ..post.media[0].clone() };
        post.media.extend([gone.clone(), gone.clone(), gone.clone(), gone]);
        let reasons = post_reasons(&post, now());
        let lines = [vec![post_timing(&post, now())], reasons].concat();
        let lines: Vec<_> = lines.iter().map(said).collect();
        assert_snapshot!(format!("{}\n{}", post_label(&post), lines.join("\n")), @"
        “Our launch is near”
        instagram and tiktok, due in 2 days, Wed 25 Nov 2026, 18:00 UTC
        its file a.png expires in 2 days, Wed 25 Nov 2026, 08:00 UTC
        its file a.png is gone already
        its file a.png is gone already
        and 2 files more
        ");
        let found = survey(vec![file("a.png", Some(-1)), file("b.png", Some(5)), file("c.png", None)], vec![post]);
        assert_snapshot!(left_out(&digest(&found).lines()), @"… and 4 more that there is no room for here: 1 scheduled post, 1 expired, 1 within 1 day and 1 without a date.");
    }

    #[test]
    fn a_line_without_room_counts_the_files_that_only_it_would_have_named() {
        let mut post = post(60, Some(50));
        let [a, b] = ["a.png", "b.png"].map(|name| file(name, Some(50)));
        let lacks = |item: &Item| MediaAtRisk {
            id: item.media.id.clone(),
            owner: Some(item.profile.clone()),
            ..post.media[0].clone()
        };
        post.media = vec![lacks(&a), lacks(&b)];
        let digest = digest(&survey(vec![a, b], vec![post]));
        assert_snapshot!(left_out(&digest.lines()), @"… and 3 more that there is no room for here: 1 scheduled post and 2 within 3 days.");
    }
}
