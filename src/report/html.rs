//! The page. It is complete without its script, which filters, searches, and shows times in the zone of the reader.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::view::View;
use super::{PageNeeds, Question, Report};
use crate::model::VERSION;

const STYLE: &str = include_str!("../../templates/page.css");
const SCRIPT: &str = include_str!("../../templates/page.js");
/// The most hosts that the policy names. If there are more, it allows pictures from every `https:` URL.
const MAX_ORIGINS: usize = 20;

#[derive(Template)]
#[template(path = "report.html", whitespace = "minimize")]
struct ReportPage<'a> {
    style: &'static str,
    script: &'static str,
    view: &'a View,
    version: &'static str,
}

#[derive(Template)]
#[template(path = "message.html", whitespace = "minimize")]
struct MessagePage {
    style: &'static str,
    title: &'static str,
    text: &'static str,
}

/// Renders the page. Returns it with what its policy must allow.
#[must_use]
pub fn render(report: &Report<'_>, question: &Question) -> (String, PageNeeds) {
    let view = View::new(report, question);
    let origins: BTreeSet<_> = view.pictures().filter_map(|url| origin(url)).collect();
    let page = ReportPage { style: STYLE, script: SCRIPT, view: &view, version: VERSION };
    let needs = PageNeeds { picture_origins: origins.into_iter().collect(), has_forms: view.has_forms() };
    // Writing to memory cannot fail.
    (page.render().unwrap_or_default(), needs)
}

/// Renders the page for a link that has expired.
#[must_use]
pub fn expired_link() -> String {
    message(
        "This link has expired",
        "Links to a report work for a limited time. The next alert brings a new one; or ask whoever looks after the \
         alerts.",
    )
}

/// Renders the page for anything else that is not a valid link.
#[must_use]
pub fn unknown_link() -> String {
    message(
        "There is no report here",
        "Check that the whole link was copied. If it was, open the one in the latest alert, or ask whoever looks \
         after the alerts.",
    )
}

/// Renders the page for a form about a file that the report does not show.
#[must_use]
pub fn missing_file() -> String {
    message(
        "This file is not in the report",
        "It may have been deleted since the page was opened. Go back and reload the page.",
    )
}

fn message(title: &'static str, text: &'static str) -> String {
    MessagePage { style: STYLE, title, text }.render().unwrap_or_default()
}

/// Returns the `Content-Security-Policy` of a page. It allows only the page's own style and script, and what the page needs.
#[must_use]
pub fn content_security_policy(needs: &PageNeeds) -> String {
    static HASHES: LazyLock<[String; 2]> =
        LazyLock::new(|| [STYLE, SCRIPT].map(|text| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))));
    let [style, script] = &*HASHES;
    let pictures = match needs.picture_origins.as_slice() {
        [] => "'none'".to_owned(),
        origins if origins.len() <= MAX_ORIGINS => origins.join(" "),
        _ => "https:".to_owned(),
    };
    let forms = if needs.has_forms { "'self'" } else { "'none'" };
    format!(
        "default-src 'none'; img-src {pictures}; style-src {style}; script-src {script}; base-uri 'none'; \
         form-action {forms}; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

fn origin(url: &str) -> Option<String> {
    Some(url::Url::parse(url).ok()?.origin().ascii_serialization())
}

impl View {
    fn has_forms(&self) -> bool {
        let groups = self.sections.iter().flat_map(|section| &section.groups);
        groups.flat_map(|group| &group.files).any(|file| file.mark.is_some())
    }

    /// Returns the URLs of the pictures on the page.
    fn pictures(&self) -> impl Iterator<Item = &String> {
        let groups = || self.sections.iter().flat_map(|section| &section.groups);
        let of_posts = groups().flat_map(|group| &group.posts).flat_map(|post| &post.files);
        let of_files = groups().flat_map(|group| &group.files);
        of_posts.filter_map(|file| file.picture.as_ref()).chain(of_files.filter_map(|file| file.picture.as_ref()))
    }
}
