//! Small surveys of the profile `Acme`, for the tests of this layer.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::digest::Digest;
use crate::model::{
    Discovery, Failure, FailureKind, Item, Listing, Media, MediaAtRisk, PostAtRisk, ProfileName, RiskReason, State,
    Tags, Threshold, Thresholds,
};
use crate::scan::survey::{Survey, SurveyedProfile};

pub(crate) fn now() -> Timestamp {
    "2026-11-23T06:00:00Z".parse().expect("a time")
}

pub(crate) fn hours(hours: i64) -> Timestamp {
    now() + SignedDuration::from_hours(hours)
}

pub(crate) fn thresholds() -> Thresholds {
    Thresholds::new(["7d", "3d", "1d"].map(|text| Threshold::parse(text).expect("a threshold"))).expect("thresholds")
}

pub(crate) fn profile(name: &str) -> SurveyedProfile {
    SurveyedProfile {
        tags: Tags::default(),
        name: ProfileName::new(name),
        listed: 1,
        ignored: 0,
        failed: None,
        dates: Ok(()),
        scheduled: 0,
        posts: Some(Ok(())),
    }
}

pub(crate) fn failure() -> Failure {
    Failure { kind: FailureKind::Forbidden, http_status: Some(403), code: None, message: "no".into() }
}

/// A survey of the profile `Acme`, all of which was checked.
pub(crate) fn survey(items: Vec<Item>, posts_at_risk: Vec<PostAtRisk>) -> Survey {
    let items = items.into_iter().map(Arc::new).collect();
    let posts_at_risk = posts_at_risk.into_iter().map(Arc::new).collect();
    Survey {
        now: now(),
        listing: Listing::default(),
        profiles: vec![profile("Acme")],
        items,
        posts_at_risk,
        unverified: Vec::new(),
        seen_posts: Arc::default(),
        to_copy: Vec::new(),
        copies: Arc::default(),
        discovery: Discovery::default(),
    }
}

pub(crate) fn digest(survey: &Survey) -> Digest {
    let profiles: Vec<_> = survey.profiles.iter().map(|profile| profile.name.clone()).collect();
    Digest::new(survey, &profiles, &thresholds()).with_unwatched(&survey.discovery)
}

/// A file that expires in so many hours.
pub(crate) fn file(name: &str, in_hours: Option<i64>) -> Item {
    file_of("Acme", name, in_hours)
}

pub(crate) fn file_of(profile: &str, name: &str, in_hours: Option<i64>) -> Item {
    let state = match in_hours {
        None => State::Undated,
        Some(hours) if hours <= 0 => State::Expired,
        Some(_) => State::Expiring,
    };
    let media = Media {
        id: Some(name.to_owned()),
        file_name: Some(name.to_owned()),
        expires_at: in_hours.map(hours),
        ..Media::default()
    };
    Item { profile: ProfileName::new(profile), media, state, threshold: None }
}

/// A post that is due in so many hours, with a file that expires in so many, or is gone.
pub(crate) fn post(due: i64, file_expires: Option<i64>) -> PostAtRisk {
    let reason = if file_expires.is_some() { RiskReason::ExpiresBeforePost } else { RiskReason::AlreadyGone };
    PostAtRisk {
        profile: ProfileName::new("Acme"),
        id: Some("post-1".into()),
        text: Some("Our launch\nis near".into()),
        platforms: vec!["instagram".into(), "tiktok".into()],
        scheduled_at: Some(hours(due)),
        media: vec![MediaAtRisk {
            id: None,
            owner: None,
            file_name: Some("a.png".into()),
            url: "https://images.example.com/a.png".into(),
            expires_at: file_expires.map(hours),
            reason,
        }],
    }
}
