//! The cards of scheduled posts and of files.

use std::collections::HashMap;

use super::{MAX_NAME, MAX_NAMES, Moment, Reading, name};
use crate::model::text::{count, list, one_line, shorten};
use crate::model::{Item, Media, MediaAtRisk, MediaKind, PostAtRisk, RiskReason, State};
use crate::report::copies::CopyNote;
use crate::report::{Question, Report, safe_url};

/// The longest text of a post, in characters.
const MAX_TEXT: usize = 500;
/// The longest URL that is linked or shown, in characters. All browsers and servers accept this length.
const MAX_URL: usize = 2_000;
/// How many files of a post are shown.
const MAX_POST_FILES: usize = 8;

/// A scheduled post that will fail.
pub struct PostCard {
    pub id: String,
    pub label: String,
    pub platforms: String,
    pub due: Option<(String, Moment)>,
    pub files: Vec<PostFile>,
    pub more_files: Option<String>,
}

/// A file that will be missing from a post.
pub struct PostFile {
    pub name: String,
    pub url: Option<String>,
    pub picture: Option<String>,
    pub icon: &'static str,
    /// When it expires, and how far off that is. `None` if it is already gone or the time is unknown.
    pub expires: Option<(String, Moment)>,
    pub is_gone: bool,
    /// Whether `expires` is the end of the link and not of the file.
    pub is_link: bool,
    pub copy: Option<CopyNote>,
}

/// A file.
pub struct FileCard {
    pub name: String,
    pub url: Option<String>,
    pub picture: Option<String>,
    pub kind: &'static str,
    pub icon: &'static str,
    pub size: Option<String>,
    pub verb: &'static str,
    pub expires: Option<(String, Moment)>,
    /// How many posts need it, as text, and the id of the first of them on the page.
    pub needed_by: Option<(String, Option<String>)>,
    pub copy: Option<CopyNote>,
    pub mark: Option<MarkForm>,
}

/// The form that marks a file as handled, or takes the mark back.
pub struct MarkForm {
    /// The id of the file on the page.
    pub anchor: String,
    /// Where the form is sent. It ends with the anchor, to which the browser returns.
    pub action: String,
    pub profile: String,
    pub id: String,
    pub is_handled: bool,
}

/// `None` without a link that allows it, or when the ledger could not be read: then it is not known what is marked.
pub(super) fn mark_form(report: &Report<'_>, question: &Question, item: &Item, number: usize) -> Option<MarkForm> {
    let (action, announced) = (question.mark_action.as_ref()?, report.announced?);
    let anchor = format!("file-{number}");
    Some(MarkForm {
        action: format!("{action}#{anchor}"),
        anchor,
        profile: item.profile.to_string(),
        id: item.media.identity().to_owned(),
        is_handled: !announced.handled(item).is_empty(),
    })
}

pub(super) fn post_card(
    post: &PostAtRisk,
    number: usize,
    reading: Reading<'_>,
    copy: &dyn Fn(&MediaAtRisk) -> Option<CopyNote>,
) -> PostCard {
    let text = one_line(post.text.as_deref().unwrap_or_default());
    let platforms: Vec<_> =
        post.platforms.iter().map(|platform| shorten(&one_line(platform), 40).into_owned()).collect();
    let more = post.media.len().saturating_sub(MAX_POST_FILES);
    PostCard {
        id: post_id(number),
        label: if text.is_empty() { "A post without text".to_owned() } else { shorten(&text, MAX_TEXT).into_owned() },
        platforms: list(&platforms, MAX_NAMES),
        due: post.scheduled_at.map(|due| reading.of(due)),
        files: post
            .media
            .iter()
            .take(MAX_POST_FILES)
            .map(|media| PostFile { copy: copy(media), ..post_file(media, reading) })
            .collect(),
        more_files: (0 < more).then(|| format!("and {} more", count(more, "file"))),
    }
}

fn post_file(media: &MediaAtRisk, reading: Reading<'_>) -> PostFile {
    let label = name(&media.label());
    let file = Media { url: Some(media.url.clone()), ..Media::default() };
    let is_gone = media.reason == RiskReason::AlreadyGone;
    let url = link(Some(&media.url)).filter(|_| !is_gone);
    PostFile {
        name: if label.is_empty() { "a file without a name".to_owned() } else { label },
        picture: url.clone().filter(|url| is_picture(file.kind(), url)),
        url,
        icon: icon(file.kind()).0,
        expires: media.expires_at.filter(|_| !is_gone).map(|at| reading.of(at)),
        is_gone,
        is_link: media.reason == RiskReason::LinkExpiresBeforePost,
        copy: None,
    }
}

pub(super) fn file_card(
    item: &Item,
    needed_by: &[String],
    posts: &HashMap<&str, usize>,
    reading: Reading<'_>,
) -> FileCard {
    let media = &item.media;
    let url = link(media.url.as_deref());
    let (icon, kind) = icon(media.kind());
    let needed = needed_by.len();
    FileCard {
        name: shorten(&item.label(), MAX_NAME).into_owned(),
        picture: url.clone().filter(|url| item.state != State::Expired && is_picture(media.kind(), url)),
        url,
        kind,
        icon,
        size: media.size_bytes.map(bytes),
        verb: if item.state == State::Expired { "Expired" } else { "Expires" },
        expires: media.expires_at.map(|at| reading.of(at)),
        needed_by: (0 < needed).then(|| {
            let verb = if needed == 1 { "needs" } else { "need" };
            let first = needed_by.iter().find_map(|id| posts.get(id.as_str())).map(|number| post_id(*number));
            (format!("{} {verb} it and will fail", count(needed, "scheduled post")), first)
        }),
        copy: None,
        mark: None,
    }
}

/// Returns the id of a post's element on the page.
fn post_id(number: usize) -> String {
    format!("post-{number}")
}

fn link(url: Option<&str>) -> Option<String> {
    let url: String = safe_url(url?)?.into();
    (url.len() <= MAX_URL).then_some(url)
}

/// Returns whether it is a picture in a format that browsers show.
fn is_picture(kind: MediaKind, url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    kind == MediaKind::Image && ![".heic", ".heif", ".tif", ".tiff"].iter().any(|end| path.ends_with(end))
}

/// Returns the icon of a kind and its name.
fn icon(kind: MediaKind) -> (&'static str, &'static str) {
    match kind {
        MediaKind::Image => ("image", "Image"),
        MediaKind::Video => ("video", "Video"),
        MediaKind::Other => ("file", "File"),
    }
}

/// Returns a size in a suitable unit: `820 kB`, `1.4 MB`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_suitable_unit_and_one_decimal_below_ten() {
        let check = |size: u64, expected: &str| assert_eq!(bytes(size), expected);
        check(0, "0 bytes");
        check(9, "9 bytes");
        check(999, "999 bytes");
        check(1_000, "1.0 kB");
        check(1_250, "1.2 kB");
        check(9_999, "9.9 kB");
        check(10_000, "10 kB");
        check(999_999, "999 kB");
        check(1_000_000, "1.0 MB");
        check(1_450_000, "1.4 MB");
        check(2_500_000_000, "2.5 GB");
        check(7_300_000_000_000, "7.3 TB");
        check(12_000_000_000_000_000, "12000 TB");
    }
}
