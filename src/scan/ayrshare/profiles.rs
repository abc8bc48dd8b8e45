//! `GET /profiles`, the profiles of the account, and `GET /user`, the profile that a key belongs to.

use std::collections::HashSet;

use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::list::{ListReader, is_incomplete};
use super::{Attempt, Ayrshare, MAX_OTHER_BODY, error_bodies, is_empty_list, json_of, replace_unpaired_surrogates};
use crate::model::text::shorten;
use crate::model::{AyrshareProfile, Failure, FailureKind};
use crate::net::{self, Deadline, Slot};

/// The most profiles of an account that are compared.
const MAX_PROFILES: usize = 100_000;
/// The most pages that are read. A page of Ayrshare's has up to 5,000 profiles.
const MAX_PAGES: usize = 200;
/// The longest title that is kept, in characters. The names that it is compared with have at most 200.
const MAX_TITLE_CHARS: usize = 300;
/// The longest `refId` that is kept. Ayrshare's have 40 characters.
const MAX_REF_ID_BYTES: usize = 200;

/// A part of the list of profiles.
#[derive(Debug, Default)]
struct ProfilesPage {
    profiles: Vec<AyrshareProfile>,
    next_cursor: Option<String>,
}

impl Ayrshare<'_> {
    /// Reads the list of all profiles of the account. Ayrshare leaves the primary profile out.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] when any page could not be read, because an incomplete list must not be used as a complete one.
    pub async fn profiles(&self, deadline: Deadline) -> Result<Vec<AyrshareProfile>, Failure> {
        let mut found = Vec::new();
        let mut cursors = HashSet::new();
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let page = self.page_of_profiles(cursor.as_deref(), deadline).await?;
            found.extend(page.profiles);
            if MAX_PROFILES < found.len() {
                return Err(endless(&format!("it lists more than {MAX_PROFILES} profiles")));
            }
            let Some(next) = page.next_cursor else { return Ok(found) };
            if !cursors.insert(next.clone()) {
                return Err(endless("its pages repeat themselves"));
            }
            cursor = Some(next);
        }
        Err(endless(&format!("it has more than {MAX_PAGES} pages")))
    }

    async fn page_of_profiles(&self, cursor: Option<&str>, deadline: Deadline) -> Result<ProfilesPage, Failure> {
        let query: Vec<_> = cursor.map(|cursor| ("cursor", cursor)).into_iter().collect();
        let attempt = || async {
            let mut page = ProfilesPage::default();
            let mut reader = ListReader::of_member("profiles", "profile");
            let mut add = |json: &str| profile(json, |profile| page.add(profile));
            let mut take = error_bodies(|piece: &[u8]| reader.take(piece, &mut add));
            let answer = self.get("profiles", &query, None, deadline, &mut take).await?;
            drop(take);
            if is_empty_list(&answer) {
                return Ok(page);
            }
            let others = self.end_of_list(answer, reader, add, "list of profiles")?;
            page.next_cursor = next_cursor(&others).map_err(|()| Attempt::never(endless("it has no next page")))?;
            Ok(page)
        };
        let retry = |attempt: &Attempt| attempt.retry;
        self.slots.retrying(None, self.max_retries, deadline, attempt, retry).await.map_err(|attempt| attempt.failure)
    }

    /// Asks which profile a key belongs to; without a key, it is the primary profile. `None` if Ayrshare does not say.
    pub async fn user(
        &self,
        profile_key: Option<&SecretString>,
        slot: Slot<'_>,
        deadline: Deadline,
    ) -> Option<AyrshareProfile> {
        let attempt = || async {
            let request = self.request(Method::GET, "user", &[], profile_key);
            let answer = net::send(request, self.timeout, deadline, MAX_OTHER_BODY)
                .await
                .map_err(|error| Attempt::unanswered(&error, "GET /user"))?;
            match json_of(&answer) {
                Some(Value::Object(user)) if answer.status == StatusCode::OK && !is_error(&user) => {
                    Ok(profile_of(&user))
                }
                _ => self.reject_error(&answer).map(|()| AyrshareProfile::default()),
            }
        };
        let retry = |attempt: &Attempt| attempt.retry;
        self.slots.retrying(Some(slot), self.max_retries, deadline, attempt, retry).await.ok()
    }
}

impl ProfilesPage {
    fn add(&mut self, profile: AyrshareProfile) {
        // One more than the limit is enough to tell that it is exceeded.
        if self.profiles.len() <= MAX_PROFILES {
            self.profiles.push(profile);
        }
    }
}

fn endless(reason: &str) -> Failure {
    let message = format!("Ayrshare's answer is no list of profiles: {reason}");
    Failure { kind: FailureKind::BadResponse, http_status: Some(200), code: None, message }
}

fn is_error(object: &Map<String, Value>) -> bool {
    object.get("status").is_some_and(|status| status == "error")
}

/// Returns the cursor of the next page; `None` on the last page.
///
/// Fails when there must be another page and its cursor is missing.
pub(super) fn next_cursor(page: &Map<String, Value>) -> Result<Option<String>, ()> {
    let Some(Value::Object(pagination)) = page.get("pagination") else { return Ok(None) };
    let cursor = pagination.get("nextCursor").and_then(text);
    match pagination.get("hasMore") {
        Some(Value::Bool(false)) => Ok(None),
        Some(Value::Bool(true)) => cursor.map(Some).ok_or(()),
        _ => Ok(cursor),
    }
}

/// Reads the profile that `json` begins with, and returns how long it is; `None` when it is not whole.
///
/// # Errors
///
/// Fails when the text begins with no object.
pub(super) fn profile(json: &str, mut each: impl FnMut(AyrshareProfile)) -> serde_json::Result<Option<usize>> {
    let mut raw = serde_json::Deserializer::from_str(json).into_iter::<&RawValue>();
    let raw_profile = match raw.next() {
        Some(Ok(raw)) => raw.get(),
        Some(Err(error)) if !is_incomplete(&error, json) => return Err(error),
        Some(Err(_)) | None => return Ok(None),
    };
    let fields = serde_json::from_str(raw_profile).or_else(|error| {
        let mended = replace_unpaired_surrogates(raw_profile.as_bytes()).ok_or(error)?;
        serde_json::from_slice(&mended)
    })?;
    each(profile_of(&fields));
    Ok(Some(raw.byte_offset()))
}

/// Interprets the fields of a profile. A field of another type than the documented one counts as missing.
fn profile_of(fields: &Map<String, Value>) -> AyrshareProfile {
    let title = ["title", "displayTitle"].iter().find_map(|name| text(fields.get(*name)?));
    AyrshareProfile { title: title.map(|title| shorten(&title, MAX_TITLE_CHARS).into_owned()), ref_id: ref_id(fields) }
}

/// Reads the `refId` of an answer.
pub(super) fn ref_id(fields: &Map<String, Value>) -> Option<String> {
    text(fields.get("refId")?).filter(|ref_id| ref_id.len() <= MAX_REF_ID_BYTES)
}

/// Reads a text, or a number as text, without the blanks around it. Whatever is blank or of another type is missing.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) if number.is_u64() => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(json: &str) -> (Option<String>, Option<String>) {
        let mut found = None;
        assert_eq!(profile(json, |profile| found = Some(profile)).expect("a profile"), Some(json.len()));
        let AyrshareProfile { title, ref_id } = found.expect("a profile");
        (title, ref_id)
    }

    fn some(title: &str, ref_id: &str) -> (Option<String>, Option<String>) {
        (Some(title.to_owned()), Some(ref_id.to_owned()))
    }

    #[test]
    fn the_documented_fields_are_read() {
        let json = r#"{"activeSocialAccounts":["tiktok"],"created":{"_seconds":1736500428},"refId":"16e9","title":"C34",
            "displayTitle":"Other","status":"suspended","suspended":true}"#;
        assert_eq!(one(json), some("C34", "16e9"));
        assert_eq!(one(r#"{"refId":7,"title":" Acme\n"}"#), some("Acme", "7"));
        assert_eq!(one(r#"{"refId":"r","title":null,"displayTitle":"Acme"}"#), some("Acme", "r"));
        assert_eq!(one(r#"{"refId":"r","title":"half \ud83d"}"#), some("half \u{fffd}", "r"));
    }

    #[test]
    fn what_is_blank_of_another_type_or_too_long_is_missing_or_cut() {
        for odd in [r"{}", r#"{"title":" ","refId":null}"#, r#"{"title":["a"],"refId":{"a":1}}"#, r#"{"refId":-1}"#] {
            assert_eq!(one(odd), (None, None), "{odd}");
        }
        let (title, ref_id) = one(&format!(r#"{{"title":"{0}","refId":"{0}"}}"#, "<b>".repeat(5_000)));
        assert_eq!((title.map(|title| title.chars().count()), ref_id), (Some(MAX_TITLE_CHARS), None));
        for wrong in ["[]", "1", "null", r#""a""#] {
            assert!(profile(wrong, |_| {}).is_err(), "{wrong}");
        }
        for incomplete in [r#"{"title":"#, r#"{"n":-"#, r#"{"n":1."#, r#"{"n":1e+"#] {
            assert!(matches!(profile(incomplete, |_| {}), Ok(None)), "{incomplete}");
        }
    }

    #[test]
    fn a_page_says_whether_there_is_another() {
        let check = |page: &str, expected: Result<Option<&str>, ()>| {
            let page = serde_json::from_str(page).expect("JSON");
            assert_eq!(next_cursor(&page), expected.map(|cursor| cursor.map(ToOwned::to_owned)), "{page:?}");
        };
        check(r#"{"count":2}"#, Ok(None));
        check(r#"{"pagination":null}"#, Ok(None));
        check(r#"{"pagination":{"hasMore":false,"nextCursor":"c","limit":5000}}"#, Ok(None));
        check(r#"{"pagination":{"hasMore":true,"nextCursor":"c"}}"#, Ok(Some("c")));
        check(r#"{"pagination":{"hasMore":true,"nextCursor":17}}"#, Ok(Some("17")));
        check(r#"{"pagination":{"nextCursor":"c"}}"#, Ok(Some("c")));
        check(r#"{"pagination":{"hasMore":true,"nextCursor":null}}"#, Err(()));
        check(r#"{"pagination":{"hasMore":true}}"#, Err(()));
    }
}
