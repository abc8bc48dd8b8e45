//! Galleries of any size that always have the same few due files.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

/// The number of files that are due, over all profiles. They fit into one message per channel, so that no product has to pause
/// between two messages.
pub const DUE: usize = 12;

/// The API key, which every request must contain.
pub const API_KEY: &str = "4C1Q7ZB-9TAM8GE-NV2KX05-WD61LHS";

/// A part of every URL of a file. In galleries that are alike, each profile has another one of the same length.
const ACCOUNT: &str = "8FXK2PQ";

/// The galleries of all profiles.
#[derive(Clone, Debug)]
pub struct Galleries {
    profiles: usize,
    bodies: Bodies,
}

#[derive(Clone, Debug)]
enum Bodies {
    /// One body per profile. Profiles without due files share one body.
    Each(Vec<Bytes>),
    /// One body for all profiles.
    Alike(Bytes),
}

impl Galleries {
    /// Creates galleries of `items` files each, with [`DUE`] due files in total.
    pub fn new(profiles: usize, items: usize, now: Timestamp) -> Self {
        let nothing_due = body(items, &[], now);
        let mut due_in = vec![Vec::new(); profiles];
        for due in 0..DUE {
            due_in[due * profiles / DUE].push(due);
        }
        let body_of = |due: &Vec<usize>| if due.is_empty() { nothing_due.clone() } else { body(items, due, now) };
        Self { profiles, bodies: Bodies::Each(due_in.iter().map(body_of).collect()) }
    }

    /// Creates galleries of `items` files each, of which the first `due` are due.
    pub fn with_many_due(profiles: usize, items: usize, due: usize, now: Timestamp) -> Self {
        let entry = |index: usize| {
            if index < due { (format!("due-{index:02}"), 5 + index * 8) } else { later(index) }
        };
        Self { profiles, bodies: Bodies::Alike(list((0..items).map(entry), now)) }
    }

    /// The number of profiles.
    pub fn profiles(&self) -> usize {
        self.profiles
    }

    /// The gallery of the profile with this key. If posts use its files, their URLs differ from those of other profiles.
    pub fn of(&self, key: &str, with_posts: bool) -> Option<Bytes> {
        let profile = self.profile(key)?;
        let body = match &self.bodies {
            Bodies::Each(bodies) => bodies.get(profile)?,
            Bodies::Alike(body) => body,
        };
        Some(if with_posts { with_account(body, profile) } else { body.clone() })
    }

    /// A history whose posts use the files of the profile with this key.
    pub fn posts_of(&self, key: &str, history: &Bytes) -> Option<Bytes> {
        Some(with_account(history, self.profile(key)?))
    }

    fn profile(&self, key: &str) -> Option<usize> {
        let profile = key.strip_prefix("PROFILE-")?.parse().ok()?;
        (profile < self.profiles).then_some(profile)
    }
}

/// A body whose URLs are those of a profile.
fn with_account(body: &Bytes, profile: usize) -> Bytes {
    let own = format!("P{profile:06}");
    let mut body = body.to_vec();
    let mut rest = body.as_mut_slice();
    while let Some(at) = memchr::memmem::find(rest, ACCOUNT.as_bytes()) {
        rest[at..at + ACCOUNT.len()].copy_from_slice(own.as_bytes());
        rest = &mut rest[at + ACCOUNT.len()..];
    }
    Bytes::from(body)
}

/// The number of scheduled posts of each profile, when posts are checked.
pub const POSTS: usize = 20;

/// The history of every profile: posts that use files of its gallery, which are still there when the posts are due.
pub fn history(now: Timestamp) -> Bytes {
    let post = |index: usize| {
        format!(
            r#"{{"id":"post-{index:04}","post":"Ten stamps, one coffee on us. Pick up the new card at any counter.","platforms":["instagram","facebook"],"mediaUrls":["{}"],"scheduleDate":"{}","status":"pending"}}"#,
            url(index * 7),
            at(now + SignedDuration::from_hours(2)),
        )
    };
    let posts: Vec<_> = (0..POSTS).map(post).collect();
    Bytes::from(format!(r#"{{"count":{POSTS},"history":[{}]}}"#, posts.join(",")))
}

/// The key of a profile.
pub fn key_of(profile: usize) -> String {
    format!("PROFILE-{profile:04}")
}

/// The gallery file names in a text, sorted and without duplicates.
pub fn named_in(text: &str) -> Vec<String> {
    let mut names: Vec<_> = ["due-", "later-"]
        .iter()
        .flat_map(|kind| text.match_indices(kind))
        .map(|(at, _)| text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The names of all files that are due.
pub fn due_names() -> Vec<String> {
    (0..DUE).map(|due| format!("due-{due:02}")).collect()
}

/// A gallery with the fields and the lengths of the documented example. The due files are spread among the others.
fn body(items: usize, due: &[usize], now: Timestamp) -> Bytes {
    let mut due = due.iter().enumerate().map(|(place, due)| (place * items / DUE, *due)).peekable();
    let entry = |index| match due.next_if(|(place, _)| *place == index) {
        Some((_, due)) => (format!("due-{due:02}"), 5 + due * 13),
        None => later(index),
    };
    list((0..items).map(entry), now)
}

/// The name of a file that is not due, and the hours until it expires.
fn later(index: usize) -> (String, usize) {
    (format!("later-{index:04}"), (8 + index % 80) * 24)
}

/// A gallery of files with these names, which expire in so many hours.
fn list(files: impl Iterator<Item = (String, usize)>, now: Timestamp) -> Bytes {
    let mut body = String::from("[");
    for (index, (name, hours)) in files.enumerate() {
        let hours = SignedDuration::from_hours(i64::try_from(hours).unwrap_or_default());
        let created = at(now - SignedDuration::from_hours(24));
        let expires = at(now + hours);
        let (uuid, url) = (uuid(index), url(index));
        if index != 0 {
            body.push(',');
        }
        body += &format!(r#"{{"id":"{uuid}-jpeg","timeCreated":"{created}","size":"{}","#, 200_000 + index * 37);
        body += &format!(r#""url":"{url}","fileName":"{name}.jpeg","#);
        body += &format!(r#""description":"A picture of the autumn campaign","expiresAt":"{expires}"}}"#);
    }
    body.push(']');
    Bytes::from(body)
}

fn uuid(index: usize) -> String {
    format!("{:08x}-cffb-4a31-bd89-dee296d35648", 0x5553_0000 + index)
}

fn url(index: usize) -> String {
    format!("https://images.ayrshare.com/{ACCOUNT}/{}.jpeg", uuid(index))
}

fn at(moment: Timestamp) -> String {
    format!("{moment:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_are_due_for_any_number_of_profiles() {
        for (profiles, items) in [(1, 200), (30, 200), (200, 12), (1_000, 20), (1, 5_000)] {
            let galleries = Galleries::new(profiles, items, Timestamp::now());
            let names: Vec<_> = (0..profiles)
                .filter_map(|profile| galleries.of(&key_of(profile), false))
                .flat_map(|body| named_in(std::str::from_utf8(&body).expect("text")))
                .filter(|name| name.starts_with("due-"))
                .collect();
            assert_eq!(names, due_names(), "{profiles} profiles of {items} items");
        }
        assert!(Galleries::new(1, 200, Timestamp::now()).of("PROFILE-0001", false).is_none());
    }

    #[test]
    fn galleries_that_are_alike_have_urls_of_their_own() {
        let now = Timestamp::now();
        let galleries = Galleries::with_many_due(30, 40, 20, now);
        let text = |profile: usize| {
            let body = galleries.of(&key_of(profile), true).expect("a gallery");
            String::from_utf8(body.to_vec()).expect("text")
        };
        assert_eq!(text(7).matches("/P000007/").count(), 40);
        assert_eq!(text(29).replace("P000029", ACCOUNT), text(7).replace("P000007", ACCOUNT));
        assert_eq!(named_in(&text(7)).iter().filter(|name| name.starts_with("due-")).count(), 20);
        let posts = galleries.posts_of(&key_of(7), &history(now)).expect("posts");
        assert_eq!(String::from_utf8(posts.to_vec()).expect("text").matches("/P000007/").count(), POSTS);
        assert!(galleries.of(&key_of(30), false).is_none());
    }

    #[test]
    fn a_gallery_has_the_given_number_of_files() {
        let gallery = Galleries::new(1, 200, Timestamp::now()).of("PROFILE-0000", false).expect("a gallery");
        let files: Vec<serde_json::Value> = serde_json::from_slice(&gallery).expect("a list");
        assert_eq!(files.len(), 200);
        assert_eq!(files[0]["fileName"], "due-00.jpeg");
        assert_eq!(files[1]["fileName"], "later-0001.jpeg");
        assert!(files[0]["expiresAt"].as_str().is_some_and(|at| at.ends_with('Z') && at.len() == 24));
    }

    #[test]
    fn file_names_are_found_in_a_text() {
        assert_eq!(
            named_in("due-01.jpeg, due-00.jpeg and due-01.jpeg; later-0007.jpeg"),
            ["due-00", "due-01", "later-0007"]
        );
    }
}
