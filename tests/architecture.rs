//! Checks rules of `ARCHITECTURE.md`: layers import downwards only, pure layers do no I/O, every folder of `src/` has a
//! description, and no two types have the same name.
//!
//! The sources are read line by line instead of being parsed, which is simpler and sufficient for code formatted by rustfmt.
//! Test code is exempt from all rules.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The most folders in `src/`, without `bin/`.
const MAX_FOLDERS: usize = 14;

/// The files and folders that do no I/O and read no clock. The rendering of a channel is pure too, but it is in the same file
/// as the sending.
const PURE: [&str; 16] = [
    "model/",
    "digest/",
    "report/",
    "scan/discovery.rs",
    "scan/rules.rs",
    "scan/select.rs",
    "scan/posts.rs",
    "scan/survey.rs",
    "scan/narrow.rs",
    "scan/place.rs",
    "scan/presigned.rs",
    "scan/used_files.rs",
    "scan/listed_files.rs",
    "scan/seen_posts.rs",
    "ledger/key.rs",
    "ledger/record.rs",
];

/// What pure files must not use, and what to do instead.
const IMPURE: [(&str, &str); 17] = [
    ("Timestamp::now", "take `now` as an argument"),
    ("ZonedDateTime::now", "take `now` as an argument"),
    ("Instant::now", "take `now` as an argument"),
    ("TimeZone::system", "take the time zone as an argument"),
    ("SystemTime", "take `now` as an argument"),
    ("std::env", "take the value as an argument"),
    ("std::fs", "take the content as an argument, and let `run` or `cli` read and write"),
    ("std::io::stdout", "return the text, and let `cli` print it"),
    ("std::net", "let `net` send it"),
    ("std::process", "let `cli` or `run` do it"),
    ("std::thread", "let `run` do it"),
    ("tokio", "let a layer with I/O wait"),
    ("reqwest", "let `net` send it"),
    ("crate::net", "let a layer with I/O call `net`"),
    ("fastrand", "take the random number as an argument"),
    ("rand", "take the random number as an argument"),
    ("Uuid::new_v4", "take the id as an argument"),
];

/// Type names that are used more than once, with the reason. An entry that is no longer needed fails the test.
const SHARED_NAMES: &[(&str, &str)] = &[
    ("Answer", "an answer that `net` receives, and one that a stand-in gives"),
    ("Attribute", "a term of both SNS and DynamoDB"),
    ("Ayrshare", "the client, and the state of its stand-in"),
    ("Call", "three kinds of calls, each used in one module only"),
    ("Item", "a term of DynamoDB; `model::Item` is a file that is announced"),
    ("Line", "a line of a table and a line of a terminal, both private"),
    ("Page", "a term of DynamoDB; the other is the page of the demo"),
    ("Profile", "a configured profile, and one in the data of the demo"),
    ("Publication", "what is sent to SNS, and what its stand-in received"),
    ("Range", "of media types in a header, and of the posts in a query"),
    ("Request", "a request to the function, and one to a stand-in"),
];

#[test]
fn layers_import_downwards_only() {
    let sources = Sources::read();
    let upward = sources.upward_imports();
    let messages = upward.iter().map(|Finding { file, line, what }| {
        let layer = layer_of(file);
        format!(
            "src/{file}:{line}: `{layer}` uses `{what}`, which is below it in src/lib.rs. Move what both need up to a \
                 layer above `{layer}`, or pass it as an argument."
        )
    });
    assert_none(messages);
}

#[test]
fn the_pure_layers_do_no_io_and_read_no_clock() {
    assert_none(Sources::read().impurities().iter().map(|Finding { file, line, what }| {
        let instead = IMPURE.iter().find(|(name, _)| name == what).map_or("", |(_, instead)| instead);
        format!("src/{file}:{line}: `{what}` in a pure file. Instead, {instead}.")
    }));
}

#[test]
fn mutants_are_made_of_all_pure_files() {
    let settings = fs::read_to_string(".cargo/mutants.toml").expect("the settings of cargo-mutants");
    let globs: BTreeSet<_> = settings.lines().filter_map(|line| line.trim().strip_prefix("\"src/")).collect();
    let pure = PURE.map(|name| if name.ends_with('/') { format!("{name}**\",") } else { format!("{name}\",") });
    assert_eq!(globs, pure.iter().map(String::as_str).collect(), "examine_globs in .cargo/mutants.toml");
}

#[test]
fn every_folder_is_a_layer_with_a_description() {
    let sources = Sources::read();
    let mut messages = Vec::new();
    let folders: BTreeSet<_> = sources
        .files
        .iter()
        .map(|source| layer_of(&source.name))
        .filter(|layer| !["main.rs", "lib.rs", "bin"].contains(layer))
        .collect();
    if MAX_FOLDERS < folders.len() {
        messages.push(format!("src/ has {} folders: merge two, {MAX_FOLDERS} are the most.", folders.len()));
    }
    for folder in folders {
        if !sources.layers.iter().any(|layer| layer == folder) {
            messages.push(format!("src/{folder} is not a layer: add it to src/lib.rs, or move it into a layer."));
        }
        let file = format!("{folder}/mod.rs");
        let source = sources.files.iter().find(|source| source.name == file);
        if !source.is_some_and(|source| source.text.starts_with("//! ")) {
            messages.push(format!(
                "src/{file}: begin with a paragraph (`//!`) that says what the layer owns and what it must not know."
            ));
        }
    }
    assert_none(messages);
}

#[test]
fn type_names_are_unique() {
    let twice = Sources::read().types_declared_twice();
    let allowed: BTreeMap<_, _> = SHARED_NAMES.iter().copied().collect();
    let messages = twice.iter().filter(|(name, _)| !allowed.contains_key(name.as_str())).map(|(name, places)| {
        format!(
            "`{name}` is declared in {}: rename one, or add it to SHARED_NAMES in tests/architecture.rs with the reason.",
            places.join(" and ")
        )
    });
    let unneeded = allowed
        .keys()
        .filter(|name| !twice.contains_key(**name))
        .map(|name| format!("`{name}` is declared once only: delete it from SHARED_NAMES in tests/architecture.rs."));
    assert_none(messages.chain(unneeded));
}

fn assert_none(messages: impl IntoIterator<Item = String>) {
    let messages: Vec<_> = messages.into_iter().collect();
    assert!(messages.is_empty(), "\n{}\n", messages.join("\n"));
}

/// A violation of a rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// The file, relative to `src/`.
    file: String,
    line: usize,
    /// The layer or path that must not be used.
    what: String,
}

/// One file.
struct Source {
    /// Relative to `src/`, with `/` between the folders.
    name: String,
    text: String,
}

/// All files of `src/` and the order of the layers.
struct Sources {
    files: Vec<Source>,
    layers: Vec<String>,
}

impl Sources {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder of src/") {
                let path = entry.expect("an entry of a folder").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let name = path.strip_prefix(&root).expect("a path in src/").to_str().expect("UTF-8");
                    let text = fs::read_to_string(&path).expect("a source file");
                    files.push((name.replace('\\', "/"), text));
                }
            }
        }
        Self::new(files)
    }

    fn new(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut files: Vec<_> = files.into_iter().map(|(name, text)| Source { name, text }).collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let lib = files.iter().find(|file| file.name == "lib.rs").map_or("", |file| &file.text);
        let layers = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
        Self { layers: layers.map(ToOwned::to_owned).collect(), files }
    }

    /// The files of all layers that are deployed, with their code.
    fn production(&self) -> impl Iterator<Item = (&Source, Vec<(usize, &str)>)> {
        let for_tests = self.modules_for_tests();
        let is_for_tests = move |name: &str| {
            let stem = name.trim_end_matches(".rs").trim_end_matches("/mod");
            name.ends_with("/tests.rs")
                || for_tests.iter().any(|module| stem == module || name.starts_with(&format!("{module}/")))
        };
        let files = self.files.iter().filter(move |source| source.name.contains('/') && !is_for_tests(&source.name));
        files.filter(|source| layer_of(&source.name) != "bin").map(|source| (source, production_code(&source.text)))
    }

    /// Modules that are declared under `#[cfg(test)]`, as paths relative to `src/` without `.rs`.
    fn modules_for_tests(&self) -> Vec<String> {
        let mut modules = Vec::new();
        for source in &self.files {
            let folder = source.name.strip_suffix("/mod.rs").unwrap_or(source.name.trim_end_matches(".rs"));
            let mut lines = source.text.lines();
            while let Some(line) = lines.next() {
                if line == "#[cfg(test)]" {
                    let declared = lines.next().unwrap_or_default();
                    if let Some((_, name)) = declared.split_once("mod ")
                        && let Some(name) = name.strip_suffix(';')
                    {
                        modules.push(format!("{folder}/{name}"));
                    }
                }
            }
        }
        modules
    }

    fn upward_imports(&self) -> Vec<Finding> {
        let rank = |layer: &str| self.layers.iter().position(|other| other == layer);
        let mut findings = Vec::new();
        for (source, code) in self.production() {
            let own = rank(layer_of(&source.name));
            for (line, path) in paths(&code) {
                let Some(layer) = layer_in(&path, module_depth(&source.name)) else { continue };
                if rank(layer).is_some_and(|other| own < Some(other)) {
                    findings.push(Finding { file: source.name.clone(), line, what: layer.to_owned() });
                }
            }
        }
        findings.dedup();
        findings
    }

    fn impurities(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (source, code) in self.production() {
            if !PURE.iter().any(|pure| source.name.starts_with(pure)) {
                continue;
            }
            for (line, path) in paths(&code) {
                if let Some((name, _)) = IMPURE.iter().find(|(name, _)| has_segments(&path, name)) {
                    findings.push(Finding { file: source.name.clone(), line, what: (*name).to_owned() });
                }
            }
        }
        findings
    }

    /// Ignores types within functions, which are not visible elsewhere.
    fn types_declared_twice(&self) -> BTreeMap<String, Vec<String>> {
        let mut places: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (source, code) in self.production() {
            for (line, code) in code {
                if let Some(name) = declared_type(code) {
                    places.entry(name.to_owned()).or_default().push(format!("src/{}:{line}", source.name));
                }
            }
        }
        places.retain(|_, places| 1 < places.len());
        places
    }
}

/// The first part of a path relative to `src/`.
fn layer_of(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

/// The depth of a file's module. This many `super` lead to the root of the crate.
fn module_depth(name: &str) -> usize {
    name.trim_end_matches(".rs").trim_end_matches("/mod").split('/').count()
}

/// The lines of a file with their numbers, without comments and without anything under `#[cfg(test)]`.
fn production_code(text: &str) -> Vec<(usize, &str)> {
    let mut code = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let content = line.trim_start();
        let indent = &line[..line.len() - content.len()];
        if content == "#[cfg(test)]" {
            skip_item(&mut lines, indent);
        } else if !content.starts_with("//") {
            let end = line.find(" // ").unwrap_or(line.len());
            code.push((index + 1, &line[..end]));
        }
    }
    code
}

/// Skips an item, field, variant or match arm that is indented by `indent`: up to the closing brace with the same
/// indentation, or to the end of the line if it opens no brace.
fn skip_item<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>, indent: &str) {
    for (_, line) in lines {
        let Some(content) = line.strip_prefix(indent) else { continue };
        let is_first_level = !content.starts_with(char::is_whitespace);
        let opens = content.ends_with(['{', '(', '[']);
        if is_first_level && !content.starts_with('#') && !opens && content.ends_with(['}', ';', ',']) {
            return;
        }
    }
}

/// All paths in the code with their lines. A `use` with braces gives one path for each name.
fn paths(code: &[(usize, &str)]) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    let mut lines = code.iter();
    while let Some((number, line)) = lines.next() {
        if let Some(start) = use_tree(line) {
            let mut tree = start.to_owned();
            while !tree.contains(';') {
                let Some((_, next)) = lines.next() else { break };
                tree.push_str(next.trim());
            }
            let mut names = Vec::new();
            expand("", tree.split(';').next().unwrap_or_default(), &mut names);
            paths.extend(names.into_iter().map(|path| (*number, path)));
        } else {
            let is_path = |character: char| character.is_alphanumeric() || matches!(character, '_' | ':');
            let words = line.split(|character: char| !is_path(character));
            let words = words.filter(|word| word.contains("::") || IMPURE.iter().any(|(name, _)| name == word));
            paths.extend(words.map(|word| (*number, word.to_owned())));
        }
    }
    paths
}

/// The text after `use`, if the line begins an import.
fn use_tree(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1.trim_start(),
        Some(rest) => rest.trim_start(),
        None => line,
    };
    line.strip_prefix("use ")
}

/// Adds each path of a use tree: `a::{b, c::{d}}` is `a::b` and `a::c::d`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    match tree.split_once('{') {
        None => paths.push(format!("{prefix}{}", tree.split(" as ").next().unwrap_or(tree))),
        Some((head, rest)) => {
            let prefix = format!("{prefix}{}", head.trim());
            let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
            let (mut depth, mut start) = (0_usize, 0);
            for (index, character) in inner.char_indices() {
                match character {
                    '{' => depth += 1,
                    '}' => depth = depth.saturating_sub(1),
                    ',' if depth == 0 => {
                        expand(&prefix, &inner[start..index], paths);
                        start = index + 1;
                    }
                    _ => {}
                }
            }
            if !inner[start..].trim().is_empty() {
                expand(&prefix, &inner[start..], paths);
            }
        }
    }
}

/// The layer of a path that is used in a module of this depth. `None` if it is the module's own layer.
fn layer_in(path: &str, depth: usize) -> Option<&str> {
    if let Some(path) = path.strip_prefix("crate::").or_else(|| path.strip_prefix("media_expiry_alerts::")) {
        return path.split("::").next();
    }
    let mut segments = path.split("::").skip_while(|segment| *segment == "self").peekable();
    let mut ups = 0;
    while segments.next_if_eq(&"super").is_some() {
        ups += 1;
    }
    if depth <= ups { segments.next() } else { None }
}

/// Whether a path contains these segments: `std::fs::read` contains `std::fs`, but `operand` does not contain `rand`.
fn has_segments(path: &str, wanted: &str) -> bool {
    let segments: Vec<_> = path.split("::").collect();
    let wanted: Vec<_> = wanted.split("::").collect();
    segments.windows(wanted.len()).any(|window| window == wanted)
}

/// The name of the type that an unindented line declares.
fn declared_type(line: &str) -> Option<&str> {
    let line = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1.trim_start(),
        Some(rest) => rest.trim_start(),
        None => line,
    };
    let rest = ["struct ", "enum ", "trait ", "type "].iter().find_map(|keyword| line.strip_prefix(keyword))?;
    rest.split(|character: char| !character.is_alphanumeric() && character != '_').next()
}

/// Tests of the checker itself with small sources.
mod checker {
    use super::*;

    const LIB: &str = "pub mod model;\n\npub mod net;\n\npub mod digest;\n#[cfg(feature = \"cli\")]\npub mod cli;\n";

    fn sources(name: &str, text: &str) -> Sources {
        Sources::new([("lib.rs", LIB), (name, text)].map(|(name, text)| (name.to_owned(), text.to_owned())))
    }

    fn found(findings: Vec<Finding>) -> Vec<(usize, String)> {
        findings.into_iter().map(|finding| (finding.line, finding.what)).collect()
    }

    #[track_caller]
    fn upward(name: &str, text: &str, expected: &[(usize, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(line, what)| (*line, (*what).to_owned())).collect();
        assert_eq!(found(sources(name, text).upward_imports()), expected, "{name}:\n{text}");
    }

    #[track_caller]
    fn impure(name: &str, text: &str, expected: &[(usize, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(line, what)| (*line, (*what).to_owned())).collect();
        assert_eq!(found(sources(name, text).impurities()), expected, "{name}:\n{text}");
    }

    #[test]
    fn an_upward_import_is_found_in_every_form() {
        upward("net/mod.rs", "\nuse crate::digest::Digest;\n", &[(2, "digest")]);
        upward("net/mod.rs", "pub(crate) use crate::digest::Digest;\n", &[(1, "digest")]);
        upward("net/mod.rs", "use crate::{\n    cli::{Args, run},\n    model::Item,\n};\n", &[(1, "cli")]);
        upward("net/mod.rs", "fn f() {\n    crate::digest::f(&crate::cli::g());\n}\n", &[(2, "digest"), (2, "cli")]);
        upward("net/aws/mod.rs", "use super::super::digest::Digest;\n", &[(1, "digest")]);
        upward("net/client.rs", "use super::super::cli;\n", &[(1, "cli")]);
    }

    #[test]
    fn imports_downwards_or_within_the_layer_are_allowed() {
        upward("digest/mod.rs", "use crate::digest::wording;\nuse crate::net;\nuse crate::model::Item;\n", &[]);
        upward("digest/wording.rs", "use super::cli;\n", &[]);
        upward("cli/mod.rs", "use crate::{digest, net};\n", &[]);
        upward("bin/program.rs", "use media_expiry_alerts::cli;\n", &[]);
    }

    #[test]
    fn comments_and_tests_are_exempt() {
        upward("net/mod.rs", "//! See [`crate::cli`].\n/// And `crate::digest`.\nfn f() {} // crate::cli::run\n", &[]);
        upward("net/tests.rs", "use crate::cli;\n", &[]);
        upward(
            "net/mod.rs",
            "#[cfg(test)]\nmod tests {\n    use crate::cli;\n}\nuse crate::digest;\n",
            &[(5, "digest")],
        );
        upward("net/mod.rs", "#[cfg(test)]\nuse crate::cli;\nuse crate::digest;\n", &[(3, "digest")]);
        let function = "    #[cfg(test)]\n    fn f(\n        a: A,\n    ) {\n        crate::cli::f();\n    }\n    crate::cli::g();\n";
        upward("net/mod.rs", function, &[(7, "cli")]);
        let variant = "    #[cfg(test)]\n    A(crate::cli::A),\n    B(crate::digest::B),\n";
        upward("net/mod.rs", variant, &[(3, "digest")]);
        let files = [
            ("lib.rs", LIB),
            ("net/mod.rs", "#[cfg(test)]\npub(crate) mod fixtures;\n"),
            ("net/fixtures.rs", "use crate::cli;\n"),
            ("net/fixtures/more.rs", "use crate::cli;\n"),
        ];
        let sources = Sources::new(files.map(|(name, text)| (name.to_owned(), text.to_owned())));
        assert_eq!(sources.upward_imports(), []);
    }

    #[test]
    fn clocks_io_and_random_numbers_are_forbidden_in_pure_files_only() {
        impure("digest/mod.rs", "fn f() {\n    let now = Timestamp::now();\n}\n", &[(2, "Timestamp::now")]);
        impure("digest/mod.rs", "fn f() -> jiff::Timestamp { jiff::Timestamp::now() }\n", &[(1, "Timestamp::now")]);
        impure("model/post.rs", "use std::{\n    collections::BTreeMap,\n    fs,\n};\n", &[(1, "std::fs")]);
        impure("report/mod.rs", "use tokio::time;\nuse std::time::SystemTime;\n", &[(1, "tokio"), (2, "SystemTime")]);
        impure(
            "scan/posts.rs",
            "let id = uuid::Uuid::new_v4();\nlet die = rand::random();\n",
            &[(1, "Uuid::new_v4"), (2, "rand")],
        );
        impure("digest/mod.rs", "use crate::net::Deadline;\n", &[(1, "crate::net")]);
        impure("digest/mod.rs", "let operand = strand::of(now);\nuse std::time::Duration;\n", &[]);
        impure("net/mod.rs", "use std::fs;\nlet now = Timestamp::now();\n", &[]);
        impure("scan/mod.rs", "tokio::join!(a, b);\n", &[]);
        impure("digest/mod.rs", "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n", &[]);
    }

    #[test]
    fn a_type_that_is_declared_twice_is_found() {
        let files = [
            ("lib.rs", LIB),
            ("model/mod.rs", "pub struct Item<'a>(&'a str);\nenum Kind {}\npub type Lines = Vec<String>;\n"),
            ("digest/mod.rs", "pub(crate) enum Item {\n    A,\n}\ntrait Kinds {\n    type Lines;\n}\n"),
            ("cli/mod.rs", "fn f() {\n    struct Item;\n}\n#[cfg(test)]\nmod tests {\n    struct Kind;\n}\n"),
        ];
        let twice = Sources::new(files.map(|(name, text)| (name.to_owned(), text.to_owned()))).types_declared_twice();
        let expected = vec!["src/digest/mod.rs:1".to_owned(), "src/model/mod.rs:1".to_owned()];
        assert_eq!(twice, BTreeMap::from([("Item".to_owned(), expected)]));
    }
}
