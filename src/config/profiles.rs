//! Validating the profiles, and which of them each channel is alerted about.

use std::collections::HashSet;

use globset::Glob;

use super::Profile;
use super::audience::{Audience, Selection, is_glob};
use super::parse::{NOT_A_GLOB, UniqueNames, api_key};
use super::table::{Table, TextField};
use crate::model::text::{nfc, one_line};
use crate::model::{PROFILES_FROM, ProfileName, Tags};

/// The maximum length of a name or a tag.
pub const MAX_NAME_CHARS: usize = 200;

/// Validates `[[profiles]]`.
pub fn profiles(root: &Table<'_>) -> Option<Vec<Profile>> {
    let mut profiles = Vec::new();
    let mut names = UniqueNames::default();
    let mut primary: Option<String> = None;
    for table in root.tables("profiles") {
        let name = table.required("name", |text| names.add(text));
        let is_primary = table.bool_or("primary", false);
        let key = table.parsed("key", api_key);
        if is_primary && table.has("key") {
            table.fault("key", "the primary profile has no key; set `primary = true` or a key, not both");
        } else if !is_primary && !table.has("key") {
            table.fault("key", "is missing; set the profile's key, or `primary = true` for the primary profile");
        }
        if is_primary && let Some(first) = primary.replace(table.path_of("primary")) {
            table.fault("primary", format!("only one profile can be the primary one, and {first} is set already"));
        }
        let tags = Tags::new(unique(&table, &table.texts("tags").unwrap_or_default(), check_tag));
        table.finish();
        if let Some(name) = name {
            profiles.push(Profile { name: ProfileName::new(&name), tags, key });
        }
    }
    if (!root.has("profiles") || root.is_empty_array("profiles")) && !root.has(PROFILES_FROM) {
        root.fault("profiles", "needs at least one profile");
        return None;
    }
    Some(profiles)
}

/// Validates `profiles` and `tags` of a channel.
///
/// A name or a tag that no profile has is an error, because the channel would not be alerted about it. It is allowed if more
/// profiles are read later.
pub fn audience(table: &Table<'_>, profiles: &[Profile], are_more_read: bool) -> Audience {
    let (entries, tags) = (table.texts("profiles"), table.texts("tags"));
    if entries.is_none() && tags.is_none() {
        return Audience::All;
    }
    for key in ["profiles", "tags"] {
        if table.is_empty_array(key) {
            table.fault(key, "is empty; remove the key, or list at least one entry");
        }
    }
    let exact: HashSet<_> = profiles.iter().map(|profile| nfc(profile.name.as_str())).collect();
    let (mut names, mut globs) = (HashSet::new(), Vec::new());
    let check_entry = |text: &TextField<'_>| {
        let entry = nfc(text.value);
        let glob = is_glob(&entry).then(|| Glob::new(&entry));
        match glob {
            Some(Err(_)) if !exact.contains(&entry) => Err(NOT_A_GLOB.to_owned()),
            None if !are_more_read && !exact.contains(&entry) => Err("there is no profile of this name".to_owned()),
            _ => Ok(()),
        }
    };
    for entry in unique(table, &entries.unwrap_or_default(), check_entry) {
        let entry = nfc(entry).into_owned();
        match Glob::new(&entry) {
            Ok(glob) if is_glob(&entry) => globs.push(glob),
            _ => _ = names.insert(entry),
        }
    }
    let known: HashSet<_> = profiles.iter().flat_map(|profile| profile.tags.iter()).collect();
    let check_tag = |text: &TextField<'_>| {
        check_tag(text)?;
        if are_more_read || known.contains(&*nfc(text.value)) {
            Ok(())
        } else {
            Err("there is no profile with this tag".to_owned())
        }
    };
    let tags = unique(table, &tags.unwrap_or_default(), check_tag).into_iter().map(|tag| nfc(tag).into_owned());
    let selection = Selection::new(names, globs, tags.collect());
    selection.map_or_else(
        |_| {
            table.fault("profiles", "has globs that are too large in total; use fewer or shorter ones");
            Audience::All
        },
        Audience::Some,
    )
}

/// Returns the valid strings of a list in which no string may occur twice.
fn unique<'a>(
    table: &Table<'_>,
    texts: &[TextField<'a>],
    check: impl Fn(&TextField<'a>) -> Result<(), String>,
) -> Vec<&'a str> {
    let mut seen = HashSet::new();
    let mut valid = Vec::new();
    for text in texts {
        match check(text) {
            Err(reason) => table.fault_at(text, reason),
            Ok(()) if !seen.insert(nfc(text.value)) => table.fault_at(text, "is in this list already"),
            Ok(()) => valid.push(text.value),
        }
    }
    valid
}

fn check_tag(text: &TextField<'_>) -> Result<(), String> {
    if is_name(text.value) { Ok(()) } else { Err(format!("must be one line of 1 to {MAX_NAME_CHARS} characters")) }
}

/// Returns whether a text can be the name of a profile, or a tag. Something of it must be visible, because messages show it.
#[must_use]
pub fn is_name(text: &str) -> bool {
    !one_line(text).is_empty() && !text.chars().any(char::is_control) && text.chars().count() <= MAX_NAME_CHARS
}
