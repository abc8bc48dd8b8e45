//! Slack's markup: what has to be escaped in texts, so that nothing out of a name is formatted, linked or notified.

use jiff::Timestamp;

use crate::config::Mention;
use crate::model::Zone;

/// Slack has no escape for its formatting marks. A zero-width space beside a mark keeps it from having an effect.
const BREAK: char = '\u{200B}';

/// Escapes the three characters that Slack requires to be escaped. Everything else keeps its effect.
pub fn entities(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Escapes text from outside, which Slack then shows as it is: without formatting, emoji, links and mentions.
///
/// No text becomes more than five times as long.
pub fn literal(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 8);
    let mut previous = None;
    for (index, character) in text.char_indices() {
        let after = &text[index + character.len_utf8()..];
        match character {
            '*' | '_' | '~' | '`' if !is_within_word(character, previous, after) => {
                if !shown.ends_with(BREAK) {
                    shown.push(BREAK);
                }
                shown.extend([character, BREAK]);
            }
            ':' if begins_emoji(after) => shown.extend([character, BREAK]),
            '@' | '#' if begins_name(previous, after) => shown.extend([character, BREAK]),
            // At the beginning of a line it would begin a quotation.
            '>' if matches!(previous, None | Some('\n')) => {
                shown.push(BREAK);
                shown += "&gt;";
            }
            '&' => shown += "&amp;",
            '<' => shown += "&lt;",
            '>' => shown += "&gt;",
            _ => shown.push(character),
        }
        previous = Some(character);
    }
    shown
}

/// Escapes a note of the configuration: its formatting and URLs have an effect, but it notifies nobody.
pub fn note(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 8);
    let mut previous = None;
    for (index, character) in text.char_indices() {
        shown.push(character);
        if matches!(character, '@' | '#') && begins_name(previous, &text[index + 1..]) {
            shown.push(BREAK);
        }
        previous = Some(character);
    }
    entities(&shown)
}

/// Returns text from outside in bold. Text that begins or ends with an escaped mark is not set in bold, because the zero-width
/// space beside that mark would disable the mark for bold text.
pub fn bold(text: &str) -> String {
    let shown = literal(text);
    if shown.starts_with(BREAK) || shown.ends_with(BREAK) { shown } else { format!("*{shown}*") }
}

/// Returns a time that everybody reads in their own time zone. Programs that cannot show that show it in `zone`.
pub fn date(time: Timestamp, zone: &Zone) -> String {
    format!("<!date^{}^{{date_short}} at {{time}}|{}>", time.as_second(), zone.format(time))
}

/// Returns the markup that notifies somebody.
pub fn mention(mention: &Mention) -> String {
    match mention {
        Mention::Here => "<!here>".to_owned(),
        Mention::Channel => "<!channel>".to_owned(),
        Mention::User(id) => format!("<@{id}>"),
        Mention::UserGroup(id) => format!("<!subteam^{id}>"),
    }
}

/// Whether a mark is inside a word, where it has no effect: `a_b`. The names of most files are copied unchanged then.
fn is_within_word(mark: char, previous: Option<char>, after: &str) -> bool {
    mark != '`'
        && previous.is_some_and(|previous| previous.is_ascii_alphanumeric())
        && after.starts_with(|next: char| next.is_ascii_alphanumeric())
}

/// Whether a colon begins `:name:`. A colon may also follow the text, so one at its end counts; the minutes of a time
/// do not.
fn begins_emoji(after: &str) -> bool {
    let end = after.find(|character: char| character == ':' || character.is_whitespace());
    let name = &after[..end.unwrap_or(after.len())];
    let is_closed = end.is_none_or(|end| after[end..].starts_with(':'));
    let is_time = name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_digit());
    is_closed && !name.is_empty() && !is_time
}

/// Whether `@` or `#` begins the name of somebody or of a channel. It does not in an email address or a URL.
fn begins_name(previous: Option<char>, after: &str) -> bool {
    !previous.is_some_and(|previous| previous.is_alphanumeric() || previous == '/')
        && after.starts_with(char::is_lowercase)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::text::units;

    #[test]
    fn text_from_outside_is_shown_as_it_is() {
        let check = |text: &str, expected: &str| assert_eq!(literal(text).replace(BREAK, "·"), expected, "{text}");
        check("summer_sale_2026.png", "summer_sale_2026.png");
        check("*bold*", "·*·bold·*·");
        check("_a_ ~b~ `c`", "·_·a·_· ·~·b·~· ·`·c·`·");
        check("a`b`c", "a·`·b·`·c");
        check("a__b", "a·_·_·b");
        check("夏_の_", "夏·_·の·_·");
        check(":smile: :wave::skin-tone-2:", ":·smile: :·wave::·skin-tone-2:");
        check("x:smile", "x:·smile");
        check("a: b, 06:00 and 06:00:30", "a: b, 06:00 and 06:00:30");
        check("@channel #general (@here)", "@·channel #·general (@·here)");
        check("a@b.example, #1, @U1", "a@b.example, #1, @U1");
        check("<!here> & <@U1>", "&lt;!here&gt; &amp; &lt;@U1&gt;");
        check("> a\n> b", "·&gt; a\n·&gt; b");
    }

    #[test]
    fn bold_is_left_out_where_marks_would_undo_it() {
        assert_eq!(bold("Acme_Coffee & Co"), "*Acme_Coffee &amp; Co*");
        assert_eq!(bold("*Acme*"), "\u{200B}*\u{200B}Acme\u{200B}*\u{200B}");
        assert_eq!(bold("> Acme"), "\u{200B}&gt; Acme");
    }

    #[test]
    fn a_note_keeps_its_links_and_notifies_nobody() {
        let shown = note("*Help*: https://a.example/_x_/#top?a=1&b=2, ops@a.example, <!here> @channel #general");
        let expected =
            "*Help*: https://a.example/_x_/#top?a=1&amp;b=2, ops@a.example, &lt;!here&gt; @·channel #·general";
        assert_eq!(shown.replace(BREAK, "·"), expected);
    }

    #[test]
    fn a_time_is_that_of_the_reader_or_else_of_the_channel() {
        let shown =
            date("2026-11-25T06:00:00Z".parse().expect("a time"), &Zone::parse("Europe/Berlin").expect("a zone"));
        assert_eq!(shown, "<!date^1795586400^{date_short} at {time}|Wed 25 Nov 2026, 07:00 CET>");
    }

    #[test]
    fn mentions_are_in_the_notation_of_slack() {
        let check = |text: &str, expected: &str| {
            assert_eq!(mention(&Mention::parse(text).expect("a mention")), expected);
        };
        check("here", "<!here>");
        check("channel", "<!channel>");
        check("U012AB3CD", "<@U012AB3CD>");
        check("SAZ94GDB8", "<!subteam^SAZ94GDB8>");
    }

    proptest! {
        #[test]
        fn nothing_of_a_text_is_lost_and_no_mark_has_an_effect(text in "[a-c1*_~`:@#<>&é夏 \n]{0,40}") {
            let shown = literal(&text);
            prop_assert!(units(&shown) <= 5 * units(&text) + 1);
            let read = shown.replace(BREAK, "").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            prop_assert_eq!(&read, &text);
            let is_word = |character: &char| character.is_ascii_alphanumeric();
            let characters: Vec<_> = shown.chars().collect();
            for (index, _) in characters.iter().enumerate().filter(|(_, found)| "*_~`".contains(**found)) {
                let beside = [index.checked_sub(1).and_then(|before| characters.get(before)), characters.get(index + 1)];
                let is_harmless = |found: Option<&char>| found.is_some_and(|found| *found == BREAK || is_word(found));
                prop_assert!(beside.into_iter().all(is_harmless), "{shown:?}");
            }
        }
    }
}
