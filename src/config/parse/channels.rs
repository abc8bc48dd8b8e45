//! Validating `[[channels]]`.

use secrecy::SecretString;

use super::{UniqueNames, has_unknown_scheme, http_url, thresholds, timezone};
use crate::config::profiles::audience;
use crate::config::reference::Reference;
use crate::config::table::{Table, TextField};
use crate::config::{
    Channel, ChannelKind, EmailConfig, Mailbox, Mention, Mentions, Profile, SecretUrl, SnsFormat, TopicArn,
};
use crate::model::text::one_line;
use crate::model::threshold::{DurationError, Threshold, Thresholds};
use crate::model::{PROFILES_FROM, Zone};

/// The longest note, in characters.
const MAX_NOTE_CHARS: usize = 300;
/// How many users and groups a channel mentions at most.
const MAX_MENTIONS: usize = 20;
/// The most recipients of one email that Amazon SES accepts.
const MAX_RECIPIENTS: usize = 50;

pub(super) fn channels(
    root: &Table<'_>,
    profiles: &[Profile],
    defaults: Option<&Thresholds>,
    default_timezone: &Zone,
) -> Option<Vec<Channel>> {
    let mut channels = Vec::new();
    let mut names = UniqueNames::default();
    for table in root.tables("channels") {
        let name = table.required("name", |text| names.add(text));
        let thresholds = if table.has("thresholds") { thresholds(&table) } else { defaults.cloned() };
        let audience = audience(&table, profiles, root.has(PROFILES_FROM));
        let timezone = timezone(&table).unwrap_or_else(|| default_timezone.clone());
        let note = table.parsed("note", note);
        let kind = if let Some(channel_type) = channel_type(&table) {
            channel_kind(&table, channel_type, thresholds.as_ref())
        } else {
            // The type is unknown, so the keys of every type are accepted.
            table.allow(&[
                "webhook_url",
                "mention",
                "mention_at",
                "topic_arn",
                "format",
                "url",
                "secret",
                "from",
                "to",
                "region",
                "pictures",
            ]);
            None
        };
        table.finish();
        if let (Some(name), Some(kind), Some(thresholds)) = (name, kind, thresholds) {
            channels.push(Channel { name, kind, audience, thresholds, timezone, note });
        }
    }
    if !root.has("channels") || root.is_empty_array("channels") {
        root.fault("channels", "needs at least one channel");
        return None;
    }
    Some(channels)
}

#[derive(Clone, Copy)]
enum ChannelType {
    Slack,
    Sns,
    Webhook,
    Email,
    Teams,
}

fn channel_type(table: &Table<'_>) -> Option<ChannelType> {
    let types = [
        ("slack", ChannelType::Slack),
        ("sns", ChannelType::Sns),
        ("webhook", ChannelType::Webhook),
        ("email", ChannelType::Email),
        ("teams", ChannelType::Teams),
    ];
    if !table.has("type") {
        table.fault("type", "is missing; set `slack`, `email`, `teams`, `sns` or `webhook`");
    }
    table.choice("type", &types)
}

fn channel_kind(table: &Table<'_>, channel_type: ChannelType, thresholds: Option<&Thresholds>) -> Option<ChannelKind> {
    match channel_type {
        ChannelType::Slack => {
            let mentions = mentions(table, thresholds);
            table.required("webhook_url", slack_webhook).map(|webhook_url| ChannelKind::Slack { webhook_url, mentions })
        }
        ChannelType::Sns => {
            let formats = [("text", SnsFormat::Text), ("json", SnsFormat::Json), ("amazon-q", SnsFormat::AmazonQ)];
            let format = table.choice("format", &formats).unwrap_or(SnsFormat::Text);
            table
                .required("topic_arn", |text| TopicArn::parse(text.value))
                .map(|topic| ChannelKind::Sns { topic, format })
        }
        ChannelType::Webhook => {
            let url = table.required("url", |text| http_url(text, "webhook URL").map(SecretUrl));
            let secret = table.required("secret", signing_secret);
            url.zip(secret).map(|(url, secret)| ChannelKind::Webhook { url, secret })
        }
        ChannelType::Email => email(table).map(ChannelKind::Email),
        ChannelType::Teams => {
            table.required("webhook_url", teams_webhook).map(|webhook_url| ChannelKind::Teams { webhook_url })
        }
    }
}

fn email(table: &Table<'_>) -> Option<EmailConfig> {
    let from = table.required("from", |text| Mailbox::parse(text.value));
    let region = table.parsed("region", |text| {
        let is_region = text.value.contains('-')
            && text.value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if is_region { Ok(text.value.to_owned()) } else { Err("is not an AWS region, like `eu-central-1`") }
    });
    let pictures = table.bool_or("pictures", true);
    if !table.has("to") || table.is_empty_array("to") {
        table.fault("to", "needs at least one email address");
    }
    let texts = table.texts("to").unwrap_or_default();
    if MAX_RECIPIENTS < texts.len() {
        table.fault("to", format!("has more than {MAX_RECIPIENTS} addresses, the most that Amazon SES accepts"));
    }
    let mut to: Vec<Mailbox> = Vec::new();
    for text in texts.iter().take(MAX_RECIPIENTS) {
        match Mailbox::parse(text.value) {
            Err(reason) => table.fault_at(text, reason),
            Ok(mailbox) if to.iter().any(|other| other.address().eq_ignore_ascii_case(mailbox.address())) => {
                table.fault_at(text, "is in this list already");
            }
            Ok(mailbox) => to.push(mailbox),
        }
    }
    let from = from?;
    (!to.is_empty()).then_some(EmailConfig { from, to, region, pictures })
}

/// Parses whom a Slack channel mentions, and when: by default at the shortest of its thresholds.
fn mentions(table: &Table<'_>, thresholds: Option<&Thresholds>) -> Option<Mentions> {
    let texts = table.texts("mention");
    if texts.is_none() && table.has("mention_at") {
        table.fault("mention_at", "needs `mention`, which says whom to mention");
    }
    let at = table.parsed("mention_at", |text| Threshold::parse(text.value).map_err(|_| DurationError::REASON));
    let texts = texts?;
    if MAX_MENTIONS < texts.len() {
        table.fault("mention", format!("has more than {MAX_MENTIONS} entries; mention a user group instead"));
    }
    let mut who = Vec::new();
    for text in texts.iter().take(MAX_MENTIONS) {
        match Mention::parse(text.value) {
            Err(reason) => table.fault_at(text, reason),
            Ok(mention) if who.contains(&mention) => table.fault_at(text, "is in this list already"),
            Ok(mention) => who.push(mention),
        }
    }
    let at = at.or_else(|| thresholds?.iter().next().cloned())?;
    (!who.is_empty()).then_some(Mentions { who, at })
}

/// Parses the line at the end of each digest.
fn note(text: &TextField<'_>) -> Result<String, String> {
    let expected = || format!("must be one line of 1 to {MAX_NOTE_CHARS} characters");
    // It is checked before and after invisible characters are removed.
    if text.value.chars().any(char::is_control) || MAX_NOTE_CHARS < text.value.chars().count() {
        return Err(expected());
    }
    Some(one_line(text.value)).filter(|note| !note.is_empty()).ok_or_else(expected)
}

/// Validates a Standard Webhooks secret: `whsec_` and the base64 of 24 to 64 bytes.
fn signing_secret(text: &TextField<'_>) -> Result<SecretString, String> {
    let expected = "is not a signing secret; write `whsec_` and the output of `openssl rand -base64 32`";
    if has_unknown_scheme(text) {
        return Err(format!("is not a supported reference; use {}", Reference::KINDS));
    }
    let encoded = text.value.strip_prefix("whsec_").filter(|encoded| !encoded.is_empty()).ok_or(expected)?;
    standardwebhooks::Webhook::new(encoded).map_err(|_| expected)?;
    Ok(SecretString::from(text.value))
}

/// Parses the URL of a Slack incoming webhook.
///
/// It rejects webhooks of Workflow Builder, because they accept a message without posting it.
fn slack_webhook(text: &TextField<'_>) -> Result<SecretUrl, String> {
    let url = http_url(text, "Slack webhook URL")?;
    let path = url.path();
    if path.starts_with("/workflows/") || path.starts_with("/triggers/") {
        return Err("is a webhook of Slack's Workflow Builder, which posts no message; create an incoming webhook \
                    (https://api.slack.com/messaging/webhooks), whose path starts with `/services/`"
            .to_owned());
    }
    let slack = matches!(url.host_str(), Some("hooks.slack.com" | "hooks.slack-gov.com"));
    if slack && !path.starts_with("/services/") {
        return Err("is not a Slack incoming webhook, whose path starts with `/services/`".to_owned());
    }
    Ok(SecretUrl(url))
}

/// Parses the URL of a Workflows webhook of Microsoft Teams. Its host differs from tenant to tenant, so any is accepted.
///
/// It rejects the connectors that Microsoft has retired, and URLs without a signature, which need a sign-in.
fn teams_webhook(text: &TextField<'_>) -> Result<SecretUrl, String> {
    let url = http_url(text, "Teams webhook URL")?;
    // A host may end with a dot, which is the root of all domains.
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let is_office = matches!(host, "outlook.office.com" | "outlook.office365.com");
    if host == "webhook.office.com" || host.ends_with(".webhook.office.com") || is_office {
        return Err("is an Office 365 connector, which Microsoft has retired; create a workflow with the trigger \
                    \"When a Teams webhook request is received\""
            .to_owned());
    }
    if !url.query_pairs().any(|(name, value)| name == "sig" && !value.is_empty()) {
        return Err("has no signature (`sig=`), so the workflow would ask for a sign-in; set \"Who can trigger the \
                    flow\" to \"Anyone\" and copy the URL again"
            .to_owned());
    }
    Ok(SecretUrl(url))
}
