//! Renders a digest as the HTML part of a mail.
//!
//! Mail programs support little: tables for the layout, styles at each element, and no script. Gmail cuts a mail that is
//! larger than 102 KB, and mail servers break lines of more than 998 bytes.

use std::fmt;

use askama::Template;
use url::Url;

use crate::channel::picture_url;
use crate::digest::{self, Digest, DigestLine, LineSubject, Urgency};
use crate::model::Item;
use crate::model::text::{one_line, shorten};

/// The largest HTML part, in bytes.
const MAX_BYTES: usize = 90_000;
/// The most lines of a digest that are tried. They fit unless they are unusually long.
const MAX_LINES: usize = 120;
/// The most pictures, each of which a mail program downloads.
const MAX_PICTURES: usize = 24;
/// The most profiles that could not be checked and are named.
const MAX_UNCHECKED: usize = 20;
/// Characters of the names of profiles that nobody watches.
const MAX_UNWATCHED: usize = 1_000;
/// The longest paragraph of good news, and of other text at the end, in characters.
const MAX_PARAGRAPH: usize = 1_000;
/// The longest name, in characters.
const MAX_NAME: usize = 100;
/// The longest URL, in bytes. It cannot be broken into lines.
const MAX_URL_BYTES: usize = 800;
/// A line of the source ends with the word that reaches this many bytes.
const LINE_BYTES: usize = 160;
/// The most characters of a word between two places where it may be broken.
const MAX_WORD: usize = 40;

/// Text that is escaped, in short lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Html(String);

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Html {}

impl Html {
    /// Escapes text and breaks it into short lines: between words, or inside a tag that shows nothing.
    fn new(text: &str) -> Self {
        let mut html = String::with_capacity(text.len() + 16);
        let mut line = 0;
        for (index, word) in text.split(' ').enumerate() {
            if 0 < index {
                let breaks = LINE_BYTES < line;
                html.push(if breaks { '\n' } else { ' ' });
                line = if breaks { 0 } else { line + 1 };
            }
            for (index, character) in word.chars().enumerate() {
                if 0 < index && index % MAX_WORD == 0 {
                    html += "<wbr\n>";
                    line = 0;
                }
                let before = html.len();
                match character {
                    '&' => html += "&amp;",
                    '<' => html += "&lt;",
                    '>' => html += "&gt;",
                    '"' => html += "&quot;",
                    '\'' => html += "&#39;",
                    _ => html.push(character),
                }
                line += html.len() - before;
            }
        }
        Self(html)
    }

    /// The value of an attribute, which cannot contain a tag.
    fn attribute(text: &str) -> Self {
        let html = Self::new(text).0;
        Self(html.replace("<wbr\n>", ""))
    }
}

#[derive(Template)]
#[template(path = "email.html", whitespace = "minimize")]
struct HtmlMail {
    title: Html,
    preheader: Html,
    headline: Html,
    also: Option<Html>,
    first_step: Option<Html>,
    coverage: Html,
    button: Option<Button>,
    unchecked: Option<UncheckedBox>,
    notices: Vec<Html>,
    sections: Vec<MailSection>,
    left_out: Option<Html>,
    closing: Vec<Html>,
}

struct Button {
    url: Html,
    until: Html,
}

struct UncheckedBox {
    advice: Vec<Html>,
    profiles: Vec<(Html, Html)>,
    more: usize,
}

struct MailSection {
    /// A class of the stylesheet, and the colour for programs that have none.
    tone: &'static str,
    colour: &'static str,
    heading: Html,
    tally: String,
    advice: Option<Html>,
    groups: Vec<MailGroup>,
}

struct MailGroup {
    profile: Html,
    rows: Vec<MailRow>,
}

struct MailRow {
    title: Html,
    url: Option<Html>,
    details: Vec<Html>,
    picture: Option<Picture>,
}

struct Picture {
    url: Html,
    alt: Html,
}

/// Renders a digest in less than [`MAX_BYTES`]. What does not fit is counted.
pub(super) fn render(digest: &Digest, pictures: bool) -> String {
    let lines = digest.lines();
    let mut shown = lines.len().min(MAX_LINES);
    loop {
        // Writing to memory cannot fail.
        let html = mail(digest, &lines, shown, pictures).render().unwrap_or_default();
        if html.len() < MAX_BYTES || shown == 0 {
            return html;
        }
        shown = (shown * MAX_BYTES / html.len()).min(shown - 1);
    }
}

fn mail(digest: &Digest, all: &[DigestLine<'_>], shown: usize, pictures: bool) -> HtmlMail {
    let (lines, rest) = all.split_at(shown);
    let (headline, also) = digest.title();
    let first_step = digest.first_step().map(|step| step.plain(&digest.zone));
    let coverage = digest.coverage().plain(&digest.zone);
    let button = digest
        .report_link
        .as_ref()
        .filter(|link| link.url.len() <= MAX_URL_BYTES)
        .map(|link| Button { url: Html::attribute(&link.url), until: Html::new(&digest.zone.format(link.until)) });
    let notices = digest.unwatched(MAX_UNWATCHED, |name| name.chars().count()).into_iter().chain(digest.good_news());
    let closing = digest.closing().into_iter().chain(digest.note.clone());
    let paragraph = |text: String| Html::new(&shorten(&text, MAX_PARAGRAPH));
    HtmlMail {
        title: Html::new(&digest.short_headline()),
        // The subject above it has the totals.
        preheader: Html::new(first_step.as_ref().unwrap_or(&coverage)),
        headline: Html::new(&headline),
        also: also.map(|also| Html::new(&also)),
        first_step: first_step.map(|step| Html::new(&step)),
        coverage: Html::new(&coverage),
        button,
        unchecked: unchecked(digest),
        notices: notices.map(paragraph).collect(),
        sections: sections(digest, all, lines, pictures),
        left_out: (!rest.is_empty()).then(|| Html::new(&digest::left_out(rest))),
        closing: closing.map(paragraph).collect(),
    }
}

fn unchecked(digest: &Digest) -> Option<UncheckedBox> {
    let named = digest.unchecked.iter().take(MAX_UNCHECKED);
    let profiles = named.map(|failed| (name(failed.profile.as_str()), Html::new(&digest::reason(failed)))).collect();
    let advice = digest.unchecked_advice().into_iter().map(Html::new).collect();
    let more = digest.unchecked.len().saturating_sub(MAX_UNCHECKED);
    (!digest.unchecked.is_empty()).then_some(UncheckedBox { advice, profiles, more })
}

fn sections(digest: &Digest, all: &[DigestLine<'_>], lines: &[DigestLine<'_>], pictures: bool) -> Vec<MailSection> {
    let mut left = if pictures { MAX_PICTURES } else { 0 };
    let mut last_advice = "";
    let mut sections = Vec::new();
    for section in lines.chunk_by(|one, other| one.urgency == other.urgency) {
        let urgency = section[0].urgency;
        let (tone, colour) = tone(urgency);
        // All thresholds have the same advice.
        let advice = (last_advice != urgency.advice()).then(|| Html::new(urgency.advice()));
        last_advice = urgency.advice();
        let group = |group: &[DigestLine<'_>]| MailGroup {
            profile: name(group[0].profile.as_str()),
            rows: group.iter().map(|line| row(line, digest, &mut left)).collect(),
        };
        sections.push(MailSection {
            tone,
            colour,
            heading: Html::new(&urgency.heading()),
            tally: digest.tally(all, urgency),
            advice,
            groups: section.chunk_by(|one, other| one.profile == other.profile).map(group).collect(),
        });
    }
    sections
}

fn row(line: &DigestLine<'_>, digest: &Digest, pictures: &mut usize) -> MailRow {
    let zone = &digest.zone;
    match &line.subject {
        LineSubject::Post(post) => {
            let timing = digest::post_timing(post, digest.now);
            let reasons = digest.post_reasons(post);
            let details = [timing].into_iter().chain(reasons).map(|sentence| Html::new(&sentence.plain(zone)));
            let title = Html::new(&digest::post_label(post));
            MailRow { title, url: None, details: details.collect(), picture: None }
        }
        LineSubject::File(item) => file_row(item, &[*item], name(&item.label()), digest, pictures),
        LineSubject::Files(files) => {
            let names = digest::first_names(files, |item| shorten(&one_line(&item.label()), MAX_NAME).into_owned());
            let row = files.first().map(|item| file_row(item, files, Html::new(&names), digest, pictures));
            let row = row.unwrap_or_else(|| MailRow {
                title: Html::new(&names),
                url: None,
                details: Vec::new(),
                picture: None,
            });
            MailRow { url: None, ..row }
        }
    }
}

/// The row of files that expire together, the first of which is `item`.
fn file_row(item: &Item, files: &[&Item], title: Html, digest: &Digest, pictures: &mut usize) -> MailRow {
    let timing = Html::new(&digest.timing(files).plain(&digest.zone));
    let url = item.media.url.as_deref().and_then(https_url);
    let picture = url.as_ref().filter(|_| 0 < *pictures && picture_url(item).is_some()).map(|url| Picture {
        url: Html::attribute(url.as_str()),
        alt: Html::attribute(&shorten(&one_line(&item.label()), MAX_NAME)),
    });
    *pictures -= usize::from(picture.is_some());
    MailRow { title, url: url.map(|url| Html::attribute(url.as_str())), details: vec![timing], picture }
}

fn https_url(url: &str) -> Option<Url> {
    Url::parse(url).ok().filter(|url| url.scheme() == "https" && Html::attribute(url.as_str()).0.len() <= MAX_URL_BYTES)
}

fn name(outside: &str) -> Html {
    Html::new(&shorten(&one_line(outside), MAX_NAME))
}

fn tone(urgency: &Urgency) -> (&'static str, &'static str) {
    match urgency {
        Urgency::PostAtRisk => ("risk", "#b3261e"),
        Urgency::Expired => ("expired", "#5f4b8b"),
        Urgency::Within(_) => ("soon", "#9a5b00"),
        Urgency::Undated => ("undated", "#4d5761"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::fixtures::{digest, hostile_survey, survey};
    use crate::digest::test_surveys;

    /// Checks what mail programs and servers need.
    fn check(html: &str) {
        assert!(html.len() < MAX_BYTES, "{} bytes", html.len());
        let longest = html.lines().map(str::len).max().unwrap_or_default();
        assert!(longest <= 998, "a line of {longest} bytes");
        assert!(!html.contains("<script") && !html.contains("javascript:"));
    }

    #[test]
    fn a_mail_of_everything() {
        let html = render(&digest(&survey()), true);
        check(&html);
        insta::assert_snapshot!(html);
    }

    #[test]
    fn pictures_can_be_left_out() {
        let digest = digest(&survey());
        assert!(render(&digest, true).contains("<img"));
        assert!(!render(&digest, false).contains("<img"));
    }

    #[test]
    fn a_large_digest_is_cut_and_the_rest_is_counted() {
        let files =
            (0..10_000).map(|index| test_surveys::file(&format!("{index} {}", "'".repeat(90)), Some(index % 60)));
        let digest = test_surveys::digest(&test_surveys::survey(files.collect(), Vec::new()));
        let html = render(&digest, true);
        check(&html);
        assert!(html.contains("more that there is no room for here"));
    }

    #[test]
    fn outside_text_cannot_add_markup_and_long_words_are_broken() {
        assert_eq!(Html::new("<b> & \"'").0, "&lt;b&gt; &amp; &quot;&#39;");
        let long = Html::new(&"\u{1f4f8}".repeat(300)).0;
        assert!(long.lines().all(|line| line.len() < 998));
        assert_eq!(long.replace("<wbr\n>", ""), "\u{1f4f8}".repeat(300));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_mail_is_small_enough_and_shows_or_counts_everything(survey in hostile_survey()) {
            let digest = digest(&survey);
            let lines = digest.lines();
            let html = render(&digest, true);
            check(&html);
            let rows = html.matches("class=\"row\"").count();
            let left_out = lines.get(rows..).expect("no more rows than lines");
            if !left_out.is_empty() {
                prop_assert!(html.contains(&Html::new(&digest::left_out(left_out)).0));
            }
        }
    }
}
