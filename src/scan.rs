//! Looks at the profiles: several side by side, none of which stops another.

use futures_util::{StreamExt as _, stream};

use crate::ayrshare::Ayrshare;
use crate::config::Profile;
use crate::model::{Failure, FailureKind};
use crate::net::Deadline;
use crate::select::{Gallery, Rules};
use crate::survey::Scan;

/// Looks at `profiles`, `concurrency` side by side, until the deadline. The scans come in the order of the profiles.
pub async fn scan(
    ayrshare: &Ayrshare<'_>,
    profiles: &[&Profile],
    concurrency: usize,
    rules: &Rules<'_>,
    deadline: Deadline,
) -> Vec<Scan> {
    stream::iter(profiles)
        .map(|profile| look_at(ayrshare, profile, rules, deadline))
        .buffered(concurrency)
        .collect()
        .await
}

async fn look_at(ayrshare: &Ayrshare<'_>, profile: &Profile, rules: &Rules<'_>, deadline: Deadline) -> Scan {
    let media = if deadline.remaining().is_zero() {
        let message = "the run's time was over before it was this profile's turn".to_owned();
        Err(Failure { kind: FailureKind::OutOfTime, http_status: None, code: None, message })
    } else {
        ayrshare
            .media(profile.key.as_ref(), deadline, Gallery::default, |gallery, media| {
                gallery.add(&profile.name, media, rules);
            })
            .await
    };
    if let Err(Failure { kind, http_status, code, message }) = &media {
        let kind = kind.as_str();
        tracing::warn!(profile = %profile.name, kind, http_status, code, "media could not be checked: {message}");
    }
    Scan { profile: profile.name.clone(), media }
}
