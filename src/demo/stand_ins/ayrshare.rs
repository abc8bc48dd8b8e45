//! A stand-in for Ayrshare's API, with galleries and scheduled posts.

use std::collections::HashMap;
use std::io;

use axum::http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::server::{Answer, Reply, Request, Script, Server, Service, Violations};

/// The rate limit for one profile. Ayrshare counts five minutes, which is longer than any test.
const MAX_REQUESTS: usize = 300;
/// The largest number of posts in one answer.
const MAX_POSTS: usize = 1_000;
/// The number of posts in one answer without a `limit`.
const DEFAULT_POSTS: usize = 25;
/// The lifetime of a listed file. Ayrshare documents several lifetimes, so nothing may depend on this one.
const LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);
/// The values of `status` that `GET /history` accepts.
const STATUSES: [&str; 7] = ["success", "error", "processing", "pending", "paused", "deleted", "awaiting approval"];

/// An Ayrshare account.
pub struct Ayrshare {
    api_key: String,
    profiles: HashMap<Option<String>, Profile>,
    requests: HashMap<(Option<String>, Call), usize>,
    /// What Ayrshare finds when it opens these URLs.
    url_statuses: HashMap<String, u16>,
    /// The answers to `GET /profiles`.
    account: Script,
    /// What `GET /user` says about each profile key.
    users: HashMap<Option<String>, Value>,
}

/// A call that the function makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// `GET /media`
    Media,
    /// `POST /media/urlExists`
    UrlExists,
    /// `GET /history`
    History,
    /// `GET /profiles`
    Profiles,
    /// `GET /user`
    User,
}

struct Profile {
    media: Script,
    history: Script,
    /// If set, `GET /history` answers with those posts that match the query, once the list of scripted replies is used up.
    posts: Option<Vec<Value>>,
}

/// A stand-in for Ayrshare's API.
pub type AyrshareStandIn = Server<Ayrshare>;

impl AyrshareStandIn {
    /// Starts a stand-in that accepts this API key and has no profiles yet.
    ///
    /// # Errors
    ///
    /// Fails if no port can be bound.
    pub async fn start(api_key: &str) -> io::Result<Self> {
        let ayrshare = Ayrshare {
            api_key: api_key.to_owned(),
            profiles: HashMap::new(),
            requests: HashMap::new(),
            url_statuses: HashMap::new(),
            account: Script::always(error(403, &json!({"action": "profiles", "message": "Not in your plan."}))),
            users: HashMap::new(),
        };
        Self::serve(ayrshare).await
    }

    /// Replaces the API key. The previous one is no longer accepted.
    pub fn change_api_key(&self, api_key: &str) {
        api_key.clone_into(&mut self.service().api_key);
    }

    /// The base URL of the API.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}/api", self.origin())
    }

    /// Answers every `GET /media` for this profile key with this reply. Without a key, it is the primary profile.
    pub fn media(&self, key: Option<&str>, reply: Reply) {
        self.service().profile(key).media.then(reply);
    }

    /// Sets the gallery of a profile.
    pub fn gallery(&self, key: Option<&str>, files: &[Value]) {
        self.media(key, Reply::json(200, &json!(files)));
    }

    /// Answers the next `GET /media` for a profile with these replies.
    pub fn media_first(&self, key: Option<&str>, replies: impl IntoIterator<Item = Reply>) {
        self.service().profile(key).media.first(replies);
    }

    /// Answers every `GET /history` for a profile with this reply. The default is that there are no posts.
    pub fn history(&self, key: Option<&str>, reply: Reply) {
        self.service().profile(key).history.then(reply);
    }

    /// Answers the next `GET /history` for a profile with these replies.
    pub fn history_first(&self, key: Option<&str>, replies: impl IntoIterator<Item = Reply>) {
        self.service().profile(key).history.first(replies);
    }

    /// Sets the posts of a profile. `GET /history` answers with those that match its query, up to its limit. A client that
    /// wants more posts must query several date ranges.
    pub fn posts(&self, key: Option<&str>, posts: &[Value]) {
        self.service().profile(key).posts = Some(posts.to_vec());
    }

    /// Sets the HTTP status that Ayrshare finds when it opens a URL. The default is 200.
    pub fn url_status(&self, url: &str, status: u16) {
        self.service().url_statuses.insert(url.to_owned(), status);
    }

    /// Sets the list of all profiles that `GET /profiles` answers with. Without it, the plan does not have the list.
    pub fn account(&self, profiles: &[Value]) {
        self.account_reply(Reply::json(200, &json!({"profiles": profiles, "count": profiles.len()})));
    }

    /// Answers every `GET /profiles` with this reply.
    pub fn account_reply(&self, reply: Reply) {
        self.service().account.then(reply);
    }

    /// Answers the next `GET /profiles` with these replies.
    pub fn account_first(&self, replies: impl IntoIterator<Item = Reply>) {
        self.service().account.first(replies);
    }

    /// Sets what `GET /user` says about a profile key. The default is an error.
    pub fn user(&self, key: Option<&str>, title: &str, ref_id: &str) {
        let user = json!({"title": title, "refId": ref_id, "activeSocialAccounts": [], "displayNames": []});
        self.service().users.insert(key.map(ToOwned::to_owned), user);
    }

    /// The number of calls for a profile.
    #[must_use]
    pub fn requests(&self, key: Option<&str>, call: Call) -> usize {
        self.service().requests.get(&(key.map(ToOwned::to_owned), call)).copied().unwrap_or_default()
    }
}

impl Ayrshare {
    fn profile(&mut self, key: Option<&str>) -> &mut Profile {
        self.profiles.entry(key.map(ToOwned::to_owned)).or_insert_with(|| Profile {
            media: Script::always(Reply::json(200, &json!([]))),
            history: Script::always(none()),
            posts: None,
        })
    }

    fn check_key(&self, request: &Request, violations: &mut Violations) -> Result<Option<String>, Reply> {
        request.check_headers(&["authorization", "profile-key", "content-type", "content-length"], violations);
        if request.method == Method::GET && !request.body.is_empty() {
            violations.add(request, "it has a body");
        }
        if request.header("authorization") != Some(&format!("Bearer {}", self.api_key)) {
            violations.add(request, "the API key is missing or wrong");
            let message = "API Key not valid. Please verify your API Key.";
            return Err(error(401, &json!({"action": "authorization", "code": 102, "message": message})));
        }
        match request.header("profile-key") {
            Some(key) if key.trim().is_empty() => {
                violations.add(request, "the profile key is empty, which gives the primary profile's gallery");
                Err(error(400, &json!({"action": "profile", "message": "Profile Key is empty."})))
            }
            key => Ok(key.map(ToOwned::to_owned)),
        }
    }
}

impl Service for Ayrshare {
    fn answer(&mut self, request: &Request, violations: &mut Violations) -> Answer {
        let call = match (&request.method, request.path.as_str()) {
            (&Method::GET, "/api/media") => Call::Media,
            (&Method::GET, "/api/history") => Call::History,
            (&Method::POST, "/api/media/urlExists") => Call::UrlExists,
            (&Method::GET, "/api/profiles") => Call::Profiles,
            (&Method::GET, "/api/user") => Call::User,
            _ => return violations.unknown(request).into(),
        };
        let key = match self.check_key(request, violations) {
            Ok(key) => key,
            Err(reply) => return reply.into(),
        };
        let count = self.requests.entry((key.clone(), call)).or_default();
        *count += 1;
        if *count == MAX_REQUESTS + 1 {
            violations.add(request, "it exceeds the rate limit of a profile");
        }
        let query = match call {
            Call::UrlExists => {
                let url = request.json().and_then(|body| body["mediaUrl"].as_str().map(ToOwned::to_owned));
                let Some(url) = url else {
                    violations.add(request, "`mediaUrl` is missing");
                    return error(400, &json!({"action": "media", "message": "mediaUrl is required."})).into();
                };
                let status = self.url_statuses.get(&url).copied().unwrap_or(200);
                return Reply::json(200, &url_exists(status)).into();
            }
            Call::Profiles => {
                if request.header("profile-key").is_some() {
                    violations.add(request, "it has a profile key");
                }
                if request.query.iter().any(|(name, _)| !["limit", "cursor"].contains(&name.as_str())) {
                    violations.add(request, "its query has more than `limit` and `cursor`");
                }
                return self.account.next_reply().into();
            }
            Call::User => {
                let user = self.users.get(&key).map(|user| Reply::json(200, user));
                return user.unwrap_or_else(|| error(404, &json!({"action": "user"}))).into();
            }
            Call::Media if request.query.is_empty() => None,
            Call::Media => {
                violations.add(request, "it has a query, but none is documented");
                None
            }
            Call::History => match HistoryQuery::of(request) {
                Ok(query) => Some(query),
                Err(what) => {
                    violations.add(request, &what);
                    return error(400, &json!({"action": "history", "message": what})).into();
                }
            },
        };
        // It is not known which code Ayrshare sends. The function uses only the status.
        let Some(profile) = self.profiles.get_mut(&key) else {
            let message = "The profile key is not valid. Please verify your Profile Key.";
            return error(403, &json!({"action": "profile", "code": 31, "message": message})).into();
        };
        match (query, &profile.posts) {
            (None, _) => profile.media.next_reply(),
            (Some(query), Some(posts)) => profile.history.scripted().unwrap_or_else(|| query.answer(posts)),
            (Some(_), None) => profile.history.next_reply(),
        }
        .into()
    }
}

/// What `POST /media/urlExists` says of a URL that answers with this status.
fn url_exists(status: u16) -> Value {
    match status {
        200..=299 => json!({"status": "success", "statusCode": status, "contentType": "image/jpeg"}),
        _ => json!({"status": "error", "statusCode": status, "statusText": "Not OK"}),
    }
}

/// An Ayrshare error.
fn error(http_status: u16, fields: &Value) -> Reply {
    let mut body = json!({"status": "error"});
    for (name, value) in fields.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    Reply::json(http_status, &body)
}

/// Ayrshare's answer if there are no posts.
fn none() -> Reply {
    let message = "History not found.";
    Reply::json(400, &json!({"history": {"action": "history", "status": "error", "code": 221, "message": message}}))
}

/// A profile as `GET /profiles` lists it.
#[must_use]
pub fn account_profile(title: &str, ref_id: &str) -> Value {
    json!({"title": title, "refId": ref_id, "status": "active", "activeSocialAccounts": ["instagram"]})
}

/// A file as `GET /media` lists it. The id, the URL and the size are derived from the account and the name.
#[must_use]
pub fn listed_file(account: &str, name: &str, expires_at: Option<Timestamp>) -> Value {
    let hash = Sha256::digest(format!("{account}/{name}"));
    let seed: [u8; 16] = std::array::from_fn(|index| hash[index]);
    let uuid = uuid::Builder::from_random_bytes(seed).into_uuid();
    let extension = name.rsplit_once('.').map_or("bin", |(_, extension)| extension);
    let size = 40_000 + u32::from(seed[0]) * 65_521;
    json!({
        "id": format!("{uuid}-{extension}"),
        "timeCreated": expires_at.and_then(|at| at.checked_sub(LIFETIME).ok()),
        // Ayrshare sends a string.
        "size": size.to_string(),
        "url": format!("https://images.ayrshare.com/{account}/{uuid}.{extension}"),
        "fileName": name,
        "description": "",
        "expiresAt": expires_at,
    })
}

/// A pending post with these files, as `GET /history` lists it.
#[must_use]
pub fn scheduled_post(id: &str, text: &str, platforms: &[&str], files: &[&Value], due: Timestamp) -> Value {
    let urls: Vec<_> = files.iter().map(|file| &file["url"]).collect();
    json!({
        "id": id,
        "post": text,
        "mediaUrls": urls,
        "platforms": platforms,
        "scheduleDate": due,
        "status": "pending",
        "type": "scheduled",
    })
}

/// The query of `GET /history`.
struct HistoryQuery {
    status: Option<String>,
    dates: Option<(Timestamp, Timestamp)>,
    limit: usize,
}

impl HistoryQuery {
    fn of(request: &Request) -> Result<Self, String> {
        let mut given = HashMap::new();
        for (name, value) in &request.query {
            if given.insert(name.as_str(), value.as_str()).is_some() {
                return Err(format!("`{name}` is given twice"));
            }
        }
        if given.remove("type") != Some("scheduled") {
            return Err("`type` is not `scheduled`, but only scheduled posts are needed".to_owned());
        }
        let status = given.remove("status");
        if let Some(unknown) = status.filter(|status| !STATUSES.contains(status)) {
            return Err(format!("there is no status `{unknown}`"));
        }
        let limit = match given.remove("limit").map(str::parse) {
            None => DEFAULT_POSTS,
            Some(Ok(limit @ 1..=MAX_POSTS)) => limit,
            Some(_) => return Err(format!("`limit` is not a number from 1 to {MAX_POSTS}")),
        };
        let last_days = given.remove("lastDays");
        let date = |text: &str| text.parse::<Timestamp>().map_err(|_| format!("`{text}` is not a date"));
        let dates = match (given.remove("startDate"), given.remove("endDate")) {
            (Some(start), Some(end)) => Some((date(start)?, date(end)?)),
            (None, None) if last_days == Some("0") => None,
            (None, None) => {
                return Err("there is no date range, and the default of 30 days may miss later posts".to_owned());
            }
            _ => return Err("either `startDate` or `endDate` is missing".to_owned()),
        };
        if dates.is_some_and(|(start, end)| end < start) {
            return Err("`endDate` is before `startDate`".to_owned());
        }
        match given.into_keys().next() {
            Some(unknown) => Err(format!("there is no parameter `{unknown}`")),
            None => Ok(Self { status: status.map(ToOwned::to_owned), dates, limit }),
        }
    }

    fn answer(&self, posts: &[Value]) -> Reply {
        let fits = |post: &&Value| {
            self.status.as_ref().is_none_or(|status| post["status"] == **status)
                && self.dates.is_none_or(|(start, end)| {
                    schedule_date(&post["scheduleDate"]).is_some_and(|due| start <= due && due <= end)
                })
        };
        let found: Vec<_> = posts.iter().filter(fits).take(self.limit).collect();
        if found.is_empty() { none() } else { Reply::json(200, &json!({"count": found.len(), "history": found})) }
    }
}

fn schedule_date(value: &Value) -> Option<Timestamp> {
    let text = value.as_str().or_else(|| value["utc"].as_str());
    let seconds = || Timestamp::from_second(value["_seconds"].as_i64()?).ok();
    text.and_then(|text| text.parse().ok()).or_else(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(ayrshare: &AyrshareStandIn, path: &str, key: Option<&str>) -> (u16, Value) {
        let http = crate::net::client().expect("a client");
        let mut request = http.get(format!("{}{path}", ayrshare.base_url())).bearer_auth("KEY");
        if let Some(key) = key {
            request = request.header("Profile-Key", key);
        }
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON"))
    }

    #[tokio::test]
    async fn each_key_has_its_own_gallery() {
        let ayrshare = AyrshareStandIn::start("KEY").await.expect("a port");
        ayrshare.gallery(None, &[json!({"id": "1"})]);
        ayrshare.gallery(Some("A"), &[]);
        assert_eq!(get(&ayrshare, "/media", None).await, (200, json!([{"id": "1"}])));
        assert_eq!(get(&ayrshare, "/media", Some("A")).await, (200, json!([])));
        assert_eq!(get(&ayrshare, "/media", Some("B")).await.0, 403);
        assert_eq!(ayrshare.requests(Some("A"), Call::Media), 1);
        assert_eq!(ayrshare.violations(), [""; 0]);
    }

    #[tokio::test]
    async fn invalid_requests_are_violations() {
        let check = async |path: &str, key: Option<&str>, expected: &str| {
            let ayrshare = AyrshareStandIn::start("KEY").await.expect("a port");
            get(&ayrshare, path, key).await;
            let violations = ayrshare.violations();
            assert!(violations.len() == 1 && violations[0].contains(expected), "{path} {key:?}: {violations:?}");
        };
        check("/media", Some(""), "the profile key is empty").await;
        check("/media?limit=1", None, "it has a query, but none is documented").await;
        check("/history", None, "`type` is not `scheduled`").await;
        check("/history?type=scheduled", None, "the default of 30 days").await;
        check("/history?type=scheduled&lastDays=0&limit=1001", None, "`limit` is not a number").await;
        check("/history?type=scheduled&lastDays=0&status=due", None, "there is no status `due`").await;
        check("/history?type=scheduled&startDate=2026-11-23T00:00:00Z", None, "is missing").await;
    }

    #[tokio::test]
    async fn posts_are_filtered_by_the_query() {
        let ayrshare = AyrshareStandIn::start("KEY").await.expect("a port");
        let post = |id: usize, status: &str, date: Value| json!({"id": id, "status": status, "scheduleDate": date});
        ayrshare.posts(
            None,
            &[
                post(1, "pending", json!("2026-11-24T00:00:00Z")),
                post(2, "paused", json!({"utc": "2026-11-25T00:00:00.000Z"})),
                post(3, "pending", json!({"_seconds": 1_795_564_800, "_nanoseconds": 0})),
                post(4, "success", json!("2026-11-01T00:00:00Z")),
            ],
        );
        let ids = async |query: &str| {
            let (_, body) = get(&ayrshare, &format!("/history?type=scheduled&{query}"), None).await;
            body["history"].as_array().into_iter().flatten().map(|post| post["id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(ids("lastDays=0").await, [1, 2, 3, 4]);
        assert_eq!(ids("lastDays=0&limit=2").await, [1, 2]);
        assert_eq!(ids("lastDays=0&status=pending").await, [1, 3]);
        assert_eq!(ids("startDate=2026-11-25T00:00:00Z&endDate=2026-11-26T00:00:00Z").await, [2, 3]);
        assert_eq!(ids("startDate=2027-11-25T00:00:00Z&endDate=2027-11-26T00:00:00Z").await, [0; 0]);
        assert_eq!(ayrshare.violations(), [""; 0]);
    }
}
