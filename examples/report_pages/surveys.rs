//! The data of the reports and messages.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use media_expiry_alerts::model::{
    Discovery, FailedProfile, Failure, FailureKind, Item, Listing, Media, MediaAtRisk, Part, PostAtRisk, ProfileName,
    RiskReason, State, Tags, Threshold, Thresholds,
};
use media_expiry_alerts::run::command::Action;
use media_expiry_alerts::run::result::RunResult;
use media_expiry_alerts::scan::survey::{Survey, SurveyedProfile};

pub const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

pub fn now() -> Result<Timestamp, jiff::Error> {
    "2026-11-23T06:00:00Z".parse()
}

struct File<'a> {
    profile: &'a str,
    name: &'a str,
    url: String,
    /// How many minutes from now the file expires.
    minutes: Option<i64>,
    bytes: u64,
}

fn file<'a>(profile: &'a str, name: &'a str, minutes: Option<i64>) -> File<'a> {
    let extension = name.rsplit('.').next().unwrap_or_default();
    let seed = name.bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let url =
        format!("https://images.ayrshare.com/acme/{:08x}-0000-4000-8000-000000000000.{extension}", seed % (1 << 32));
    File { profile, name, url, minutes, bytes: seed % 9_000_000 + 40_000 }
}

fn item(now: Timestamp, file: File<'_>) -> Item {
    let thresholds = ["14d", "7d", "3d", "1d"].into_iter().filter_map(|text| Threshold::parse(text).ok());
    let (state, threshold) = match file.minutes {
        None => (State::Undated, None),
        Some(minutes) if minutes <= 0 => (State::Expired, None),
        Some(minutes) => {
            let entered = Thresholds::new(thresholds)
                .and_then(|thresholds| thresholds.entered(SignedDuration::from_mins(minutes)).cloned());
            (State::Expiring, entered)
        }
    };
    let media = Media {
        id: id_of(&file.url),
        file_name: Some(file.name.to_owned()),
        url: Some(file.url),
        size_bytes: Some(file.bytes),
        created_at: Some(now - SignedDuration::from_hours(24 * 30)),
        expires_at: file.minutes.map(|minutes| now + SignedDuration::from_mins(minutes)),
    };
    Item { profile: ProfileName::new(file.profile), media, state, threshold }
}

fn id_of(url: &str) -> Option<String> {
    url.rsplit('/').next().map(|end| end.replace('.', "-"))
}

pub fn failure(profile: &str, what: Part) -> FailedProfile {
    let message = "Ayrshare answered 403 Forbidden".to_owned();
    let failure = Failure { kind: FailureKind::Forbidden, http_status: Some(403), code: None, message };
    FailedProfile { profile: ProfileName::new(profile), what, failure }
}

pub fn result(
    now: Timestamp,
    mut items: Vec<Item>,
    posts_at_risk: Vec<PostAtRisk>,
    failed: &[FailedProfile],
) -> RunResult {
    items.sort_by_key(|item| item.media.expires_at.unwrap_or(Timestamp::MAX));
    let mut profiles: Vec<SurveyedProfile> = Vec::new();
    let names = items.iter().map(|item| &item.profile).chain(failed.iter().map(|failed| &failed.profile));
    let others: Vec<_> = (1..=5).map(|index| ProfileName::new(&format!("Other {index}"))).collect();
    for name in names.chain(&others) {
        let is_other = others.contains(name);
        if profiles.iter().all(|profile| profile.name != *name) && !(is_other && 5 <= profiles.len()) {
            let failure = |what: Part| {
                let is_it = |failed: &&FailedProfile| failed.profile == *name && failed.what == what;
                failed.iter().find(is_it).map(|failed| failed.failure.clone())
            };
            let posts = Some(failure(Part::Posts).map_or(Ok(()), Err));
            profiles.push(SurveyedProfile {
                name: name.clone(),
                tags: Tags::default(),
                listed: 100,
                ignored: 1,
                failed: failure(Part::Media),
                scheduled: 1,
                dates: failure(Part::Dates).map_or(Ok(()), Err),
                posts,
            });
        }
    }
    let items = items.into_iter().map(Arc::new).collect();
    let posts_at_risk = posts_at_risk.into_iter().map(Arc::new).collect();
    let survey = Survey {
        now,
        listing: Listing::default(),
        profiles,
        items,
        posts_at_risk,
        unverified: Vec::new(),
        seen_posts: Arc::default(),
        to_copy: Vec::new(),
        copies: Arc::default(),
        discovery: Discovery::default(),
    };
    RunResult {
        duration_ms: 412,
        ..RunResult::of_survey(survey, "0d9ee2f0-7a4c-4a6e-9d43-5e7f6d0c8a11", Action::Report)
    }
}

fn at_risk(now: Timestamp, url: &str, name: Option<&str>, minutes: Option<i64>) -> MediaAtRisk {
    MediaAtRisk {
        owner: None,
        id: None,
        file_name: name.map(ToOwned::to_owned),
        url: url.to_owned(),
        expires_at: minutes.map(|minutes| now + SignedDuration::from_mins(minutes)),
        reason: if minutes.is_some() { RiskReason::ExpiresBeforePost } else { RiskReason::AlreadyGone },
    }
}

/// A typical report. All expiry dates are `moved` minutes later than normal.
pub fn usual(now: Timestamp, moved: i64) -> RunResult {
    let (head_office, acme, harbour, tokyo) = ("Head office", "Acme Coffee", "Harbour Hotel", "Café 東京");
    let files = [
        file(head_office, "black-friday-teaser-v3-final.mp4", Some(9 * HOUR)),
        file(head_office, "team-portrait-2026.jpg", Some(2 * DAY + 4 * HOUR)),
        file(head_office, "press-kit-autumn.pdf", Some(6 * DAY + 3 * HOUR)),
        file(head_office, "advent-calendar-door-01.png", Some(8 * DAY)),
        file(head_office, "advent-calendar-door-02.png", Some(9 * DAY)),
        file(head_office, "advent-calendar-door-03.png", Some(10 * DAY)),
        file(head_office, "old-banner.png", Some(-3 * HOUR)),
        file(acme, "pumpkin-spice-latte.jpg", Some(20 * HOUR)),
        file(acme, "opening-hours-december.png", Some(2 * DAY)),
        file(acme, "barista-championship-reel.mov", Some(2 * DAY + 5 * HOUR)),
        file(acme, "loyalty-card-front.webp", Some(5 * DAY)),
        file(acme, "loyalty-card-back.webp", Some(5 * DAY + HOUR)),
        file(acme, "winter-menu.jpg", Some(12 * DAY)),
        file(harbour, "suite-sea-view-sunrise.jpg", Some(3 * DAY - HOUR)),
        file(harbour, "spa-walkthrough-vertical-1080x1920.mp4", Some(4 * DAY)),
        file(harbour, "wedding-brochure-cover.jpg", Some(6 * DAY)),
        file(harbour, "new-years-eve-dinner.jpg", Some(13 * DAY)),
        file(harbour, "scan_0041.heic", None),
        file(tokyo, "夏のセール 📸.png", Some(45)),
        file(tokyo, "抹茶ラテ新発売.jpg", Some(2 * DAY + 9 * HOUR)),
        file(tokyo, "قائمة الشتاء.png", Some(11 * DAY)),
        file(tokyo, "summer-leftover.gif", Some(-2 * DAY)),
    ];
    let owned = |owner: &str, media: MediaAtRisk| MediaAtRisk {
        owner: Some(ProfileName::new(owner)),
        id: id_of(&media.url),
        ..media
    };
    let url_of =
        |name: &str| files.iter().find(|file| file.name == name).map(|file| file.url.clone()).unwrap_or_default();
    let posts = vec![
        PostAtRisk {
            profile: ProfileName::new(head_office),
            id: Some("post-1".to_owned()),
            text: Some(
                "It is nearly here: our biggest Black Friday yet.\nTurn the sound on, and see you at midnight! 🖤"
                    .to_owned(),
            ),
            platforms: vec!["instagram".to_owned(), "tiktok".to_owned(), "youtube".to_owned()],
            scheduled_at: Some(now + SignedDuration::from_hours(17)),
            media: vec![owned(
                head_office,
                at_risk(
                    now,
                    &url_of("black-friday-teaser-v3-final.mp4"),
                    Some("black-friday-teaser-v3-final.mp4"),
                    Some(9 * HOUR + moved),
                ),
            )],
        },
        PostAtRisk {
            profile: ProfileName::new(acme),
            id: Some("post-2".to_owned()),
            text: Some("Ten stamps, one coffee on us. Pick up the new loyalty card at any counter.".to_owned()),
            platforms: vec!["facebook".to_owned(), "instagram".to_owned()],
            scheduled_at: Some(now + SignedDuration::from_hours(24 * 6)),
            media: vec![
                owned(
                    acme,
                    at_risk(
                        now,
                        &url_of("loyalty-card-front.webp"),
                        Some("loyalty-card-front.webp"),
                        Some(5 * DAY + moved),
                    ),
                ),
                owned(
                    acme,
                    at_risk(
                        now,
                        &url_of("loyalty-card-back.webp"),
                        Some("loyalty-card-back.webp"),
                        Some(5 * DAY + HOUR + moved),
                    ),
                ),
                at_risk(now, "https://images.ayrshare.com/acme/stamp-close-up.jpg", None, None),
            ],
        },
    ];
    let items = files.into_iter().map(|file| {
        let minutes = file.minutes.map(|minutes| minutes + moved);
        item(now, File { minutes, ..file })
    });
    let items = items.collect();
    result(now, items, posts, &[failure("North Gym", Part::Media), failure(harbour, Part::Posts)])
}

/// Hostile file names, URLs and texts, repeated until there are so many files.
pub fn hostile(now: Timestamp, files: usize) -> RunResult {
    let script = "<script>window.broken = 1</script>";
    let long = "long ".repeat(800);
    let unbroken = "W".repeat(4_000);
    let names = [
        script,
        "\"><img src=x onerror=\"window.broken = 1\">.png",
        "' onmouseover='window.broken = 1' x='.png",
        "</title></style></script><script>window.broken = 1</script>.png",
        "{{ 7 * 7 }} {% raw %} ${window.broken = 1}.png",
        "invoice\u{202E}gnp.exe",
        "\u{2066}\u{200F}\u{FEFF}hidden\u{0000}\u{0007}.png",
        "=HYPERLINK(\"https://evil.example/\",\"x\").png",
        "+1+1.png",
        "@SUM(A1).png",
        "a,b;\"c\"\r\nBEGIN:VEVENT\r\nUID:x.png",
        "&lt;b&gt;.png",
        long.as_str(),
        unbroken.as_str(),
        "",
    ];
    let urls = [
        "javascript:window.broken=1",
        "https://images.ayrshare.com/\"><script>window.broken=1</script>.png",
        "https://images.ayrshare.com/a.png' onerror='window.broken=1",
        "https://images.ayrshare.com@evil.example/a.png",
        "data:text/html,<script>window.broken=1</script>",
        "http://evil.example/a.png",
        "https://images.ayrshare.com/missing.png",
        "https://images.ayrshare.com/caf\u{e9} \u{202E}gnp.png",
        "vbscript:msgbox(1)",
        "https://",
        "file:///etc/passwd",
        " javascript:window.broken=1",
        "//evil.example/a.png",
        "\u{1}javascript:window.broken=1",
        "blob:https://evil.example/1",
    ];
    let profiles = [script, "\u{202E}\"Evil\" & sons", "=cmd|' /C calc'!A0", "Ordinary"];
    let items = (0..files).map(|index| {
        let (name, url) = (names[index % names.len()], urls[index % urls.len()]);
        // Files that expire in the same minute would share a line of a message.
        let turn = i64::try_from(index / names.len()).unwrap_or_default();
        let minutes = [Some(30 + turn), Some(2 * DAY + turn), Some(-HOUR - turn), None, Some(10 * DAY + turn)];
        let mut made = item(now, File { url: url.to_owned(), ..file(profiles[index % 4], name, minutes[index % 5]) });
        made.media.id = Some(format!("{index}-{script}"));
        made
    });
    let posts = names.iter().enumerate().map(|(index, name)| PostAtRisk {
        profile: ProfileName::new(profiles[index % 4]),
        id: Some(if index == 0 { "\" onclick=\"window.broken = 1".to_owned() } else { format!("{index}{script}") }),
        text: (index != 3).then(|| (*name).to_owned()),
        platforms: vec![script.to_owned(), "=1+1".to_owned()],
        scheduled_at: (index != 4)
            .then(|| now + SignedDuration::from_hours(7 * i64::try_from(index).unwrap_or_default())),
        media: urls
            .iter()
            .enumerate()
            .map(|(place, url)| MediaAtRisk {
                owner: (index == 0).then(|| ProfileName::new(profiles[place % 4])),
                id: (index == 0).then(|| format!("{place}-{script}")),
                ..at_risk(now, url, Some(names[13 - index % 14]), (index % 2 == 0).then_some(HOUR))
            })
            .collect(),
    });
    let failed = vec![failure(script, Part::Posts), failure("\u{202E}<b>Down</b>", Part::Media)];
    result(now, items.collect(), posts.collect(), &failed)
}

pub fn many(now: Timestamp, files: usize) -> RunResult {
    let names: Vec<_> = (0..files)
        .map(|index| format!("campaign-{index:05}.{}", ["jpg", "mp4", "png", "webp", "pdf"][index % 5]))
        .collect();
    let profiles: Vec<_> = (0..12).map(|index| format!("Client {}", index + 1)).collect();
    let items = names.iter().enumerate().map(|(index, name)| {
        let minutes = i64::try_from(index).unwrap_or_default() * (14 * DAY) / i64::try_from(files).unwrap_or(1) - 600;
        item(now, file(&profiles[index * 7 % 12], name, Some(minutes)))
    });
    result(now, items.collect(), Vec::new(), &[])
}
