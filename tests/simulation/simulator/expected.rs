//! What a channel must be told at this moment, by definition.
//!
//! This computes it from the world alone, and shares no code with the selection and the digest of the crate.

use media_expiry_alerts::model::Part;

use super::news::{Delivery, NO_EXPIRY, News};
use super::world::{Account, DAY_MS, File, HOUR_MS, Post, Receiver, World, profile_name};

/// The level at which `news` must be told to a channel now. `None` when it must not be told.
pub fn expected_level(world: &World, receiver: &Receiver, news: &News) -> Option<u64> {
    let Some(profile) = news.profile() else {
        let News::Unwatched { ref_id } = news else { return None };
        let is_unwatched = world.unwatched.as_ref().is_some_and(|unwatched| unwatched.contains(ref_id));
        return (receiver.hears_of_all && is_unwatched).then_some(NO_EXPIRY);
    };
    let index = world.account_index(profile);
    if !receiver.accounts.contains(&index) {
        return None;
    }
    let account = &world.accounts[index];
    match news {
        News::File { id, expires_ms, .. } => {
            let file = account.files.iter().find(|file| file.id == *id && file.expires_ms == *expires_ms)?;
            level_of_file(file, world.now_ms, receiver).filter(|_| !account.media_fail)
        }
        News::Post { id, .. } => {
            let post = account.posts.iter().find(|post| post.id == *id)?;
            // A post is at risk because of its file, so both lists must be known.
            level_of_post(post, account, world.now_ms, receiver).filter(|_| account.is_readable())
        }
        // One message about a profile is enough: when its files cannot be read, its posts are not mentioned.
        News::Failing { part, .. } => {
            let is_told = account.fails(*part) && (*part == Part::Media || !account.media_fail);
            is_told.then_some(NO_EXPIRY)
        }
        News::Recovered { part, .. } => (!account.fails(*part)).then_some(NO_EXPIRY),
        News::Resolved { id, .. } => {
            let is_resolved = account.is_readable() && !is_at_risk(world, receiver, account, id);
            is_resolved.then_some(NO_EXPIRY)
        }
        News::Unwatched { .. } => None,
    }
}

/// The all-clear that must follow on a warning by now. `None` while the warning still holds, or cannot be judged.
pub fn expected_all_clear(world: &World, receiver: &Receiver, warning: &Delivery) -> Option<News> {
    let account = &world.accounts[world.account_index(warning.news.profile()?)];
    match &warning.news {
        News::Failing { profile, part } => {
            (!account.fails(*part)).then(|| News::Recovered { profile: profile.clone(), part: *part })
        }
        News::Post { profile, id, .. } if world.now_ms < warning.due_ms? => {
            let is_resolved = account.is_readable() && !is_at_risk(world, receiver, account, id);
            is_resolved.then(|| News::Resolved { profile: profile.clone(), id: id.clone() })
        }
        _ => None,
    }
}

/// Everything in the world that a channel could be warned about.
pub fn possible_warnings(world: &World, receiver: &Receiver) -> Vec<News> {
    let of_account = |index: &usize| warnings_about(&world.accounts[*index], &profile_name(*index));
    let unwatched = world.unwatched.iter().flatten().map(|ref_id| News::Unwatched { ref_id: ref_id.clone() });
    let unwatched = unwatched.filter(|_| receiver.hears_of_all);
    receiver.accounts.iter().flat_map(of_account).chain(unwatched).collect()
}

fn warnings_about(account: &Account, profile: &str) -> Vec<News> {
    let failing = [Part::Media, Part::Posts].map(|part| News::Failing { profile: profile.to_owned(), part });
    let files = account.files.iter().map(|file| News::File {
        profile: profile.to_owned(),
        id: file.id.clone(),
        expires_ms: file.expires_ms,
    });
    let posts = account.posts.iter().map(|post| News::Post {
        profile: profile.to_owned(),
        id: post.id.clone(),
        expires_ms: account.file(&post.file).and_then(|file| file.expires_ms),
    });
    failing.into_iter().chain(files).chain(posts).collect()
}

/// The level at which a file must be announced. `None` while it is not close to its expiry.
fn level_of_file(file: &File, now_ms: i64, receiver: &Receiver) -> Option<u64> {
    match file.expires_ms {
        None => Some(NO_EXPIRY),
        Some(expires_ms) if expires_ms <= now_ms => Some(0),
        Some(expires_ms) => tightest_threshold(expires_ms - now_ms, receiver),
    }
}

/// The level at which a post must be announced. `None` while its file outlives it.
fn level_of_post(post: &Post, account: &Account, now_ms: i64, receiver: &Receiver) -> Option<u64> {
    let Some(file) = account.file(&post.file) else { return Some(0) };
    let expires_ms = file.expires_ms?;
    if expires_ms <= now_ms {
        Some(0)
    } else if expires_ms <= post.due_ms.max(now_ms) + HOUR_MS {
        Some(tightest_threshold(expires_ms - now_ms, receiver).unwrap_or(NO_EXPIRY))
    } else {
        None
    }
}

/// The tightest threshold of the channel that the remaining time has reached, in seconds.
fn tightest_threshold(remaining_ms: i64, receiver: &Receiver) -> Option<u64> {
    let reached = receiver.thresholds_d.iter().filter(|days| remaining_ms <= *days * DAY_MS);
    reached.min().map(|days| days.unsigned_abs() * 86_400)
}

fn is_at_risk(world: &World, receiver: &Receiver, account: &Account, id: &str) -> bool {
    let is_at_risk = |post: &Post| level_of_post(post, account, world.now_ms, receiver).is_some();
    account.posts.iter().any(|post| post.id == id && is_at_risk(post))
}
