//! Surveys that are made from bytes: any text in any field, but only what the parsers and the selection can produce.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use media_expiry_alerts::channel::RunJson;
use media_expiry_alerts::digest::{Digest, ReportLink};
use media_expiry_alerts::model::text::{one_line, shorten};
use media_expiry_alerts::model::{
    AyrshareProfile, Copies, Discovery, DiscoveryStatus, FailedCopy, FailedProfile, Failure, FailureKind, Item,
    KeptCopy, Listing, ListingOrigin, Media, MediaAtRisk, PROFILES_FROM, Part, PostAtRisk, ProfileName, RiskReason,
    State, Tags, Threshold, Thresholds, UnverifiedUrl, Zone,
};
use media_expiry_alerts::run::command::Action;
use media_expiry_alerts::run::result::RunResult;
use media_expiry_alerts::scan::survey::{Survey, SurveyedProfile};

use crate::text::{name, text, url};

/// The id of the run.
pub const RUN_ID: &str = "0d9ee2f0-7a4c-4a6e-9d43-5e7f6d0c8a11";
/// The name of the channel.
pub const CHANNEL: &str = "social-team";

/// A survey, and the digest of it that a channel is told.
#[derive(Debug)]
pub struct Found {
    /// The result of the run that has found the survey.
    pub result: RunResult,
    /// What a channel is told that hears of all profiles.
    pub digest: Digest,
}

impl<'a> Arbitrary<'a> for Found {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let now = "2026-11-23T06:00:00Z".parse().expect("a time");
        let mut make = Maker { now, thresholds: thresholds(u)?, names: Vec::new(), u };
        let survey = Arc::new(make.survey()?);
        let digest = make.digest(&survey)?;
        Ok(Self { result: RunResult::of_survey(survey, RUN_ID, Action::Alert), digest })
    }
}

impl Found {
    /// The survey.
    #[must_use]
    pub fn survey(&self) -> &Survey {
        &self.result.survey
    }

    /// Calls `render` with the result as channels receive it.
    pub fn with_json<T>(&self, render: impl FnOnce(&Digest, RunJson<'_>) -> T) -> T {
        let within = |max_bytes: usize| {
            let json = self.result.to_json_within(max_bytes);
            (json.text, json.is_cut)
        };
        render(&self.digest, RunJson { run_id: RUN_ID, channel: CHANNEL, within: &within })
    }
}

fn thresholds(u: &mut Unstructured<'_>) -> Result<Thresholds> {
    const SPANS: [&str; 8] = ["7d", "3d", "1d", "14d", "90m", "1s", "8w", "100000h"];
    let spans = (0..u.int_in_range(1..=4_u8)?).map(|_| u.choose(&SPANS)).collect::<Result<Vec<_>>>()?;
    let spans = spans.into_iter().map(|span| Threshold::parse(span).expect("a threshold"));
    Ok(Thresholds::new(spans).expect("a threshold"))
}

struct Maker<'u, 'a> {
    now: Timestamp,
    thresholds: Thresholds,
    names: Vec<ProfileName>,
    u: &'u mut Unstructured<'a>,
}

impl Maker<'_, '_> {
    fn survey(&mut self) -> Result<Survey> {
        let mut names = HashSet::new();
        for index in 0..self.upto(5)? {
            let name = name(self.u, 200)?;
            let name = if names.insert(name.clone()) { name } else { format!("Profile {index}") };
            self.names.push(ProfileName::new(&name));
        }
        if self.names.is_empty() {
            self.names.push(ProfileName::new("Acme"));
        }
        let profiles = (0..self.names.len()).map(|index| self.profile(index)).collect::<Result<Vec<_>>>()?;
        let mut items = Vec::new();
        for _ in 0..self.upto(8)? {
            self.add_items(&mut items)?;
        }
        let mut posts_at_risk = Vec::new();
        for _ in 0..self.upto(4)? {
            self.add_posts(&items, &mut posts_at_risk)?;
        }
        items.sort_by_key(|item| item.media.expires_at.unwrap_or(Timestamp::MAX));
        let copies = self.copies(&items)?;
        let unverified = (0..self.upto(3)?).map(|_| self.unverified()).collect::<Result<_>>()?;
        Ok(Survey {
            now: self.now,
            listing: self.listing()?,
            profiles,
            items,
            posts_at_risk,
            unverified,
            seen_posts: Arc::default(),
            to_copy: Vec::new(),
            copies: Arc::new(copies),
            discovery: self.discovery()?,
        })
    }

    fn digest(&mut self, survey: &Survey) -> Result<Digest> {
        let mut digest = Digest::new(survey, &self.names, &self.thresholds)
            .with_listing(&survey.listing)
            .with_unwatched(&survey.discovery);
        // What a ledger makes of it.
        let kept = self.upto(200)?;
        if self.ratio(1, 4)? {
            digest.entries.truncate(kept);
        }
        for _ in 0..self.upto(3)? {
            let (name, part) = (self.name()?, self.part()?);
            digest.recovered.push((name, part));
        }
        for _ in 0..self.upto(3)? {
            let (name, label) = (self.name()?, format!("“{}”", text(self.u, 100)?));
            digest.resolved.push((name, label));
        }
        digest.is_test = self.ratio(1, 16)?;
        digest.unchecked_is_news = self.u.arbitrary()?;
        digest.announced_before = self.upto(3)?;
        digest.handled = self.upto(3)?;
        digest.zone = Zone::parse(self.u.choose(&["UTC", "Europe/Berlin", "America/St_Johns"])?).expect("a zone");
        if self.ratio(1, 4)? {
            digest.note = Some(one_line(&name(self.u, 300)?));
        }
        if self.ratio(1, 8)? {
            let reason = text(self.u, 5_000)?;
            digest.ledger_note =
                Some(format!("What was announced before is unknown, so this may repeat it: {reason}."));
        }
        if self.u.arbitrary()? {
            let path = "x".repeat(self.upto(900)?);
            let url = format!("https://reports.example/{path}/r/AzQ-_0000000000000000000000000000000000");
            digest.report_link = Some(ReportLink { url, until: self.now + SignedDuration::from_hours(168) });
        }
        Ok(digest)
    }

    /// A number from 0 to `max`. Small ones are likely.
    fn upto(&mut self, max: usize) -> Result<usize> {
        let number = usize::from(self.u.arbitrary::<u8>()?);
        Ok(if number < 240 { number % (max.min(3) + 1) } else { (number - 240) * max / 15 })
    }

    fn ratio(&mut self, numerator: u8, denominator: u8) -> Result<bool> {
        self.u.ratio(numerator, denominator)
    }

    fn name(&mut self) -> Result<ProfileName> {
        self.u.choose(&self.names).cloned()
    }

    fn optional(&mut self, make: impl FnOnce(&mut Self) -> Result<String>) -> Result<Option<String>> {
        Ok(if self.ratio(3, 4)? { Some(make(self)?).filter(|text| !text.is_empty()) } else { None })
    }

    fn moment(&mut self) -> Result<Timestamp> {
        let seconds = match self.u.int_in_range(0..=7_u8)? {
            0 => return Ok(Timestamp::MAX),
            1 => i64::from(self.u.arbitrary::<i32>()?),
            2 => 0,
            _ => i64::from(self.u.arbitrary::<i16>()?) * 60,
        };
        Ok(self.now + SignedDuration::from_secs(seconds))
    }

    fn part(&mut self) -> Result<Part> {
        self.u.choose(&[Part::Media, Part::Dates, Part::Posts, Part::Profiles]).copied()
    }

    fn failure(&mut self) -> Result<Failure> {
        const KINDS: [FailureKind; 9] = [
            FailureKind::Unauthorized,
            FailureKind::Forbidden,
            FailureKind::NotFound,
            FailureKind::RateLimited,
            FailureKind::Timeout,
            FailureKind::Unavailable,
            FailureKind::BadResponse,
            FailureKind::OutOfTime,
            FailureKind::InvalidEntry,
        ];
        let kind = *self.u.choose(&KINDS)?;
        // The reasons of invalid entries are fixed texts.
        let message = match kind {
            FailureKind::InvalidEntry => "another profile has this name".to_owned(),
            _ => format!("Ayrshare answered 403: {}", text(self.u, 300)?),
        };
        Ok(Failure { kind, http_status: self.u.arbitrary()?, code: self.u.arbitrary()?, message })
    }

    fn profile(&mut self, index: usize) -> Result<SurveyedProfile> {
        let failed = if self.ratio(1, 4)? { Some(self.failure()?) } else { None };
        let dates = if self.ratio(1, 8)? { Err(self.failure()?) } else { Ok(()) };
        let posts = if self.ratio(1, 8)? { Err(self.failure()?) } else { Ok(()) };
        Ok(SurveyedProfile {
            name: self.names[index].clone(),
            tags: Tags::default(),
            listed: self.upto(1_000)?,
            ignored: self.upto(10)?,
            failed,
            dates,
            scheduled: self.upto(100)?,
            posts: self.ratio(7, 8)?.then_some(posts),
        })
    }

    /// Adds files that differ in nothing but a number.
    fn add_items(&mut self, items: &mut Vec<Arc<Item>>) -> Result<()> {
        let profile = self.name()?;
        let media = Media {
            id: self.optional(|make| text(make.u, 400))?,
            file_name: self.optional(|make| {
                // The longest text that is read from a gallery, now and then.
                let max = if make.ratio(1, 32)? { 16_000 } else { 400 };
                text(make.u, max)
            })?,
            url: self.optional(|make| url(make.u))?,
            size_bytes: self.u.arbitrary()?,
            created_at: None,
            expires_at: if self.ratio(7, 8)? { Some(self.moment()?) } else { None },
        };
        let apart = SignedDuration::from_secs(if self.u.arbitrary()? { 0 } else { 61 });
        let count = self.upto(120)?;
        for index in 0..=count {
            let mut media = media.clone();
            if 0 < count {
                media.id = Some(format!("{}{index}", media.id.unwrap_or_default()));
                let later = SignedDuration::from_secs(apart.as_secs() * i64::try_from(index).expect("a small number"));
                media.expires_at = media.expires_at.map(|at| at.saturating_add(later).expect("a duration"));
            }
            items.extend(self.item(profile.clone(), media).map(Arc::new));
        }
        Ok(())
    }

    /// The item of a file; `None` if it expires later than any threshold.
    fn item(&self, profile: ProfileName, media: Media) -> Option<Item> {
        let (state, threshold) = match media.expires_at {
            None => (State::Undated, None),
            Some(at) if at <= self.now => (State::Expired, None),
            Some(at) => (State::Expiring, Some(self.thresholds.entered(at.duration_since(self.now))?.clone())),
        };
        Some(Item { profile, media, state, threshold })
    }

    fn add_posts(&mut self, items: &[Arc<Item>], posts: &mut Vec<Arc<PostAtRisk>>) -> Result<()> {
        let platforms = (0..self.upto(8)?).map(|_| text(self.u, 200)).collect::<Result<_>>()?;
        let media = (0..=self.upto(30)?).map(|_| self.media_at_risk(items)).collect::<Result<_>>()?;
        let post = PostAtRisk {
            profile: self.name()?,
            id: self.optional(|make| text(make.u, 400))?,
            text: self.optional(|make| text(make.u, 500))?,
            platforms,
            scheduled_at: if self.ratio(3, 4)? { Some(self.moment()?) } else { None },
            media,
        };
        for index in 0..=self.upto(40)? {
            let id = post.id.as_ref().map(|id| format!("{id}{index}"));
            posts.push(Arc::new(PostAtRisk { id, ..post.clone() }));
        }
        Ok(())
    }

    fn media_at_risk(&mut self, items: &[Arc<Item>]) -> Result<MediaAtRisk> {
        const REASONS: [RiskReason; 3] =
            [RiskReason::ExpiresBeforePost, RiskReason::LinkExpiresBeforePost, RiskReason::AlreadyGone];
        let reason = *self.u.choose(&REASONS)?;
        let known = if !items.is_empty() && self.u.arbitrary()? { Some(self.u.choose(items)?) } else { None };
        Ok(match known {
            Some(item) => MediaAtRisk {
                id: item.media.id.clone(),
                owner: Some(item.profile.clone()),
                file_name: item.media.file_name.clone(),
                url: item.media.url.clone().unwrap_or_else(|| "https://files.example/a.png".to_owned()),
                expires_at: item.media.expires_at,
                reason,
            },
            None => MediaAtRisk {
                id: None,
                owner: None,
                file_name: None,
                url: url(self.u)?,
                expires_at: if self.u.arbitrary()? { Some(self.moment()?) } else { None },
                reason,
            },
        })
    }

    fn copies(&mut self, items: &[Arc<Item>]) -> Result<Copies> {
        if self.ratio(1, 2)? {
            return Ok(Copies::default());
        }
        let mut copies = Copies::on();
        for _ in 0..self.upto(3)?.min(items.len()) {
            let item = self.u.choose(items)?;
            let identity = item.media.identity().to_owned();
            let key = format!("copies/{}/{identity}", item.profile);
            let copy = KeptCopy::new(item.profile.clone(), key, self.u.arbitrary()?, self.u.arbitrary()?);
            copies.add(item.profile.clone(), &identity, Arc::new(copy));
        }
        for _ in 0..self.upto(5)? {
            copies.failed.push(FailedCopy {
                profile: self.name()?,
                id: self.optional(|make| text(make.u, 400))?,
                file_name: text(self.u, 2_000)?,
                reason: "the host answered 404".to_owned(),
                is_too_large: self.u.arbitrary()?,
            });
        }
        if self.ratio(1, 4)? {
            copies.add_waiting(self.name()?);
        }
        Ok(copies)
    }

    fn unverified(&mut self) -> Result<UnverifiedUrl> {
        Ok(UnverifiedUrl {
            profile: self.name()?,
            post_id: self.optional(|make| text(make.u, 400))?,
            url: url(self.u)?,
            http_status: self.u.arbitrary()?,
        })
    }

    fn listing(&mut self) -> Result<Listing> {
        const ORIGINS: [ListingOrigin; 3] = [ListingOrigin::Read, ListingOrigin::Copy, ListingOrigin::Missing];
        if self.ratio(3, 4)? {
            return Ok(Listing::default());
        }
        let mut failed = Vec::new();
        for index in 0..self.upto(40)? {
            let entry = match self.u.int_in_range(0..=2_u8)? {
                0 => PROFILES_FROM.to_owned(),
                1 => format!("{PROFILES_FROM}[{index}]"),
                _ => name(self.u, 200)?,
            };
            failed.push(FailedProfile {
                profile: ProfileName::new(&entry),
                what: Part::Profiles,
                failure: self.failure()?,
            });
        }
        Ok(Listing { origin: *self.u.choose(&ORIGINS)?, profiles: self.names.len(), failed })
    }

    fn discovery(&mut self) -> Result<Discovery> {
        if self.ratio(3, 4)? {
            return Ok(Discovery::default());
        }
        let mut unwatched = Vec::new();
        for _ in 0..self.upto(150)? {
            // Few bytes are left for the last ones, which are then empty.
            let title = self.optional(|make| Ok(shorten(text(make.u, 300)?.trim(), 300).into_owned()))?;
            let ref_id = self.optional(|make| Ok(text(make.u, 50)?.trim().to_owned()))?;
            unwatched.push(AyrshareProfile { title, ref_id });
        }
        Ok(Discovery { status: DiscoveryStatus::Ok, unwatched: unwatched.into(), identified: Vec::new() })
    }
}
