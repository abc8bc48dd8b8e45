//! Renders a report as a page, a table or a calendar. Pure.
//!
//! Each format has its own module that renders a [`Report`]. This module shortens the report until it fits into a response.

pub mod copies;
mod csv;
pub mod html;
pub mod ics;
pub mod link;
mod view;

#[cfg(feature = "fuzzing")]
pub use self::csv::render as render_csv;

#[cfg(feature = "cli")]
pub(crate) use view::{coverage, headline};

use std::fmt::{self, Write as _};
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use self::link::CalendarLink;
use crate::digest::announce::Announced;
use crate::model::{AyrshareProfile, FailedProfile, Item, PostAtRisk, Threshold, VERSION, Zone};
use crate::scan::survey::{MediaCounts, PostsByMedia, Survey};

/// The formats of a report. The first one is the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The result of the run as JSON.
    Json,
    /// The HTML page.
    Html,
    /// The files as a table (CSV).
    Csv,
    /// The expiries and posts at risk as a calendar (iCalendar).
    Ics,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Json, Self::Html, Self::Csv, Self::Ics];

    /// The value of `format` in a query.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Ics => "ics",
        }
    }

    /// The least number of bytes that a file takes in this format, however short its names are.
    fn min_bytes_of_file(self, item: &Item) -> usize {
        match (self, item.media.expires_at) {
            (Self::Html, Some(_)) => 340,
            (Self::Html, None) => 260,
            (Self::Csv, Some(_)) => 50,
            (Self::Csv, None) => 20,
            (Self::Ics, Some(_)) => 380,
            (Self::Ics, None) => 0,
            // The names of the fields alone.
            (Self::Json, _) => 100,
        }
    }

    /// The media type without parameters.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Html => "text/html",
            Self::Csv => "text/csv",
            Self::Ics => "text/calendar",
        }
    }

    /// The `Content-Type` of a response.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Html => "text/html; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ics => "text/calendar; charset=utf-8",
        }
    }
}

/// The parameters of a report, except for its format.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// How far ahead the report looks.
    pub horizon: Option<Threshold>,
    /// The `within` parameter of the query.
    pub within: Option<Threshold>,
    /// The `profile` parameters of the query.
    pub profiles: Vec<String>,
    /// The zone in which people read its times.
    pub zone: Zone,
    /// Whether the report is opened by a signed link, which has only the page and no other formats.
    pub is_signed: bool,
    /// The calendar that the page offers for subscription.
    pub calendar: Option<CalendarLink>,
    /// Where the page sends the forms that mark files as handled, as a relative URL. `None` for a page without them.
    pub mark_action: Option<String>,
    /// Where copies of files can be downloaded, as a relative URL to which the id of a copy is added. `None` if they cannot.
    pub copies: Option<String>,
}

/// How many profiles that nobody watches a report shows when it must become shorter.
const MAX_UNWATCHED: usize = 100;

/// A rendered report.
#[derive(Debug)]
pub struct Rendered {
    /// The text of the report.
    pub body: String,
    /// A hash of the content. It is the same for two runs with the same findings.
    pub fingerprint: String,
    /// How many files and posts the size limit left out.
    pub left_out: usize,
    /// What the policy of the page must allow.
    pub needs: PageNeeds,
}

/// What the `Content-Security-Policy` of a page must allow.
#[derive(Clone, Debug, Default)]
pub struct PageNeeds {
    /// The origins of its pictures.
    pub picture_origins: Vec<String>,
    /// Whether it has forms, which it sends to its own origin.
    pub has_forms: bool,
}

/// The part of a survey that a report shows: all of it, or the first entries of each list if a size limit applies.
#[derive(Debug)]
pub struct Report<'a> {
    /// The survey.
    pub survey: &'a Survey,
    /// The failures that are shown.
    pub failed: Vec<FailedProfile>,
    /// The profiles that nobody watches, as far as they are shown.
    pub unwatched: &'a [AyrshareProfile],
    /// The posts at risk that are shown.
    pub posts: &'a [Arc<PostAtRisk>],
    /// The files that are shown.
    pub items: &'a [Arc<Item>],
    /// The counts of all files.
    pub media: MediaCounts,
    /// The posts that will fail because of each file.
    pub posts_by_media: PostsByMedia<'a>,
    /// With a ledger: what the channels have confirmed and marked.
    pub announced: Option<&'a Announced>,
    all_failed: usize,
}

impl<'a> Report<'a> {
    /// Creates a report that shows everything.
    #[must_use]
    pub fn new(survey: &'a Survey, announced: Option<&'a Announced>) -> Self {
        let failed = survey.failed();
        Self {
            survey,
            all_failed: failed.len(),
            failed,
            unwatched: &survey.discovery.unwatched,
            posts: &survey.posts_at_risk,
            items: &survey.items,
            media: survey.counts(),
            posts_by_media: survey.posts_by_media(),
            announced,
        }
    }

    /// Returns how many files are not shown.
    #[must_use]
    pub fn items_left_out(&self) -> usize {
        self.survey.items.len() - self.items.len()
    }

    /// Returns how many files and posts a format has no room for. A calendar never has files without a date.
    fn left_out(&self, format: Format) -> usize {
        let has_place = |item: &&Arc<Item>| format != Format::Ics || item.media.expires_at.is_some();
        self.survey.items[self.items.len()..].iter().filter(has_place).count() + self.posts_left_out()
    }

    /// Returns how many posts at risk are not shown.
    #[must_use]
    pub fn posts_left_out(&self) -> usize {
        self.survey.posts_at_risk.len() - self.posts.len()
    }

    /// Returns how many failures are not shown.
    #[must_use]
    pub fn failed_left_out(&self) -> usize {
        self.all_failed - self.failed.len()
    }

    /// Leaves out the files that a text of `max_bytes` certainly has no room for. Without this, a report of hundreds of
    /// thousands of files would be rendered as a whole, which takes hundreds of megabytes, only to be cut.
    fn without_what_cannot_fit(mut self, format: Format, max_bytes: usize) -> Self {
        let mut bytes = 0;
        let mut fits = |item: &Arc<Item>| {
            bytes += format.min_bytes_of_file(item);
            bytes <= max_bytes
        };
        let room = self.items.iter().take_while(|item| fits(item)).count();
        self.items = &self.items[..room];
        self
    }

    /// Shows less, because the text had `bytes` and the limit is `max_bytes`. Many unwatched profiles are left out first, then
    /// files, then posts, then failures. Returns false if the report is already empty.
    fn shorten(&mut self, max_bytes: usize, bytes: usize) -> bool {
        // Slightly less than would fit if all entries had the same length, so that few rounds are needed. It is always less than
        // `length`, because the text is too long.
        let keep = |length: usize| length * (max_bytes / 20) / (bytes / 19 + 1);
        if MAX_UNWATCHED < self.unwatched.len() {
            self.unwatched = &self.unwatched[..MAX_UNWATCHED];
        } else if !self.items.is_empty() {
            self.items = &self.items[..keep(self.items.len())];
        } else if !self.posts.is_empty() {
            self.posts = &self.posts[..keep(self.posts.len())];
        } else if !self.failed.is_empty() {
            self.failed.truncate(keep(self.failed.len()));
        } else {
            return false;
        }
        true
    }
}

/// Renders a report as text for which `size` returns at most `max_bytes`.
///
/// `to_json` renders the JSON format. `known` is the content of that JSON that is not in the survey, for the fingerprint.
#[must_use]
pub fn render(
    mut report: Report<'_>,
    format: Format,
    question: &Question,
    max_bytes: usize,
    size: impl Fn(&str) -> usize,
    to_json: &dyn Fn(&Report<'_>) -> String,
    known: &str,
) -> Rendered {
    report = report.without_what_cannot_fit(format, max_bytes);
    loop {
        let (body, needs) = match format {
            Format::Json => (to_json(&report), PageNeeds::default()),
            Format::Html => html::render(&report, question),
            Format::Csv => (csv::render(&report), PageNeeds::default()),
            Format::Ics => (ics::render(&report), PageNeeds::default()),
        };
        let bytes = size(&body);
        if bytes <= max_bytes || !report.shorten(max_bytes, bytes) {
            let left_out = report.left_out(format) + report.failed_left_out();
            let fingerprint = match format {
                Format::Html => fingerprint_of_page(&body, report.survey.now, question),
                _ => fingerprint_of_content(&report, format, known),
            };
            return Rendered { body, fingerprint, left_out, needs };
        }
    }
}

/// Returns a hash of a page. It includes relative times such as "in 5 hours", but neither the time of the scan nor what is
/// new each time that the page is opened.
fn fingerprint_of_page(body: &str, now: Timestamp, question: &Question) -> String {
    let mut hash = fingerprint(Format::Html);
    let (instant, moment) = (now.to_string(), question.zone.format(now));
    let parts = body.split(&instant).flat_map(|text| text.split(&moment));
    match &question.calendar {
        Some(calendar) => parts.flat_map(|text| text.split(&calendar.token)).for_each(|text| hash.update(text)),
        None => parts.for_each(|text| hash.update(text)),
    }
    hex::encode(&hash.finalize()[..16])
}

/// Returns a hash of the content of a report. It is the same for two runs with the same findings.
fn fingerprint_of_content(report: &Report<'_>, format: Format, known: &str) -> String {
    struct Sink(Sha256);
    impl fmt::Write for Sink {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.update(text);
            Ok(())
        }
    }
    let mut sink = Sink(fingerprint(format));
    let Report { survey, failed, unwatched, posts, items, .. } = report;
    let discovery = (survey.discovery.status, unwatched);
    // The sink never returns an error.
    let _ = write!(sink, "{:?}", (&survey.profiles, failed, posts, items, &survey.unverified, discovery, known));
    hex::encode(&sink.0.finalize()[..16])
}

fn fingerprint(format: Format) -> Sha256 {
    Sha256::new().chain_update(format.name()).chain_update(VERSION)
}

/// Parses a URL from outside that may become a link or a picture. It must use `https:`, name a real host, and have no user
/// name, because `https://trusted.example@evil.example/` looks like a URL of another host.
fn safe_url(url: &str) -> Option<url::Url> {
    let url = url::Url::parse(url).ok()?;
    let is_safe = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    (is_safe && url.host().is_some_and(|host| is_real_host(&host))).then_some(url)
}

/// Returns whether a host can exist. The URL standard also accepts characters such as `*` and `;`, which have a meaning in
/// a `Content-Security-Policy`.
fn is_real_host(host: &url::Host<&str>) -> bool {
    match host {
        url::Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            name.split('.').all(|label| !label.is_empty() && label.bytes().all(is_name_byte))
        }
        url::Host::Ipv4(_) => true,
        // A policy has no notation for it.
        url::Host::Ipv6(_) => false,
    }
}

#[cfg(test)]
mod tests;
