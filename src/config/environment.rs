//! The configuration from environment variables alone: one primary profile, and a channel of each type that
//! is set.

use serde_json::{Value, json};

use super::fault::{Fault, InvalidConfiguration};
use crate::net::environment::Environment;

/// Returns the document that the variables stand for. It is validated like any other document.
pub fn document(environment: &Environment) -> Value {
    let var = |name: &str| environment.non_blank_var(name);
    let mut document = json!({
        "ayrshare": {},
        "profiles": [{"name": "Primary", "primary": true}],
        "alerts": {},
        "channels": [],
    });
    if let Some(key) = var("AYRSHARE_API_KEY") {
        document["ayrshare"]["api_key"] = key.into();
    }
    if let Some(url) = var("AYRSHARE_BASE_URL") {
        document["ayrshare"]["base_url"] = url.into();
    }
    if let Some(thresholds) = var("THRESHOLDS") {
        document["alerts"]["thresholds"] = thresholds.split(',').map(str::trim).collect();
    }
    if let Some(timezone) = var("TIMEZONE") {
        document["alerts"]["timezone"] = timezone.into();
    }
    if let Some(table) = var("LEDGER_TABLE") {
        document["ledger"] = json!({"type": "dynamodb", "table": table});
    }
    if let Some(url) = var("STORE_URL") {
        document["store"] = json!({"url": url});
    }
    let mut channels = Vec::new();
    if let Some(url) = var("SLACK_WEBHOOK_URL") {
        channels.push(json!({"name": "slack", "type": "slack", "webhook_url": url}));
    }
    let (from, to) = (var("EMAIL_FROM"), var("EMAIL_TO"));
    if from.is_some() || to.is_some() {
        let mut channel = json!({"name": "email", "type": "email"});
        if let Some(from) = from {
            channel["from"] = from.into();
        }
        if let Some(to) = to {
            channel["to"] = to.split(',').map(str::trim).collect();
        }
        channels.push(channel);
    }
    if let Some(url) = var("TEAMS_WEBHOOK_URL") {
        channels.push(json!({"name": "teams", "type": "teams", "webhook_url": url}));
    }
    if let Some(arn) = var("SNS_TOPIC_ARN") {
        channels.push(json!({"name": "sns", "type": "sns", "topic_arn": arn}));
    }
    document["channels"] = channels.into();
    document
}

/// Replaces the paths of errors in `document` with the names of the variables, because the user wrote no document.
pub fn name_variables(invalid: InvalidConfiguration, document: &Value) -> InvalidConfiguration {
    let rename = |fault: Fault| {
        let path = match fault.path.as_str() {
            "ayrshare.api_key" => "AYRSHARE_API_KEY".to_owned(),
            "ayrshare.base_url" => "AYRSHARE_BASE_URL".to_owned(),
            "alerts.timezone" => "TIMEZONE".to_owned(),
            "ledger.table" => "LEDGER_TABLE".to_owned(),
            "store.url" => "STORE_URL".to_owned(),
            "channels" => {
                let message = "set SLACK_WEBHOOK_URL, TEAMS_WEBHOOK_URL, SNS_TOPIC_ARN, or EMAIL_FROM and EMAIL_TO; or set \
                               MEDIA_ALERTS_CONFIG to the location of a document";
                return Fault::new("SLACK_WEBHOOK_URL", message);
            }
            path => {
                channel_variable(path, document).unwrap_or_else(|| path.replacen("alerts.thresholds", "THRESHOLDS", 1))
            }
        };
        Fault { path, ..fault }
    };
    InvalidConfiguration { faults: invalid.faults.into_iter().map(rename).collect() }
}

/// The variable that a setting of a channel is from: `EMAIL_TO[1]` for `channels[0].to[1]`.
fn channel_variable(path: &str, document: &Value) -> Option<String> {
    let (index, setting) = path.strip_prefix("channels[")?.split_once("].")?;
    let channel = document["channels"].get(index.parse::<usize>().ok()?)?;
    match (channel["type"].as_str()?, setting) {
        ("slack", "webhook_url") => Some("SLACK_WEBHOOK_URL".to_owned()),
        ("teams", "webhook_url") => Some("TEAMS_WEBHOOK_URL".to_owned()),
        ("sns", "topic_arn") => Some("SNS_TOPIC_ARN".to_owned()),
        ("email", "from") => Some("EMAIL_FROM".to_owned()),
        ("email", to) => to.strip_prefix("to").map(|index| format!("EMAIL_TO{index}")),
        _ => None,
    }
}
