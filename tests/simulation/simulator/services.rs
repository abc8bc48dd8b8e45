//! Ayrshare and the channels, as one simulated run meets them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use media_expiry_alerts::config::{Channel, Profile};
use media_expiry_alerts::model::{Failure, FailureKind, Media, ScheduledPost};
use media_expiry_alerts::net::Deadline;
use media_expiry_alerts::run::{Outgoing, Services as RunServices};
use media_expiry_alerts::scan::ayrshare::ScheduledPosts;
use media_expiry_alerts::scan::select::{Gallery, Rules};
use media_expiry_alerts::scan::survey::{Scan, Survey};

use super::news::{Deliveries, Delivery, Statement, statements};
use super::steps::Steps;
use super::world::{Account, File, Post, World, file_url, timestamp};

/// The services that one run calls.
pub struct Services<'a> {
    pub world: &'a Mutex<World>,
    pub deliveries: &'a Mutex<Deliveries>,
    pub steps: Arc<Steps>,
    pub run: u32,
}

impl RunServices for Services<'_> {
    fn now(&self) -> Timestamp {
        timestamp(self.world().now_ms)
    }

    async fn scan(&self, profiles: &[&Profile], rules: &Rules<'_>, _: Deadline) -> Survey {
        self.steps.take().await;
        let accounts = self.world().accounts.clone();
        let scans = profiles.iter().zip(&accounts).map(|(profile, account)| scan(profile, account, rules)).collect();
        Survey::new(rules.now, scans)
    }

    async fn send(&self, channel: &Channel, message: &Outgoing<'_>, _: Deadline) -> Result<(), String> {
        self.steps.take_before_effect().await;
        let is_confirmed = self.receive(channel, message)?;
        // The message has arrived. The run may still crash before it learns of that.
        self.steps.take().await;
        if is_confirmed { Ok(()) } else { Err("no answer within 10 s".to_owned()) }
    }

    async fn check(&self, _: &Channel, _: Deadline) -> Result<(), String> {
        Ok(())
    }
}

impl Services<'_> {
    /// Takes a message for a channel. Returns whether the confirmation reaches the run.
    fn receive(&self, channel: &Channel, message: &Outgoing<'_>) -> Result<bool, String> {
        let world = self.world();
        let receiver = world.receivers.iter().find(|receiver| receiver.name == channel.name);
        let receiver = receiver.expect("a channel of this world");
        if receiver.is_down {
            return Err("answered 500".to_owned());
        }
        let is_confirmed = !self.steps.chance(receiver.lost_confirmations_percent);
        let mut deliveries = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        for Statement { news, level, due_ms } in statements(message) {
            let (run, at_ms) = (self.run, world.now_ms);
            let delivery = Delivery { run, at_ms, news, level, due_ms, is_confirmed, is_recorded: false };
            deliveries.add(receiver.name, delivery);
        }
        Ok(is_confirmed)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What Ayrshare answers about one profile.
fn scan(profile: &Profile, account: &Account, rules: &Rules<'_>) -> Scan {
    let media = if account.media_fail { Err(failure()) } else { Ok(gallery(profile, account, rules)) };
    let posts = || ScheduledPosts { posts: account.posts.iter().map(scheduled_post).collect(), unreadable_dates: 0 };
    let posts = if account.posts_fail { Err(failure()) } else { Ok(posts()) };
    Scan::new(profile.name.clone(), media, Some(posts), rules.now)
}

fn gallery(profile: &Profile, account: &Account, rules: &Rules<'_>) -> Gallery {
    let mut gallery = Gallery::default();
    for File { id, expires_ms } in &account.files {
        let media = Media {
            id: Some(id.clone()),
            url: Some(file_url(id)),
            expires_at: expires_ms.map(timestamp),
            ..Media::default()
        };
        gallery.add(&profile.name, &media, rules);
    }
    gallery
}

fn scheduled_post(post: &Post) -> ScheduledPost {
    ScheduledPost {
        id: Some(post.id.clone()),
        text: Some(post.id.clone()),
        platforms: vec!["instagram".to_owned()],
        scheduled_at: Some(timestamp(post.due_ms)),
        media_urls: vec![file_url(&post.file)],
    }
}

fn failure() -> Failure {
    Failure { kind: FailureKind::Unavailable, http_status: Some(503), code: None, message: "out of order".to_owned() }
}
