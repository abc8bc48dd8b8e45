//! The report that a person looks at or takes along: a page, a table, a calendar. Pure.
//!
//! Each format is a module of its own that makes text of a [`RunResult`]; this one cuts what is too long for an answer.

pub mod csv;
pub mod html;
pub mod ics;
pub mod link;
mod view;

#[cfg(feature = "cli")]
pub(crate) use view::{coverage, headline};

use sha2::{Digest as _, Sha256};

use crate::digest::Urgency;
use crate::model::threshold::Threshold;
use crate::model::{Item, Media};
use crate::run::result::{ItemResult, RunResult, json};

/// The formats of a report, the one first that is given when the caller does not care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The result of the run.
    Json,
    /// The page.
    Html,
    /// The files as a table.
    Csv,
    /// Expiries and posts as calendar entries.
    Ics,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Json, Self::Html, Self::Csv, Self::Ics];

    /// The name in a query.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Ics => "ics",
        }
    }

    /// The media type, without parameters.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Html => "text/html",
            Self::Csv => "text/csv",
            Self::Ics => "text/calendar",
        }
    }

    /// The `Content-Type` of an answer.
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

/// What a report was asked for, beside its format.
#[derive(Clone, Debug)]
pub struct Question {
    /// How far ahead was looked.
    pub horizon: Option<Threshold>,
    /// The `within` of the query.
    pub within: Option<Threshold>,
    /// The `profile`s of the query.
    pub profiles: Vec<String>,
    /// Whether the page is behind a signed link, where there are no other formats.
    pub is_signed: bool,
}

/// A report, ready to be sent.
#[derive(Debug)]
pub struct Rendered {
    /// The text.
    pub body: String,
    /// The same for the same content: it leaves out what tells one run from the next and nothing else.
    pub fingerprint: String,
    /// How many files and posts the size limit left out.
    pub left_out: usize,
    /// The origins from which the page shows pictures.
    pub picture_origins: Vec<String>,
}

/// Renders a result so that `size` says at most `max_bytes` of the text.
#[must_use]
pub fn render(
    result: &RunResult,
    format: Format,
    question: &Question,
    max_bytes: usize,
    size: impl Fn(&str) -> usize,
) -> Rendered {
    let mut cut;
    let mut shown = result;
    loop {
        let (body, picture_origins) = match format {
            Format::Json => (json(shown), Vec::new()),
            Format::Html => html::render(shown, question),
            Format::Csv => (csv::render(shown), Vec::new()),
            Format::Ics => (ics::render(shown), Vec::new()),
        };
        let bytes = size(&body);
        let smaller = (max_bytes < bytes).then(|| shortened(shown, max_bytes, bytes)).flatten();
        let Some(smaller) = smaller else {
            let fingerprint = fingerprint(shown, format, &body);
            let left_out = shown.items_left_out + shown.posts_left_out + shown.profiles.failed_left_out;
            return Rendered { body, fingerprint, left_out, picture_origins };
        };
        cut = smaller;
        shown = &cut;
    }
}

/// A result with less in it: files go first, then posts, then what could not be checked. `None` when nothing is left.
fn shortened(result: &RunResult, max_bytes: usize, bytes: usize) -> Option<RunResult> {
    // A little less than the share that would fit if all were of one length, so that few rounds are needed.
    let keep = |length: usize| (length * (max_bytes / 20) / (bytes / 19 + 1)).min(length - 1);
    let mut cut = result.clone();
    if !cut.items.is_empty() {
        cut.items_left_out += drop_from(&mut cut.items, keep);
    } else if !cut.posts_at_risk.is_empty() {
        cut.posts_left_out += drop_from(&mut cut.posts_at_risk, keep);
    } else if !cut.profiles.failed.is_empty() {
        cut.profiles.failed_left_out += drop_from(&mut cut.profiles.failed, keep);
    } else {
        return None;
    }
    Some(cut)
}

fn drop_from<T>(list: &mut Vec<T>, keep: impl Fn(usize) -> usize) -> usize {
    let before = list.len();
    list.truncate(keep(before));
    before - list.len()
}

/// A hash of the content. What differs between two runs that found the same is left out: their ids, how long they took
/// and the moment itself. The words on the page ("in 5 hours") count; the seconds that follow from the moment do not.
fn fingerprint(result: &RunResult, format: Format, body: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(format.name());
    hash.update(env!("CARGO_PKG_VERSION"));
    if format == Format::Html {
        let moment = crate::model::text::utc(result.started_at);
        body.split(&result.started_at.to_string()).flat_map(|text| text.split(&moment)).for_each(|text| {
            hash.update(text);
        });
    } else {
        let mut stable = result.clone();
        stable.run_id.clear();
        stable.duration_ms = 0;
        stable.started_at = jiff::Timestamp::UNIX_EPOCH;
        stable.items.iter_mut().for_each(|item| item.expires_in_s = None);
        hash.update(json(&stable));
    }
    hex(&hash.finalize()[..16])
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The file that an element of a result is about.
pub(crate) fn item_of(result: &ItemResult) -> Item {
    Item {
        profile: result.profile.clone(),
        media: Media {
            id: result.id.clone(),
            file_name: result.file_name.clone(),
            url: result.url.clone(),
            size_bytes: result.size_bytes,
            created_at: result.created_at,
            expires_at: result.expires_at,
        },
        state: result.state,
        threshold: result.threshold.clone(),
    }
}

/// The section that a file stands in.
pub(crate) fn urgency(item: &ItemResult) -> Urgency {
    use crate::model::State;
    match (item.state, &item.threshold) {
        (State::Expired, _) => Urgency::Expired,
        (State::Expiring, Some(threshold)) => Urgency::Within(threshold.clone()),
        (State::Expiring | State::Undated, _) => Urgency::Undated,
    }
}

/// An outside URL, if it is one that may become a link: `https:`, with a host and without a user, which would make it
/// look like another host's.
fn safe_url(url: &str) -> Option<url::Url> {
    let url = url::Url::parse(url).ok()?;
    (url.scheme() == "https" && url.has_host() && url.username().is_empty() && url.password().is_none()).then_some(url)
}

#[cfg(test)]
mod tests;
