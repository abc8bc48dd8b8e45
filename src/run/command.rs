//! The command that a run executes.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::roster::{Roster, listing_of};
use crate::config::{Channel, Config, Profile};
use crate::model::text::{list, one_line, shorten};
use crate::model::threshold::{DurationError, Threshold, Thresholds};
use crate::model::{ListingOrigin, PROFILES_FROM};
use crate::model::{ProfileName, Tags};
use crate::scan::survey::Survey;

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
    /// Copies files into the store and sends nothing. Only the terminal has it.
    Rescue,
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
    /// Whether the run is about the profiles of its channels only. Then `profiles` can only narrow these, and what else it
    /// names is ignored, because an error would tell what exists.
    pub is_limited_to_channels: bool,
}

impl Command {
    /// Reads a command object.
    ///
    /// # Errors
    ///
    /// Names the key that is wrong, and what it accepts.
    pub fn parse(object: &Map<String, Value>) -> Result<Self, InvalidCommand> {
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
                _ => return Err(InvalidCommand::UnknownKey(quotable(key))),
            }
        }
        Ok(command)
    }

    /// Looks up the names of profiles and channels.
    ///
    /// # Errors
    ///
    /// Names what does not exist, and lists what does.
    pub fn plan<'a>(&self, config: &'a Config, roster: &'a Roster<'a>) -> Result<Plan<'a>, InvalidCommand> {
        let profiles = if self.profiles.is_none() && !self.is_limited_to_channels {
            roster.profiles().collect()
        } else {
            let selected = self.select(config, roster.known()).map_err(|error| roster.explain(error))?;
            let selected: HashSet<_> = selected.into_iter().collect();
            roster.profiles().filter(|profile| selected.contains(&profile.name)).collect()
        };
        let channels = self.channels(config)?;
        Ok(Plan {
            action: self.action,
            within: self.within.clone(),
            roster,
            profiles,
            channels,
            dry_run: self.dry_run,
            is_whole_alert: self.is_whole_alert(),
            is_whole_snapshot: self.is_whole_snapshot(),
        })
    }

    /// Selects the profiles of the command from all profiles, and keeps their order.
    ///
    /// # Errors
    ///
    /// Names a profile that does not exist, and lists those that do.
    pub fn select<'p, P>(&self, config: &Config, known: P) -> Result<Vec<&'p ProfileName>, InvalidCommand>
    where
        P: Iterator<Item = (&'p ProfileName, &'p Tags)> + Clone,
    {
        let all: Vec<_> = if self.is_limited_to_channels {
            let channels = self.channels(config)?;
            let of_channels: HashSet<_> =
                channels.iter().flat_map(|channel| channel.audience.select(known.clone())).collect();
            known.map(|(name, _)| name).filter(|name| of_channels.contains(name)).collect()
        } else {
            known.map(|(name, _)| name).collect()
        };
        let Some(asked) = &self.profiles else { return Ok(all) };
        let names: HashSet<_> = asked.iter().map(String::as_str).collect();
        let found: Vec<_> = all.iter().copied().filter(|name| names.contains(name.as_str())).collect();
        if self.is_limited_to_channels {
            return Ok(if found.is_empty() { all } else { found });
        }
        let existing: HashSet<_> = found.iter().map(|name| name.as_str()).collect();
        match asked.iter().find(|name| !existing.contains(name.as_str())) {
            Some(unknown) => Err(unknown_name("profile", unknown, all.iter().map(|name| name.as_str()))),
            None => Ok(found),
        }
    }

    /// Looks up the names of a report that is made of a snapshot, which needs no profiles.
    ///
    /// # Errors
    ///
    /// Names a channel that does not exist, and lists those that do.
    pub fn plan_of_snapshot<'a>(&self, config: &'a Config, roster: &'a Roster<'a>) -> Result<Plan<'a>, InvalidCommand> {
        Ok(Plan {
            action: self.action,
            within: self.within.clone(),
            roster,
            profiles: Vec::new(),
            channels: self.channels(config)?,
            dry_run: self.dry_run,
            is_whole_alert: false,
            is_whole_snapshot: false,
        })
    }

    /// Narrows a snapshot, which is a survey of all profiles with the thresholds of all channels, to what the command is about.
    ///
    /// # Errors
    ///
    /// Names what does not exist, and lists what does.
    pub fn narrow(&self, config: &Config, snapshot: Arc<Survey>) -> Result<Arc<Survey>, InvalidCommand> {
        if self.is_whole_snapshot() {
            return Ok(snapshot);
        }
        let profiles = self.select(config, snapshot.known())?;
        let channels = self.channels(config)?;
        let mut narrowed = snapshot.narrowed(&profiles, &thresholds(self.within.as_ref(), &channels, config));
        match &channels[..] {
            [channel] if self.is_limited_to_channels => {
                narrowed.listing = listing_of(channel, config, &snapshot.listing);
                if self.profiles.is_none() && channel.hears_of_all_profiles() {
                    narrowed.discovery = snapshot.discovery.clone();
                }
            }
            _ if self.profiles.is_none() => {
                narrowed.listing = snapshot.listing.clone();
                narrowed.discovery = snapshot.discovery.clone();
            }
            _ => {}
        }
        Ok(Arc::new(narrowed))
    }

    /// Whether the command reaches no further than a snapshot with the thresholds of all channels.
    #[must_use]
    pub fn is_within_thresholds(&self, config: &Config) -> bool {
        let thresholds = config.channels.iter().flat_map(|channel| channel.thresholds.iter());
        self.within.as_ref().is_none_or(|within| Some(within) <= thresholds.max())
    }

    /// Looks up the channels of the command.
    ///
    /// # Errors
    ///
    /// Names a channel that does not exist, and lists those that do.
    pub fn channels<'a>(&self, config: &'a Config) -> Result<Vec<&'a Channel>, InvalidCommand> {
        let Some(asked) = &self.channels else { return Ok(config.channels.iter().collect()) };
        let names = || config.channels.iter().map(|channel| channel.name.as_str());
        match asked.iter().find(|name| !names().any(|known| known == name.as_str())) {
            Some(unknown) => Err(unknown_name("channel", unknown, names())),
            None => Ok(config.channels.iter().filter(|channel| asked.contains(&channel.name)).collect()),
        }
    }

    /// Whether this is an alert to all channels about all profiles. Only these have metrics and a heartbeat.
    #[must_use]
    pub fn is_whole_alert(&self) -> bool {
        self.action == Action::Alert && !self.dry_run && self.profiles.is_none() && self.channels.is_none()
    }

    /// Whether this scans all profiles with the thresholds of all channels.
    fn is_whole_snapshot(&self) -> bool {
        self.action != Action::Test && self.within.is_none() && self.profiles.is_none() && self.channels.is_none()
    }
}

/// A command whose names were found in the configuration.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The action.
    pub action: Action,
    /// Replaces all thresholds for this run.
    pub within: Option<Threshold>,
    /// All profiles, from which the audiences of channels are selected.
    pub roster: &'a Roster<'a>,
    /// The profiles of the run, in the order of the configuration.
    pub profiles: Vec<&'a Profile>,
    /// The channels of the run, in the order of the configuration.
    pub channels: Vec<&'a Channel>,
    /// Whether to render the messages without sending them.
    pub dry_run: bool,
    /// Whether this is an alert to all channels about all profiles.
    pub is_whole_alert: bool,
    /// Whether this scans all profiles with the thresholds of all channels.
    pub is_whole_snapshot: bool,
}

impl Plan<'_> {
    /// Returns the thresholds of all channels of the run.
    #[must_use]
    pub fn thresholds(&self, config: &Config) -> Thresholds {
        thresholds(self.within.as_ref(), &self.channels, config)
    }

    /// Whether the run is about some of the profiles only.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        self.profiles.len() < self.roster.profiles().count()
    }

    /// Whether the run is about every profile that there is. A list that could not be read may contain any profile.
    #[must_use]
    pub fn has_all_profiles(&self) -> bool {
        let is_list_known = matches!(self.roster.listing.origin, ListingOrigin::None | ListingOrigin::Read);
        is_list_known && !self.is_narrowed()
    }
}

fn thresholds(within: Option<&Threshold>, channels: &[&Channel], config: &Config) -> Thresholds {
    let all = channels.iter().flat_map(|channel| channel.thresholds.iter());
    let all = match within {
        Some(within) => Thresholds::new([within.clone()]),
        None => Thresholds::new(all.cloned()),
    };
    // There is one channel at least, and each has one threshold at least.
    all.unwrap_or_else(|| config.channels[0].thresholds.clone())
}

/// Reads the `within` of a command or a query.
///
/// # Errors
///
/// Says which values are valid.
pub fn within(text: &str) -> Result<Threshold, InvalidCommand> {
    Threshold::parse(text).map_err(InvalidCommand::Within)
}

fn names(key: &str, value: &Value) -> Result<Vec<String>, InvalidCommand> {
    let error = || expected(key, "an array with one name at least", value);
    let names = value.as_array().filter(|names| !names.is_empty()).ok_or_else(error)?;
    names.iter().map(|name| name.as_str().map(ToOwned::to_owned).ok_or_else(error)).collect()
}

fn expected(key: &str, expected: &'static str, found: &Value) -> InvalidCommand {
    InvalidCommand::WrongValue { key: key.to_owned(), expected, found: quotable(&found.to_string()) }
}

fn unknown_name<'k>(kind: &'static str, unknown: &str, known: impl Iterator<Item = &'k str>) -> InvalidCommand {
    let known: Vec<_> = known.map(|name| format!("`{name}`")).collect();
    InvalidCommand::UnknownName { kind, name: quotable(unknown), known: list(&known, 20) }
}

/// The beginning of a text from outside, on one line, so that an error can quote it.
fn quotable(outside: &str) -> String {
    shorten(&one_line(outside), 60).into_owned()
}

/// The reason why a command cannot be executed. It says what is accepted instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCommand {
    /// A key that no command has.
    #[error("`{0}` is not a key of a command; the keys are {known}", known = KEYS.join(", "))]
    UnknownKey(String),
    /// A value of another type, or one that the key does not accept.
    #[error("{key}: expected {expected}, found {found}")]
    WrongValue {
        /// The key.
        key: String,
        /// What it accepts.
        expected: &'static str,
        /// The beginning of the value.
        found: String,
    },
    /// A `within` that is not a duration.
    #[error("within: {0}")]
    Within(DurationError),
    /// A name that is not configured.
    #[error("{kind}s: there is no {kind} `{name}`; the configuration has {known}")]
    UnknownName {
        /// What the name is of: `profile` or `channel`.
        kind: &'static str,
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A name that is not configured, but that may be in the list of profiles, which could not be read.
    #[error("{unknown}; and {PROFILES_FROM} cannot be read: {reason}")]
    UnreadList {
        /// The error about the name.
        unknown: Box<Self>,
        /// Why the list cannot be read.
        reason: String,
    },
}

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
            is_limited_to_channels: false,
        };
        assert_eq!(command, Ok(expected));
    }

    #[test]
    fn a_wrong_key_or_value_is_named() {
        let check = |value: Value, expected: &str| {
            let error = parse(&value).expect_err("an error");
            assert!(error.contains(expected), "{value}: {error}");
        };
        check(json!({"actoin": "alert"}), "`actoin` is not a key of a command; the keys are action, within");
        check(json!({"action": "delete"}), "action: expected \"alert\", \"report\"");
        // Only the terminal has it.
        check(json!({"action": "rescue"}), "action: expected \"alert\", \"report\"");
        check(json!({"within": "banana"}), "within: `banana` is not a duration");
        check(json!({"within": 72}), "within: expected a duration like \"72h\", found 72");
        check(json!({"within": "0d"}), "within: `0d` is not a duration");
        check(json!({"profiles": []}), "profiles: expected an array with one name at least");
        check(json!({"profiles": "A"}), "profiles: expected an array");
        check(json!({"dry_run": "yes"}), "dry_run: expected true or false");
    }
}
