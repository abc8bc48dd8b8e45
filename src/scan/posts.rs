//! Finds the scheduled posts that will fail because of their media. Pure: the current time is an argument.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::num::NonZeroU64;
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use url::Url;
use uuid::Uuid;

use crate::model::{File, Item, MediaAtRisk, PostAtRisk, ProfileName, RiskReason, ScheduledPost};

/// The host on which Ayrshare serves galleries.
const GALLERY_HOST: &str = "images.ayrshare.com";
/// How long after its due time a post still needs its media, because the networks fetch it while the post is published.
const STILL_NEEDED: SignedDuration = SignedDuration::from_hours(1);

/// The normalized location of a file: the host in lower case and the decoded path, without query and fragment.
///
/// Two URLs of the same file give equal places.
#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    host: Cow<'a, str>,
    path: Cow<'a, str>,
}

impl<'a> Place<'a> {
    fn parse(url: &'a str) -> Option<Self> {
        Self::of_gallery(url).or_else(|| Self::of_any(url))
    }

    /// The fast path: a gallery URL as Ayrshare writes it, which is normalized already. Nearly every URL is one.
    fn of_gallery(url: &'a str) -> Option<Self> {
        let path = url.strip_prefix("https://")?.strip_prefix(GALLERY_HOST)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_');
        // A segment that begins with a dot may be `..`, which normalization would remove.
        let is_normalized = path.starts_with('/') && path.bytes().all(is_plain) && !path.contains("/.");
        is_normalized.then_some(Self { host: GALLERY_HOST.into(), path: path.into() })
    }

    /// The general path: parses and normalizes any HTTP URL.
    fn of_any(url: &str) -> Option<Self> {
        let url = Url::parse(url.trim()).ok()?;
        let host = url.host_str()?.to_ascii_lowercase();
        let host = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let path = percent_decode_str(url.path()).decode_utf8_lossy().into_owned();
        matches!(url.scheme(), "http" | "https").then_some(Self { host: host.into(), path: path.into() })
    }

    /// The UUID in the last segment of the path, if the segment is nothing but a UUID and an extension.
    ///
    /// A segment with anything else in it is a different file: a resized picture carries the UUID of its original.
    fn uuid(&self) -> Option<Uuid> {
        let segment = self.path.rsplit('/').next()?;
        let stem = segment.split_once('.').map_or(segment, |(stem, _)| stem);
        (stem.len() == 36).then(|| Uuid::try_parse(stem).ok())?
    }

    fn hashed(&self) -> HashedPlace {
        HashedPlace {
            hash: HASHES.hash_one((&self.host, &self.path)),
            uuid: self.uuid().and_then(|uuid| NonZeroU64::new(HASHES.hash_one(uuid))),
        }
    }
}

/// The hasher for [`HashedPlace`]. Its key is random for each process, so no outsider can construct collisions.
static HASHES: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The hashes of a place and of the UUID in it.
///
/// A gallery may list a hundred thousand files, of which posts use only a few. Hashes keep each of them small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct HashedPlace {
    hash: u64,
    uuid: Option<NonZeroU64>,
}

impl HashedPlace {
    fn is_in(self, places: &HashedPlaces) -> bool {
        places.hashes.contains(&self.hash) || self.uuid.is_some_and(|uuid| places.uuids.contains(&uuid))
    }
}

/// The places that posts use.
#[derive(Default)]
struct HashedPlaces {
    hashes: HashSet<u64>,
    uuids: HashSet<NonZeroU64>,
}

impl HashedPlaces {
    fn of<'a>(posts: impl IntoIterator<Item = &'a ScheduledPost>) -> Self {
        let urls = posts.into_iter().flat_map(|post| &post.media_urls);
        let places: Vec<_> = urls.filter_map(|url| Some(Place::parse(url)?.hashed())).collect();
        Self {
            hashes: places.iter().map(|place| place.hash).collect(),
            uuids: places.iter().filter_map(|place| place.uuid).collect(),
        }
    }
}

/// The places of a gallery's files, with the expiry of each file.
#[derive(Clone, Debug, Default)]
pub struct Places {
    hosts: BTreeSet<String>,
    /// The files that posts of the profile use. Before [`Places::drop_unused`], all files.
    files: Vec<Listed>,
    /// The other files, which posts of other profiles may use.
    others: Vec<Other>,
}

/// What is kept of a file that a post of its profile may use.
#[derive(Clone, Debug)]
struct Listed {
    place: HashedPlace,
    expires_at: Option<Timestamp>,
    id: Option<Box<str>>,
    file_name: Option<Box<str>>,
}

/// What is kept of a file that no post of its profile uses: 24 bytes, because there may be a hundred thousand.
#[derive(Clone, Copy, Debug)]
struct Other {
    place: HashedPlace,
    /// The expiry in milliseconds since 1970; [`NEVER`] for a file without one.
    expires_at_ms: i64,
}

/// Later than any [`Timestamp`].
const NEVER: i64 = i64::MAX;

impl Places {
    /// Adds a file. Skips files without a URL, because no post can use them.
    pub fn add(&mut self, file: &impl File) {
        let Some(place) = file.url().and_then(Place::parse) else { return };
        self.files.push(Listed {
            place: place.hashed(),
            expires_at: file.expires_at(),
            id: file.id().map(Into::into),
            file_name: file.file_name().map(Into::into),
        });
        if !self.hosts.contains(&*place.host) {
            self.hosts.insert(place.host.into_owned());
        }
    }

    /// Drops what is no longer needed, to save memory.
    ///
    /// Reduces the files that no post of `profile` uses to [`Other`], and removes the posts that are known to be safe:
    /// those whose files are all in this gallery and live long enough.
    pub fn drop_unused(&mut self, profile: &ProfileName, posts: &mut Vec<ScheduledPost>, now: Timestamp) {
        let used = HashedPlaces::of(&*posts);
        // `retain` works in place, so that a gallery of a hundred thousand files is never held twice.
        let others = &mut self.others;
        self.files.retain(|file| {
            let is_used = file.place.is_in(&used);
            if !is_used {
                let expires_at_ms = file.expires_at.map_or(NEVER, Timestamp::as_millisecond);
                others.push(Other { place: file.place, expires_at_ms });
            }
            is_used
        });
        self.files.shrink_to_fit();
        self.others.shrink_to_fit();

        let here: HashSet<_> = self.files.iter().map(|file| file.place.hash).collect();
        let is_here = |url: &String| Place::parse(url).is_some_and(|place| here.contains(&place.hashed().hash));
        let is_needed = {
            let known = Known { profile, places: Some(&*self), items: &[], posts: &[] };
            let galleries = Galleries::of(&[known], &used);
            let is_needed = |post: &ScheduledPost| {
                !post.media_urls.iter().all(is_here) || risk_of(post, &known, &galleries, now).is_some()
            };
            posts.iter().map(is_needed).collect::<Vec<_>>()
        };
        let mut is_needed = is_needed.into_iter();
        posts.retain(|_| is_needed.next().unwrap_or(true));
        posts.shrink_to_fit();
    }
}

/// What is known about one profile.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The profile.
    pub profile: &'a ProfileName,
    /// What its gallery lists; `None` when it could not be read.
    pub places: Option<&'a Places>,
    /// The files of its gallery that matter to the run.
    pub items: &'a [Item],
    /// Its scheduled posts.
    pub posts: &'a [ScheduledPost],
}

/// Returns the posts that will fail, the earliest first.
///
/// A post is at risk when one of its files
///
/// - has expired,
/// - expires before the post is due or within an hour after that, or
/// - is served from a gallery's host but is in none of the galleries that were read. This is never reported for a
///   profile whose own gallery could not be read.
///
/// Files on other hosts are never reported.
///
/// The id and the name are unknown for a file of another profile that expires after the widest threshold. Only its URL
/// identifies it.
#[must_use]
pub fn at_risk(known: &[Known<'_>], now: Timestamp) -> Vec<PostAtRisk> {
    let used = HashedPlaces::of(known.iter().flat_map(|profile| profile.posts));
    let galleries = Galleries::of(known, &used);
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
    let Some(file) = galleries.find(&place, profile) else {
        let is_gone = profile.places.is_some() && galleries.hosts.contains(&*place.host);
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
    let expires_at = file.expires_at?;
    // An overdue post is paused or not yet approved, so it may be published at any moment.
    let due = post.scheduled_at.map(|due| due.max(now));
    let reason = if expires_at <= now {
        RiskReason::AlreadyGone
    } else if due.is_some_and(|due| expires_at.duration_since(due) <= STILL_NEEDED) {
        RiskReason::ExpiresBeforePost
    } else {
        return None;
    };
    let (id, file_name) = file.names();
    Some(MediaAtRisk {
        id: id.map(ToOwned::to_owned),
        owner: Some(file.owner.profile.clone()),
        file_name: file_name.map(ToOwned::to_owned),
        url: url.to_owned(),
        expires_at: Some(expires_at),
        reason,
    })
}

/// A file of a gallery that a post may use.
struct Used<'a> {
    owner: Known<'a>,
    place: HashedPlace,
    expires_at: Option<Timestamp>,
    listed: Option<&'a Listed>,
}

impl<'a> Used<'a> {
    /// Its id and its name, if they were kept.
    fn names(&self) -> (Option<&'a str>, Option<&'a str>) {
        if let Some(listed) = self.listed {
            return (listed.id.as_deref(), listed.file_name.as_deref());
        }
        let is_this = |item: &&Item| {
            let place = item.media.url.as_deref().and_then(Place::parse);
            place.is_some_and(|place| place.hashed() == self.place)
        };
        let item = self.owner.items.iter().find(is_this);
        item.map_or((None, None), |item| (item.media.id.as_deref(), item.media.file_name.as_deref()))
    }
}

/// An index of the files that posts may use, over all galleries that were read.
struct Galleries<'a> {
    files: Vec<Used<'a>>,
    by_place: HashMap<u64, Vec<usize>>,
    by_uuid: HashMap<NonZeroU64, Vec<usize>>,
    hosts: HashSet<&'a str>,
}

impl<'a> Galleries<'a> {
    fn of(known: &[Known<'a>], used: &HashedPlaces) -> Self {
        let read = || known.iter().filter_map(|owner| Some((*owner, owner.places?)));
        let files = read().flat_map(|(owner, places)| {
            let files = places.files.iter().map(move |file| Used {
                owner,
                place: file.place,
                expires_at: file.expires_at,
                listed: Some(file),
            });
            let others = places.others.iter().filter(|other| other.place.is_in(used)).map(move |other| Used {
                owner,
                place: other.place,
                expires_at: Timestamp::from_millisecond(other.expires_at_ms).ok(),
                listed: None,
            });
            files.chain(others)
        });
        let files: Vec<_> = files.collect();
        let mut by_place: HashMap<_, Vec<_>> = HashMap::new();
        let mut by_uuid: HashMap<_, Vec<_>> = HashMap::new();
        for (index, Used { place, .. }) in files.iter().enumerate() {
            by_place.entry(place.hash).or_default().push(index);
            if let Some(uuid) = place.uuid {
                by_uuid.entry(uuid).or_default().push(index);
            }
        }
        let hosts = read().flat_map(|(_, places)| &places.hosts).map(String::as_str).chain([GALLERY_HOST]).collect();
        Self { files, by_place, by_uuid, hosts }
    }

    /// Finds the file at `place`: by host and path, or else by the UUID in its name if the host serves galleries.
    ///
    /// When several files match, prefers the profile's own gallery, then the file that expires first.
    fn find(&self, place: &Place<'_>, profile: &Known<'_>) -> Option<&Used<'a>> {
        let HashedPlace { hash, uuid } = place.hashed();
        let by_uuid = || {
            let uuid = uuid.filter(|_| self.hosts.contains(&*place.host))?;
            self.by_uuid.get(&uuid)
        };
        let found = self.by_place.get(&hash).or_else(by_uuid)?.iter().map(|index| &self.files[*index]);
        found.min_by_key(|file| (file.owner.profile != profile.profile, file.expires_at.unwrap_or(Timestamp::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Media, State};

    const UUID: &str = "5553a26a-cffb-4a31-bd89-dee296d35648";

    fn now() -> Timestamp {
        "2026-11-23T06:00:00Z".parse().expect("a time")
    }

    fn hours(hours: i64) -> Timestamp {
        now() + SignedDuration::from_hours(hours)
    }

    fn file(url: &str, expires_at: Option<Timestamp>) -> Media {
        let end = url.rsplit('/').next().map(ToOwned::to_owned);
        Media { id: end.clone(), file_name: end, url: Some(url.into()), expires_at, ..Media::default() }
    }

    fn places(files: &[Media]) -> Places {
        let mut places = Places::default();
        for file in files {
            places.add(&file);
        }
        places
    }

    fn post(url: &str, scheduled_at: Option<Timestamp>) -> ScheduledPost {
        ScheduledPost { media_urls: vec![url.into()], scheduled_at, ..ScheduledPost::default() }
    }

    type Profile = (ProfileName, Option<Places>, Vec<ScheduledPost>);

    fn profile(name: &str, files: Option<&[Media]>, posts: &[ScheduledPost]) -> Profile {
        (ProfileName::new(name), files.map(places), posts.to_vec())
    }

    /// The posts at risk. Checks that [`Places::drop_unused`] does not change them.
    fn all_at_risk(mut profiles: Vec<Profile>, items: &[Item]) -> Vec<PostAtRisk> {
        let found = |profiles: &[Profile]| {
            let known = profiles.iter().map(|(profile, places, posts)| Known {
                profile,
                places: places.as_ref(),
                items,
                posts,
            });
            at_risk(&known.collect::<Vec<_>>(), now())
        };
        let before = found(&profiles);
        for (profile, places, posts) in &mut profiles {
            if let Some(places) = places {
                places.drop_unused(profile, posts, now());
            }
        }
        let after = found(&profiles);
        let reasons = |posts: &[PostAtRisk]| -> Vec<_> {
            let media = posts.iter().flat_map(|post| &post.media);
            media.map(|media| (media.url.clone(), media.reason, media.expires_at, media.owner.clone())).collect()
        };
        assert_eq!(reasons(&before), reasons(&after));
        after
    }

    /// The risk of one post of a profile whose gallery is `listed`.
    fn risk(listed: Option<&[Media]>, post: ScheduledPost) -> Option<RiskReason> {
        all_at_risk(vec![profile("A", listed, &[post])], &[]).first().map(|post| post.media[0].reason)
    }

    fn of_gallery(name: &str) -> String {
        format!("https://images.ayrshare.com/acme/{name}")
    }

    #[test]
    fn a_file_that_expires_before_the_post_or_up_to_an_hour_later_is_a_risk() {
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
    fn a_file_is_matched_by_equivalent_urls() {
        let listed = [
            file(&of_gallery(&format!("{UUID}.jpeg")), Some(hours(100))),
            file(&of_gallery("caf%C3%A9 1.png"), Some(hours(100))),
        ];
        let check = |url: &str, is_match: bool| {
            // The post is due after the file expires. A file that is not found is reported as gone, or not at all.
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

    proptest! {
        #[test]
        fn the_fast_path_gives_the_same_place_as_the_general_path(
            url in "https://images\\.ayrshare\\.com[/.a-zA-Z0-9_%?#: -]{0,12}(/\\.{0,2}[a-z.]{0,3}){0,4}",
        ) {
            if let Some(place) = Place::of_gallery(&url) {
                prop_assert_eq!(Some(place), Place::of_any(&url));
            }
        }
    }

    #[test]
    fn files_on_other_hosts_are_not_reported() {
        for url in ["https://cdn.example.com/a.jpeg", "https://img.ayrshare.com/012/gb.jpg", "data:image/png,x", ""] {
            assert_eq!(risk(Some(&[]), post(url, Some(hours(5)))), None, "{url}");
        }
        let listed = [file("https://files.example.com/a.jpeg", Some(hours(900)))];
        let gone = risk(Some(&listed), post("https://files.example.com/b.jpeg", Some(hours(5))));
        assert_eq!(gone, Some(RiskReason::AlreadyGone), "a gallery that was read is served from that host");
    }

    #[test]
    fn a_post_may_use_the_file_of_another_profile() {
        let listed = [file(&of_gallery("a.jpeg"), Some(hours(900))), file(&of_gallery("b.jpeg"), Some(hours(9)))];
        let uses = |name: &str, due: i64| [post(&of_gallery(name), Some(hours(due)))];
        let found = |posts: &[ScheduledPost], items: &[Item]| {
            let profiles = vec![profile("A", Some(&listed), &[]), profile("B", Some(&[]), posts)];
            all_at_risk(profiles, items).pop().map(|post| post.media[0].clone())
        };
        assert_eq!(found(&uses("a.jpeg", 5), &[]), None);

        let far = found(&uses("b.jpeg", 20), &[]).expect("a risk");
        assert_eq!((far.owner, far.id, far.reason), (Some(ProfileName::new("A")), None, RiskReason::ExpiresBeforePost));
        assert_eq!(far.expires_at, Some(hours(9)));

        let owner = ProfileName::new("A");
        let near = Item { profile: owner, media: listed[1].clone(), state: State::Expiring, threshold: None };
        let near = found(&uses("b.jpeg", 20), &[near]).expect("a risk");
        assert_eq!((near.id.as_deref(), near.file_name.as_deref()), (Some("b.jpeg"), Some("b.jpeg")));
    }

    #[test]
    fn an_exact_place_beats_a_uuid_and_the_own_gallery_beats_others() {
        let (jpeg, png) = (of_gallery(&format!("{UUID}.jpeg")), of_gallery(&format!("{UUID}.png")));
        let own = [file(&png, Some(hours(4))), file(&jpeg, Some(hours(900)))];
        assert_eq!(risk(Some(&own), post(&jpeg, Some(hours(50)))), None);
        assert!(risk(Some(&own[..1]), post(&jpeg, Some(hours(50)))).is_some());

        let other = [file(&jpeg, Some(hours(4)))];
        let found = |own: &[Media], due: i64| {
            let posts = [post(&jpeg, Some(hours(due)))];
            all_at_risk(vec![profile("B", Some(&other), &[]), profile("A", Some(own), &posts)], &[]).len()
        };
        assert_eq!((found(&own[1..], 50), found(&[], 50), found(&[], 1)), (0, 1, 0));
    }

    #[test]
    fn unused_files_keep_only_their_place_and_safe_posts_are_dropped() {
        let files: Vec<_> = (0..100).map(|index| file(&of_gallery(&format!("{index}.png")), Some(hours(90)))).collect();
        let uses = |names: &[&str], due: i64| ScheduledPost {
            media_urls: names.iter().map(|name| of_gallery(name)).collect(),
            scheduled_at: Some(hours(due)),
            ..ScheduledPost::default()
        };
        let posts = [uses(&["1.png", "2.png"], 5), uses(&["3.png"], 95), uses(&["4.png", "other.png"], 5)];
        let (name, places, mut posts) = profile("A", Some(&files), &posts);
        let mut places = places.expect("a gallery");
        places.drop_unused(&name, &mut posts, now());
        assert_eq!((places.files.len(), places.others.len(), posts.len()), (4, 96, 2));
        assert_eq!(size_of::<Other>(), 24);
    }

    #[test]
    fn a_post_lists_all_its_files_at_risk_and_the_earliest_post_comes_first() {
        let listed = [file(&of_gallery("a.jpeg"), Some(hours(9))), file(&of_gallery("b.jpeg"), Some(hours(5)))];
        let media_urls = vec![of_gallery("a.jpeg"), of_gallery("b.jpeg"), of_gallery("c.jpeg")];
        let late = ScheduledPost { media_urls, scheduled_at: Some(hours(20)), ..ScheduledPost::default() };
        let posts = [late, post(&of_gallery("a.jpeg"), Some(hours(10)))];
        let found = all_at_risk(vec![profile("A", Some(&listed), &posts)], &[]);
        assert_eq!(found.iter().map(|post| post.media.len()).collect::<Vec<_>>(), [1, 3]);
        let urls: Vec<_> = found[1].media.iter().map(|media| media.url.rsplit('/').next()).collect();
        assert_eq!(urls, [Some("c.jpeg"), Some("b.jpeg"), Some("a.jpeg")]);
        assert_eq!(found[0].media[0].id.as_deref(), Some("a.jpeg"));
    }
}
