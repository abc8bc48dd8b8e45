//! Checks HTML for anything that the templates do not contain: text from outside that is not escaped.

/// The elements of the templates.
const ELEMENTS: [&str; 53] = [
    "a", "b", "bdi", "body", "button", "circle", "div", "footer", "form", "h1", "h2", "h3", "h4", "head", "header",
    "html", "img", "input", "label", "li", "main", "meta", "nav", "ol", "option", "p", "path", "rect", "script",
    "section", "select", "span", "strong", "style", "svg", "symbol", "table", "tbody", "td", "th", "thead", "time",
    "title", "tr", "ul", "use", "wbr", "br", "link", "details", "summary", "small", "code",
];
/// The elements without an end.
const VOID: [&str; 7] = ["br", "img", "input", "link", "meta", "wbr", "!DOCTYPE"];
/// How an `&` may go on.
const ENTITIES: [&str; 13] =
    ["amp;", "lt;", "gt;", "quot;", "#39;", "#x27;", "#38;", "#60;", "#62;", "#34;", "nbsp;", "zwnj;", "#847;"];

/// Checks that all elements are known, nested and closed, that every attribute is quoted and known, and that URLs lead to
/// `https:`, or to the page itself.
///
/// # Panics
///
/// Panics if any of this is not so.
pub fn check(html: &str) {
    let mut open = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        check_text(&rest[..at]);
        let tag = &rest[at + 1..];
        rest = if let Some(tag) = tag.strip_prefix('/') {
            let (name, after) = tag.split_once('>').expect("the end of a tag");
            assert_eq!(open.pop(), Some(name), "the closing tag before {:?}", start(after));
            after
        } else {
            let (name, is_closed, after) = start_tag(tag);
            if is_closed || VOID.contains(&name) {
                after
            } else if matches!(name, "script" | "style") {
                // The contents are constants.
                let end = format!("</{name}>");
                after.split_once(&end).expect("the end of a constant").1
            } else {
                open.push(name);
                after
            }
        };
    }
    check_text(rest);
    assert_eq!(open, Vec::<&str>::new(), "elements that are not closed");
}

/// Reads a tag up to its end. Returns its name, whether it closes itself, and what follows.
fn start_tag(tag: &str) -> (&str, bool, &str) {
    let end = tag.find(|character: char| !character.is_ascii_alphanumeric() && character != '!');
    let (name, mut rest) = tag.split_at(end.expect("the end of a name"));
    assert!(name == "!DOCTYPE" || ELEMENTS.contains(&name), "the tag <{}", start(tag));
    if name == "!DOCTYPE" {
        return (name, false, rest.split_once('>').expect("the end of the type").1);
    }
    loop {
        rest = rest.trim_ascii_start();
        if let Some(after) = rest.strip_prefix('>') {
            return (name, false, after);
        }
        if let Some(after) = rest.strip_prefix("/>") {
            return (name, true, after);
        }
        let is_name = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | ':');
        let length = rest.find(|character: char| !is_name(character)).expect("the end of an attribute");
        assert_ne!(length, 0, "the tag <{name} goes on with {:?}", start(rest));
        let attribute = &rest[..length];
        assert!(!attribute.starts_with("on"), "the tag <{name} has a handler: {:?}", start(rest));
        rest = &rest[length..];
        let Some(value) = rest.strip_prefix('=') else { continue };
        let value = value
            .strip_prefix('"')
            .unwrap_or_else(|| panic!("{attribute} of <{name} is not quoted: {:?}", start(rest)));
        let (value, after) = value.split_once('"').expect("the end of a value");
        check_text(value);
        assert!(!value.contains('<'), "{attribute} of <{name} has a tag: {:?}", start(value));
        if matches!(attribute, "href" | "src" | "action") {
            assert!(is_safe(value), "{attribute} of <{name}: {:?}", start(value));
        }
        rest = after;
    }
}

/// Whether a URL leads to `https:` or is relative.
fn is_safe(url: &str) -> bool {
    let has_scheme = url.split(['/', '?', '#']).next().is_some_and(|first| first.contains(':'));
    url.starts_with("https://") || !has_scheme && !url.starts_with("//")
}

fn check_text(text: &str) {
    assert!(!text.contains('>') || !text.contains("-->"), "a comment: {:?}", start(text));
    for (index, _) in text.match_indices('&') {
        let entity = &text[index + 1..];
        assert!(ENTITIES.iter().any(|known| entity.starts_with(known)), "not escaped: {:?}", start(&text[index..]));
    }
    let is_control = |byte: u8| byte < 0x20 && !matches!(byte, b'\n' | b'\t') || byte == 0x7F;
    assert!(!text.bytes().any(is_control), "a control character: {text:?}");
}

fn start(text: &str) -> String {
    text.chars().take(60).collect()
}
