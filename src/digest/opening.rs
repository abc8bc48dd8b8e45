//! The first lines of a digest: how bad it is, and what to do first.

use super::{Digest, Sentence, Subject};
use crate::model::{PostAtRisk, RiskReason, State, text};

impl Digest {
    /// The headline in two parts, the most serious item and the rest, if there is any: `2 scheduled posts will fail` and
    /// `Also: 7 files expire within 3 days.`
    #[must_use]
    pub fn title(&self) -> (String, Option<String>) {
        match self.headline_parts().split_first() {
            Some((gravest, rest)) if !rest.is_empty() => {
                (self.summary("", std::slice::from_ref(gravest)), Some(format!("Also: {}.", rest.join(", "))))
            }
            _ => (self.headline(), None),
        }
    }

    /// What to do first, if there is a choice: `Start with the posts: the first one loses a file in 5 hours, …`.
    ///
    /// It names no file and no post, because each has its own line.
    #[must_use]
    pub fn first_step(&self) -> Option<Sentence> {
        if self.is_test || self.entries.len() < 2 {
            return None;
        }
        let posts: Vec<_> = self.entries.iter().filter_map(|entry| post(&entry.subject)).collect();
        let (what, which) = match posts.len() {
            0 => return self.first_expiry(),
            1 => ("Start with the post", "it"),
            _ => ("Start with the posts", "the first one"),
        };
        let media = posts.iter().flat_map(|post| &post.media).filter(|media| media.reason != RiskReason::AlreadyGone);
        let first = media.filter_map(|media| media.expires_at).filter(|at| self.now < *at).min();
        Some(match first {
            Some(at) => {
                let distance = text::distance(at.duration_since(self.now));
                Sentence::new(format!("{what}: {which} loses a file {distance}, ")).at(at).then(".")
            }
            None => Sentence::new(format!("{what}.")),
        })
    }

    /// What to do first if no post will fail. Nothing can be done about files that have expired.
    fn first_expiry(&self) -> Option<Sentence> {
        let expiring = self.entries.iter().filter_map(|entry| match &entry.subject {
            Subject::File(item) if item.state == State::Expiring => item.media.expires_at,
            _ => None,
        });
        let at = expiring.min()?;
        let distance = text::distance(at.duration_since(self.now));
        Some(Sentence::new(format!("Start with what expires {distance}, ")).at(at).then("."))
    }
}

fn post(subject: &Subject) -> Option<&PostAtRisk> {
    match subject {
        Subject::Post(post) => Some(post),
        Subject::File(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::digest::test_surveys::{digest, file, post, survey};
    use crate::model::{PostAtRisk, Zone};

    fn first_step(files: &[Option<i64>], posts: Vec<PostAtRisk>) -> String {
        let files = files.iter().map(|hours| file("a.png", *hours)).collect();
        let step = digest(&survey(files, posts)).first_step();
        step.map(|step| step.plain(&Zone::UTC)).unwrap_or_default()
    }

    #[test]
    fn posts_that_will_fail_come_first() {
        assert_eq!(
            first_step(&[Some(2)], vec![post(48, Some(30)), post(48, Some(5))]),
            "Start with the posts: the first one loses a file in 5 hours, Mon 23 Nov 2026, 11:00 UTC."
        );
        assert_eq!(
            first_step(&[Some(2)], vec![post(48, Some(5))]),
            "Start with the post: it loses a file in 5 hours, Mon 23 Nov 2026, 11:00 UTC."
        );
        for over in [0, -1] {
            assert_eq!(first_step(&[Some(2)], vec![post(48, None), post(48, Some(over))]), "Start with the posts.");
        }
    }

    #[test]
    fn without_posts_it_is_the_first_file_that_has_not_expired() {
        assert_eq!(
            first_step(&[Some(-2), Some(5), Some(3), None], Vec::new()),
            "Start with what expires in 3 hours, Mon 23 Nov 2026, 09:00 UTC."
        );
    }

    #[test]
    fn there_is_no_first_step_without_a_choice() {
        assert_eq!(first_step(&[Some(5)], Vec::new()), "");
        assert_eq!(first_step(&[Some(-5), None], Vec::new()), "");
    }

    #[test]
    fn the_title_is_what_is_gravest() {
        let title = |files: &[Option<i64>]| {
            let files = files.iter().map(|hours| file("a.png", *hours)).collect();
            digest(&survey(files, Vec::new())).title()
        };
        assert_eq!(title(&[Some(5)]), ("1 file expires within 1 day".to_owned(), None));
        assert_eq!(
            title(&[Some(-5), Some(5), None]),
            (
                "1 file has expired".to_owned(),
                Some("Also: 1 file expires within 1 day, 1 file has no expiry date.".to_owned())
            )
        );
    }
}
