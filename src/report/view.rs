//! What the page says, and in which order: everything that the template needs no longer to decide on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use url::form_urlencoded;

use super::{Question, Report, safe_url};
use crate::digest::{self, Urgency};
use crate::model::text::{self, count, distance, list, one_line, shorten, thousands, utc};
use crate::model::{Item, MediaAtRisk, MediaKind, Part, PostAtRisk, ProfileName, RiskReason, State};

/// Characters of a name.
const MAX_NAME: usize = 160;
/// Characters of a post's text.
const MAX_TEXT: usize = 500;
/// Characters of a URL that is linked or shown: what browsers and servers take without trouble.
const MAX_URL: usize = 2_000;
/// Files of one post that are shown.
const MAX_POST_FILES: usize = 8;
/// Files and posts that a browser lays out all at once.
const MAX_AT_ONCE: usize = 200;
/// Profiles that are named in a sentence.
const MAX_NAMES: usize = 5;
/// Days that the picture of the coming weeks shows at least, and at most.
const DAYS: std::ops::RangeInclusive<usize> = 7..=28;

/// A moment, for the machine and for people.
pub struct Moment {
    pub iso: String,
    pub utc: String,
}

impl Moment {
    fn new(at: Timestamp) -> Self {
        Self { iso: at.to_string(), utc: utc(at) }
    }
}

/// The whole page.
pub struct View {
    pub headline: String,
    pub checked: Moment,
    pub coverage: String,
    /// The profiles that the caller asked for, in words; empty for all.
    pub narrowed_to: String,
    pub all_clear: Option<String>,
    pub unchecked: Vec<Unchecked>,
    pub more_unchecked: Option<String>,
    pub totals: Vec<Total>,
    pub days: Option<Days>,
    pub profiles: Vec<ProfileLine>,
    pub sections: Vec<Section>,
    pub left_out: Option<String>,
    /// Whether a browser should lay out only what is in sight.
    pub is_long: bool,
    /// Other formats: a label and a relative URL.
    pub formats: Vec<(&'static str, String)>,
}

/// A profile, or its posts, that could not be checked.
pub struct Unchecked {
    pub profile: String,
    pub reason: String,
}

/// A number at the top.
pub struct Total {
    pub number: String,
    pub label: String,
    pub tone: &'static str,
    /// The section that it counts; empty when there is none.
    pub section: String,
}

/// What is found of one profile.
pub struct ProfileLine {
    pub name: String,
    /// The page of this profile alone.
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
    /// Which profile it is, for the filter.
    pub index: usize,
    pub posts: Vec<PostCard>,
    pub files: Vec<FileCard>,
}

/// A scheduled post that will fail.
pub struct PostCard {
    pub id: String,
    pub label: String,
    pub platforms: String,
    pub due: Option<(String, Moment)>,
    pub files: Vec<PostFile>,
    pub more_files: Option<String>,
}

/// A file that a post will lack.
pub struct PostFile {
    pub name: String,
    pub url: Option<String>,
    pub picture: Option<String>,
    pub sign: &'static str,
    /// How far off its expiry is; `None` when it is gone already, or nobody knows.
    pub expires: Option<(String, Moment)>,
    pub is_gone: bool,
}

/// A file.
pub struct FileCard {
    pub name: String,
    pub url: Option<String>,
    pub picture: Option<String>,
    pub kind: &'static str,
    pub sign: &'static str,
    pub size: Option<String>,
    pub verb: &'static str,
    pub expires: Option<(String, Moment)>,
    /// How many posts need it, in words, and where the first one stands on the page.
    pub needed_by: Option<(String, Option<String>)>,
}

/// How many files expire on which day.
pub struct Days {
    pub all: Vec<Day>,
    /// What lies beyond, in words.
    pub later: Option<String>,
    pub has_posts: bool,
}

/// A day of the coming weeks.
pub struct Day {
    pub weekday: String,
    pub number: String,
    /// The month's name where it begins, or the picture does.
    pub month: String,
    pub words: String,
    pub files: usize,
    pub posts: usize,
    /// The height of its bar, of 100.
    pub height: usize,
    pub tone: &'static str,
}

impl Group {
    /// How wide it is: a post takes the whole row, files as many places as they are.
    pub fn size(&self) -> usize {
        if self.posts.is_empty() { self.files.len().min(3) } else { 3 }
    }
}

impl View {
    /// What is said of a result.
    pub fn new(report: &Report<'_>, question: &Question) -> Self {
        let now = report.survey.now;
        let profiles = Profiles::of(report);
        let failed = &report.failed;
        let all_failed = failed.len() + report.failed_left_out();
        let mut view = Self {
            headline: headline(report, question),
            checked: Moment::new(now),
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
            totals: Vec::new(),
            days: days(report, question),
            profiles: profiles.lines(report, question),
            sections: sections(report, &profiles, now),
            left_out: left_out(report),
            is_long: MAX_AT_ONCE < report.items.len() + report.posts.len(),
            formats: formats(question),
        };
        if view.sections.is_empty() && failed.is_empty() && view.left_out.is_none() {
            let checked = if report.survey.configured() == 1 { "The profile was" } else { "Every profile was" };
            view.all_clear = Some(format!("{checked} checked. There is nothing to do."));
        }
        view.totals = totals(report, &view.sections);
        view
    }
}

/// The profiles that a result names, in the order in which they come up.
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
        for post in report.posts {
            lines[self.index[&post.profile]].posts += 1;
        }
        for item in report.items {
            let line = &mut lines[self.index[&item.profile]];
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

/// A result in one line.
pub(crate) fn headline(report: &Report<'_>, question: &Question) -> String {
    let unread = report.survey.configured().saturating_sub(report.survey.checked());
    let posts = report.posts.len() + report.posts_left_out();
    let media = &report.media;
    let widest = report.items.iter().filter_map(|item| item.threshold.as_ref()).max();
    let within = |threshold: Option<&crate::model::threshold::Threshold>| {
        threshold.map(|threshold| format!(" within {}", text::duration(threshold.span()))).unwrap_or_default()
    };
    let verb = |number: usize, one: &'static str, more: &'static str| if number == 1 { one } else { more };
    let parts = [
        (posts, format!("{} will fail", count(posts, "scheduled post"))),
        (
            media.expiring,
            format!(
                "{} {}{}",
                count(media.expiring, "file"),
                verb(media.expiring, "expires", "expire"),
                within(widest)
            ),
        ),
        (media.expired, format!("{} {} expired", count(media.expired, "file"), verb(media.expired, "has", "have"))),
        (
            media.undated,
            format!("{} {} no expiry date", count(media.undated, "file"), verb(media.undated, "has", "have")),
        ),
    ];
    let parts: Vec<_> = parts.into_iter().filter(|(number, _)| 0 < *number).map(|(_, part)| part).collect();
    if !parts.is_empty() {
        return list(&parts, parts.len());
    }
    if 0 < unread {
        return format!("{unread} of {} could not be checked", count(report.survey.configured(), "profile"));
    }
    if report.failed.iter().any(|failed| failed.what == Part::Profiles) {
        return "No file expires, but some profiles are not watched".to_owned();
    }
    if !report.failed.is_empty() {
        return "No file expires, but scheduled posts could not be checked".to_owned();
    }
    format!("All clear: no file expires{}", within(question.horizon.as_ref()))
}

/// How much was looked at.
pub(crate) fn coverage(report: &Report<'_>) -> String {
    let (checked, all) = (report.survey.checked(), report.survey.configured());
    let profiles = match (checked, all) {
        (1, 1) => "the profile".to_owned(),
        (checked, all) if checked == all => format!("all {}", count(all, "profile")),
        (checked, all) => format!("{checked} of {}", count(all, "profile")),
    };
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

fn totals(report: &Report<'_>, sections: &[Section]) -> Vec<Total> {
    let mut totals = Vec::new();
    let mut add = |all: usize, label: String, tone: &'static str, id: &str| {
        let section = sections.iter().find(|section| section.id == id).map(|section| section.id.clone());
        let tone = if all == 0 { "none" } else { tone };
        totals.push(Total { number: number(all), label, tone, section: section.unwrap_or_default() });
    };
    let posts = report.posts.len() + report.posts_left_out();
    add(posts, if posts == 1 { "post will fail" } else { "posts will fail" }.to_owned(), "risk", "posts");
    add(report.media.expired, "expired".to_owned(), "expired", "expired");
    let mut within: BTreeMap<_, usize> = BTreeMap::new();
    for threshold in report.items.iter().filter_map(|item| item.threshold.as_ref()) {
        *within.entry(threshold).or_default() += 1;
    }
    if report.items_left_out() == 0 {
        for (threshold, all) in &within {
            let urgency = Urgency::Within((*threshold).clone());
            let label = format!("within {}", text::duration(threshold.span()));
            add(*all, label, tone(&urgency), &id(&urgency));
        }
    }
    if within.is_empty() || 0 < report.items_left_out() {
        add(report.media.expiring, "expiring".to_owned(), "later", "");
    }
    if 0 < report.media.undated {
        add(report.media.undated, "without a date".to_owned(), "undated", "undated");
    }
    totals
}

fn sections(report: &Report<'_>, profiles: &Profiles<'_>, now: Timestamp) -> Vec<Section> {
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
        group(Urgency::PostAtRisk, &post.profile, &mut |group| group.posts.push(post_card(post, number, now)));
    }
    for item in report.items {
        group(Urgency::of_item(item), &item.profile, &mut |group| {
            group.files.push(file_card(item, report.posts_by_media.of(item), &numbers, now));
        });
    }
    let mut last_advice = "";
    let section = |(urgency, groups): (Urgency, Vec<Group>)| {
        // All thresholds have the same advice, which the tightest gives.
        let advice = urgency.advice().1;
        let is_news = std::mem::replace(&mut last_advice, advice) != advice;
        let all: usize = groups.iter().map(|group| group.posts.len() + group.files.len()).sum();
        Section {
            id: id(&urgency),
            heading: urgency.heading(),
            tone: tone(&urgency),
            advice: if is_news { sentence(advice) } else { String::new() },
            count: number(all),
            groups,
        }
    };
    sections.into_iter().map(section).collect()
}

fn post_card(post: &PostAtRisk, number: usize, now: Timestamp) -> PostCard {
    let text = one_line(post.text.as_deref().unwrap_or_default());
    let platforms: Vec<_> =
        post.platforms.iter().map(|platform| shorten(&one_line(platform), 40).into_owned()).collect();
    let more = post.media.len().saturating_sub(MAX_POST_FILES);
    PostCard {
        id: post_id(number),
        label: if text.is_empty() { "A post without text".to_owned() } else { shorten(&text, MAX_TEXT).into_owned() },
        platforms: list(&platforms, MAX_NAMES),
        due: post.scheduled_at.map(|due| (distance(due.duration_since(now)), Moment::new(due))),
        files: post.media.iter().take(MAX_POST_FILES).map(|media| post_file(media, now)).collect(),
        more_files: (0 < more).then(|| format!("and {} more", count(more, "file"))),
    }
}

fn post_file(media: &MediaAtRisk, now: Timestamp) -> PostFile {
    let label = name(&media.label());
    let file = crate::model::Media { url: Some(media.url.clone()), ..crate::model::Media::default() };
    let is_gone = media.reason == RiskReason::AlreadyGone;
    let url = link(Some(&media.url)).filter(|_| !is_gone);
    PostFile {
        name: if label.is_empty() { "a file without a name".to_owned() } else { label },
        picture: url.clone().filter(|url| is_picture(file.kind(), url)),
        url,
        sign: sign(file.kind()).0,
        expires: media.expires_at.filter(|_| !is_gone).map(|at| (distance(at.duration_since(now)), Moment::new(at))),
        is_gone,
    }
}

fn file_card(item: &Item, needed_by: &[String], posts: &HashMap<&str, usize>, now: Timestamp) -> FileCard {
    let media = &item.media;
    let url = link(media.url.as_deref());
    let (sign, kind) = sign(media.kind());
    let needed = needed_by.len();
    FileCard {
        name: shorten(&item.label(), MAX_NAME).into_owned(),
        picture: url.clone().filter(|url| item.state != State::Expired && is_picture(media.kind(), url)),
        url,
        kind,
        sign,
        size: media.size_bytes.map(bytes),
        verb: if item.state == State::Expired { "Expired" } else { "Expires" },
        expires: media.expires_at.map(|at| (distance(at.duration_since(now)), Moment::new(at))),
        needed_by: (0 < needed).then(|| {
            let verb = if needed == 1 { "needs" } else { "need" };
            let first = needed_by.iter().find_map(|id| posts.get(id.as_str())).map(|number| post_id(*number));
            (format!("{} {verb} it and will fail", count(needed, "scheduled post")), first)
        }),
    }
}

/// Where a post stands on the page.
fn post_id(number: usize) -> String {
    format!("post-{number}")
}

fn link(url: Option<&str>) -> Option<String> {
    let url: String = safe_url(url?)?.into();
    (url.len() <= MAX_URL).then_some(url)
}

/// Whether it is a picture of a kind that browsers show.
fn is_picture(kind: MediaKind, url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    kind == MediaKind::Image && ![".heic", ".heif", ".tif", ".tiff"].iter().any(|end| path.ends_with(end))
}

/// The picture that stands for a kind, and its name.
fn sign(kind: MediaKind) -> (&'static str, &'static str) {
    match kind {
        MediaKind::Image => ("image", "Image"),
        MediaKind::Video => ("video", "Video"),
        MediaKind::Other => ("file", "File"),
    }
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

fn days(report: &Report<'_>, question: &Question) -> Option<Days> {
    let date = |at: Timestamp| Offset::UTC.to_datetime(at).date();
    let today = date(report.survey.now);
    let offset = |at: Timestamp| usize::try_from((date(at) - today).get_days()).ok();
    let expiring: Vec<_> = report
        .items
        .iter()
        .filter(|item| item.state == State::Expiring)
        .filter_map(|item| Some((offset(item.media.expires_at?)?, item.threshold.clone())))
        .collect();
    let posts: Vec<_> = report.posts.iter().filter_map(|post| offset(post.scheduled_at?)).collect();
    let last = expiring.iter().map(|(day, _)| *day).max()?;
    let horizon = question.horizon.as_ref().map_or(usize::MAX, |horizon| {
        usize::try_from(horizon.span().as_secs().div_ceil(24 * 60 * 60)).unwrap_or(usize::MAX)
    });
    let shown = last.max(horizon.min(*DAYS.end() / 2)).clamp(*DAYS.start(), *DAYS.end());

    let mut days: Vec<_> = (0..=shown).filter_map(|offset| day(today, offset)).collect();
    let mut thresholds: Vec<_> = vec![None; days.len()];
    let mut later = 0;
    for (offset, threshold) in expiring {
        let Some(day) = days.get_mut(offset) else {
            later += 1;
            continue;
        };
        day.files += 1;
        let tightest = thresholds[offset].get_or_insert_with(|| threshold.clone());
        *tightest = threshold.min(tightest.take());
    }
    let mut has_posts = false;
    for offset in posts {
        if let Some(day) = days.get_mut(offset) {
            day.posts += 1;
            has_posts = true;
        }
    }
    let most = days.iter().map(|day| day.files).max().unwrap_or_default().max(1);
    for (day, threshold) in days.iter_mut().zip(thresholds) {
        // A single file is still to be seen beside a day of hundreds.
        day.height = if day.files == 0 { 0 } else { (day.files * 100 / most).max(4) };
        day.tone = threshold.flatten().map_or("later", |threshold| tone(&Urgency::Within(threshold)));
        let files =
            if day.files == 1 { "1 file expires".to_owned() } else { format!("{} expire", count(day.files, "file")) };
        day.words += &if day.files == 0 { "no file expires".to_owned() } else { files };
        if 0 < day.posts {
            day.words += &format!(", {} will fail", count(day.posts, "post"));
        }
    }
    let verb = if later == 1 { "expires" } else { "expire" };
    let later = (0 < later).then(|| format!("{} {verb} later than that.", count(later, "file")));
    Some(Days { all: days, later, has_posts })
}

fn day(today: Date, offset: usize) -> Option<Day> {
    let date = today.checked_add(SignedDuration::from_hours(24 * i64::try_from(offset).ok()?)).ok()?;
    let begins = offset == 0 || date.day() == 1;
    Some(Day {
        weekday: date.strftime("%a").to_string(),
        number: date.day().to_string(),
        month: if begins { date.strftime("%b").to_string() } else { String::new() },
        words: date.strftime("%A %-d %B: ").to_string(),
        files: 0,
        posts: 0,
        height: 0,
        tone: "later",
    })
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

/// A relative URL of this page, or of one of its formats, for these profiles.
fn query(profiles: &[&str], question: &Question, format: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::from("?"));
    if let Some(format) = format {
        query.append_pair("format", format);
    } else if !question.is_signed {
        // A caller that is no browser may have asked for the page by its name.
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

/// The text with a capital at its beginning.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// A size in the unit that people use: `820 kB`, `1.4 MB`.
fn bytes(size: u64) -> String {
    let mut scaled = size;
    let mut unit = "bytes";
    let mut tenth = 0;
    for larger in ["kB", "MB", "GB", "TB"] {
        if scaled < 1_000 {
            break;
        }
        tenth = scaled % 1_000 / 100;
        scaled /= 1_000;
        unit = larger;
    }
    if scaled < 10 && unit != "bytes" { format!("{scaled}.{tenth} {unit}") } else { format!("{scaled} {unit}") }
}
