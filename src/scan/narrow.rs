//! Narrows a survey to what a run over fewer profiles, or with closer thresholds, would have found. Pure.

use std::collections::HashSet;
use std::sync::Arc;

use crate::model::threshold::Thresholds;
use crate::model::{Discovery, Item, MediaAtRisk, PostAtRisk, ProfileName, RiskReason, State};
use crate::scan::survey::Survey;

impl Survey {
    /// Returns the part of this survey that concerns `profiles` and `thresholds`, which must not reach further than those
    /// of the survey itself.
    ///
    /// A post of these profiles may use a file in the gallery of another one. The result keeps the URL, which the post
    /// contains, but not what the other gallery says about the file.
    #[must_use]
    pub fn narrowed(&self, profiles: &[&ProfileName], thresholds: &Thresholds) -> Self {
        let profiles: HashSet<_> = profiles.iter().copied().collect();
        let item = |item: &Arc<Item>| {
            if !profiles.contains(&item.profile) {
                return None;
            }
            let threshold = match item.state {
                State::Expiring => Some(thresholds.entered(item.remaining(self.now)?)?),
                State::Expired | State::Undated => None,
            };
            if threshold == item.threshold.as_ref() {
                return Some(Arc::clone(item));
            }
            Some(Arc::new(Item { threshold: threshold.cloned(), ..Item::clone(item) }))
        };
        // A post without a due date is at risk only while the file expires within the thresholds.
        let still_matters = |media: &MediaAtRisk| {
            let remaining = media.expires_at.map(|at| at.duration_since(self.now));
            media.reason == RiskReason::AlreadyGone || remaining.is_none_or(|left| thresholds.entered(left).is_some())
        };
        let is_foreign = |media: &MediaAtRisk| media.owner.as_ref().is_some_and(|owner| !profiles.contains(owner));
        let post = |post: &Arc<PostAtRisk>| {
            if !profiles.contains(&post.profile) {
                return None;
            }
            let matters = |media: &&MediaAtRisk| post.scheduled_at.is_some() || still_matters(media);
            if post.media.iter().all(|media| matters(&media) && !is_foreign(media)) {
                return Some(Arc::clone(post));
            }
            let mut media: Vec<_> = post.media.iter().filter(matters).cloned().collect();
            for media in media.iter_mut().filter(|media| is_foreign(media)) {
                *media = MediaAtRisk { id: None, owner: None, file_name: None, ..media.clone() };
            }
            (!media.is_empty()).then(|| Arc::new(PostAtRisk { media, ..PostAtRisk::clone(post) }))
        };
        Self {
            now: self.now,
            listing: self.listing.without_entries(),
            profiles: self.profiles.iter().filter(|profile| profiles.contains(&profile.name)).cloned().collect(),
            items: self.items.iter().filter_map(item).collect(),
            posts_at_risk: self.posts_at_risk.iter().filter_map(post).collect(),
            unverified: self.unverified.iter().filter(|url| profiles.contains(&url.profile)).cloned().collect(),
            seen_posts: Arc::clone(&self.seen_posts),
            to_copy: Vec::new(),
            copies: Arc::new(self.copies.of_profiles(&profiles)),
            discovery: Discovery::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::digest::fixtures::{now, survey};
    use crate::model::threshold::Threshold;

    fn thresholds(label: &str) -> Thresholds {
        Thresholds::new([Threshold::parse(label).expect("a threshold")]).expect("thresholds")
    }

    fn media(owner: &str, hours: i64, reason: RiskReason) -> MediaAtRisk {
        MediaAtRisk {
            id: Some("id".into()),
            owner: Some(ProfileName::new(owner)),
            file_name: Some("a.png".into()),
            url: format!("https://images.ayrshare.com/{hours}.png"),
            expires_at: Some(now() + SignedDuration::from_hours(hours)),
            reason,
        }
    }

    fn post(due_in_hours: Option<i64>, media: Vec<MediaAtRisk>) -> Arc<PostAtRisk> {
        Arc::new(PostAtRisk {
            profile: ProfileName::new("Café 東京"),
            id: None,
            text: None,
            platforms: Vec::new(),
            scheduled_at: due_in_hours.map(|hours| now() + SignedDuration::from_hours(hours)),
            media,
        })
    }

    #[test]
    fn only_the_profiles_that_are_asked_for_are_left() {
        let cafe = ProfileName::new("Café 東京");
        let whole = survey();
        let narrowed = whole.narrowed(&[&cafe], &thresholds("7d"));
        assert_eq!(narrowed.now, whole.now);
        assert_eq!(narrowed.profiles.iter().map(|profile| &profile.name).collect::<Vec<_>>(), [&cafe]);
        assert_eq!(narrowed.items.len(), 3);
        assert!(narrowed.items.iter().all(|item| item.profile == cafe));
        assert!(narrowed.posts_at_risk.is_empty());
        assert!(whole.narrowed(&[], &thresholds("7d")).profiles.is_empty());
    }

    #[test]
    fn files_are_held_against_the_closer_thresholds() {
        let (cafe, office) = (ProfileName::new("Café 東京"), ProfileName::new("Head office"));
        let narrowed = survey().narrowed(&[&office, &cafe], &thresholds("20h"));
        let found: Vec<_> = narrowed.items.iter().map(|item| item.threshold.as_ref().map(Threshold::label)).collect();
        // One that has expired, three within 20 hours, and one without a date.
        assert_eq!(found, [None, Some("20h"), Some("20h"), Some("20h"), None]);
    }

    #[test]
    fn a_post_without_a_due_date_is_held_against_the_closer_thresholds() {
        let cafe = ProfileName::new("Café 東京");
        let mut whole = survey();
        let both = || {
            let near = media("Café 東京", 5, RiskReason::ExpiresBeforePost);
            vec![near, media("Café 東京", 50, RiskReason::ExpiresBeforePost)]
        };
        let far = vec![media("Café 東京", 50, RiskReason::ExpiresBeforePost)];
        let gone = vec![media("Café 東京", -50, RiskReason::AlreadyGone)];
        whole.posts_at_risk = vec![post(Some(60), both()), post(None, both()), post(None, far), post(None, gone)];
        let narrowed = whole.narrowed(&[&cafe], &thresholds("1d"));
        let found: Vec<_> = narrowed.posts_at_risk.iter().map(|post| post.media.len()).collect();
        assert_eq!(found, [2, 1, 1]);
    }

    #[test]
    fn nothing_is_said_of_the_gallery_of_another_profile() {
        let cafe = ProfileName::new("Café 東京");
        let mut whole = survey();
        let foreign = media("Head office", 5, RiskReason::ExpiresBeforePost);
        whole.posts_at_risk = vec![post(Some(60), vec![foreign.clone()])];
        let narrowed = whole.narrowed(&[&cafe], &thresholds("7d"));
        let expected = MediaAtRisk { id: None, owner: None, file_name: None, ..foreign };
        assert_eq!(narrowed.posts_at_risk[0].media, [expected]);
    }
}
