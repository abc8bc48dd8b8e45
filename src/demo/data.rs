//! The data of the demo: an agency, its clients, their galleries and their scheduled posts.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::stand_ins::{AyrshareStandIn, MediaHostStandIn, Reply, account_profile, listed_file, scheduled_post};

/// The API key of the account.
pub const API_KEY: &str = "DEMO000-AYRSHAR-APIKEY0-0000001";

/// A profile of the agency.
pub struct Profile {
    /// The name in the configuration.
    pub name: &'static str,
    /// The environment variable with the profile key, and the key. The primary profile has no key.
    pub key: Option<(&'static str, &'static str)>,
}

/// The agency itself and its clients.
pub const PROFILES: [Profile; 5] = [
    Profile { name: "Bluebird Agency", key: None },
    Profile { name: "Acme Coffee", key: Some(("DEMO_ACME_KEY", "DEMO000-PROFILE-ACMECOF-0000002")) },
    Profile { name: "Café 東京", key: Some(("DEMO_CAFE_KEY", "DEMO000-PROFILE-CAFETKO-0000003")) },
    Profile { name: "Nordlicht Outdoor", key: Some(("DEMO_NORDLICHT_KEY", "DEMO000-PROFILE-NORDLIC-0000004")) },
    Profile { name: "Harbor Dental", key: Some(("DEMO_HARBOR_KEY", "DEMO000-PROFILE-HARBORD-0000005")) },
];

/// A client that is missing in the configuration.
pub const UNWATCHED: &str = "Birch & Co";

const MINUTE: i64 = 1;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The size of the files that are served, in bytes.
const SERVED_BYTES: u64 = 480_000;

/// Fills the account with profiles, galleries and posts, relative to `now`. Ayrshare rejects the key of the last profile. The
/// files of posts are served by `host`, if there is one.
pub fn fill(ayrshare: &AyrshareStandIn, host: Option<&MediaHostStandIn>, now: Timestamp) {
    let served = |file: Value| match host {
        Some(host) => host.add_file(&file, SERVED_BYTES),
        None => file,
    };
    // Rounded to minutes. Future times get one minute more, so that "in 5 hours" has not become "in 4 hours" by the time
    // the function runs.
    let minute = Timestamp::from_second(now.as_second() / 60 * 60).unwrap_or(now);
    let after = |minutes: i64| minute + SignedDuration::from_mins(if minutes < 0 { minutes } else { minutes + 1 });
    let file = |account: &str, name: &str, minutes: i64| listed_file(account, name, Some(after(minutes)));
    // Files that expire much later, like most files of a real gallery.
    let stock = |account: &str, name: &str, count: i64| -> Vec<Value> {
        (1..=count).map(|number| file(account, &format!("{name}-{number:02}.jpg"), (20 + number) * DAY)).collect()
    };

    let agency = [
        file("bluebird", "showreel-2026.mp4", 20 * HOUR),
        file("bluebird", "team-photo.jpg", 2 * DAY + 4 * HOUR),
        file("bluebird", "press-kit.pdf", -3 * HOUR),
    ];

    let launch = served(file("acme", "pumpkin-spice-launch 🎃.mp4", 5 * HOUR));
    let cups = served(file("acme", "holiday-cups.png", 17 * DAY));
    let acme = [launch.clone(), file("acme", "latte-art.mov", 2 * DAY + 7 * HOUR), cups.clone()];

    let mut undated = listed_file("cafe", "logo (final) (2).webp", None);
    // Ayrshare may omit a field or send null. The messages then omit the size.
    undated["size"] = json!(null);
    let removed = file("cafe", "紅葉ラテ.png", DAY);
    let cafe = [
        file("cafe", "夏のセール 📸.png", 45 * MINUTE),
        file("cafe", "メニュー秋.jpg", 30 * HOUR),
        file("cafe", "barista ☕️ interview.mp4", 6 * DAY + 2 * HOUR),
        undated,
    ];

    // A campaign that was uploaded at once, so all of it expires at once.
    let page = |page| served(file("nordlicht", &format!("lookbook-winter-{page:02}.jpg"), 6 * DAY + 3 * HOUR));
    let lookbook: Vec<_> = (1..=38).map(page).collect();
    let hut = file("nordlicht", "hütte-im-schnee.jpg", 2 * DAY);

    let galleries = [
        [agency.to_vec(), stock("bluebird", "case-study", 21)].concat(),
        [acme.to_vec(), stock("acme", "beans", 34)].concat(),
        [cafe.to_vec(), stock("cafe", "cake", 12)].concat(),
        [lookbook.clone(), vec![hut.clone()], stock("nordlicht", "trail", 60)].concat(),
    ];
    for (profile, gallery) in PROFILES.iter().zip(galleries) {
        ayrshare.gallery(profile.key.map(|(_, key)| key), &gallery);
    }
    // Nobody uploaded this file to Ayrshare, and the server on which it was is gone.
    ayrshare.url_status(removed["url"].as_str().unwrap_or_default(), 404);
    let [_, acme, cafe, nordlicht, harbor] = PROFILES.map(|profile| profile.key.map(|(_, key)| key));

    let message = "The profile key is not valid. Please verify your Profile Key.";
    let denied = json!({"action": "profile", "status": "error", "code": 31, "message": message});
    ayrshare.media(harbor, Reply::json(403, &denied));
    ayrshare.history(harbor, Reply::json(403, &denied));

    // Ayrshare does not list the primary profile. Nobody has added the last client to the configuration yet.
    let clients = PROFILES.iter().filter(|profile| profile.key.is_some()).map(|profile| profile.name);
    let account = clients.chain([UNWATCHED]).map(|title| {
        let ref_id = hex::encode(&Sha256::digest(title)[..20]);
        account_profile(title, &ref_id)
    });
    ayrshare.account(&account.collect::<Vec<_>>());

    let post = scheduled_post;
    // A presigned URL that ends in two days, and a URL on a server that denies access.
    let signed_at = minute.strftime("%Y%m%dT%H%M%SZ");
    let presigned = json!({"url": format!(
        "https://bluebird-media.s3.amazonaws.com/open-day.jpg?X-Amz-Date={signed_at}&X-Amz-Expires={}&X-Amz-Signature=0",
        2 * DAY * 60
    )});
    let intranet = json!({"url": "https://files.bluebird.example/office-dog.jpg"});
    ayrshare.url_status("https://files.bluebird.example/office-dog.jpg", 403);
    ayrshare.posts(
        None,
        &[
            post("2Bq61", "Come in, we are open on Saturday", &["facebook"], &[&presigned], after(4 * DAY)),
            post("2Bq62", "The office dog says hello", &["instagram"], &[&intranet], after(5 * DAY)),
        ],
    );
    ayrshare.posts(
        acme,
        &[
            post("9Kd31", "It is back. 🎃", &["instagram"], &[&launch], after(2 * HOUR)),
            post(
                "9Kd32",
                "Last call for pumpkin spice & friends!",
                &["instagram", "tiktok"],
                &[&launch],
                after(30 * HOUR),
            ),
            post("9Kd40", "Guess which cup is yours?", &["facebook"], &[&cups], after(20 * DAY)),
        ],
    );
    ayrshare
        .posts(cafe, &[post("4Tq07", "紅葉ラテ、はじめました 🍁", &["x", "instagram"], &[&removed], after(3 * DAY))]);
    let carousel: Vec<_> = lookbook.iter().take(4).collect();
    ayrshare.posts(
        nordlicht,
        &[
            post("7Zn11", "Winter is near: our lookbook", &["instagram"], &carousel, after(8 * DAY)),
            post("7Zn12", "Good night from the hut", &["facebook", "pinterest"], &[&hut], after(DAY)),
        ],
    );
}
