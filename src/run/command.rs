//! The command that a run executes.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::config::{Channel, Config, Profile};
use crate::model::text::{one_line, shorten};
use crate::model::threshold::Threshold;

/// What a run does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Scans the profiles and announces what is due.
    #[default]
    Alert,
    /// Scans the profiles and sends nothing.
    Report,
    /// Checks the configuration and sends nothing.
    Check,
    /// Sends one sample to each channel.
    Test,
}

/// The keys of a command.
pub const KEYS: [&str; 5] = ["action", "within", "profiles", "channels", "dry_run"];

/// A command as it was received. Its names have not been checked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// The action.
    pub action: Action,
    /// Replaces all thresholds for this run.
    pub within: Option<Threshold>,
    /// Only these profiles.
    pub profiles: Option<Vec<String>>,
    /// Only these channels.
    pub channels: Option<Vec<String>>,
    /// Whether to render the messages without sending them.
    pub dry_run: bool,
    /// Whether profiles that nobody watches belong to a report although `profiles` names some: to the report of a channel
    /// that hears of all profiles.
    pub tells_unwatched: bool,
}

impl Command {
    /// Reads a command object.
    ///
    /// # Errors
    ///
    /// Names the key that is wrong, and what it accepts.
    pub fn parse(object: &Map<String, Value>) -> Result<Self, InvalidEvent> {
        let mut command = Self::default();
        for (key, value) in object {
            match key.as_str() {
                "action" => {
                    command.action = match value.as_str() {
                        Some("alert") => Action::Alert,
                        Some("report") => Action::Report,
                        Some("check") => Action::Check,
                        Some("test") => Action::Test,
                        _ => return Err(expected(key, "\"alert\", \"report\", \"check\" or \"test\"", value)),
                    }
                }
                "within" => {
                    let text = value.as_str().ok_or_else(|| expected(key, "a duration like \"72h\"", value))?;
                    command.within = Some(within(text)?);
                }
                "profiles" => command.profiles = Some(names(key, value)?),
                "channels" => command.channels = Some(names(key, value)?),
                "dry_run" => {
                    command.dry_run = value.as_bool().ok_or_else(|| expected(key, "true or false", value))?;
                }
                _ => {
                    let key = shorten(&one_line(key), 60).into_owned();
                    let known = KEYS.join(", ");
                    return Err(InvalidEvent(format!("`{key}` is no key of a command; it knows {known}")));
                }
            }
        }
        Ok(command)
    }

    /// Looks up the names in the configuration.
    ///
    /// # Errors
    ///
    /// Names what is not in the configuration, and lists what is.
    pub fn plan<'a>(&self, config: &'a Config) -> Result<Plan<'a>, InvalidEvent> {
        Ok(Plan {
            action: self.action,
            within: self.within.clone(),
            profiles: pick(&config.profiles, self.profiles.as_deref(), "profile", |profile| profile.name.as_str())?,
            channels: pick(&config.channels, self.channels.as_deref(), "channel", |channel| &channel.name)?,
            dry_run: self.dry_run,
            is_whole_alert: self.is_whole_alert(),
            is_whole_look: self.is_whole_look(),
            tells_unwatched: self.profiles.is_none() || self.tells_unwatched,
        })
    }

    /// Whether this is an alert to all channels about all profiles. Only these have metrics and a heartbeat.
    #[must_use]
    pub fn is_whole_alert(&self) -> bool {
        self.action == Action::Alert && !self.dry_run && self.profiles.is_none() && self.channels.is_none()
    }

    /// Whether this scans all profiles with the thresholds of all channels.
    fn is_whole_look(&self) -> bool {
        self.action != Action::Test && self.within.is_none() && self.profiles.is_none() && self.channels.is_none()
    }
}

/// A command whose names were found in the configuration.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each answers a question of its own about the run")]
pub struct Plan<'a> {
    /// The action.
    pub action: Action,
    /// Replaces all thresholds for this run.
    pub within: Option<Threshold>,
    /// The profiles of the run, in the order of the configuration.
    pub profiles: Vec<&'a Profile>,
    /// The channels of the run, in the order of the configuration.
    pub channels: Vec<&'a Channel>,
    /// Whether to render the messages without sending them.
    pub dry_run: bool,
    /// Whether this is an alert to all channels about all profiles.
    pub is_whole_alert: bool,
    /// Whether this scans all profiles with the thresholds of all channels.
    pub is_whole_look: bool,
    /// Whether the run tells of profiles that nobody watches.
    pub tells_unwatched: bool,
}

/// Reads the `within` of a command or a query.
///
/// # Errors
///
/// Says which values are valid.
pub fn within(text: &str) -> Result<Threshold, InvalidEvent> {
    Threshold::parse(text).map_err(|error| InvalidEvent(format!("within: {error}")))
}

fn names(key: &str, value: &Value) -> Result<Vec<String>, InvalidEvent> {
    let error = || expected(key, "an array with one name at least", value);
    let names = value.as_array().filter(|names| !names.is_empty()).ok_or_else(error)?;
    names.iter().map(|name| name.as_str().map(ToOwned::to_owned).ok_or_else(error)).collect()
}

fn expected(key: &str, expected: &str, found: &Value) -> InvalidEvent {
    let found = found.to_string();
    InvalidEvent(format!("{key}: expected {expected}, found {}", shorten(&one_line(&found), 60)))
}

fn pick<'a, T>(
    all: &'a [T],
    names: Option<&[String]>,
    what: &str,
    name_of: impl Fn(&T) -> &str,
) -> Result<Vec<&'a T>, InvalidEvent> {
    let Some(names) = names else { return Ok(all.iter().collect()) };
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|one| name_of(one) == name.as_str())) {
        let known: Vec<_> = all.iter().map(|one| format!("`{}`", name_of(one))).collect();
        let unknown = shorten(&one_line(unknown), 60).into_owned();
        let known = crate::model::text::list(&known, 20);
        return Err(InvalidEvent(format!("{what}s: there is no {what} `{unknown}`; the configuration has {known}")));
    }
    Ok(all.iter().filter(|one| names.iter().any(|name| name_of(one) == name.as_str())).collect())
}

/// An event that the function does not accept, with what it accepts instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidEvent(pub String);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(value: &Value) -> Result<Command, String> {
        Command::parse(value.as_object().expect("an object")).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_optional() {
        assert_eq!(parse(&json!({})), Ok(Command::default()));
        let command = parse(&json!({
            "action": "report", "within": "72h", "profiles": ["A"], "channels": ["b"], "dry_run": true,
        }));
        let expected = Command {
            action: Action::Report,
            within: Some(Threshold::parse("72h").expect("a threshold")),
            profiles: Some(vec!["A".into()]),
            channels: Some(vec!["b".into()]),
            dry_run: true,
            tells_unwatched: false,
        };
        assert_eq!(command, Ok(expected));
    }

    #[test]
    fn a_wrong_key_or_value_is_named() {
        let check = |value: Value, expected: &str| {
            let error = parse(&value).expect_err("an error");
            assert!(error.contains(expected), "{value}: {error}");
        };
        check(json!({"actoin": "alert"}), "`actoin` is no key of a command; it knows action, within");
        check(json!({"action": "delete"}), "action: expected \"alert\", \"report\"");
        check(json!({"within": "banana"}), "within: `banana` is not a duration");
        check(json!({"within": 72}), "within: expected a duration like \"72h\", found 72");
        check(json!({"within": "0d"}), "within: `0d` is not a duration");
        check(json!({"profiles": []}), "profiles: expected an array with one name at least");
        check(json!({"profiles": "A"}), "profiles: expected an array");
        check(json!({"dry_run": "yes"}), "dry_run: expected true or false");
    }
}
