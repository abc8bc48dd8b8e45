//! Reads the profiles from Ayrshare and decides what matters to a run.
//!
//! [`scan`] reads several profiles concurrently; a profile that fails does not stop the others. What a file or a post
//! means is decided by pure code in [`select`], [`posts`] and [`survey`]. This layer knows nothing of the ledger, the
//! digest or the channels.

pub mod ayrshare;
mod narrow;
pub mod posts;
pub mod select;
pub mod survey;

use std::collections::HashSet;

use futures_util::{StreamExt as _, stream};

use crate::config::Profile;
use crate::model::{Failure, FailureKind};
use crate::net::Deadline;
use crate::scan::ayrshare::Ayrshare;
use crate::scan::select::{Gallery, Rules};
use crate::scan::survey::Scan;

/// Scans `profiles`, at most `concurrency` at the same time, until the deadline.
///
/// Starts with the profiles in `first`, so that the deadline rather cuts off the others. Calls `on_profile_scanned` after
/// each profile, whether it succeeded or not. The scans are returned in the order of `profiles`.
pub async fn scan(
    ayrshare: &Ayrshare<'_>,
    profiles: &[&Profile],
    first: &[&Profile],
    concurrency: usize,
    rules: &Rules<'_>,
    deadline: Deadline,
    on_profile_scanned: &(dyn Fn() + Sync),
) -> Vec<Scan> {
    let first: HashSet<_> = first.iter().map(|profile| &profile.name).collect();
    let mut order: Vec<_> = profiles.iter().enumerate().collect();
    order.sort_by_key(|(_, profile)| !first.contains(&profile.name));
    // Unordered, because an ordered stream starts no further profiles while the first one hangs.
    let mut scans: Vec<_> = stream::iter(order)
        .map(async |(index, profile)| {
            let scan = scan_profile(ayrshare, profile, rules, deadline).await;
            on_profile_scanned();
            (index, scan)
        })
        .buffer_unordered(concurrency)
        .collect()
        .await;
    scans.sort_by_key(|(index, _)| *index);
    scans.into_iter().map(|(_, scan)| scan).collect()
}

async fn scan_profile(ayrshare: &Ayrshare<'_>, profile: &Profile, rules: &Rules<'_>, deadline: Deadline) -> Scan {
    let key = profile.key.as_ref();
    let (media, posts) = if deadline.remaining().is_zero() {
        (Err(out_of_time()), rules.keep_places.then(|| Err(out_of_time())))
    } else {
        let media = ayrshare.media(key, deadline, Gallery::default, |gallery, media| {
            gallery.add(&profile.name, media, rules);
        });
        let posts = async {
            if rules.keep_places { Some(ayrshare.scheduled_posts(key, rules.now, deadline).await) } else { None }
        };
        tokio::join!(media, posts)
    };
    warn(profile, "media", media.as_ref().err());
    warn(profile, "scheduled posts", posts.as_ref().and_then(|posts| posts.as_ref().err()));
    Scan::new(profile.name.clone(), media, posts, rules.now)
}

fn out_of_time() -> Failure {
    let message = "the run ran out of time before it could check this profile".to_owned();
    Failure { kind: FailureKind::OutOfTime, http_status: None, code: None, message }
}

fn warn(profile: &Profile, what: &str, failure: Option<&Failure>) {
    if let Some(Failure { kind, http_status, code, message }) = failure {
        let kind = kind.as_str();
        tracing::warn!(profile = %profile.name, kind, http_status, code, "{what} could not be checked: {message}");
    }
}
