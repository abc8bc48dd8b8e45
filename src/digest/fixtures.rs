//! Surveys for the tests of what is said and how.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::digest::Digest;
use crate::digest::ReportLink;
use crate::model::threshold::{Threshold, Thresholds};
use crate::model::{
    AyrshareProfile, Copies, Discovery, DiscoveryStatus, FailedCopy, Failure, FailureKind, Item, KeptCopy, Media,
    MediaAtRisk, PostAtRisk, ProfileName, RiskReason, State,
};
use crate::scan::posts::CheckedPosts;
use crate::scan::select::Gallery;
use crate::scan::survey::{Scan, Survey};

pub fn now() -> Timestamp {
    "2026-11-23T06:00:00Z".parse().expect("a time")
}

pub fn thresholds() -> Thresholds {
    Thresholds::new(["7d", "3d", "1d"].map(|text| Threshold::parse(text).expect("a threshold"))).expect("thresholds")
}

/// A file that expires in so many minutes, as `thresholds` see it.
pub fn item(profile: &str, file_name: &str, minutes: Option<i64>) -> Item {
    let expires_at = minutes.map(|minutes| now() + SignedDuration::from_mins(minutes));
    let (state, threshold) = match minutes {
        None => (State::Undated, None),
        Some(minutes) if minutes <= 0 => (State::Expired, None),
        Some(minutes) => (State::Expiring, thresholds().entered(SignedDuration::from_mins(minutes)).cloned()),
    };
    let extension = file_name.rsplit('.').next().unwrap_or_default();
    let media = Media {
        id: Some(format!("5553a26a-cffb-4a31-bd89-dee296d35648-{extension}")),
        file_name: Some(file_name.to_owned()),
        url: Some(format!("https://images.ayrshare.com/acme/5553a26a-cffb-4a31-bd89-dee296d35648.{extension}")),
        size_bytes: Some(223_340),
        created_at: Some(now() - SignedDuration::from_hours(24 * 30)),
        expires_at,
    };
    Item { profile: ProfileName::new(profile), media, state, threshold }
}

fn scan(profile: &str, items: Vec<Item>) -> Scan {
    let gallery = Gallery { listed: items.len() + 40, ignored: 1, items, ..Gallery::default() };
    Scan { profile: ProfileName::new(profile), media: Ok(gallery), posts: None }
}

fn failure() -> Failure {
    let message = "Ayrshare answered 403 Forbidden: the profile key is not valid".to_owned();
    Failure { kind: FailureKind::Forbidden, http_status: Some(403), code: Some(31), message }
}

/// Something of everything: three profiles, one of which fails.
pub fn survey() -> Survey {
    const HOUR: i64 = 60;
    const DAY: i64 = 24 * HOUR;
    let head_office = vec![
        item("Head office", "test1.jpeg", Some(2 * DAY)),
        item("Head office", "launch <b>& teaser</b>.mp4", Some(5 * HOUR)),
        item("Head office", "press-kit.pdf", Some(6 * DAY + 3 * HOUR)),
        item("Head office", "old banner.png", Some(-3 * HOUR)),
    ];
    let cafe = vec![
        item("Café 東京", "夏のセール 📸.png", Some(45)),
        item("Café 東京", "<!channel> menu.gif", Some(20 * HOUR)),
        item("Café 東京", "no date.webp", None),
    ];
    let failed = Scan { profile: ProfileName::new("Acme Coffee"), media: Err(failure()), posts: None };
    let mut survey = Survey::new(
        now(),
        vec![scan("Head office", head_office), failed, scan("Café 東京", cafe)],
        CheckedPosts::default(),
    );
    survey.posts_at_risk = vec![Arc::new(PostAtRisk {
        profile: ProfileName::new("Head office"),
        id: Some("post-1".into()),
        text: Some("Our launch is near!\nStay tuned <@U1> & be there".into()),
        platforms: vec!["instagram".into(), "tiktok".into()],
        scheduled_at: Some(now() + SignedDuration::from_hours(9)),
        media: vec![MediaAtRisk {
            id: None,
            owner: None,
            file_name: Some("launch teaser.mp4".into()),
            url: "https://images.ayrshare.com/acme/5553a26a-cffb-4a31-bd89-dee296d35648.mp4".into(),
            expires_at: Some(now() + SignedDuration::from_hours(5)),
            reason: RiskReason::ExpiresBeforePost,
        }],
    })];
    survey
}

/// A survey of one profile with so many files, which expire one after the other over a week.
pub fn survey_of(items: usize) -> Survey {
    let minute = |index: usize| i64::try_from(1 + index * 10_000 / items.max(300)).expect("a small number");
    let items = (0..items)
        .map(|index| {
            item(
                "Head office",
                &format!("campaign-{index:04}.{}", ["jpeg", "mp4", "png"][index % 3]),
                Some(minute(index)),
            )
        })
        .collect();
    Survey::new(now(), vec![scan("Head office", items)], CheckedPosts::default())
}

pub fn digest(survey: &Survey) -> Digest {
    let profiles: Vec<_> = survey.profiles.iter().map(|profile| profile.name.clone()).collect();
    Digest::new(survey, &profiles, &thresholds()).with_unwatched(&survey.discovery)
}

/// The longest link that there is.
pub fn report_link() -> ReportLink {
    let url = format!("https://reports.example.com/prod/r/{}", "A".repeat(900));
    ReportLink { url, until: now() + SignedDuration::from_hours(7 * 24) }
}

/// Texts as they come from outside: markup, mentions, every script, no end.
fn hostile_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,12}\\.(png|mp4|pdf)",
        2 => "\\PC{0,60}",
        1 => "[<>&|*_`\\n\\r\"'📸\u{202E}]{0,400}",
        1 => "\\PC{500,4000}",
        1 => Just("<!channel> <@U1> <https://evil.example|x>".to_owned()),
    ]
}

prop_compose! {
    fn hostile_item(profiles: usize)(
        profile in 0..profiles,
        name in hostile_text(),
        url in prop_oneof![
            3 => Just("https://images.ayrshare.com/a/b.png".to_owned()),
            1 => "https://images\\.ayrshare\\.com/[a-z<>|&\"]{1,900}\\.jpeg",
            1 => Just("javascript:alert(1)".to_owned()),
            1 => hostile_text(),
        ],
        minutes in proptest::option::of(-2_000_i64..11_000),
    ) -> Item {
        let mut item = item(&format!("Profile {profile}"), &name, minutes);
        item.media.url = Some(url);
        item
    }
}

prop_compose! {
    fn hostile_post(profiles: usize)(
        profile in 0..profiles,
        text in hostile_text(),
        platforms in proptest::collection::vec("[a-z<>]{1,20}", 0..12),
        media in proptest::collection::vec((hostile_text(), any::<bool>()), 1..12),
        minutes in 1_i64..11_000,
    ) -> PostAtRisk {
        let media = media.into_iter().map(|(url, is_gone)| MediaAtRisk {
            id: None,
            owner: None,
            file_name: None,
            url,
            expires_at: (!is_gone).then(now),
            reason: if is_gone { RiskReason::AlreadyGone } else { RiskReason::ExpiresBeforePost },
        });
        PostAtRisk {
            profile: ProfileName::new(&format!("Profile {profile}")),
            id: Some("post".into()),
            text: Some(text),
            platforms,
            scheduled_at: Some(now() + SignedDuration::from_mins(minutes)),
            media: media.collect(),
        }
    }
}

prop_compose! {
    /// Surveys of any size with outside text of any kind.
    pub fn hostile_survey()(profiles in 1_usize..6, failing in 0_usize..40)(
        items in proptest::collection::vec(hostile_item(profiles), 0..160),
        posts in proptest::collection::vec(hostile_post(profiles), 0..20),
        titles in proptest::collection::vec(proptest::option::of(hostile_text()), 0..60),
        not_copied in proptest::collection::vec((hostile_text(), any::<bool>()), 0..12),
        profiles in Just(profiles),
        failing in Just(failing),
    ) -> Survey {
        let scans = (0..profiles).map(|index| {
            let name = format!("Profile {index}");
            let items = items.iter().filter(|item| item.profile.as_str() == name).cloned().collect();
            scan(&name, items)
        });
        let failing = (0..failing)
            .map(|index| Scan { profile: ProfileName::new(&format!("<Failing> & {index}")), media: Err(failure()), posts: None });
        let mut survey = Survey::new(now(), scans.chain(failing).collect(), CheckedPosts::default());
        survey.posts_at_risk = posts.into_iter().map(Arc::new).collect();
        survey.copies = Arc::new(copies(&survey, not_copied));
        survey.discovery = unwatched(titles.into_iter().enumerate().map(|(index, title)| (title, index.to_string())));
        survey
    }
}

/// Copies of every second file, and these files that could not be copied.
fn copies(survey: &Survey, not_copied: Vec<(String, bool)>) -> Copies {
    let mut copies = Copies::on();
    for item in survey.items.iter().step_by(2) {
        let copy = KeptCopy::new(item.profile.clone(), format!("copies/{}", item.media.identity()), 223_340, true);
        copies.add(item.profile.clone(), item.media.identity(), Arc::new(copy));
    }
    let profile = ProfileName::new("Profile 0");
    copies.failed.extend(not_copied.into_iter().map(|(file_name, is_too_large)| FailedCopy {
        profile: profile.clone(),
        id: None,
        file_name,
        reason: "its host announces 1,000,001 bytes, but its gallery lists 1,000,000 bytes".to_owned(),
        is_too_large,
    }));
    copies.add_waiting(profile);
    copies
}

/// A comparison that found these profiles, with title and `refId`, that nobody watches.
pub fn unwatched(profiles: impl IntoIterator<Item = (Option<String>, String)>) -> Discovery {
    let profile = |(title, ref_id)| AyrshareProfile { title, ref_id: Some(ref_id) };
    let unwatched = profiles.into_iter().map(profile).collect();
    Discovery { status: DiscoveryStatus::Ok, unwatched, identified: Vec::new() }
}
