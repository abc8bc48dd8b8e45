//! Validating the entries of a list of profiles.
//!
//! An entry that cannot be used stops no other. No error repeats a value of an entry but its name, because a key may have
//! been put in the wrong place.

use std::collections::HashSet;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::ListedProfiles;
use crate::config::Profile;
use crate::config::profiles::{MAX_NAME_CHARS, is_name};
use crate::model::text::thousands;
use crate::model::{FailedProfile, Failure, FailureKind, PROFILES_FROM, Part, ProfileName, Tags};

/// How many entries are read at most.
pub const MAX_ENTRIES: usize = 100_000;
/// How many entries that cannot be used are named. The others are counted.
const MAX_NAMED: usize = 1_000;

/// One entry as it was read. A member that is absent or null is `None`.
#[derive(Debug, Default)]
pub struct ListEntry {
    pub name: Option<Value>,
    pub key: Option<Value>,
    pub tags: Option<Value>,
}

impl ListEntry {
    /// Takes the members of an object. Other members are ignored, because an endpoint may add some.
    pub fn of_object(mut object: Map<String, Value>) -> Self {
        let mut member = |name: &str| object.remove(name).filter(|value| !value.is_null());
        Self { name: member("name"), key: member("key"), tags: member("tags") }
    }
}

/// The entries that were read so far.
#[derive(Debug, Default)]
pub struct ListEntries {
    profiles: Vec<Profile>,
    failed: Vec<FailedProfile>,
    failed_unnamed: usize,
    names: HashSet<ProfileName>,
    /// How many entries were read.
    read: usize,
    /// How many of them had a name or a key.
    recognized: usize,
    is_full: bool,
}

impl ListEntries {
    /// Begins without any entry. The names of the profiles in the configuration are taken.
    pub fn new(configured: &[Profile]) -> Self {
        Self { names: configured.iter().map(|profile| profile.name.clone()).collect(), ..Self::default() }
    }

    /// Whether nothing more is read.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Adds the next entry; the error says why there is none.
    pub fn add(&mut self, entry: Result<ListEntry, &str>) {
        if self.read == MAX_ENTRIES {
            self.is_full = true;
            return;
        }
        let index = self.read;
        self.read += 1;
        if let Ok(entry) = &entry
            && (entry.name.is_some() || entry.key.is_some())
        {
            self.recognized += 1;
        }
        let added = entry.map_err(|reason| (None, reason.to_owned())).and_then(|entry| self.profile(entry));
        match added {
            Ok(profile) => {
                self.names.insert(profile.name.clone());
                self.profiles.push(profile);
            }
            Err(_) if MAX_NAMED <= self.failed.len() => self.failed_unnamed += 1,
            Err((name, reason)) => {
                let name = name.unwrap_or_else(|| format!("{PROFILES_FROM}[{index}]"));
                self.failed.push(failure(&name, FailureKind::InvalidEntry, reason));
            }
        }
    }

    fn profile(&self, entry: ListEntry) -> Result<Profile, (Option<String>, String)> {
        let name = match entry.name {
            Some(Value::String(name)) if is_name(&name) => name,
            Some(_) => {
                return Err((None, format!("its name is not one line of text of 1 to {MAX_NAME_CHARS} characters")));
            }
            None => return Err((None, "it has no name".to_owned())),
        };
        let refuse = |reason: &str| (Some(name.clone()), reason.to_owned());
        let name_of_profile = ProfileName::new(&name);
        if self.names.contains(&name_of_profile) {
            return Err(refuse("another profile has this name"));
        }
        let key = match entry.key {
            Some(Value::String(key)) => key,
            Some(_) => return Err(refuse("its key is not a text")),
            None => return Err(refuse("it has no key")),
        };
        if key.trim().is_empty() {
            return Err(refuse("its key is blank"));
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refuse("its key contains a character that keys never contain"));
        }
        if has_scheme(&key) {
            return Err(refuse("its key looks like a reference; only the configuration can contain references"));
        }
        let tags = match &entry.tags {
            None => Some(Vec::new()),
            Some(Value::Array(tags)) => tags.iter().map(|tag| tag.as_str().filter(|tag| is_name(tag))).collect(),
            Some(_) => None,
        };
        let Some(tags) = tags else {
            let reason = format!("its tags are not an array of texts of 1 to {MAX_NAME_CHARS} characters");
            return Err(refuse(&reason));
        };
        Ok(Profile { name: name_of_profile, tags: Tags::new(tags), key: Some(SecretString::from(key)) })
    }

    /// Returns the profiles.
    ///
    /// # Errors
    ///
    /// Returns an error if nothing of what was read looks like a profile. That is another document, for example an error
    /// object, and not a list in which each profile has an error.
    pub fn finish(mut self) -> Result<ListedProfiles, String> {
        if 0 < self.read && self.recognized == 0 {
            return Err("no entry has a `name` or a `key`".to_owned());
        }
        if 0 < self.failed_unnamed {
            let entries = if self.failed_unnamed == 1 { "entry" } else { "entries" };
            let more = format!("{} more {entries} of it cannot be used", self.failed_unnamed);
            self.failed.push(failure(PROFILES_FROM, FailureKind::InvalidEntry, more));
        }
        if self.is_full {
            let max = thousands(i64::try_from(MAX_ENTRIES).unwrap_or(i64::MAX));
            let message = format!("it has more than {max} entries, and those after them are not checked");
            self.failed.insert(0, failure(PROFILES_FROM, FailureKind::BadResponse, message));
        }
        Ok(ListedProfiles { profiles: self.profiles, failed: self.failed })
    }
}

/// Returns whether a key looks like a reference. Keys never contain a colon.
fn has_scheme(key: &str) -> bool {
    let is_scheme = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
    key.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme))
}

fn failure(profile: &str, kind: FailureKind, message: String) -> FailedProfile {
    let failure = Failure { kind, http_status: None, code: None, message };
    FailedProfile { profile: ProfileName::new(profile), what: Part::Profiles, failure }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The failures of a list that also has the profile `Good`.
    fn failures(values: &[Value]) -> Vec<String> {
        let office = Profile { name: ProfileName::new("Head office"), tags: Tags::default(), key: None };
        let mut entries = ListEntries::new(&[office]);
        for value in values.iter().chain(&[json!({"name": "Good", "key": "KEY-GOOD"})]) {
            entries
                .add(value.as_object().map(|object| ListEntry::of_object(object.clone())).ok_or("it is not an object"));
        }
        let listed = entries.finish().expect("a list");
        assert_eq!(listed.profiles.last().map(|profile| profile.name.as_str()), Some("Good"), "it stops no other");
        let text = |failed: &FailedProfile| {
            assert_eq!((failed.failure.kind, failed.what), (FailureKind::InvalidEntry, Part::Profiles));
            format!("{}: {}", failed.profile, failed.failure.message)
        };
        listed.failed.iter().map(text).collect()
    }

    #[test]
    fn an_entry_that_cannot_be_used_is_named() {
        let check =
            |value: Value, expected: &[&str]| assert_eq!(failures(std::slice::from_ref(&value)), expected, "{value}");
        check(json!({"name": "A", "key": "KEY", "tags": ["x"], "plan": {"more": [1]}}), &[]);
        check(json!({"name": "A", "key": "KEY", "tags": null}), &[]);
        check(json!({"key": "KEY"}), &["profiles_from[0]: it has no name"]);
        check(json!({"name": null, "key": "KEY"}), &["profiles_from[0]: it has no name"]);
        let not_a_name = "profiles_from[0]: its name is not one line of text of 1 to 200 characters";
        for name in
            [json!(" "), json!("\u{200b}\u{202e}"), json!(7), json!("a\nb"), json!("a\u{0}"), json!("a".repeat(201))]
        {
            check(json!({"name": name, "key": "KEY"}), &[not_a_name]);
        }
        check(json!({"name": "A"}), &["A: it has no key"]);
        check(json!({"name": "A", "key": 5}), &["A: its key is not a text"]);
        check(json!({"name": "A", "key": " "}), &["A: its key is blank"]);
        check(json!({"name": "A", "key": "a b"}), &["A: its key contains a character that keys never contain"]);
        check(json!({"name": "A", "key": "ké"}), &["A: its key contains a character that keys never contain"]);
        check(
            json!({"name": "A", "key": "ssm:/a"}),
            &["A: its key looks like a reference; only the configuration can contain references"],
        );
        let not_tags = "A: its tags are not an array of texts of 1 to 200 characters";
        for tags in [json!("x"), json!([1]), json!([""]), json!({"x": 1})] {
            check(json!({"name": "A", "key": "KEY", "tags": tags}), &[not_tags]);
        }
        check(json!(5), &["profiles_from[0]: it is not an object"]);
        check(json!({"name": "Head office", "key": "KEY"}), &["Head office: another profile has this name"]);
        assert_eq!(
            failures(&[json!({"name": "A", "key": "K1"}), json!({"name": "A", "key": "K2"}), json!({})]),
            ["A: another profile has this name", "profiles_from[2]: it has no name"]
        );
    }

    #[test]
    fn what_has_neither_names_nor_keys_is_another_document() {
        let mut entries = ListEntries::new(&[]);
        entries.add(Ok(ListEntry::of_object(json!({"error": "internal"}).as_object().expect("an object").clone())));
        assert_eq!(entries.finish().expect_err("an error"), "no entry has a `name` or a `key`");
        assert_eq!(ListEntries::new(&[]).finish().map(|listed| listed.profiles.len()), Ok(0));
    }

    #[test]
    fn entries_beyond_the_limits_are_counted_and_never_silent() {
        let entry = |name: String| Ok(ListEntry { name: Some(name.into()), key: Some("KEY".into()), tags: None });
        let mut entries = ListEntries::new(&[]);
        (0..MAX_ENTRIES).for_each(|index| entries.add(entry(format!("Client {index}"))));
        assert!(!entries.is_full());
        entries.add(entry("one more".to_owned()));
        assert!(entries.is_full());
        let listed = entries.finish().expect("a list");
        assert_eq!((listed.profiles.len(), listed.failed.len()), (MAX_ENTRIES, 1));
        assert_eq!(listed.failed[0].failure.kind, FailureKind::BadResponse);
        assert!(listed.failed[0].failure.message.contains("100,000"), "{:?}", listed.failed[0]);

        let mut entries = ListEntries::new(&[]);
        (0..1_500).for_each(|_| entries.add(entry("A".to_owned())));
        let listed = entries.finish().expect("a list");
        assert_eq!((listed.profiles.len(), listed.failed.len()), (1, 1_001));
        assert_eq!(listed.failed[1_000].failure.message, "499 more entries of it cannot be used");
    }
}
