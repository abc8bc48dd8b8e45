//! Parsing the text of a document, and validating its settings into a [`Config`].

mod channels;

use std::collections::BTreeSet;
use std::time::Duration;

use globset::{Glob, GlobSet, GlobSetBuilder};
use secrecy::SecretString;
use serde_json::Value;
use url::{Host, Url};

use self::channels::channels;
use super::Repeat;
use super::fault::{Fault, Faults};
use super::profiles::{MAX_NAME_CHARS, is_name, profiles};
use super::profiles_from::ProfilesFrom;
use super::reference::{Reference, ResolvedReferences};
use super::table::{Table, TextField};
use super::unique_keys::UniqueKeys;
use super::{Alerts, AyrshareConfig, Config, HttpConfig, InvalidConfiguration, LedgerConfig, SecretUrl, WhenEmpty};
use crate::model::Zone;
use crate::model::text::{nfc, one_line};
use crate::model::threshold::{DurationError, Threshold, Thresholds};

const DEFAULT_BASE_URL: &str = "https://api.ayrshare.com/api";
const DEFAULT_THRESHOLDS: [&str; 3] = ["7d", "3d", "1d"];
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// The minimum length of a secret that signs links.
const MIN_LINK_SECRET_CHARS: usize = 32;
const DEFAULT_LINK_TTL: Duration = Duration::from_hours(7 * 24);
const DEFAULT_CALENDAR_TTL: Duration = Duration::from_hours(365 * 24);

/// The reason for an invalid glob. The texts of the glob parser are not used, because they quote the glob.
pub(super) const NOT_A_GLOB: &str = "is not a valid glob; write `[[]` for `[` and `[{]` for `{`";

/// Parses the text as JSON if its first character is `{`, and as TOML otherwise.
///
/// # Errors
///
/// Returns a syntax error with its line and column. It does not use the full error texts of the parsers, because they
/// quote the line, which may contain a secret.
pub fn document(text: &str) -> Result<Value, InvalidConfiguration> {
    let text = text.trim_start_matches('\u{FEFF}');
    let fault = |language: &str, line: usize, column: usize, reason: &str| {
        Fault::new("document", format!("line {line}, column {column}: is not valid {language}: {reason}"))
    };
    if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map(|UniqueKeys(value)| value).map_err(|error| {
            let reason = match error.classify() {
                serde_json::error::Category::Eof => "the document ends too early",
                serde_json::error::Category::Data => "an object has the same key twice",
                _ => "this is unexpected here",
            };
            fault("JSON", error.line(), error.column(), reason).into()
        })
    } else {
        toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            let before = text.get(..offset).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            fault("TOML", line, column, error.message()).into()
        })
    }
}

/// Validates the document. Returns `None` when there is any error; all errors are added to `faults`.
pub fn config(document: &Value, resolved: &ResolvedReferences, faults: &Faults) -> Option<Config> {
    let root = Table::new("", document, resolved, faults)?;
    let ayrshare = ayrshare(&root);
    let profiles_from = ProfilesFrom::parse(&root);
    let profiles = profiles(&root);
    let ledger = ledger(&root);
    let store = super::store::store(&root);
    let (thresholds, alerts) = alerts(&root, ledger.is_some());
    let timezone = alerts.as_ref().map_or(Zone::UTC, |alerts| alerts.timezone.clone());
    let checks_posts = ayrshare.as_ref().is_none_or(|ayrshare| ayrshare.scheduled_posts);
    let rescue = super::rescue::rescue(&root, store.as_ref(), thresholds.as_ref(), checks_posts);
    let channels = channels(&root, profiles.as_deref().unwrap_or_default(), thresholds.as_ref(), &timezone);
    let http = http(&root);
    let heartbeat = heartbeat(&root);
    root.finish();
    if !faults.is_empty() {
        return None;
    }
    Some(Config {
        ayrshare: ayrshare?,
        profiles: profiles?,
        profiles_from,
        alerts: alerts?,
        channels: channels?,
        ledger,
        store,
        rescue,
        http,
        heartbeat,
        is_from_aws: resolved.any_from_aws(),
    })
}

fn ayrshare(root: &Table<'_>) -> Option<AyrshareConfig> {
    let Some(table) = root.table("ayrshare") else {
        if !root.has("ayrshare") {
            root.fault("ayrshare.api_key", "is missing");
        }
        return None;
    };
    let api_key = table.required("api_key", api_key);
    let base_url = if table.has("base_url") {
        table.parsed("base_url", |text| http_url(text, "base URL").and_then(without_query))
    } else {
        Url::parse(DEFAULT_BASE_URL).ok()
    };
    let concurrency = usize::try_from(table.number_or("concurrency", 1..=256, 8)).unwrap_or(8);
    let timeout = table.duration_or("timeout", DEFAULT_TIMEOUT);
    let scheduled_posts = table.bool_or("scheduled_posts", true);
    let check_media_urls = table.bool_or("check_media_urls", true);
    let discover_profiles = table.bool_or("discover_profiles", true);
    // Missing settings are handled after all keys are read, so that all errors are reported.
    table.finish();
    Some(AyrshareConfig {
        api_key: api_key?,
        base_url: base_url?,
        concurrency,
        timeout,
        scheduled_posts,
        check_media_urls,
        discover_profiles,
    })
}

fn alerts(root: &Table<'_>, has_ledger: bool) -> (Option<Thresholds>, Option<Alerts>) {
    let defaults = || Thresholds::new(DEFAULT_THRESHOLDS.iter().filter_map(|text| Threshold::parse(text).ok()));
    let default_repeat = if has_ledger { Repeat::OncePerThreshold } else { Repeat::EveryRun };
    let Some(table) = root.table("alerts") else {
        let alerts = Alerts {
            repeat: default_repeat,
            when_empty: WhenEmpty::Silent,
            timezone: Zone::UTC,
            ignore: GlobSet::empty(),
            ignore_profiles: GlobSet::empty(),
            ignore_patterns: BTreeSet::new(),
            ignore_profiles_patterns: BTreeSet::new(),
        };
        return (defaults(), Some(alerts));
    };
    let thresholds = if table.has("thresholds") { thresholds(&table) } else { defaults() };
    let when_empty = table.choice("when_empty", &[("silent", WhenEmpty::Silent), ("report", WhenEmpty::Report)]);
    let repeats = [("every-run", Repeat::EveryRun), ("once-per-threshold", Repeat::OncePerThreshold)];
    let repeat = table.choice("repeat", &repeats).unwrap_or(default_repeat);
    if repeat == Repeat::OncePerThreshold && !has_ledger {
        table.fault("repeat", "`once-per-threshold` needs a ledger that stores what was announced; add `[ledger]`");
    }
    let timezone = timezone(&table).unwrap_or(Zone::UTC);
    let ignore = globs(&table, "ignore");
    let ignore_profiles = globs(&table, "ignore_profiles");
    table.finish();
    let when_empty = when_empty.unwrap_or(WhenEmpty::Silent);
    let alerts = ignore.zip(ignore_profiles).map(|(ignore, ignore_profiles)| Alerts {
        repeat,
        when_empty,
        timezone,
        ignore: ignore.set,
        ignore_profiles: ignore_profiles.set,
        ignore_patterns: ignore.patterns,
        ignore_profiles_patterns: ignore_profiles.patterns,
    });
    (thresholds, alerts)
}

/// Globs, and what they were written as.
struct ParsedGlobs {
    set: GlobSet,
    patterns: BTreeSet<String>,
}

/// Parses a list of globs, which are compared in Unicode NFC.
fn globs(table: &Table<'_>, key: &'static str) -> Option<ParsedGlobs> {
    let mut globs = GlobSetBuilder::new();
    let mut patterns = BTreeSet::new();
    for pattern in table.texts(key).unwrap_or_default() {
        match Glob::new(&nfc(pattern.value)) {
            Ok(glob) => {
                patterns.insert(glob.glob().to_owned());
                globs.add(glob);
            }
            Err(_) => table.fault_at(&pattern, NOT_A_GLOB),
        }
    }
    let set = globs
        .build()
        .map_err(|_| table.fault(key, "has globs that are too large in total; use fewer or shorter ones"))
        .ok()?;
    Some(ParsedGlobs { set, patterns })
}

#[derive(Clone, Copy)]
enum LedgerType {
    DynamoDb,
    File,
    None,
}

fn ledger(root: &Table<'_>) -> Option<LedgerConfig> {
    let table = root.table("ledger")?;
    if !table.has("type") && (table.has("table") || table.has("path")) {
        table.fault("type", "is missing; set `dynamodb`, `file` or `none`");
    }
    let types = [("dynamodb", LedgerType::DynamoDb), ("file", LedgerType::File), ("none", LedgerType::None)];
    let not_blank = |text: &TextField<'_>| {
        if text.value.trim().is_empty() { Err("is blank") } else { Ok(text.value.to_owned()) }
    };
    let ledger = match table.choice("type", &types).unwrap_or(LedgerType::None) {
        LedgerType::DynamoDb => table.required("table", not_blank).map(|table| LedgerConfig::DynamoDb { table }),
        LedgerType::File => table.required("path", not_blank).map(|path| LedgerConfig::File { path: path.into() }),
        LedgerType::None => {
            table.allow(&["table", "path"]);
            None
        }
    };
    table.finish();
    ledger
}

fn thresholds(table: &Table<'_>) -> Option<Thresholds> {
    let texts = table.texts("thresholds")?;
    if table.is_empty_array("thresholds") {
        table.fault("thresholds", "needs at least one threshold, like `[\"7d\", \"1d\"]`");
    }
    let mut thresholds: Vec<Threshold> = Vec::new();
    for text in &texts {
        match Threshold::parse(text.value) {
            Err(_) => table.fault_at(text, DurationError::REASON),
            Ok(threshold) if thresholds.contains(&threshold) => {
                table.fault_at(text, "is as long as another threshold of this list");
            }
            Ok(threshold) => thresholds.push(threshold),
        }
    }
    Thresholds::new(thresholds)
}

fn timezone(table: &Table<'_>) -> Option<Zone> {
    table.parsed("timezone", |text| Zone::parse(text.value))
}

fn http(root: &Table<'_>) -> HttpConfig {
    let mut config = HttpConfig {
        require_authorizer: true,
        report_url: None,
        link_secret: None,
        previous_link_secret: None,
        link_ttl: DEFAULT_LINK_TTL,
        calendar_ttl: DEFAULT_CALENDAR_TTL,
        allow_handled: false,
    };
    if let Some(table) = root.table("http") {
        config.require_authorizer = table.bool_or("require_authorizer", true);
        config.report_url = table.parsed("report_url", |text| http_url(text, "report URL").and_then(without_query));
        config.link_secret = table.parsed("link_secret", link_secret);
        config.previous_link_secret = table.parsed("previous_link_secret", link_secret);
        config.link_ttl = table.duration_or("link_ttl", DEFAULT_LINK_TTL);
        config.calendar_ttl = table.duration_or("calendar_ttl", DEFAULT_CALENDAR_TTL);
        config.allow_handled = table.bool_or("allow_handled", false);
        table.finish();
    }
    config
}

/// Parses a secret of signed links, including all its spaces.
///
/// Whoever has a link can try secrets offline. Somebody who finds the secret can create valid links.
fn link_secret(text: &TextField<'_>) -> Result<SecretString, String> {
    if text.value.trim().chars().count() < MIN_LINK_SECRET_CHARS {
        return Err(format!(
            "is too short; use at least {MIN_LINK_SECRET_CHARS} characters, best from a random generator"
        ));
    }
    Ok(SecretString::from(text.value))
}

fn heartbeat(root: &Table<'_>) -> Option<SecretUrl> {
    let table = root.table("heartbeat")?;
    let url = table.required("url", |text| http_url(text, "heartbeat URL").map(SecretUrl));
    table.finish();
    url
}

/// Collects the names of profiles or of channels, and checks that they are valid and unique.
#[derive(Default)]
pub(super) struct UniqueNames(BTreeSet<String>);

impl UniqueNames {
    pub fn add(&mut self, text: &TextField<'_>) -> Result<String, String> {
        let name = text.value;
        if one_line(name).is_empty() {
            return Err("is blank; set a name".to_owned());
        }
        if !is_name(name) {
            return Err(format!("must be one line of at most {MAX_NAME_CHARS} characters"));
        }
        if !self.0.insert(name.to_owned()) {
            return Err("is already in use; names must be unique".to_owned());
        }
        Ok(name.to_owned())
    }
}

/// Validates an API key or a profile key, which is sent in a header.
pub(super) fn api_key(text: &TextField<'_>) -> Result<SecretString, String> {
    if text.value.trim().is_empty() {
        return Err("is blank".to_owned());
    }
    if has_unknown_scheme(text) {
        return Err(format!("is not a supported reference; use {}", Reference::KINDS));
    }
    if !text.value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("contains a space or another character that keys never contain; copy the key again".to_owned());
    }
    Ok(SecretString::from(text.value))
}

/// Returns whether a literal looks like a reference of an unknown kind. A key never contains a colon.
pub(super) fn has_unknown_scheme(text: &TextField<'_>) -> bool {
    text.is_literal
        && text.value.split_once(':').is_some_and(|(scheme, _)| {
            !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

/// Parses an `https:` URL, or an `http:` URL of this machine.
pub(super) fn http_url(text: &TextField<'_>, what: &str) -> Result<Url, String> {
    if has_unknown_scheme(text) && !text.value.starts_with("http:") && !text.value.starts_with("https:") {
        return Err(format!("is neither a supported reference nor a {what}; use {}", Reference::KINDS));
    }
    let url = Url::parse(text.value.trim()).map_err(|_| format!("is not a {what}, which starts with `https://`"))?;
    match url.scheme() {
        "https" if url.has_host() => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(format!("a {what} must start with `https://`; `http://` is accepted for this machine only")),
        _ => Err(format!("is not a {what}, which starts with `https://`")),
    }
}

/// Returns whether a URL leads to this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(host)) => host == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Rejects a query, a fragment, a user name or a password, because a path is appended to the URL.
fn without_query(url: Url) -> Result<Url, String> {
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err("must end with its path, without `?`, `#`, user name or password".to_owned());
    }
    Ok(url)
}
