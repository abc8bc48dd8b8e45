//! Ayrshare and the channels of one simulated run.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use media_expiry_alerts::channel::SendError;
use media_expiry_alerts::config::{Channel, Profile, RescueFiles};
use media_expiry_alerts::model::{
    AyrshareProfile, Copies, Discovery, DiscoveryStatus, FailedCopy, Failure, FailureKind, KeptCopy, Media,
    ProfileName, ScheduledPost,
};
use media_expiry_alerts::net::{Deadline, Retry};
use media_expiry_alerts::run::rescue::CopyMode;
use media_expiry_alerts::run::{Outgoing, Services as RunServices};
use media_expiry_alerts::scan::ayrshare::ScheduledPosts;
use media_expiry_alerts::scan::posts::{PostCheck, UrlStatuses};
use media_expiry_alerts::scan::rules::Rules;
use media_expiry_alerts::scan::select::Gallery;
use media_expiry_alerts::scan::survey::{Scan, Survey};
use media_expiry_alerts::scan::used_files::FilesInPosts;

use super::links::Link;
use super::news::{Deliveries, Delivery, Statement, statements};
use super::steps::Steps;
use super::world::{Account, Post, ReadablePosts, World, file_url, timestamp};

/// How often a channel that works rejects a message for the moment.
const OVERLOADED_PERCENT: u8 = 20;

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
        let world = self.world().at(rules.now.as_millisecond());
        let accounts: Vec<_> =
            profiles.iter().map(|profile| &world.accounts[world.account_index(profile.name.as_str())]).collect();
        let posts: Vec<_> = accounts.iter().map(|account| posts(account)).collect();
        let mut in_posts = FilesInPosts::new(rules);
        for posts in &posts {
            in_posts.add(&posts.posts.unpack(), rules);
        }
        let scan = |((profile, account), posts): ((&&Profile, &&Account), _)| {
            let media =
                if account.media_fail { Err(failure()) } else { Ok(gallery(profile, account, rules, &in_posts)) };
            Scan { profile: profile.name.clone(), media, posts: Some(posts) }
        };
        let scans: Vec<_> = profiles.iter().zip(&accounts).zip(posts).map(scan).collect();
        let known: Vec<_> = scans.iter().map(Scan::known).collect();
        let check = PostCheck::new(&known, rules);
        let status = |(_, url): (ProfileName, String)| {
            let status = world.status_of(&url);
            (url, status)
        };
        let statuses: UrlStatuses = check.finish(&UrlStatuses::new()).urls_to_open().into_iter().map(status).collect();
        let checked = check.finish(&statuses);
        let discovery = match rules.discovery {
            Some(_) => discovery(world.unwatched.as_ref()),
            None => Discovery::default(),
        };
        Survey { discovery, ..Survey::new(rules.now, scans, checked) }
    }

    async fn copies(&self, survey: &Survey, _: &RescueFiles, _: CopyMode, _: Deadline) -> Copies {
        self.steps.take().await;
        let mut copies = Copies::on();
        for item in survey.items.iter().chain(&survey.to_copy) {
            let (profile, identity) = (item.profile.clone(), item.media.identity().to_owned());
            if self.steps.chance(40) {
                let copy = KeptCopy::new(profile.clone(), format!("copies/{identity}"), 1, self.steps.chance(10));
                copies.add(profile, &identity, Arc::new(copy));
            } else if self.steps.chance(50) {
                let (id, file_name, reason) = (Some(identity.clone()), identity, "it is out of order".to_owned());
                copies.failed.push(FailedCopy { profile, id, file_name, reason, is_too_large: self.steps.chance(20) });
            } else {
                copies.add_waiting(profile);
            }
        }
        copies
    }

    async fn send(&self, channel: &Channel, message: &Outgoing<'_>, _: Deadline) -> Result<(), SendError> {
        self.steps.take_before_effect().await;
        let received = self.receive(channel, message);
        // The run may still crash or freeze before it gets the answer.
        self.steps.take().await;
        if received? { Ok(()) } else { Err(SendError::permanent("no answer within 10 s")) }
    }

    async fn check(&self, _: &Channel, _: Deadline) -> Result<(), String> {
        Ok(())
    }
}

impl Services<'_> {
    /// Receives a message for a channel. Returns whether the confirmation reaches the run.
    fn receive(&self, channel: &Channel, message: &Outgoing<'_>) -> Result<bool, SendError> {
        let world = self.world();
        let receiver = world.receivers.iter().find(|receiver| receiver.name == channel.name);
        let receiver = receiver.expect("a channel of this world");
        if receiver.is_down || self.steps.chance(OVERLOADED_PERCENT) {
            return Err(SendError { reason: "answered 503".to_owned(), retry: Retry::Backoff });
        }
        let is_confirmed = !self.steps.chance(receiver.lost_confirmations_percent);
        let mut deliveries = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        for Statement { news, level } in statements(message) {
            let (run, at_ms) = (self.run, world.now_ms);
            let delivery = Delivery { run, at_ms, news, level, is_confirmed, is_recorded: false };
            deliveries.add(receiver.name, delivery);
        }
        Ok(is_confirmed)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comparing the profiles finds.
fn discovery(unwatched: Option<&BTreeSet<String>>) -> Discovery {
    let Some(unwatched) = unwatched else { return Discovery::unavailable() };
    let profile =
        |ref_id: &String| AyrshareProfile { title: Some("A client".to_owned()), ref_id: Some(ref_id.clone()) };
    Discovery {
        status: DiscoveryStatus::Ok,
        unwatched: unwatched.iter().map(profile).collect(),
        ..Discovery::default()
    }
}

/// Returns Ayrshare's answer about the posts of a profile.
fn posts(account: &Account) -> ScheduledPosts {
    ScheduledPosts {
        posts: account.readable_posts().map(scheduled_post).collect(),
        unreadable_dates: account.readable_posts().filter(|post| post.has_unreadable_due_date()).count(),
        failed: (account.readable != ReadablePosts::All).then(failure),
        ..ScheduledPosts::default()
    }
}

fn gallery(profile: &Profile, account: &Account, rules: &Rules<'_>, in_posts: &FilesInPosts) -> Gallery {
    let mut gallery = Gallery::default();
    for file in &account.files {
        let media = Media {
            id: Some(file.id.clone()),
            url: Some(file_url(&file.id)),
            expires_at: file.stated_expiry_ms().map(timestamp),
            ..Media::default()
        };
        gallery.add(&profile.name, &media, rules, in_posts);
    }
    gallery.unreadable_dates = account.files.iter().filter(|file| file.has_unreadable_expiry()).count();
    gallery
}

fn scheduled_post(post: &Post) -> ScheduledPost {
    ScheduledPost {
        id: Some(post.id.clone()),
        text: Some(post.id.clone()),
        platforms: vec!["instagram".to_owned()],
        scheduled_at: post.stated_due_ms().map(timestamp),
        media_urls: post.files.iter().map(|file| file_url(&file.id)).chain(post.links.iter().map(Link::url)).collect(),
    }
}

fn failure() -> Failure {
    Failure { kind: FailureKind::Unavailable, http_status: Some(503), code: None, message: "out of order".to_owned() }
}
