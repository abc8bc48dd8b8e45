//! Computes what a channel must be sent now.
//!
//! It uses only the state of the world, and shares no code with the selection and the digest of the crate.

use media_expiry_alerts::model::Part;

use super::news::{Delivery, NO_EXPIRY, News};
use super::world::{Account, DAY_MS, File, HOUR_MS, Post, Receiver, World, profile_name};

/// Returns the level at which `news` must be sent to a channel now, or `None` if it must not be sent.
pub fn expected_level(world: &World, receiver: &Receiver, news: &News) -> Option<u64> {
    let index = world.account_index(news.profile());
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
            // A post is at risk because of its file, so both lists must be readable.
            level_of_post(post, account, world.now_ms, receiver).filter(|_| account.is_readable())
        }
        // If the files of a profile cannot be read, only that is reported and not its posts too.
        News::Failing { part, .. } => {
            let is_reported = account.fails(*part) && (*part == Part::Media || !account.media_fail);
            is_reported.then_some(NO_EXPIRY)
        }
        News::Recovered { part, .. } => (!account.fails(*part)).then_some(NO_EXPIRY),
        News::Resolved { id, .. } => {
            let is_resolved = account.is_readable() && !is_at_risk(world, receiver, account, id);
            is_resolved.then_some(NO_EXPIRY)
        }
    }
}

/// Returns the all-clear that must have been sent after a warning. `None` if the warning still holds, or if it is unknown
/// whether it does.
pub fn expected_all_clear(world: &World, receiver: &Receiver, warning: &Delivery) -> Option<News> {
    let account = &world.accounts[world.account_index(warning.news.profile())];
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

/// Returns everything in the world that a channel could be warned about.
pub fn possible_warnings(world: &World, receiver: &Receiver) -> Vec<News> {
    let of_account = |index: &usize| warnings_about(&world.accounts[*index], &profile_name(*index));
    receiver.accounts.iter().flat_map(of_account).collect()
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

/// Returns the level at which a file must be announced, or `None` if it is outside of all thresholds.
fn level_of_file(file: &File, now_ms: i64, receiver: &Receiver) -> Option<u64> {
    match file.expires_ms {
        None => Some(NO_EXPIRY),
        Some(expires_ms) if expires_ms <= now_ms => Some(0),
        Some(expires_ms) => tightest_threshold(expires_ms - now_ms, receiver),
    }
}

/// Returns the level at which a post must be announced, or `None` if its file expires later.
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

/// Returns the tightest threshold of the channel that covers the remaining time, in seconds.
fn tightest_threshold(remaining_ms: i64, receiver: &Receiver) -> Option<u64> {
    let reached = receiver.thresholds_d.iter().filter(|days| remaining_ms <= *days * DAY_MS);
    reached.min().map(|days| days.unsigned_abs() * 86_400)
}

fn is_at_risk(world: &World, receiver: &Receiver, account: &Account, id: &str) -> bool {
    let is_at_risk = |post: &Post| level_of_post(post, account, world.now_ms, receiver).is_some();
    account.posts.iter().any(|post| post.id == id && is_at_risk(post))
}
