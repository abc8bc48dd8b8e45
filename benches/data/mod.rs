//! Reproducible galleries, posts and surveys of any size.

#![allow(dead_code, reason = "each benchmark uses only some of these")]
#![expect(clippy::expect_used, reason = "the data is generated here, so it is always valid")]

use globset::GlobSet;
use jiff::{SignedDuration, Timestamp};
use media_expiry_alerts::model::threshold::{Threshold, Thresholds};
use media_expiry_alerts::model::{File as _, Media, ProfileName};
use media_expiry_alerts::model::{Packed, ScheduledPost};
use media_expiry_alerts::scan::ayrshare::ScheduledPosts;
use media_expiry_alerts::scan::ayrshare::media::Reader;
use media_expiry_alerts::scan::posts::{PostCheck, UrlStatuses};
use media_expiry_alerts::scan::rules::Rules;
use media_expiry_alerts::scan::select::Gallery;
use media_expiry_alerts::scan::survey::{Scan, Survey};
use media_expiry_alerts::scan::used_files::FilesInPosts;

/// One of this many files expires within the thresholds.
pub const ONE_DUE_OF: usize = 50;
/// The size of the chunks that a body arrives in.
const PIECE: usize = 16 * 1024;

/// The time of every run.
pub fn now() -> Timestamp {
    "2026-11-23T06:00:00Z".parse().expect("a time")
}

/// The default thresholds.
pub fn thresholds() -> Thresholds {
    Thresholds::new(["7d", "3d", "1d"].map(|text| Threshold::parse(text).expect("a threshold"))).expect("thresholds")
}

/// The name of a profile.
pub fn name(profile: usize) -> ProfileName {
    ProfileName::new(&format!("Profile {profile}"))
}

fn expires_at(index: usize) -> Timestamp {
    let hours = if index.is_multiple_of(ONE_DUE_OF) { 1 + index % 160 } else { 24 * 10 + index % (24 * 70) };
    now() + SignedDuration::from_hours(hours.try_into().expect("a small number"))
}

fn url(profile: usize, index: usize) -> String {
    format!("https://images.ayrshare.com/account-{profile:04}/{}.jpeg", uuid(profile, index))
}

fn uuid(profile: usize, index: usize) -> String {
    format!("{profile:08x}-cffb-4a31-bd89-{index:012x}")
}

/// The body of `GET /media`.
pub fn body(profile: usize, files: usize) -> String {
    let file = |index: usize| {
        format!(
            r#"{{"id":"{id}-jpeg","timeCreated":"2026-10-30T20:23:49.774Z","size":"223340","url":"{url}","fileName":"campaign-{index:05}.jpeg","description":"A picture of the campaign","expiresAt":"{expires_at:.3}"}}"#,
            id = uuid(profile, index),
            url = url(profile, index),
            expires_at = expires_at(index),
        )
    };
    format!("[{}]", (0..files).map(file).collect::<Vec<_>>().join(","))
}

/// The files of a gallery. Each owns its strings, as after reading.
pub fn files(files: usize) -> Vec<Media> {
    let mut listed = Vec::new();
    let mut reader = Reader::default();
    reader.take(body(0, files).as_bytes(), |file| listed.push(file.into_media()));
    reader.end(|file| listed.push(file.into_media())).expect("a gallery");
    listed
}

/// The rules of a run that checks posts.
pub fn rules<'a>(thresholds: &'a Thresholds, ignore: &'a GlobSet) -> Rules<'a> {
    Rules {
        now: now(),
        thresholds,
        ignore,
        check_posts: true,
        check_urls: false,
        all_profiles: true,
        discovery: None,
        copying: None,
    }
}

/// Reads a gallery in chunks and selects the files that expire.
pub fn read(profile: usize, body: &str, posts: &[ScheduledPost]) -> Gallery {
    let (profile, thresholds, ignore) = (name(profile), thresholds(), GlobSet::empty());
    let rules = rules(&thresholds, &ignore);
    let mut in_posts = FilesInPosts::new(&rules);
    in_posts.add(posts, &rules);
    let mut gallery = Gallery::default();
    let mut reader = Reader::default();
    for piece in body.as_bytes().chunks(PIECE) {
        reader.take(piece, |media| gallery.add(&profile, media, &rules, &in_posts));
    }
    reader.end(|media| gallery.add(&profile, media, &rules, &in_posts)).expect("a gallery");
    gallery
}

/// Posts that use every tenth file of a gallery. For every tenth post, the file expires before the post is due.
pub fn posts(profile: usize, files: usize) -> Vec<ScheduledPost> {
    let post = |index: usize| ScheduledPost {
        id: Some(format!("post-{profile}-{index}")),
        text: Some("Ten stamps, one coffee on us. Pick up the new card at any counter. ☕".to_owned()),
        platforms: vec!["instagram".to_owned(), "facebook".to_owned()],
        scheduled_at: Some(
            expires_at(index) + SignedDuration::from_hours(if index.is_multiple_of(100) { 5 } else { -48 }),
        ),
        media_urls: vec![url(profile, index)],
    };
    (0..files).step_by(10).map(post).collect()
}

/// Posts that use all files of a gallery, each of which expires before its post is due.
pub fn risky_posts(profile: usize, files: usize) -> Vec<ScheduledPost> {
    let post = |index: usize| ScheduledPost {
        id: Some(format!("post-{index}")),
        scheduled_at: Some(expires_at(index) + SignedDuration::from_hours(5)),
        media_urls: vec![url(profile, index)],
        ..ScheduledPost::default()
    };
    (0..files).map(post).collect()
}

/// The scan of one profile.
pub fn scan(profile: usize, gallery: Gallery, posts: &[ScheduledPost]) -> Scan {
    let posts = ScheduledPosts { posts: Packed::new(posts), ..ScheduledPosts::default() };
    Scan { profile: name(profile), media: Ok(gallery), posts: Some(posts) }
}

/// The survey of these scans.
pub fn survey_of(scans: Vec<Scan>) -> Survey {
    let (known, thresholds): (Vec<_>, _) = (scans.iter().map(Scan::known).collect(), thresholds());
    let ignore = GlobSet::empty();
    let checked = PostCheck::new(&known, &rules(&thresholds, &ignore)).finish(&UrlStatuses::default());
    Survey::new(now(), scans, checked)
}

/// The survey of this many profiles with this many files each.
pub fn survey(profiles: usize, files: usize) -> Survey {
    let scan_of = |profile: usize| {
        let posts = posts(profile, files);
        scan(profile, read(profile, &body(profile, files), &posts), &posts)
    };
    survey_of((0..profiles).map(scan_of).collect())
}
