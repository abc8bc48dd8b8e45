//! Computes what a channel must be sent now.
//!
//! It uses only the state of the world, and shares no code with the selection and the digest of the crate.

use std::collections::BTreeSet;

use media_expiry_alerts::model::{Part, Status};

use super::links::{Link, LinkKind};
use super::listing::{LIST_NAME, ProfileList};
use super::news::{NO_EXPIRY, News};
use super::world::{Account, DAY_MS, File, HOUR_MS, Post, Receiver, UsedFile, World, profile_name};

/// Returns the level at which `news` must be sent to a channel now, or `None` if it must not be sent.
pub fn expected_level(world: &World, receiver: &Receiver, news: &News) -> Option<u64> {
    match news {
        News::Unwatched { ref_id } => {
            let unwatched = world.unwatched.as_ref().filter(|_| receiver.hears_of_all && compares_profiles(world))?;
            return unwatched.contains(ref_id).then_some(NO_EXPIRY);
        }
        News::Failing { profile, part: Part::Profiles } => {
            return fails_to_list(world, receiver, profile).then_some(NO_EXPIRY);
        }
        News::Recovered { profile, part: Part::Profiles } => return lists_again(world, profile).then_some(NO_EXPIRY),
        _ => {}
    }
    let profile = news.profile()?;
    let index = world.account_index(profile);
    if !receiver.accounts.contains(&index) || !world.covers(index) {
        return None;
    }
    let account = &world.accounts[index];
    match news {
        News::File { id, expires_ms, .. } => {
            let file = account.files.iter().find(|file| file.id == *id && file.stated_expiry_ms() == *expires_ms)?;
            level_of_file(file, world.now_ms, receiver).filter(|_| world.reads_gallery(index))
        }
        News::Post { id, expires_ms, .. } => {
            let post = account.readable_posts().find(|post| post.id == *id)?;
            level_of_post(world, receiver, post).filter(|_| expiry_of_post(world, post) == *expires_ms)
        }
        // If the files of a profile cannot be read, only that is reported and not its posts too.
        News::Failing { part, .. } => {
            let is_reported = !account.is_sound(*part) && (*part == Part::Media || !account.media_fail);
            is_reported.then_some(NO_EXPIRY)
        }
        News::Recovered { part, .. } => account.is_sound(*part).then_some(NO_EXPIRY),
        News::Resolved { id, .. } => is_seen_to_be_safe(world, account, id).then_some(NO_EXPIRY),
        News::Unwatched { .. } => None,
    }
}

/// Whether the run compares the profiles of the account with those that it knows.
fn compares_profiles(world: &World) -> bool {
    world.narrowed_to.is_none() && world.knows_all_profiles()
}

/// Whether a channel must hear that the list of profiles, or an entry of this name, cannot be used.
fn fails_to_list(world: &World, receiver: &Receiver, name: &str) -> bool {
    let Some(list) = &world.list else { return false };
    if name == LIST_NAME {
        return !list.is_readable && world.may_hear_of_listed(receiver);
    }
    let concerns = |receiver: &Receiver| {
        receiver.hears_of_all || receiver.accounts.iter().any(|account| profile_name(*account) == name)
    };
    let nobody_is_concerned = !world.receivers.iter().any(concerns);
    let is_told = concerns(receiver) || nobody_is_concerned && world.may_hear_of_listed(receiver);
    world.narrowed_to.is_none() && is_told && list.invalid().any(|invalid| invalid == name)
}

/// Whether the list was read, and has no entry of this name that cannot be used.
fn lists_again(world: &World, name: &str) -> bool {
    let has_invalid = |list: &ProfileList| list.invalid().any(|invalid| invalid == name);
    world.narrowed_to.is_none() && world.list.as_ref().is_some_and(|list| list.is_readable && !has_invalid(list))
}

/// The all-clear that must follow on a warning by now. `None` while the warning still holds, or cannot be judged.
pub fn expected_all_clear(world: &World, warning: &News) -> Option<News> {
    let account = |profile: &str| {
        let index = world.account_index(profile);
        world.covers(index).then(|| &world.accounts[index])
    };
    match warning {
        News::Failing { profile, part } => {
            let has_recovered = match part {
                Part::Profiles => lists_again(world, profile),
                _ => account(profile)?.is_sound(*part),
            };
            has_recovered.then(|| News::Recovered { profile: profile.clone(), part: *part })
        }
        News::Post { profile, id, .. } => {
            let is_safe = is_seen_to_be_safe(world, account(profile)?, id);
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
    let unlisted = world.list.iter().flat_map(ProfileList::invalid).map(String::as_str).chain([LIST_NAME]);
    let unlisted = unlisted.map(|name| News::Failing { profile: name.to_owned(), part: Part::Profiles });
    receiver.accounts.iter().flat_map(of_account).chain(unwatched).chain(unlisted).collect()
}

fn warnings_about(world: &World, index: usize) -> Vec<News> {
    let (account, profile) = (&world.accounts[index], profile_name(index));
    let failing = [Part::Media, Part::Dates, Part::Posts].map(|part| News::Failing { profile: profile.clone(), part });
    let files = account.files.iter().map(|file| News::File {
        profile: profile.clone(),
        id: file.id.clone(),
        expires_ms: file.stated_expiry_ms(),
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
    match file.stated_expiry_ms() {
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

/// The earliest expiry of the files that a post will lack, as far as a gallery or a URL states it.
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

/// The URLs of posts of which nobody knows whether they can be opened, with the status that Ayrshare's check gives.
pub fn unverified_urls(world: &World) -> BTreeSet<(String, Option<u16>)> {
    let covered =
        world.accounts.iter().enumerate().filter(|(index, _)| world.covers(*index)).map(|(_, account)| account);
    let posts = covered.flat_map(Account::readable_posts);
    let unverified = |link: &Link| match link.kind {
        LinkKind::Checked { status } if !proves_something(status) => Some((link.url(), status)),
        LinkKind::Checked { .. } | LinkKind::Presigned { .. } => None,
    };
    posts.flat_map(|post| &post.links).filter_map(unverified).collect()
}

/// Whether a status says that a URL can be opened, or that there is nothing.
fn proves_something(status: Option<u16>) -> bool {
    is_success(status) || matches!(status, Some(404 | 410))
}

fn is_success(status: Option<u16>) -> bool {
    status.is_some_and(|status| (200..300).contains(&status))
}

/// The status of a run whose ledger and channels have not failed.
pub fn expected_status(world: &World) -> Status {
    let covered =
        || world.accounts.iter().enumerate().filter(|(index, _)| world.covers(*index)).map(|(_, account)| account);
    let is_sound =
        |account: &Account| [Part::Media, Part::Dates, Part::Posts].iter().all(|part| account.is_sound(*part));
    let is_list_missing = world.list.as_ref().is_some_and(|list| !list.is_known());
    let has_invalid =
        world.list.as_ref().is_some_and(|list| list.invalid().next().is_some()) && world.narrowed_to.is_none();
    if covered().all(|account| account.media_fail) || is_list_missing {
        Status::Failed
    } else if covered().all(is_sound) && world.knows_all_profiles() && !has_invalid {
        Status::Ok
    } else {
        Status::Partial
    }
}

/// Why a post will lack a file.
enum Risk {
    /// It is gone already. A gallery may still list it, with this expiry.
    Gone(Option<i64>),
    /// It expires before it is needed, at this time.
    Expires(i64),
}

fn risks<'a>(world: &'a World, post: &'a Post) -> impl Iterator<Item = Risk> + 'a {
    let of_files = post.files.iter().filter_map(|used| risk_of_file(world, post, used));
    of_files.chain(post.links.iter().filter_map(|link| risk_of_link(world, post, link)))
}

fn risk_of_file(world: &World, post: &Post, used: &UsedFile) -> Option<Risk> {
    let Some(file) = world.file(used) else { return Some(Risk::Gone(None)) };
    if world.reads_gallery(used.account) {
        let expires_ms = file.stated_expiry_ms()?;
        let is_gone = expires_ms <= world.now_ms;
        return if is_gone { Some(Risk::Gone(Some(expires_ms))) } else { risk_of_expiry(world, post, expires_ms) };
    }
    // Ayrshare cannot open it, and its expiry is not known.
    (file.expires_ms? <= world.now_ms).then_some(Risk::Gone(None))
}

fn risk_of_link(world: &World, post: &Post, link: &Link) -> Option<Risk> {
    match link.kind {
        LinkKind::Presigned { ends_ms } => risk_of_expiry(world, post, ends_ms),
        LinkKind::Checked { status: Some(404 | 410) } => Some(Risk::Gone(None)),
        LinkKind::Checked { .. } => None,
    }
}

fn risk_of_expiry(world: &World, post: &Post, expires_ms: i64) -> Option<Risk> {
    is_too_early(world, post, expires_ms).then_some(Risk::Expires(expires_ms))
}

fn is_too_early(world: &World, post: &Post, expires_ms: i64) -> bool {
    let needed_until_ms = match post.stated_due_ms() {
        Some(due_ms) => due_ms.max(world.now_ms) + HOUR_MS,
        None => world.now_ms + world.widest_threshold_ms(),
    };
    expires_ms <= needed_until_ms
}

/// Whether a post is scheduled, and it is proven of each of its files that it will be there.
fn is_seen_to_be_safe(world: &World, account: &Account, id: &str) -> bool {
    let post = account.posts.iter().find(|post| post.id == *id).filter(|_| account.is_sound(Part::Posts));
    post.is_some_and(|post| {
        post.files.iter().all(|used| is_safe_file(world, post, used))
            && post.links.iter().all(|link| is_safe_link(world, post, link))
    })
}

fn is_safe_file(world: &World, post: &Post, used: &UsedFile) -> bool {
    let Some(file) = world.file(used) else { return false };
    let lasts = if world.reads_gallery(used.account) {
        file.stated_expiry_ms().is_some_and(|expires_ms| !is_too_early(world, post, expires_ms))
    } else {
        file.is_served(world.now_ms)
    };
    // A gallery that was not read may list it, with an earlier expiry.
    lasts && world.reads_all_galleries()
}

fn is_safe_link(world: &World, post: &Post, link: &Link) -> bool {
    let lasts = match link.kind {
        LinkKind::Presigned { ends_ms } => !is_too_early(world, post, ends_ms),
        LinkKind::Checked { status } => is_success(status),
    };
    lasts && world.reads_all_galleries()
}

/// Returns the tightest threshold of the channel that covers the remaining time, in seconds.
fn tightest_threshold(remaining_ms: i64, receiver: &Receiver) -> Option<u64> {
    let reached = receiver.thresholds_d.iter().filter(|days| remaining_ms <= *days * DAY_MS);
    reached.min().map(|days| days.unsigned_abs() * 86_400)
}
