//! Computes what a channel must be sent now.
//!
//! It uses only the state of the world, and shares no code with the selection and the digest of the crate.

use media_expiry_alerts::model::Part;

use super::news::{Delivery, NO_EXPIRY, News};
use super::world::{Account, DAY_MS, File, HOUR_MS, Post, Receiver, UsedFile, World, profile_name};

/// Returns the level at which `news` must be sent to a channel now, or `None` if it must not be sent.
pub fn expected_level(world: &World, receiver: &Receiver, news: &News) -> Option<u64> {
    let Some(profile) = news.profile() else {
        let News::Unwatched { ref_id } = news else { return None };
        let is_unwatched = world.unwatched.as_ref().is_some_and(|unwatched| unwatched.contains(ref_id));
        return (receiver.hears_of_all && is_unwatched && world.narrowed_to.is_none()).then_some(NO_EXPIRY);
    };
    let index = world.account_index(profile);
    if !receiver.accounts.contains(&index) || !world.covers(index) {
        return None;
    }
    let account = &world.accounts[index];
    match news {
        News::File { id, expires_ms, .. } => {
            let file = account.files.iter().find(|file| file.id == *id && file.expires_ms == *expires_ms)?;
            level_of_file(file, world.now_ms, receiver).filter(|_| world.reads_gallery(index))
        }
        News::Post { id, expires_ms, .. } => {
            let post = account.posts.iter().find(|post| post.id == *id).filter(|_| !account.posts_fail)?;
            level_of_post(world, receiver, post).filter(|_| expiry_of_post(world, post) == *expires_ms)
        }
        // If the files of a profile cannot be read, only that is reported and not its posts too.
        News::Failing { part, .. } => {
            let is_reported = account.fails(*part) && (*part == Part::Media || !account.media_fail);
            is_reported.then_some(NO_EXPIRY)
        }
        News::Recovered { part, .. } => (!account.fails(*part)).then_some(NO_EXPIRY),
        News::Resolved { id, .. } => is_seen_to_be_safe(world, account, id).then_some(NO_EXPIRY),
        News::Unwatched { .. } => None,
    }
}

/// The all-clear that must follow on a warning by now. `None` while the warning still holds, or cannot be judged.
pub fn expected_all_clear(world: &World, warning: &Delivery) -> Option<News> {
    let index = world.account_index(warning.news.profile()?);
    let account = Some(&world.accounts[index]).filter(|_| world.covers(index))?;
    match &warning.news {
        News::Failing { profile, part } => {
            (!account.fails(*part)).then(|| News::Recovered { profile: profile.clone(), part: *part })
        }
        News::Post { profile, id, .. } => {
            let is_safe = is_seen_to_be_safe(world, account, id);
            is_safe.then(|| News::Resolved { profile: profile.clone(), id: id.clone() })
        }
        _ => None,
    }
}

/// Returns everything in the world that a channel could be warned about.
pub fn possible_warnings(world: &World, receiver: &Receiver) -> Vec<News> {
    let of_account = |index: &usize| warnings_about(world, *index);
    let unwatched = world.unwatched.iter().flatten().map(|ref_id| News::Unwatched { ref_id: ref_id.clone() });
    let unwatched = unwatched.filter(|_| receiver.hears_of_all);
    receiver.accounts.iter().flat_map(of_account).chain(unwatched).collect()
}

fn warnings_about(world: &World, index: usize) -> Vec<News> {
    let (account, profile) = (&world.accounts[index], profile_name(index));
    let failing = [Part::Media, Part::Posts].map(|part| News::Failing { profile: profile.clone(), part });
    let files = account.files.iter().map(|file| News::File {
        profile: profile.clone(),
        id: file.id.clone(),
        expires_ms: file.expires_ms,
    });
    let posts = account.posts.iter().map(|post| News::Post {
        profile: profile.clone(),
        id: post.id.clone(),
        expires_ms: expiry_of_post(world, post),
    });
    failing.into_iter().chain(files).chain(posts).collect()
}

/// Returns the level at which a file must be announced, or `None` if it is outside of all thresholds.
fn level_of_file(file: &File, now_ms: i64, receiver: &Receiver) -> Option<u64> {
    match file.expires_ms {
        None => Some(NO_EXPIRY),
        Some(expires_ms) if expires_ms <= now_ms => Some(0),
        Some(expires_ms) => tightest_threshold(expires_ms - now_ms, receiver),
    }
}

/// The level at which a post must be announced. `None` while none of its files is known to be missing.
fn level_of_post(world: &World, receiver: &Receiver, post: &Post) -> Option<u64> {
    let level = |risk: Risk| match risk {
        Risk::Gone(_) => 0,
        Risk::Expires(expires_ms) => tightest_threshold(expires_ms - world.now_ms, receiver).unwrap_or(NO_EXPIRY),
    };
    risks(world, post).map(level).min()
}

/// The earliest expiry of the files that a post will lack, as far as a gallery lists them.
fn expiry_of_post(world: &World, post: &Post) -> Option<i64> {
    let expiry = |risk| match risk {
        Risk::Gone(expires_ms) => expires_ms,
        Risk::Expires(expires_ms) => Some(expires_ms),
    };
    risks(world, post).filter_map(expiry).min()
}

/// The posts of the world that lack none of their files, with the name of their profile.
pub fn posts_without_loss(world: &World) -> Vec<(String, String)> {
    let is_lost = |post: &Post| risks(world, post).any(|risk| matches!(risk, Risk::Gone(_)));
    let of_account = |(index, account): (usize, &Account)| {
        let posts = account.posts.iter().filter(|post| !is_lost(post));
        posts.map(|post| (profile_name(index), post.id.clone())).collect::<Vec<_>>()
    };
    world.accounts.iter().enumerate().flat_map(of_account).collect()
}

/// Why a post will lack a file.
enum Risk {
    /// It is gone already. A gallery may still list it, with this expiry.
    Gone(Option<i64>),
    /// It expires before it is needed, at this time.
    Expires(i64),
}

fn risks<'a>(world: &'a World, post: &'a Post) -> impl Iterator<Item = Risk> + 'a {
    post.files.iter().filter_map(|used| {
        let Some(file) = world.file(used) else { return Some(Risk::Gone(None)) };
        let expires_ms = file.expires_ms?;
        match world.reads_gallery(used.account) {
            true if expires_ms <= world.now_ms => Some(Risk::Gone(Some(expires_ms))),
            true => is_too_early(expires_ms, post, world.now_ms).then_some(Risk::Expires(expires_ms)),
            // Ayrshare cannot open it, and its expiry is not known.
            false => (expires_ms <= world.now_ms).then_some(Risk::Gone(None)),
        }
    })
}

fn is_too_early(expires_ms: i64, post: &Post, now_ms: i64) -> bool {
    expires_ms <= post.due_ms.max(now_ms) + HOUR_MS
}

/// Whether a post is scheduled, and a gallery proves of each of its files that it will be there.
fn is_seen_to_be_safe(world: &World, account: &Account, id: &str) -> bool {
    let is_safe = |used: &UsedFile, post: &Post| {
        let expires_ms =
            world.file(used).filter(|_| world.reads_gallery(used.account)).and_then(|file| file.expires_ms);
        expires_ms.is_some_and(|expires_ms| !is_too_early(expires_ms, post, world.now_ms))
    };
    let post = account.posts.iter().find(|post| post.id == *id).filter(|_| !account.posts_fail);
    post.is_some_and(|post| post.files.iter().all(|used| is_safe(used, post)))
}

/// Returns the tightest threshold of the channel that covers the remaining time, in seconds.
fn tightest_threshold(remaining_ms: i64, receiver: &Receiver) -> Option<u64> {
    let reached = receiver.thresholds_d.iter().filter(|days| remaining_ms <= *days * DAY_MS);
    reached.min().map(|days| days.unsigned_abs() * 86_400)
}
