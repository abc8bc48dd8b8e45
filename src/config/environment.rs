//! The configuration from environment variables alone: one primary profile, Slack and SNS.

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
    if let Some(arn) = var("SNS_TOPIC_ARN") {
        channels.push(json!({"name": "sns", "type": "sns", "topic_arn": arn}));
    }
    document["channels"] = channels.into();
    document
}

/// Replaces the paths of errors with the names of the variables, because the user wrote no document.
pub fn name_variables(invalid: InvalidConfiguration) -> InvalidConfiguration {
    let rename = |fault: Fault| {
        let path = match fault.path.as_str() {
            "ayrshare.api_key" => "AYRSHARE_API_KEY".to_owned(),
            "ayrshare.base_url" => "AYRSHARE_BASE_URL".to_owned(),
            "alerts.timezone" => "TIMEZONE".to_owned(),
            "ledger.table" => "LEDGER_TABLE".to_owned(),
            "store.url" => "STORE_URL".to_owned(),
            "channels" => {
                let message = "set SLACK_WEBHOOK_URL, SNS_TOPIC_ARN or both; or set MEDIA_ALERTS_CONFIG to the location of a document";
                return Fault::new("SLACK_WEBHOOK_URL", message);
            }
            path if path.ends_with(".webhook_url") => "SLACK_WEBHOOK_URL".to_owned(),
            path if path.ends_with(".topic_arn") => "SNS_TOPIC_ARN".to_owned(),
            path => path.replacen("alerts.thresholds", "THRESHOLDS", 1),
        };
        Fault { path, ..fault }
    };
    InvalidConfiguration { faults: invalid.faults.into_iter().map(rename).collect() }
}
