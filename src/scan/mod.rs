//! Reads the profiles from Ayrshare and decides what matters to a run.
//!
//! The posts of all profiles are read before the first gallery, so that a gallery, which is read as a stream, keeps only
//! the files that matter. What a file or a post means is decided by pure code in [`select`], [`posts`] and [`survey`], and
//! which profiles nobody watches in [`discovery`]. This layer knows nothing of the ledger, the digest or the channels.

pub mod ayrshare;
pub mod discovery;
mod listed_files;
mod narrow;
mod place;
pub mod posts;
mod presigned;
pub mod rules;
pub mod seen_posts;
pub mod select;
pub mod survey;
pub mod used_files;

#[cfg(feature = "fuzzing")]
pub use self::presigned::Presigned;

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt as _, stream};

use crate::config::Profile;
use crate::model::text::count;
use crate::model::{AyrshareProfile, Failure, FailureKind, ScheduledPost};
use crate::net::{Deadline, Slot};
use crate::scan::ayrshare::media::ListedFile;
use crate::scan::ayrshare::{Ayrshare, ScheduledPosts};
use crate::scan::posts::UrlStatuses;
use crate::scan::rules::Rules;
use crate::scan::select::Gallery;
use crate::scan::used_files::FilesInPosts;

/// How many profiles that could not be read have a line of their own in the log, for posts and for galleries.
const MAX_WARNINGS: usize = 1_000;

/// Reads the scheduled posts of `profiles` until the deadline.
///
/// As many requests are in flight as `ayrshare` has slots. A profile that waits for a retry does not delay the others,
/// and one that fails does not stop them. The results have the order of `profiles`.
///
/// Calls `on_read` with the posts of each profile that have media, as soon as they are read.
pub async fn read_posts(
    ayrshare: &Ayrshare<'_>,
    profiles: &[&Profile],
    rules: &Rules<'_>,
    deadline: Deadline,
    on_read: &(dyn Fn(&[ScheduledPost]) + Sync),
) -> Vec<ScheduledPosts> {
    let warnings = Warnings::about("scheduled posts");
    each_with_slot(ayrshare, profiles, async |profile, slot| {
        let read = if deadline.remaining().is_zero() {
            ScheduledPosts { failed: Some(out_of_time()), ..ScheduledPosts::default() }
        } else {
            ayrshare.scheduled_posts(profile.key.as_ref(), slot, rules.now, deadline, on_read).await
        };
        warnings.add(profile, read.failed.as_ref());
        read
    })
    .await
}

/// Reads the galleries of `profiles` like [`read_posts`], and keeps the files that matter to the run or to a post.
///
/// Calls `on_profile_read` after each profile, whether it succeeded or not.
pub async fn read_galleries(
    ayrshare: &Ayrshare<'_>,
    profiles: &[&Profile],
    rules: &Rules<'_>,
    in_posts: &FilesInPosts,
    deadline: Deadline,
    on_profile_read: &(dyn Fn() + Sync),
) -> Vec<Result<Gallery, Failure>> {
    let warnings = Warnings::about("media");
    each_with_slot(ayrshare, profiles, async |profile, slot| {
        let read = if deadline.remaining().is_zero() {
            Err(out_of_time())
        } else {
            let add = |gallery: &mut Gallery, file: ListedFile<'_>| gallery.add(&profile.name, file, rules, in_posts);
            let gallery = ayrshare.media(profile.key.as_ref(), slot, deadline, Gallery::default, add).await;
            gallery.map(Gallery::complete)
        };
        warnings.add(profile, read.as_ref().err());
        on_profile_read();
        read
    })
    .await
}

/// Lets Ayrshare open each URL, with the key of a profile that uses it.
///
/// This program itself never opens a URL of a post, because outsiders must not be able to make it call a host of their choice.
pub async fn check_urls(ayrshare: &Ayrshare<'_>, urls: &[(&Profile, &str)], deadline: Deadline) -> UrlStatuses {
    let statuses = each_with_slot(ayrshare, urls, async |(profile, url), slot| {
        ayrshare.url_status(profile.key.as_ref(), url, slot, deadline).await
    });
    let urls = urls.iter().map(|(_, url)| (*url).to_owned());
    urls.zip(statuses.await).collect()
}

/// Asks Ayrshare which profile each key belongs to; `None` where it does not say before the deadline.
pub async fn read_users(
    ayrshare: &Ayrshare<'_>,
    profiles: &[&Profile],
    deadline: Deadline,
) -> Vec<Option<AyrshareProfile>> {
    each_with_slot(ayrshare, profiles, async |profile, slot| {
        if deadline.remaining().is_zero() {
            return None;
        }
        ayrshare.user(profile.key.as_ref(), slot, deadline).await
    })
    .await
}

/// Does `work` for each of `inputs` as soon as there is a slot for it, and returns the results in the same order.
async fn each_with_slot<'a, I: Copy, T>(
    ayrshare: &'a Ayrshare<'_>,
    inputs: &[I],
    work: impl AsyncFn(I, Slot<'a>) -> T,
) -> Vec<T> {
    // Unordered, because an ordered stream starts nothing more while the first one hangs.
    let mut results: Vec<_> = stream::iter(inputs.iter().enumerate())
        .then(async |(index, input)| (index, *input, ayrshare.slots.acquire().await))
        .map(async |(index, input, slot)| (index, work(input, slot).await))
        .buffer_unordered(usize::MAX)
        .collect()
        .await;
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn out_of_time() -> Failure {
    let message = "the run ran out of time before it could check this profile".to_owned();
    Failure { kind: FailureKind::OutOfTime, http_status: None, code: None, message }
}

/// The warnings about profiles that could not be read. Only the first ones have a line in the log, because logs are paid for.
struct Warnings {
    what: &'static str,
    failures: AtomicUsize,
}

impl Warnings {
    fn about(what: &'static str) -> Self {
        Self { what, failures: AtomicUsize::new(0) }
    }

    fn add(&self, profile: &Profile, failure: Option<&Failure>) {
        let Some(Failure { kind, http_status, code, message }) = failure else { return };
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        if before < MAX_WARNINGS {
            let (what, kind) = (self.what, kind.as_str());
            tracing::warn!(profile = %profile.name, kind, http_status, code, "{what} could not be checked: {message}");
        }
    }
}

impl Drop for Warnings {
    fn drop(&mut self) {
        let more = self.failures.get_mut().saturating_sub(MAX_WARNINGS);
        if 0 < more {
            tracing::warn!("{} of {} could not be checked", self.what, count(more, "more profile"));
        }
    }
}
