//! From the text of a document to a [`Config`].

use std::collections::BTreeSet;
use std::time::Duration;

use globset::{Glob, GlobSet, GlobSetBuilder};
use secrecy::SecretString;
use serde_json::Value;
use url::{Host, Url};

use super::Repeat;
use super::reference::{Reference, Resolved};
use super::table::{Table, Text};
use super::{
    Alerts, AyrshareConfig, Channel, ChannelKind, Config, Fault, Faults, HttpConfig, InvalidConfiguration,
    LedgerConfig, Profile, SecretUrl, SnsFormat, TopicArn, WhenEmpty,
};
use crate::model::ProfileName;
use crate::model::threshold::{Threshold, Thresholds};

const DEFAULT_BASE_URL: &str = "https://api.ayrshare.com/api";
const DEFAULT_THRESHOLDS: [&str; 3] = ["7d", "3d", "1d"];
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Characters of the shortest secret that signs links.
const LEAST_LINK_SECRET: usize = 8;
const DEFAULT_LINK_TTL: Duration = Duration::from_hours(7 * 24);

/// Reads the text as TOML, or as JSON when its first character is `{`.
///
/// # Errors
///
/// A syntax error with its line and column. The parsers' own texts quote the line, which may hold a secret, so only
/// what they say of it is passed on.
pub fn tree(text: &str) -> Result<Value, InvalidConfiguration> {
    let text = text.trim_start_matches('\u{FEFF}');
    let fault = |language: &str, line: usize, column: usize, reason: &str| {
        Fault::new("document", format!("line {line}, column {column}: is no valid {language}: {reason}"))
    };
    if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| {
            let reason = match error.classify() {
                serde_json::error::Category::Eof => "it ends too early",
                _ => "this is not expected here",
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

/// Reads the document; `None` when there is any fault.
pub fn config(document: &Value, resolved: &Resolved, faults: &Faults) -> Option<Config> {
    let root = Table::new("", document, resolved, faults)?;
    let ayrshare = ayrshare(&root);
    let profiles = profiles(&root);
    let ledger = ledger(&root);
    let (thresholds, alerts) = alerts(&root, ledger.is_some());
    let channels = channels(&root, profiles.as_deref().unwrap_or_default(), thresholds.as_ref());
    let http = http(&root);
    let heartbeat = heartbeat(&root);
    root.end();
    if !faults.is_empty() {
        return None;
    }
    Some(Config {
        ayrshare: ayrshare?,
        profiles: profiles?,
        alerts: alerts?,
        channels: channels?,
        ledger,
        http,
        heartbeat,
        is_kept_in_aws: resolved.has_any_of_aws(),
    })
}

fn ayrshare(root: &Table<'_>) -> Option<AyrshareConfig> {
    let Some(table) = root.table("ayrshare") else {
        if !root.has("ayrshare") {
            root.fault("ayrshare.api_key", "is missing");
        }
        return None;
    };
    let api_key = table.required("api_key", key);
    let base_url = if table.has("base_url") {
        table.parsed("base_url", |text| http_url(text, "base URL").and_then(without_query))
    } else {
        Url::parse(DEFAULT_BASE_URL).ok()
    };
    let concurrency = usize::try_from(table.number_or("concurrency", 1..=256, 8)).unwrap_or(8);
    let timeout = table.duration_or("timeout", DEFAULT_TIMEOUT);
    let scheduled_posts = table.bool_or("scheduled_posts", true);
    // Every key is read before any may be missing, so that every fault is found.
    table.end();
    Some(AyrshareConfig { api_key: api_key?, base_url: base_url?, concurrency, timeout, scheduled_posts })
}

fn profiles(root: &Table<'_>) -> Option<Vec<Profile>> {
    let mut profiles = Vec::new();
    let mut names = Names::default();
    let mut primary: Option<String> = None;
    for table in root.tables("profiles") {
        let name = table.required("name", |text| names.add(text));
        let is_primary = table.bool_or("primary", false);
        let key = table.parsed("key", key);
        if is_primary && table.has("key") {
            table.fault("key", "the primary profile has no key; give `primary = true` or a key, not both");
        } else if !is_primary && !table.has("key") {
            table.fault("key", "is missing; give the profile's key, or `primary = true` for the primary profile");
        }
        if is_primary && let Some(first) = primary.replace(table.path_of("primary")) {
            table.fault("primary", format!("there is one primary profile, and {first} says which"));
        }
        table.end();
        if let Some(name) = name {
            profiles.push(Profile { name: ProfileName::new(&name), key });
        }
    }
    if !root.has("profiles") || root.is_empty_array("profiles") {
        root.fault("profiles", "name one profile at least");
        return None;
    }
    Some(profiles)
}

fn alerts(root: &Table<'_>, has_ledger: bool) -> (Option<Thresholds>, Option<Alerts>) {
    let defaults = || Thresholds::new(DEFAULT_THRESHOLDS.iter().filter_map(|text| Threshold::parse(text).ok()));
    let default_repeat = if has_ledger { Repeat::OncePerThreshold } else { Repeat::EveryRun };
    let Some(table) = root.table("alerts") else {
        let alerts = Alerts { repeat: default_repeat, when_empty: WhenEmpty::Silent, ignore: GlobSet::empty() };
        return (defaults(), Some(alerts));
    };
    let thresholds = if table.has("thresholds") { thresholds(&table) } else { defaults() };
    let when_empty = table.word("when_empty", &[("silent", WhenEmpty::Silent), ("report", WhenEmpty::Report)]);
    let repeats = [("every-run", Repeat::EveryRun), ("once-per-threshold", Repeat::OncePerThreshold)];
    let repeat = table.word("repeat", &repeats).unwrap_or(default_repeat);
    if repeat == Repeat::OncePerThreshold && !has_ledger {
        table.fault("repeat", "`once-per-threshold` needs a ledger to remember what was announced; add `[ledger]`");
    }
    let mut ignore = GlobSetBuilder::new();
    for text in table.texts("ignore").unwrap_or_default() {
        match Glob::new(text.value) {
            Ok(glob) => {
                ignore.add(glob);
            }
            Err(error) => table.fault_at(&text, format!("is no glob: {}", error.kind())),
        }
    }
    let ignore = ignore.build().map_err(|error| table.fault("ignore", format!("cannot be used: {error}"))).ok();
    table.end();
    let alerts = ignore.map(|ignore| Alerts { repeat, when_empty: when_empty.unwrap_or(WhenEmpty::Silent), ignore });
    (thresholds, alerts)
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
        table.fault("type", "is missing; give `dynamodb`, `file` or `none`");
    }
    let types = [("dynamodb", LedgerType::DynamoDb), ("file", LedgerType::File), ("none", LedgerType::None)];
    let not_blank = |text: &Text<'_>| {
        if text.value.trim().is_empty() { Err("is blank") } else { Ok(text.value.to_owned()) }
    };
    let ledger = match table.word("type", &types).unwrap_or(LedgerType::None) {
        LedgerType::DynamoDb => table.required("table", not_blank).map(|table| LedgerConfig::DynamoDb { table }),
        LedgerType::File => table.required("path", not_blank).map(|path| LedgerConfig::File { path: path.into() }),
        LedgerType::None => {
            table.expect(&["table", "path"]);
            None
        }
    };
    table.end();
    ledger
}

fn thresholds(table: &Table<'_>) -> Option<Thresholds> {
    let texts = table.texts("thresholds")?;
    if table.is_empty_array("thresholds") {
        table.fault("thresholds", "give one threshold at least, like `[\"7d\", \"1d\"]`");
    }
    let mut thresholds: Vec<Threshold> = Vec::new();
    for text in &texts {
        match Threshold::parse(text.value) {
            Err(error) => table.fault_at(text, error),
            Ok(threshold) => match thresholds.iter().find(|earlier| **earlier == threshold) {
                Some(earlier) => table.fault_at(text, format!("is as long as `{earlier}`, which stands here already")),
                None => thresholds.push(threshold),
            },
        }
    }
    Thresholds::new(thresholds)
}

fn channels(root: &Table<'_>, profiles: &[Profile], defaults: Option<&Thresholds>) -> Option<Vec<Channel>> {
    let mut channels = Vec::new();
    let mut names = Names::default();
    for table in root.tables("channels") {
        let name = table.required("name", |text| names.add(text));
        let thresholds = if table.has("thresholds") { thresholds(&table) } else { defaults.cloned() };
        let profiles = channel_profiles(&table, profiles);
        let kind = if let Some(channel_type) = channel_type(&table) {
            channel_kind(&table, channel_type)
        } else {
            // Without its type, it may have the keys of any.
            table.expect(&["webhook_url", "topic_arn", "format", "url", "secret"]);
            None
        };
        table.end();
        if let (Some(name), Some(kind), Some(thresholds)) = (name, kind, thresholds) {
            channels.push(Channel { name, kind, profiles, thresholds });
        }
    }
    if !root.has("channels") || root.is_empty_array("channels") {
        root.fault("channels", "name one channel at least");
        return None;
    }
    Some(channels)
}

#[derive(Clone, Copy)]
enum ChannelType {
    Slack,
    Sns,
    Webhook,
}

fn channel_type(table: &Table<'_>) -> Option<ChannelType> {
    let types = [("slack", ChannelType::Slack), ("sns", ChannelType::Sns), ("webhook", ChannelType::Webhook)];
    if !table.has("type") {
        table.fault("type", "is missing; give `slack`, `sns` or `webhook`");
    }
    table.word("type", &types)
}

fn channel_kind(table: &Table<'_>, channel_type: ChannelType) -> Option<ChannelKind> {
    match channel_type {
        ChannelType::Slack => {
            table.required("webhook_url", slack_webhook).map(|webhook_url| ChannelKind::Slack { webhook_url })
        }
        ChannelType::Sns => {
            let formats = [("text", SnsFormat::Text), ("json", SnsFormat::Json), ("amazon-q", SnsFormat::AmazonQ)];
            let format = table.word("format", &formats).unwrap_or(SnsFormat::Text);
            table
                .required("topic_arn", |text| TopicArn::parse(text.value))
                .map(|topic| ChannelKind::Sns { topic, format })
        }
        ChannelType::Webhook => {
            let url = table.required("url", |text| http_url(text, "webhook URL").map(SecretUrl));
            let secret = table.required("secret", signing_secret);
            url.zip(secret).map(|(url, secret)| ChannelKind::Webhook { url, secret })
        }
    }
}

fn channel_profiles(table: &Table<'_>, profiles: &[Profile]) -> Vec<ProfileName> {
    let Some(texts) = table.texts("profiles") else {
        return profiles.iter().map(|profile| profile.name.clone()).collect();
    };
    if table.is_empty_array("profiles") {
        table.fault("profiles", "names no profile; leave the key out for all of them");
    }
    let known: BTreeSet<_> = profiles.iter().map(|profile| profile.name.as_str()).collect();
    let mut named = BTreeSet::new();
    for text in &texts {
        if !known.contains(text.value) {
            table.fault_at(text, format!("there is no profile {}", quote(text.value)));
        } else if !named.insert(text.value) {
            table.fault_at(text, format!("{} stands here already", quote(text.value)));
        }
    }
    profiles.iter().map(|profile| &profile.name).filter(|name| named.contains(name.as_str())).cloned().collect()
}

fn http(root: &Table<'_>) -> HttpConfig {
    let mut config =
        HttpConfig { require_authorizer: true, report_url: None, link_secret: None, link_ttl: DEFAULT_LINK_TTL };
    if let Some(table) = root.table("http") {
        config.require_authorizer = table.bool_or("require_authorizer", true);
        config.report_url = table.parsed("report_url", |text| http_url(text, "report URL").and_then(without_query));
        config.link_secret = table.parsed("link_secret", |text| {
            // While a secret is being replaced it stands here with the one before: the first signs, all are accepted.
            let mut secrets = text.value.split_whitespace().peekable();
            if secrets.peek().is_none() || secrets.any(|secret| secret.len() < LEAST_LINK_SECRET) {
                Err("is too short to sign with; give 8 characters at least, better 32 random ones, and no blank. To \
                     replace a secret, give the new one, a blank, and the old one, which is accepted until it is gone")
            } else {
                Ok(SecretString::from(text.value))
            }
        });
        config.link_ttl = table.duration_or("link_ttl", DEFAULT_LINK_TTL);
        table.end();
    }
    config
}

fn heartbeat(root: &Table<'_>) -> Option<SecretUrl> {
    let table = root.table("heartbeat")?;
    let url = table.required("url", |text| http_url(text, "heartbeat URL").map(SecretUrl));
    table.end();
    url
}

/// The names of one kind that were seen: none is blank, and none comes twice.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn add(&mut self, text: &Text<'_>) -> Result<String, String> {
        let name = text.value;
        if name.trim().is_empty() {
            return Err("is blank; give a name".to_owned());
        }
        if name.chars().any(char::is_control) || 200 < name.chars().count() {
            return Err("must be one line of at most 200 characters".to_owned());
        }
        if !self.0.insert(name.to_owned()) {
            return Err(format!("{} is the name of another one; give each its own", quote(name)));
        }
        Ok(name.to_owned())
    }
}

fn quote(name: &str) -> String {
    format!("`{}`", crate::model::text::shorten(&crate::model::text::one_line(name), 80))
}

/// Reads a key that goes into a header.
fn key(text: &Text<'_>) -> Result<SecretString, String> {
    if text.value.trim().is_empty() {
        return Err("is blank".to_owned());
    }
    if let Some(scheme) = unknown_scheme(text) {
        return Err(format!("`{scheme}:` is no reference that is known here; use {}", Reference::KINDS));
    }
    if !text.value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has a blank or a character in it that no key has; copy the key again".to_owned());
    }
    Ok(SecretString::from(text.value))
}

/// The scheme of a literal that was meant as a reference: no key has a colon in it.
fn unknown_scheme<'a>(text: &Text<'a>) -> Option<&'a str> {
    let (scheme, _) = text.value.split_once(':')?;
    (text.literal
        && !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
    .then_some(scheme)
}

/// Reads a Standard Webhooks secret: `whsec_` and the base64 of 24 to 64 bytes.
fn signing_secret(text: &Text<'_>) -> Result<SecretString, String> {
    let expected = "is no signing secret; it is `whsec_` and base64, made by `openssl rand -base64 32`";
    if let Some(scheme) = unknown_scheme(text) {
        return Err(format!("`{scheme}:` is no reference that is known here; use {}", Reference::KINDS));
    }
    let encoded = text.value.strip_prefix("whsec_").filter(|encoded| !encoded.is_empty()).ok_or(expected)?;
    standardwebhooks::Webhook::new(encoded).map_err(|_| expected)?;
    Ok(SecretString::from(text.value))
}

/// Reads an `https:` URL, or an `http:` one of this machine itself.
fn http_url(text: &Text<'_>, what: &str) -> Result<Url, String> {
    if let Some(scheme) = unknown_scheme(text).filter(|scheme| !matches!(*scheme, "http" | "https")) {
        return Err(format!("`{scheme}:` is no reference that is known here, and no {what}; use {}", Reference::KINDS));
    }
    let url = Url::parse(text.value.trim()).map_err(|_| format!("is no {what}; it begins with `https://`"))?;
    let loopback = match url.host() {
        Some(Host::Domain(host)) => host == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" if url.has_host() => Ok(url),
        "http" if loopback => Ok(url),
        "http" => Err(format!("a {what} must begin with `https://`; `http://` is taken for this machine only")),
        _ => Err(format!("is no {what}; it begins with `https://`")),
    }
}

/// Refuses a query, a fragment or a password in a URL that a path is added to.
fn without_query(url: Url) -> Result<Url, String> {
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err("must end with its path: no `?`, no `#`, no user".to_owned());
    }
    Ok(url)
}

/// Reads a Slack incoming webhook. Workflow webhooks take variables and drop messages in silence, so they are refused.
fn slack_webhook(text: &Text<'_>) -> Result<SecretUrl, String> {
    let url = http_url(text, "Slack webhook URL")?;
    let path = url.path();
    if path.starts_with("/workflows/") || path.starts_with("/triggers/") {
        return Err("is a webhook of Slack's Workflow Builder, which shows no message; make an incoming webhook \
                    (https://api.slack.com/messaging/webhooks), whose path begins with `/services/`"
            .to_owned());
    }
    let slack = matches!(url.host_str(), Some("hooks.slack.com" | "hooks.slack-gov.com"));
    if slack && !path.starts_with("/services/") {
        return Err("is no incoming webhook of Slack; its path begins with `/services/`".to_owned());
    }
    Ok(SecretUrl(url))
}
