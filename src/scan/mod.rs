//! Looks at the profiles: several side by side, none of which stops another.

pub mod ayrshare;
pub mod posts;
pub mod select;
pub mod survey;

use futures_util::{StreamExt as _, stream};

use crate::config::Profile;
use crate::model::{Failure, FailureKind};
use crate::net::Deadline;
use crate::scan::ayrshare::Ayrshare;
use crate::scan::select::{Gallery, Rules};
use crate::scan::survey::Scan;

/// Looks at `profiles`, `concurrency` side by side, until the deadline, and calls `looked_at` after each. The scans come
/// in the order of the profiles.
pub async fn scan(
    ayrshare: &Ayrshare<'_>,
    profiles: &[&Profile],
    concurrency: usize,
    rules: &Rules<'_>,
    deadline: Deadline,
    looked_at: &(dyn Fn() + Sync),
) -> Vec<Scan> {
    // Unordered, because an ordered stream begins nothing new behind a profile that hangs.
    let mut scans: Vec<_> = stream::iter(profiles.iter().enumerate())
        .map(async |(index, profile)| {
            let scan = look_at(ayrshare, profile, rules, deadline).await;
            looked_at();
            (index, scan)
        })
        .buffer_unordered(concurrency)
        .collect()
        .await;
    scans.sort_by_key(|(index, _)| *index);
    scans.into_iter().map(|(_, scan)| scan).collect()
}

async fn look_at(ayrshare: &Ayrshare<'_>, profile: &Profile, rules: &Rules<'_>, deadline: Deadline) -> Scan {
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
    let message = "the run's time was over before it was this profile's turn".to_owned();
    Failure { kind: FailureKind::OutOfTime, http_status: None, code: None, message }
}

fn warn(profile: &Profile, what: &str, failure: Option<&Failure>) {
    if let Some(Failure { kind, http_status, code, message }) = failure {
        let kind = kind.as_str();
        tracing::warn!(profile = %profile.name, kind, http_status, code, "{what} could not be checked: {message}");
    }
}
