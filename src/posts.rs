//! Which scheduled posts will fail because of their media. Pure; `now` is an argument.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use url::Url;
use uuid::Uuid;

use crate::model::{Media, MediaAtRisk, PostAtRisk, ProfileName, RiskReason};

/// The host on which Ayrshare serves galleries.
const GALLERY_HOST: &str = "images.ayrshare.com";
/// How long after its due time a post still needs its media: it is fetched while the post is published.
const STILL_NEEDED: SignedDuration = SignedDuration::from_hours(1);

/// A post that is to be published, as far as Ayrshare told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScheduledPost {
    /// Ayrshare's id.
    pub id: Option<String>,
    /// What it says.
    pub text: Option<String>,
    /// Where it is to be published.
    pub platforms: Vec<String>,
    /// When it is due.
    pub scheduled_at: Option<Timestamp>,
    /// The URLs of its media.
    pub media_urls: Vec<String>,
}

/// Where a file is served, in a form in which equal places are equal: the host in small letters, the path decoded,
/// neither query nor fragment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    host: String,
    path: String,
}

impl Place {
    fn parse(url: &str) -> Option<Self> {
        let url = Url::parse(url.trim()).ok()?;
        let host = url.host_str()?.to_ascii_lowercase();
        let host = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let path = percent_decode_str(url.path()).decode_utf8_lossy().into_owned();
        matches!(url.scheme(), "http" | "https").then_some(Self { host, path })
    }

    /// The UUID that the last segment of the path is, but for its extension. A segment with more in it is another file:
    /// a resized one carries the UUID of its original.
    fn uuid(&self) -> Option<Uuid> {
        let segment = self.path.rsplit('/').next()?;
        let stem = segment.split_once('.').map_or(segment, |(stem, _)| stem);
        (stem.len() == 36).then(|| Uuid::try_parse(stem).ok())?
    }
}

/// A file that a gallery lists, as far as posts need to know.
#[derive(Clone, Debug)]
pub struct Listed {
    place: Place,
    id: Option<String>,
    file_name: Option<String>,
    expires_at: Option<Timestamp>,
}

impl Listed {
    /// `None` for a file without a URL that a post could use.
    #[must_use]
    pub fn of(media: &Media) -> Option<Self> {
        let place = Place::parse(media.url.as_deref()?)?;
        Some(Self { place, id: media.id.clone(), file_name: media.file_name.clone(), expires_at: media.expires_at })
    }
}

/// What is known of one profile.
#[derive(Debug)]
pub struct Known<'a> {
    /// The profile.
    pub profile: &'a ProfileName,
    /// What its gallery lists; `None` when it could not be read.
    pub listed: Option<&'a [Listed]>,
    /// Its scheduled posts.
    pub posts: &'a [ScheduledPost],
}

/// The posts that will fail, the earliest first.
///
/// A post is at risk when a file of it expires before the post is due or within an hour after, has expired, or is
/// served where galleries are and in no gallery that was read. The last is never said of a profile whose own gallery
/// could not be read, and nothing is said of files that are served elsewhere.
#[must_use]
pub fn at_risk(known: &[Known<'_>], now: Timestamp) -> Vec<PostAtRisk> {
    let galleries = Galleries::of(known);
    let mut at_risk: Vec<_> = known
        .iter()
        .flat_map(|profile| profile.posts.iter().filter_map(|post| risk_of(post, profile, &galleries, now)))
        .collect();
    at_risk.sort_by_key(|post| post.scheduled_at.unwrap_or(Timestamp::MAX));
    at_risk
}

fn risk_of(post: &ScheduledPost, profile: &Known<'_>, galleries: &Galleries<'_>, now: Timestamp) -> Option<PostAtRisk> {
    let mut seen = HashSet::new();
    let urls = post.media_urls.iter().filter(|url| seen.insert(*url));
    let mut media: Vec<_> = urls.filter_map(|url| media_risk(url, post, profile, galleries, now)).collect();
    if media.is_empty() {
        return None;
    }
    media.sort_by_key(|media| media.expires_at.unwrap_or(Timestamp::MIN));
    Some(PostAtRisk {
        profile: profile.profile.clone(),
        id: post.id.clone(),
        text: post.text.clone(),
        platforms: post.platforms.clone(),
        scheduled_at: post.scheduled_at,
        media,
    })
}

fn media_risk(
    url: &str,
    post: &ScheduledPost,
    profile: &Known<'_>,
    galleries: &Galleries<'_>,
    now: Timestamp,
) -> Option<MediaAtRisk> {
    let place = Place::parse(url)?;
    let Some((owner, listed)) = galleries.find(&place, profile) else {
        let is_gone = profile.listed.is_some() && galleries.hosts.contains(place.host.as_str());
        let reason = RiskReason::AlreadyGone;
        return is_gone.then(|| MediaAtRisk {
            id: None,
            owner: None,
            file_name: None,
            url: url.to_owned(),
            expires_at: None,
            reason,
        });
    };
    let expires_at = listed.expires_at?;
    // A post that is overdue, because it is paused or not yet approved, is due at any moment.
    let due = post.scheduled_at.map(|due| due.max(now));
    let reason = if expires_at <= now {
        RiskReason::AlreadyGone
    } else if due.is_some_and(|due| expires_at.duration_since(due) <= STILL_NEEDED) {
        RiskReason::ExpiresBeforePost
    } else {
        return None;
    };
    Some(MediaAtRisk {
        id: listed.id.clone(),
        owner: Some(owner.clone()),
        file_name: listed.file_name.clone(),
        url: url.to_owned(),
        expires_at: Some(expires_at),
        reason,
    })
}

/// All galleries that were read.
struct Galleries<'a> {
    by_place: HashMap<&'a Place, Vec<(&'a ProfileName, &'a Listed)>>,
    by_uuid: HashMap<Uuid, Vec<(&'a ProfileName, &'a Listed)>>,
    hosts: HashSet<&'a str>,
}

impl<'a> Galleries<'a> {
    fn of(known: &[Known<'a>]) -> Self {
        let mut galleries =
            Self { by_place: HashMap::new(), by_uuid: HashMap::new(), hosts: HashSet::from([GALLERY_HOST]) };
        // Without a post nothing is looked up.
        if known.iter().all(|profile| profile.posts.is_empty()) {
            return galleries;
        }
        for profile in known {
            for listed in profile.listed.unwrap_or_default() {
                galleries.hosts.insert(&listed.place.host);
                galleries.by_place.entry(&listed.place).or_default().push((profile.profile, listed));
                if let Some(uuid) = listed.place.uuid() {
                    galleries.by_uuid.entry(uuid).or_default().push((profile.profile, listed));
                }
            }
        }
        galleries
    }

    /// The file at `place`: by host and path, else by the UUID in its name where the host serves galleries. The
    /// profile's own gallery comes before the others; of several, the one that expires first counts.
    fn find(&self, place: &Place, profile: &Known<'_>) -> Option<(&'a ProfileName, &'a Listed)> {
        let by_uuid = || {
            let uuid = self.hosts.contains(place.host.as_str()).then(|| place.uuid())??;
            self.by_uuid.get(&uuid)
        };
        let found = self.by_place.get(place).or_else(by_uuid)?;
        let first = |(owner, listed): &&(&ProfileName, &Listed)| {
            (*owner != profile.profile, listed.expires_at.unwrap_or(Timestamp::MAX))
        };
        found.iter().min_by_key(first).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "5553a26a-cffb-4a31-bd89-dee296d35648";

    fn now() -> Timestamp {
        "2026-11-23T06:00:00Z".parse().expect("a time")
    }

    fn hours(hours: i64) -> Timestamp {
        now() + SignedDuration::from_hours(hours)
    }

    fn file(url: &str, expires_at: Option<Timestamp>) -> Listed {
        let media = Media { id: Some("file".into()), url: Some(url.into()), expires_at, ..Media::default() };
        Listed::of(&media).expect("a place")
    }

    fn post(url: &str, scheduled_at: Option<Timestamp>) -> ScheduledPost {
        ScheduledPost { media_urls: vec![url.into()], scheduled_at, ..ScheduledPost::default() }
    }

    /// What is said of one post of one profile whose gallery is `listed`.
    fn risk(listed: Option<&[Listed]>, post: ScheduledPost) -> Option<RiskReason> {
        let (profile, posts) = (ProfileName::new("A"), [post]);
        let known = [Known { profile: &profile, listed, posts: &posts }];
        at_risk(&known, now()).first().map(|post| post.media[0].reason)
    }

    fn of_gallery(name: &str) -> String {
        format!("https://images.ayrshare.com/acme/{name}")
    }

    #[test]
    fn a_file_that_expires_before_the_post_or_within_an_hour_after_is_a_risk() {
        let day = 24;
        let listed = [file(&of_gallery("a.jpeg"), Some(hours(20 * day)))];
        let at = |due: Timestamp| risk(Some(&listed), post(&of_gallery("a.jpeg"), Some(due)));
        assert_eq!(at(hours(25 * day)), Some(RiskReason::ExpiresBeforePost));
        assert_eq!(at(hours(20 * day)), Some(RiskReason::ExpiresBeforePost));
        assert_eq!(at(hours(20 * day - 1)), Some(RiskReason::ExpiresBeforePost));
        assert_eq!(at(hours(20 * day - 1) - SignedDuration::from_millis(1)), None);
        assert_eq!(at(hours(20 * day - 2)), None);
        assert_eq!(risk(Some(&listed), post(&of_gallery("a.jpeg"), None)), None);
    }

    #[test]
    fn an_expired_or_missing_file_is_gone_and_an_overdue_post_is_due_now() {
        let at = |expires_in: i64, due_in: i64| {
            let listed = [file(&of_gallery("a.jpeg"), Some(hours(expires_in)))];
            risk(Some(&listed), post(&of_gallery("a.jpeg"), Some(hours(due_in))))
        };
        assert_eq!(at(0, 5), Some(RiskReason::AlreadyGone));
        assert_eq!(at(-5, 5), Some(RiskReason::AlreadyGone));
        assert_eq!(at(1, -48), Some(RiskReason::ExpiresBeforePost));
        assert_eq!(at(2, -48), None);
        let gone = || post(&of_gallery("b.jpeg"), Some(hours(5)));
        assert_eq!(risk(Some(&[]), gone()), Some(RiskReason::AlreadyGone));
        assert_eq!(risk(None, gone()), None, "the gallery was not read");
    }

    #[test]
    fn an_undated_file_is_no_risk() {
        let listed = [file(&of_gallery("a.jpeg"), None)];
        assert_eq!(risk(Some(&listed), post(&of_gallery("a.jpeg"), Some(hours(5)))), None);
    }

    #[test]
    fn a_match_is_found_however_the_url_is_written() {
        let listed = [
            file(&of_gallery(&format!("{UUID}.jpeg")), Some(hours(100))),
            file(&of_gallery("caf%C3%A9 1.png"), Some(hours(100))),
        ];
        let check = |url: &str, is_match: bool| {
            // Due before its file expires: safe where the file is found, gone or unknown where it is not.
            let found = risk(Some(&listed), post(url, Some(hours(200))));
            assert_eq!(found == Some(RiskReason::ExpiresBeforePost), is_match, "{url}: {found:?}");
        };
        check(&of_gallery(&format!("{UUID}.jpeg")), true);
        check(&format!("HTTPS://Images.Ayrshare.com/acme/{UUID}.jpeg?w=1#x"), true);
        check(&format!("https://images.ayrshare.com/%61cme/{UUID}%2Ejpeg"), true);
        check(&of_gallery("café%201.png"), true);
        check(&format!("https://images.ayrshare.com/other/{}.png", UUID.to_uppercase()), true);
        check(&format!("https://media.ayrshare.com/acme/{UUID}.jpeg"), false);
        check(&format!("https://cdn.example.com/acme/{UUID}.jpeg"), false);
        check(&of_gallery(&format!("{UUID}_1080.jpeg")), false);
        check(&of_gallery(&format!("{UUID}.jpeg/other.jpeg")), false);
        check("not a url", false);
    }

    #[test]
    fn nothing_is_said_of_files_that_are_served_elsewhere() {
        for url in ["https://cdn.example.com/a.jpeg", "https://img.ayrshare.com/012/gb.jpg", "data:image/png,x", ""] {
            assert_eq!(risk(Some(&[]), post(url, Some(hours(5)))), None, "{url}");
        }
        let listed = [file("https://files.example.com/a.jpeg", Some(hours(900)))];
        let gone = risk(Some(&listed), post("https://files.example.com/b.jpeg", Some(hours(5))));
        assert_eq!(gone, Some(RiskReason::AlreadyGone), "a gallery that was read is on that host");
    }

    #[test]
    fn a_post_may_use_the_file_of_another_profile() {
        let (a, b) = (ProfileName::new("A"), ProfileName::new("B"));
        let listed = [file(&of_gallery("a.jpeg"), Some(hours(900)))];
        let posts = [post(&of_gallery("a.jpeg"), Some(hours(5)))];
        let known = [
            Known { profile: &a, listed: Some(&listed), posts: &[] },
            Known { profile: &b, listed: Some(&[]), posts: &posts },
        ];
        assert_eq!(at_risk(&known, now()), []);
    }

    #[test]
    fn a_post_names_each_of_its_files_and_the_earliest_post_comes_first() {
        let profile = ProfileName::new("A");
        let listed = [file(&of_gallery("a.jpeg"), Some(hours(9))), file(&of_gallery("b.jpeg"), Some(hours(5)))];
        let media_urls = vec![of_gallery("a.jpeg"), of_gallery("b.jpeg"), of_gallery("c.jpeg")];
        let late = ScheduledPost { media_urls, scheduled_at: Some(hours(20)), ..ScheduledPost::default() };
        let posts = [late, post(&of_gallery("a.jpeg"), Some(hours(10)))];
        let found = at_risk(&[Known { profile: &profile, listed: Some(&listed), posts: &posts }], now());
        assert_eq!(found.iter().map(|post| post.media.len()).collect::<Vec<_>>(), [1, 3]);
        let urls: Vec<_> = found[1].media.iter().map(|media| media.url.rsplit('/').next()).collect();
        assert_eq!(urls, [Some("c.jpeg"), Some("b.jpeg"), Some("a.jpeg")]);
    }
}
