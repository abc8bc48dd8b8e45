//! The content of the page in the order in which the template shows it. The template makes no decisions of its own.

mod cards;
mod chart;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use url::form_urlencoded;

use self::cards::{FileCard, PostCard, file_card, mark_form, post_card};
use self::chart::{Days, days};
use super::copies;
use super::link::CalendarLink;
use super::{Question, Report};
use crate::digest::{self, Counts, Urgency};
use crate::model::text::{self, count, distance, list, one_line, shorten, thousands};
use crate::model::{Part, ProfileName, State, Zone};
use crate::scan::survey::{MediaCounts, Survey};

/// The longest name, in characters.
const MAX_NAME: usize = 160;
/// The largest number of files and posts for which the browser lays out the whole page at once.
const MAX_AT_ONCE: usize = 200;
/// Bytes of the names of profiles that nobody watches.
const MAX_UNWATCHED: usize = 4_000;
/// How many profiles are named in a sentence.
const MAX_NAMES: usize = 5;
/// The maximum number of URLs that could not be checked.
const MAX_UNVERIFIED: usize = 100;
/// The maximum length of such a URL.
const MAX_UNVERIFIED_URL: usize = 300;

/// A time for the `datetime` attribute and for people.
pub struct Moment {
    pub iso: String,
    pub text: String,
}

impl Moment {
    fn new(at: Timestamp, zone: &Zone) -> Self {
        Self { iso: at.to_string(), text: zone.format(at) }
    }
}

/// When and where times are read.
#[derive(Clone, Copy)]
struct Reading<'a> {
    /// The time of the check.
    now: Timestamp,
    zone: &'a Zone,
}

impl Reading<'_> {
    /// How far off a moment is, and the moment.
    fn of(self, at: Timestamp) -> (String, Moment) {
        (distance(at.duration_since(self.now)), Moment::new(at, self.zone))
    }
}

/// The whole page.
pub struct View {
    pub headline: String,
    pub checked: Moment,
    /// The zone of the times, to follow `Times are in `.
    pub zone: String,
    pub coverage: String,
    /// The names of the profiles that the caller asked for, as text. Empty for all profiles.
    pub narrowed_to: String,
    pub all_clear: Option<String>,
    pub unchecked: Vec<Unchecked>,
    pub more_unchecked: Option<String>,
    /// What to know about profiles that nobody watches.
    pub unwatched: Option<String>,
    pub totals: Vec<Total>,
    pub days: Option<Days>,
    pub profiles: Vec<ProfileLine>,
    pub sections: Vec<Section>,
    /// The URLs of posts that Ayrshare could not open.
    pub unverified: Vec<Unverified>,
    pub left_out: Option<String>,
    /// Whether the browser should lay out only the visible part of the page.
    pub is_long: bool,
    /// The links to the other formats: a label and a relative URL.
    pub formats: Vec<(&'static str, String)>,
    pub calendar: Option<Subscription>,
}

/// The calendar that readers can subscribe to.
pub struct Subscription {
    /// The address that opens the calendar program.
    pub subscribe: String,
    /// The address for programs into which it must be copied.
    pub url: String,
    /// How long both work, as text.
    pub lives: String,
}

/// A profile of which some part could not be checked.
pub struct Unchecked {
    pub profile: String,
    pub reason: String,
}

/// URLs of posts that Ayrshare could not open, all for the same reason.
pub struct Unverified {
    pub reason: String,
    /// The profile and the URL of each.
    pub urls: Vec<(String, String)>,
}

/// A number at the top of the page.
pub struct Total {
    pub number: String,
    pub label: String,
    pub tone: &'static str,
    /// The id of the section that it counts. Empty if there is none.
    pub section: String,
}

/// The counts of one profile.
pub struct ProfileLine {
    pub name: String,
    /// The URL of the page that shows only this profile.
    pub href: String,
    pub posts: usize,
    pub expired: usize,
    pub expiring: usize,
    pub undated: usize,
    pub is_unchecked: bool,
}

/// A section of the list.
pub struct Section {
    pub id: String,
    pub heading: String,
    pub tone: &'static str,
    pub advice: String,
    pub count: String,
    pub groups: Vec<Group>,
}

/// The part of a section that is about one profile.
pub struct Group {
    pub profile: String,
    /// The index of the profile, for the filter.
    pub index: usize,
    pub posts: Vec<PostCard>,
    pub files: Vec<FileCard>,
}

impl Group {
    /// Returns how many columns it needs: all three for posts, or one per file.
    pub fn size(&self) -> usize {
        if self.posts.is_empty() { self.files.len().min(3) } else { 3 }
    }
}

impl View {
    /// Creates the content of the page.
    pub fn new(report: &Report<'_>, question: &Question) -> Self {
        let reading = Reading { now: report.survey.now, zone: &question.zone };
        let profiles = Profiles::of(report);
        let failed = &report.failed;
        let all_failed = failed.len() + report.failed_left_out();
        let counts = counts(report.survey);
        let mut view = Self {
            headline: headline(report, question),
            checked: Moment::new(reading.now, reading.zone),
            zone: zone(reading.zone),
            coverage: coverage(report),
            narrowed_to: list(&question.profiles.iter().map(|profile| name(profile)).collect::<Vec<_>>(), MAX_NAMES),
            all_clear: None,
            unchecked: failed
                .iter()
                .map(|failed| Unchecked {
                    profile: name(failed.profile.as_str()),
                    reason: sentence(&digest::reason(failed)),
                })
                .collect(),
            more_unchecked: (failed.len() < all_failed)
                .then(|| format!("And {} more.", count(report.failed_left_out(), "profile"))),
            unwatched: digest::unwatched(&report.survey.discovery.unwatched, MAX_UNWATCHED, str::len),
            totals: Vec::new(),
            days: days(report, question),
            profiles: profiles.lines(report, question),
            sections: sections(report, question, &profiles, reading, &counts),
            unverified: unverified(report),
            left_out: left_out(report),
            is_long: MAX_AT_ONCE < report.items.len() + report.posts.len(),
            formats: formats(question),
            calendar: question.calendar.as_ref().map(calendar),
        };
        let is_clear = view.sections.is_empty()
            && failed.is_empty()
            && view.unwatched.is_none()
            && view.unverified.is_empty()
            && view.left_out.is_none();
        if is_clear {
            let checked = if report.survey.configured() == 1 { "The profile was" } else { "Every profile was" };
            view.all_clear = Some(format!("{checked} checked. There is nothing to do."));
        }
        view.totals = totals(report, &view.sections, &counts);
        view
    }
}

/// The profiles that a report names, in the order of their first appearance.
struct Profiles<'a> {
    order: Vec<&'a ProfileName>,
    index: HashMap<&'a ProfileName, usize>,
}

impl<'a> Profiles<'a> {
    fn of(report: &'a Report<'a>) -> Self {
        let mut profiles = Self { order: Vec::new(), index: HashMap::new() };
        let named =
            report.posts.iter().map(|post| &post.profile).chain(report.items.iter().map(|item| &item.profile)).chain(
                report.failed.iter().filter(|failed| failed.what != Part::Profiles).map(|failed| &failed.profile),
            );
        for profile in named {
            profiles.index.entry(profile).or_insert_with(|| {
                profiles.order.push(profile);
                profiles.order.len() - 1
            });
        }
        profiles
    }

    /// Returns a line for each profile. Each counts the files and posts that are not shown too.
    fn lines(&self, report: &Report<'_>, question: &Question) -> Vec<ProfileLine> {
        let mut lines: Vec<_> = self
            .order
            .iter()
            .map(|profile| ProfileLine {
                name: name(profile.as_str()),
                href: query(&[profile.as_str()], question, None),
                posts: 0,
                expired: 0,
                expiring: 0,
                undated: 0,
                is_unchecked: false,
            })
            .collect();
        for post in &report.survey.posts_at_risk {
            if let Some(index) = self.index.get(&post.profile) {
                lines[*index].posts += 1;
            }
        }
        for item in &report.survey.items {
            let Some(index) = self.index.get(&item.profile) else { continue };
            let line = &mut lines[*index];
            match item.state {
                State::Expired => line.expired += 1,
                State::Expiring => line.expiring += 1,
                State::Undated => line.undated += 1,
            }
        }
        for failed in report.failed.iter().filter(|failed| failed.what == Part::Media) {
            lines[self.index[&failed.profile]].is_unchecked = true;
        }
        lines
    }
}

/// Returns a summary of the report in one line.
pub(crate) fn headline(report: &Report<'_>, question: &Question) -> String {
    let unread = report.survey.configured().saturating_sub(report.survey.checked());
    let posts = report.survey.posts_at_risk.len();
    let MediaCounts { expired, expiring, undated, .. } = report.media;
    let widest = report.survey.items.iter().filter_map(|item| item.threshold.as_ref()).max();
    let parts = digest::counted(&Counts { posts_at_risk: posts, expired, expiring, undated }, widest);
    if !parts.is_empty() {
        return list(&parts, parts.len());
    }
    if 0 < unread {
        return digest::unread(unread, report.survey.configured());
    }
    if report.failed.iter().any(|failed| failed.what == Part::Profiles) {
        return "No file expires, but some profiles are not watched".to_owned();
    }
    if !report.failed.is_empty() {
        return "No file expires, but some scheduled posts could not be checked".to_owned();
    }
    let unwatched = report.survey.discovery.unwatched.len();
    if 0 < unwatched {
        let (profiles, are) = (count(unwatched, "profile"), if unwatched == 1 { "is" } else { "are" });
        let within = digest::within(question.horizon.as_ref());
        return format!("No file expires{within}, but {profiles} {are} not watched");
    }
    format!("All clear: no file expires{}", digest::within(question.horizon.as_ref()))
}

/// Returns how many profiles and files were checked.
pub(crate) fn coverage(report: &Report<'_>) -> String {
    let profiles = digest::checked(report.survey.checked(), report.survey.configured());
    let ignored = match report.media.ignored {
        0 => String::new(),
        ignored => format!(" ({} ignored)", number(ignored)),
    };
    format!("{profiles}, {}{ignored}", count(report.media.listed, "file"))
}

fn left_out(report: &Report<'_>) -> Option<String> {
    let parts: Vec<_> = [(report.posts_left_out(), "scheduled post"), (report.items_left_out(), "file")]
        .into_iter()
        .filter(|(number, _)| 0 < *number)
        .map(|(number, noun)| count(number, noun))
        .collect();
    (!parts.is_empty()).then(|| {
        format!(
            "There is no room here for {} more, the least urgent ones. Look at one profile at a time, or less far \
                 ahead: add for example ?within=3d to the address.",
            list(&parts, 2)
        )
    })
}

/// Counts the posts and files of each section, including those that are not shown.
fn counts(survey: &Survey) -> BTreeMap<Urgency, usize> {
    let posts = survey.posts_at_risk.iter().map(|_| Urgency::PostAtRisk);
    let files = survey.items.iter().map(|item| Urgency::of_item(item));
    let mut counts = BTreeMap::new();
    for urgency in posts.chain(files) {
        *counts.entry(urgency).or_default() += 1;
    }
    counts
}

fn totals(report: &Report<'_>, sections: &[Section], counts: &BTreeMap<Urgency, usize>) -> Vec<Total> {
    let mut totals = Vec::new();
    let mut add = |all: usize, label: String, tone: &'static str, id: &str| {
        let section = sections.iter().find(|section| section.id == id).map(|section| section.id.clone());
        let tone = if all == 0 { "none" } else { tone };
        totals.push(Total { number: number(all), label, tone, section: section.unwrap_or_default() });
    };
    let posts = report.survey.posts_at_risk.len();
    add(posts, if posts == 1 { "post will fail" } else { "posts will fail" }.to_owned(), "risk", "posts");
    add(report.media.expired, "expired".to_owned(), "expired", "expired");
    for (urgency, all) in counts {
        if let Urgency::Within(threshold) = urgency {
            let label = format!("within {}", text::duration(threshold.span()));
            add(*all, label, tone(urgency), &id(urgency));
        }
    }
    if !counts.keys().any(|urgency| matches!(urgency, Urgency::Within(_))) {
        add(report.media.expiring, "expiring".to_owned(), "later", "");
    }
    if 0 < report.media.undated {
        add(report.media.undated, "without a date".to_owned(), "undated", "undated");
    }
    totals
}

fn sections(
    report: &Report<'_>,
    question: &Question,
    profiles: &Profiles<'_>,
    reading: Reading<'_>,
    counts: &BTreeMap<Urgency, usize>,
) -> Vec<Section> {
    let posts = report.posts.iter().enumerate();
    let numbers = posts.filter_map(|(number, post)| Some((post.id.as_deref()?, number))).collect();
    let mut sections: BTreeMap<Urgency, Vec<Group>> = BTreeMap::new();
    let mut places: BTreeMap<(Urgency, usize), usize> = BTreeMap::new();
    let mut group = |urgency: Urgency, profile: &ProfileName, add: &mut dyn FnMut(&mut Group)| {
        let index = profiles.index[profile];
        let groups = sections.entry(urgency.clone()).or_default();
        let place = *places.entry((urgency, index)).or_insert_with(|| {
            groups.push(Group { profile: name(profile.as_str()), index, posts: Vec::new(), files: Vec::new() });
            groups.len() - 1
        });
        add(&mut groups[place]);
    };
    for (number, post) in report.posts.iter().enumerate() {
        group(Urgency::PostAtRisk, &post.profile, &mut |group| {
            group.posts.push(post_card(post, number, reading, &|media| copies::of_media(report, question, media)));
        });
    }
    for (number, item) in report.items.iter().enumerate() {
        group(Urgency::of_item(item), &item.profile, &mut |group| {
            let mark = mark_form(report, question, item, number);
            let copy = copies::of_item(report, question, item);
            group.files.push(FileCard {
                copy,
                mark,
                ..file_card(item, report.posts_by_media.of(item), &numbers, reading)
            });
        });
    }
    let mut last_advice = "";
    let section = |(urgency, groups): (Urgency, Vec<Group>)| {
        // All thresholds have the same advice, so only the first section shows it.
        let advice = urgency.advice();
        let is_news = std::mem::replace(&mut last_advice, advice) != advice;
        Section {
            id: id(&urgency),
            heading: urgency.heading(),
            tone: tone(&urgency),
            advice: if is_news { advice.to_owned() } else { String::new() },
            count: number(counts[&urgency]),
            groups,
        }
    };
    sections.into_iter().map(section).collect()
}

fn unverified(report: &Report<'_>) -> Vec<Unverified> {
    let mut by_status: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for url in report.survey.unverified.iter().take(MAX_UNVERIFIED) {
        let entry = (name(url.profile.as_str()), shorten(&one_line(&url.url), MAX_UNVERIFIED_URL).into_owned());
        by_status.entry(url.http_status).or_default().push(entry);
    }
    let all = report.survey.unverified.len();
    let mut groups: Vec<_> = by_status
        .into_iter()
        .map(|(status, urls)| Unverified { reason: sentence(&digest::unverified_reason(status)), urls })
        .collect();
    if MAX_UNVERIFIED < all {
        let reason = format!("And {} more.", count(all - MAX_UNVERIFIED, "link"));
        groups.push(Unverified { reason, urls: Vec::new() });
    }
    groups
}

fn id(urgency: &Urgency) -> String {
    match urgency {
        Urgency::PostAtRisk => "posts".to_owned(),
        Urgency::Expired => "expired".to_owned(),
        Urgency::Within(threshold) => format!("within-{}", threshold.span().as_secs()),
        Urgency::Undated => "undated".to_owned(),
    }
}

fn tone(urgency: &Urgency) -> &'static str {
    match urgency {
        Urgency::PostAtRisk => "risk",
        Urgency::Expired => "expired",
        Urgency::Within(threshold) if threshold.span() <= Duration::from_hours(36) => "soon",
        Urgency::Within(threshold) if threshold.span() <= Duration::from_hours(4 * 24) => "near",
        Urgency::Within(_) => "later",
        Urgency::Undated => "undated",
    }
}

/// Returns the zone as part of a sentence.
fn zone(zone: &Zone) -> String {
    match zone.name() {
        Some("UTC") => "UTC".to_owned(),
        Some(name) => format!("the time zone {name}"),
        None => "the time zone of the machine that made this page".to_owned(),
    }
}

fn formats(question: &Question) -> Vec<(&'static str, String)> {
    if question.is_signed {
        return Vec::new();
    }
    let profiles: BTreeSet<_> = question.profiles.iter().map(String::as_str).collect();
    let profiles: Vec<_> = profiles.into_iter().collect();
    [("Table (CSV)", "csv"), ("Calendar (ICS)", "ics"), ("JSON", "json")]
        .map(|(label, format)| (label, query(&profiles, question, Some(format))))
        .into()
}

fn calendar(link: &CalendarLink) -> Subscription {
    let (_, address) = link.url.split_once(':').unwrap_or_default();
    Subscription { subscribe: format!("webcal:{address}"), url: link.url.clone(), lives: text::duration(link.ttl) }
}

/// Returns a relative URL of this page, or of another format of it, for these profiles.
fn query(profiles: &[&str], question: &Question, format: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::from("?"));
    if let Some(format) = format {
        query.append_pair("format", format);
    } else if !question.is_signed {
        // The caller may have asked for the page by `format`, with an `Accept` header that prefers another format.
        query.append_pair("format", "html");
    }
    if let Some(within) = &question.within {
        query.append_pair("within", within.label());
    }
    for profile in profiles {
        query.append_pair("profile", profile);
    }
    query.finish()
}

fn number(number: usize) -> String {
    thousands(i64::try_from(number).unwrap_or(i64::MAX))
}

fn name(outside: &str) -> String {
    shorten(&one_line(outside), MAX_NAME).into_owned()
}

/// Returns the text with its first letter in upper case.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
