//! Styles and measures text for a terminal, and shows Slack messages there about as Slack shows them.

use std::borrow::Cow;
use std::io::IsTerminal as _;
use std::ops::RangeInclusive;

use serde_json::Value;
use terminal_size::{Width, terminal_size_of};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::model::text;
use crate::net::environment::Environment;

/// The columns of a line of prose. Longer lines are hard to read. The minimum applies to all output.
const PROSE: RangeInclusive<usize> = 40..=96;
/// The left margin of a message.
const MARGIN: &str = "  ┃ ";
/// The symbol for a picture beside a text.
pub const PICTURE: &str = " ▣";

/// The styles and the width that output may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalStyle {
    /// Whether bold, faint and coloured text and links are allowed.
    pub is_styled: bool,
    /// The width in columns, which is unlimited for a file or a pipe.
    pub columns: usize,
}

impl TerminalStyle {
    /// The style for standard output. Text is plain unless it goes to a terminal that supports styles. `COLUMNS`
    /// overrides the width of the terminal.
    #[must_use]
    pub fn for_stdout(environment: &Environment) -> Self {
        let stdout = std::io::stdout();
        let is_terminal = stdout.is_terminal();
        let requested = environment.var("COLUMNS").and_then(|columns| columns.trim().parse().ok());
        let of_terminal = || terminal_size_of(&stdout).map(|(Width(columns), _)| usize::from(columns));
        let columns = requested.or_else(of_terminal).filter(|columns| 0 < *columns).unwrap_or(usize::MAX);
        Self { is_styled: is_terminal && supports_styles(environment), columns: columns.max(*PROSE.start()) }
    }

    /// Plain text without a width limit.
    #[must_use]
    pub fn plain() -> Self {
        Self { is_styled: false, columns: usize::MAX }
    }

    /// The same style with a width that suits prose.
    #[must_use]
    pub fn for_prose(self) -> Self {
        Self { columns: self.columns.clamp(*PROSE.start(), *PROSE.end()), ..self }
    }

    /// Bold text.
    #[must_use]
    pub fn bold(self, text: &str) -> String {
        TextStyle::default().with(BOLD).paint(text, self)
    }

    /// Faint text.
    #[must_use]
    pub fn faint(self, text: &str) -> String {
        TextStyle::default().with(FAINT).paint(text, self)
    }

    /// Red text, for expired files and failures.
    #[must_use]
    pub fn red(self, text: &str) -> String {
        TextStyle::default().with(BOLD).with(RED).paint(text, self)
    }

    /// Yellow text, for upcoming expiries and warnings.
    #[must_use]
    pub fn yellow(self, text: &str) -> String {
        TextStyle::default().with(YELLOW).paint(text, self)
    }

    /// Green text, for success.
    #[must_use]
    pub fn green(self, text: &str) -> String {
        TextStyle::default().with(GREEN).paint(text, self)
    }

    /// A horizontal line with a title, as wide as the terminal.
    #[must_use]
    pub fn rule(self, title: &str) -> String {
        let rest = self.columns.saturating_sub(title.width() + 4);
        format!("{} {} {}", self.faint("──"), self.bold(title), self.faint(&"─".repeat(rest)))
    }
}

/// Whether the environment allows styles: `TERM` is not `dumb`, and `NO_COLOR` is unset or empty.
#[must_use]
pub fn supports_styles(environment: &Environment) -> bool {
    let is_dumb = environment.var("TERM").is_some_and(|term| term == "dumb");
    !is_dumb && environment.var("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Shortens text to at most `columns`. Shortened text ends with an ellipsis.
#[must_use]
pub fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    if text.width() <= columns {
        return Cow::Borrowed(text);
    }
    // Also removes a joiner that would have connected an emoji with its next part.
    Cow::Owned(format!("{}…", prefix(text, columns.saturating_sub(1)).trim_end_matches(['\u{200D}', ' '])))
}

/// The longest prefix of the text that fits into `columns`.
fn prefix(text: &str, columns: usize) -> &str {
    let mut room = columns;
    let mut end = 0;
    for (index, character) in text.char_indices() {
        let Some(left) = room.checked_sub(character.width().unwrap_or_default()) else { break };
        room = left;
        end = index + character.len_utf8();
    }
    // A variation selector can make the character before it wider.
    while columns < text[..end].width() {
        end = text.floor_char_boundary(end - 1);
    }
    &text[..end]
}

/// Appends spaces until the text is `columns` wide.
#[must_use]
pub fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

/// Breaks text into lines of at most `columns`. Breaks are between words, or within a word that is longer than a line.
#[must_use]
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if !line.is_empty() && line.width() + 1 + word.width() <= columns => {
                *line += &format!(" {word}");
                continue;
            }
            Some(line) if line.is_empty() => {
                lines.pop();
            }
            _ => {}
        }
        lines.extend(parts(word, columns).map(ToOwned::to_owned));
    }
    lines
}

/// Renders a Slack message. Each line ends with a line break.
#[must_use]
pub fn slack_message(message: &Value, terminal: TerminalStyle) -> String {
    let margin = terminal.faint(MARGIN);
    let mut text = String::new();
    for (index, block) in message["blocks"].as_array().into_iter().flatten().enumerate() {
        // Slack separates all blocks. In a terminal, a blank line where a new topic starts is enough.
        if 0 < index && starts_topic(block) {
            text += margin.trim_end();
            text.push('\n');
        }
        for line in self::block(block, terminal) {
            text += format!("{margin}{line}").trim_end();
            text.push('\n');
        }
    }
    text
}

/// Whether a block starts a new topic. Only a section without a heading continues the block before it.
fn starts_topic(block: &Value) -> bool {
    let first = block["text"]["text"].as_str().and_then(|text| text.lines().next()).unwrap_or_default();
    block["type"] != "section" || first.contains('*')
}

/// A line with its styles, and its width in columns.
type Line = (String, usize);

/// The lines of a block.
fn block(block: &Value, terminal: TerminalStyle) -> Vec<String> {
    block_lines(block, terminal).into_iter().map(|(line, _)| line).collect()
}

fn block_lines(block: &Value, terminal: TerminalStyle) -> Vec<Line> {
    let line = |text: String| (terminal.faint(&text), text.width());
    let elements = || block["elements"].as_array().into_iter().flatten();
    match block["type"].as_str().unwrap_or_default() {
        "header" => text(&block["text"], &TextStyle::default().with(BOLD), terminal),
        "section" => {
            let mut lines = text(&block["text"], &TextStyle::default(), terminal);
            if block["accessory"]["type"] == "image"
                && let Some(last) = lines.last_mut()
            {
                last.0
                    .push_str(&" ".repeat(terminal.columns.saturating_sub(MARGIN.width() + last.1 + PICTURE.width())));
                last.0.push_str(&terminal.faint(PICTURE));
            }
            lines
        }
        "context" => {
            elements().flat_map(|element| text(element, &TextStyle::default().with(FAINT), terminal)).collect()
        }
        "actions" => {
            let label = |button: &Value| format!("[ {} ]", button["text"]["text"].as_str().unwrap_or_default());
            let labels = elements().map(label).collect::<Vec<_>>().join("  ");
            vec![(terminal.bold(&labels), labels.width())]
        }
        "divider" => vec![line("─".repeat(20))],
        other => vec![line(format!("({other})"))],
    }
}

/// The lines of a text object.
fn text(object: &Value, style: &TextStyle, terminal: TerminalStyle) -> Vec<Line> {
    let pieces = |line: &str| {
        if object["type"] == "mrkdwn" {
            markup(line, style)
        } else {
            vec![Piece { text: line.to_owned(), style: style.clone() }]
        }
    };
    let text = object["text"].as_str().unwrap_or_default();
    // What Slack does not show may keep marks from having an effect, so it is removed after they are parsed.
    let shown = |piece: Piece| Piece { text: text::visible(&piece.text), ..piece };
    let pieces = |line: &str| pieces(line).into_iter().map(shown).collect::<Vec<_>>();
    text.lines().flat_map(|line| wrapped(&pieces(line), terminal)).collect()
}

const BOLD: &str = "1";
const FAINT: &str = "2";
const ITALIC: &str = "3";
const STRUCK: &str = "9";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const UNDERLINED_BLUE: &str = "4;34";

/// The style of a piece of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct TextStyle {
    /// ANSI codes.
    codes: Vec<&'static str>,
    link: Option<String>,
}

impl TextStyle {
    fn with(&self, code: &'static str) -> Self {
        let mut style = self.clone();
        style.codes.push(code);
        style
    }

    fn paint(&self, text: &str, terminal: TerminalStyle) -> String {
        if !terminal.is_styled || text.is_empty() {
            return text.to_owned();
        }
        let painted = match &self.codes[..] {
            [] => text.to_owned(),
            codes => format!("\u{1b}[{}m{text}\u{1b}[0m", codes.join(";")),
        };
        match &self.link {
            // A terminal without support for links ignores the URL and shows the label.
            Some(url) => format!("\u{1b}]8;;{url}\u{1b}\\{painted}\u{1b}]8;;\u{1b}\\"),
            None => painted,
        }
    }
}

/// A piece of text with one style.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    text: String,
    style: TextStyle,
}

/// Parses a line of Slack's markup. Its styles are added to `style`.
fn markup(line: &str, style: &TextStyle) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut previous = None;
    let mut rest = line;
    while let Some(character) = rest.chars().next() {
        let after = &rest[character.len_utf8()..];
        let is_at_word = previous.is_none_or(|previous: char| !previous.is_alphanumeric());
        let (parsed, after) = match character {
            '<' => link(after, style),
            '&' => entity(after, style),
            ':' => shortcode(after, style),
            '*' | '_' | '~' if is_at_word => emphasis(character, after, style),
            _ => None,
        }
        .unwrap_or_else(|| (vec![Piece { text: character.to_string(), style: style.clone() }], after));
        for piece in parsed {
            match pieces.last_mut() {
                Some(last) if last.style == piece.style => last.text += &piece.text,
                _ => pieces.push(piece),
            }
        }
        previous = Some(character);
        rest = after;
    }
    pieces
}

type Parsed<'a> = Option<(Vec<Piece>, &'a str)>;

/// Parses `<https://...|label>` after the `<`.
fn link<'a>(after: &'a str, style: &TextStyle) -> Parsed<'a> {
    let (inside, after) = after.split_once('>')?;
    if let Some(date) = inside.strip_prefix("!date^") {
        let (_, text) = date.rsplit_once('|')?;
        return Some((vec![Piece { text: unescaped(text), style: style.clone() }], after));
    }
    if let Some(who) = inside.strip_prefix(['!', '@']) {
        let who = who.strip_prefix("subteam^").unwrap_or(who);
        return Some((vec![Piece { text: format!("@{}", unescaped(who)), style: style.with(BOLD) }], after));
    }
    let (url, label) = inside.split_once('|').unwrap_or((inside, inside));
    let style = TextStyle { link: Some(text::visible(&unescaped(url))), ..style.with(UNDERLINED_BLUE) };
    Some((vec![Piece { text: unescaped(label), style }], after))
}

fn entity<'a>(after: &'a str, style: &TextStyle) -> Parsed<'a> {
    let name = ["amp;", "lt;", "gt;"].into_iter().find(|name| after.starts_with(name))?;
    let piece = Piece { text: unescaped(&format!("&{name}")), style: style.clone() };
    Some((vec![piece], &after[name.len()..]))
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// Parses `:name:` after the first colon.
fn shortcode<'a>(after: &'a str, style: &TextStyle) -> Parsed<'a> {
    let (name, after) = after.split_once(':')?;
    Some((vec![Piece { text: emoji(name)?.to_owned(), style: style.clone() }], after))
}

/// The emoji that the messages of the function use. Unknown names stay as they are.
fn emoji(name: &str) -> Option<&'static str> {
    Some(match name {
        "clapper" => "🎬",
        "frame_with_picture" => "🖼️",
        "grey_question" => "❔",
        "hourglass_flowing_sand" => "⏳",
        "page_facing_up" => "📄",
        "point_right" => "👉",
        "rotating_light" => "🚨",
        "warning" => "⚠️",
        "white_check_mark" => "✅",
        "x" => "❌",
        _ => return None,
    })
}

/// Parses `*bold*`, `_italic_` or `~struck~` after the first mark. Like Slack, it ignores marks within a word.
fn emphasis<'a>(mark: char, after: &'a str, style: &TextStyle) -> Parsed<'a> {
    let ends = after.match_indices(mark).map(|(end, _)| (&after[..end], &after[end + 1..]));
    let (inside, after) = ends.into_iter().find(|(inside, after)| {
        inside.chars().next_back().is_some_and(|last| !is_gap(last)) && !after.starts_with(char::is_alphanumeric)
    })?;
    if inside.starts_with(is_gap) {
        return None;
    }
    let code = match mark {
        '*' => BOLD,
        '_' => ITALIC,
        _ => STRUCK,
    };
    Some((markup(inside, &style.with(code)), after))
}

/// Whether a mark beside this character has no effect.
fn is_gap(character: char) -> bool {
    character.is_whitespace() || character == '\u{200B}'
}

/// Breaks a line that is too long between words, and indents the following lines to its text.
fn wrapped(pieces: &[Piece], terminal: TerminalStyle) -> Vec<Line> {
    let columns = terminal.columns - MARGIN.width() - PICTURE.width();
    let indent = indent(pieces).min(columns / 2);
    let mut lines = vec![(String::new(), 0)];
    for piece in pieces {
        for word in piece.text.split_inclusive(' ').flat_map(|word| parts(word, columns - indent)) {
            let is_full =
                lines.last().is_some_and(|(_, column)| columns < column + word.trim_end().width() && indent < *column);
            if is_full {
                lines.push((" ".repeat(indent), indent));
            }
            if let Some((line, column)) = lines.last_mut() {
                line.push_str(&piece.style.paint(word, terminal));
                *column += word.width();
            }
        }
    }
    lines
}

/// Splits a word into parts of at most `columns`.
fn parts(word: &str, columns: usize) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let fits = rest.trim_end().width() <= columns;
        let part = if fits { rest } else { prefix(rest, columns.max(2)) };
        rest = &rest[part.len()..];
        (!part.is_empty()).then_some(part)
    })
}

/// The column where the text of a line starts, after its spaces and its bullet or emoji.
fn indent(pieces: &[Piece]) -> usize {
    let text: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
    let blanks = text.len() - text.trim_start().len();
    let sign = text.trim_start().split(' ').next().unwrap_or_default();
    let is_sign = !sign.is_empty() && !sign.contains(|c: char| c.is_alphanumeric() || c == '“');
    blanks + if is_sign { sign.width() + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: TerminalStyle = TerminalStyle { is_styled: false, columns: 60 };
    const STYLED: TerminalStyle = TerminalStyle { is_styled: true, columns: 60 };

    fn section(text: &str, terminal: TerminalStyle) -> String {
        let section = json!({"type": "section", "text": {"type": "mrkdwn", "text": text}});
        slack_message(&json!({"blocks": [section]}), terminal)
    }

    #[test]
    fn markup_is_rendered_as_in_slack() {
        let check =
            |text: &str, expected: &str| assert_eq!(section(text, PLAIN), format!("  ┃ {expected}\n"), "{text}");
        check("*bold* and _italic_, ~gone~", "bold and italic, gone");
        check("a_b_c 2*3*4 * not *", "a_b_c 2*3*4 * not *");
        check("<https://a.example/1.png|1 &amp; 2.png> · :x:", "1 & 2.png · ❌");
        check(
            "until <!date^1795586400^{date} at {time}|Wed 25 Nov 2026, 07:00 CET>.",
            "until Wed 25 Nov 2026, 07:00 CET.",
        );
        check("&lt;!channel&gt; :no_such_emoji: 12:30:00", "<!channel> :no_such_emoji: 12:30:00");
    }

    #[test]
    fn styled_output_has_bold_text_and_links() {
        let link = "\u{1b}]8;;https://a.example\u{1b}\\\u{1b}[1;4;34ma\u{1b}[0m\u{1b}]8;;\u{1b}\\";
        assert_eq!(markup("*<https://a.example|a>*", &TextStyle::default())[0].style.paint("a", STYLED), link);
        assert!(section("*a*", STYLED).contains("\u{1b}[1ma\u{1b}[0m"));
        assert!(!section("*a* <https://a.example|a>", PLAIN).contains('\u{1b}'));
    }

    #[test]
    fn long_lines_wrap_within_the_margin() {
        let shown = section(&format!("• {}", "many words ".repeat(12)), PLAIN);
        assert!(3 <= shown.lines().count(), "{shown}");
        for line in shown.lines() {
            assert!(line.starts_with("  ┃ ") && line.width() <= 60, "{line}");
        }
    }

    #[test]
    fn text_is_shortened_by_display_width() {
        let check = |text: &str, columns: usize, expected: &str| assert_eq!(fit(text, columns), expected, "{text}");
        check("banner.png", 10, "banner.png");
        check("banner.png", 9, "banner.p…");
        check("夏のセール", 10, "夏のセール");
        check("夏のセール", 9, "夏のセー…");
        check("夏のセール", 8, "夏のセ…");
        check("👩‍💻👩‍💻", 4, "👩‍💻👩‍💻");
        check("👩‍💻👩‍💻", 3, "👩…");
        check("❤️❤️❤️", 4, "❤️❤…");
        check("a b", 2, "a…");
        check("abc", 0, "…");
    }

    #[test]
    fn text_wraps_between_words() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("a abcdefgh b", 3), ["a", "abc", "def", "gh", "b"]);
        assert_eq!(wrap("夏のセール", 4), ["夏の", "セー", "ル"]);
        assert_eq!(wrap("", 7), [""]);
        let shown = section(&"x".repeat(200), PLAIN);
        assert!(shown.lines().all(|line| line.width() <= 60) && shown.matches('x').count() == 200, "{shown}");
    }

    #[test]
    fn every_emoji_of_a_digest_is_replaced() {
        let digest = crate::digest::fixtures::digest(&crate::digest::fixtures::survey());
        for message in crate::channel::slack::render(&digest, None) {
            let shown = slack_message(&message.body, PLAIN);
            let raw = shown
                .split(':')
                .skip(1)
                .find(|part| part.len() > 2 && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert_eq!(raw, None, "{shown}");
        }
    }
}
