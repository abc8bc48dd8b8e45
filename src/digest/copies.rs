//! What a digest says of copies: that one is kept, and which files could not be copied.

use super::wording::{MAX_NAMED_FILES, post_reasons, timing};
use super::{Digest, Sentence};
use crate::model::{FailedCopy, Item, PostAtRisk, text};

/// How many files that could not be copied are named.
const MAX_FAILED: usize = 3;
/// The longest name of such a file, in characters.
const MAX_NAME: usize = 40;

impl Digest {
    /// When the files of a line expire, and whether copies are kept: `expires in 2 days, Wed 25 Nov 2026, 06:00 UTC; a copy is
    /// kept`. They expire together.
    #[must_use]
    pub fn timing(&self, files: &[&Item]) -> Sentence {
        let Some(first) = files.first() else { return Sentence::default() };
        let sentence = timing(first, self.now);
        let kept = files.iter().filter(|item| self.copies.of(item).is_some()).count();
        match kept {
            0 => sentence,
            1 if files.len() == 1 => sentence.then(A_COPY_IS_KEPT),
            _ if kept == files.len() => sentence.then("; copies of all are kept"),
            _ => sentence.then(format!("; copies of {kept} of them are kept")),
        }
    }

    /// Why a post will fail: one clause for each of the first files, with whether a copy is kept, and how many more there are.
    #[must_use]
    pub fn post_reasons(&self, post: &PostAtRisk) -> Vec<Sentence> {
        let mut reasons = post_reasons(post, self.now);
        for (reason, media) in reasons.iter_mut().zip(post.media.iter().take(MAX_NAMED_FILES)) {
            if self.copies.of_media(media).is_some() {
                *reason = std::mem::take(reason).then(A_COPY_IS_KEPT);
            }
        }
        reasons
    }

    /// What was not copied, and why.
    pub(super) fn not_copied(&self) -> Vec<String> {
        let (too_large, failed): (Vec<_>, Vec<_>) = self.copies.failed.iter().partition(|failed| failed.is_too_large);
        let name = |failed: &FailedCopy| text::shorten(&text::one_line(&failed.file_name), MAX_NAME).into_owned();
        let mut lines = Vec::new();
        if !failed.is_empty() {
            let names: Vec<_> = failed.iter().map(|failed| format!("{} ({})", name(failed), failed.reason)).collect();
            let files = text::count(failed.len(), "file");
            lines.push(format!(
                "{files} could not be copied: {}. The next run tries again.",
                text::list(&names, MAX_FAILED)
            ));
        }
        if !too_large.is_empty() {
            let names: Vec<_> = too_large.into_iter().map(name).collect();
            lines.push(format!(
                "Not copied, because it is larger than rescue.max_file_size allows: {}.",
                text::list(&names, MAX_FAILED)
            ));
        }
        match self.copies.waiting() {
            0 => {}
            waiting => lines
                .push(format!("There was no time to copy {} more; the next run does.", text::count(waiting, "file"))),
        }
        lines
    }
}

const A_COPY_IS_KEPT: &str = "; a copy is kept";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::digest::test_surveys::{digest, file, post, survey};
    use crate::model::{Copies, KeptCopy, MediaAtRisk, ProfileName, Zone};

    fn copies(kept: &[&Item]) -> Copies {
        let mut copies = Copies::on();
        for item in kept {
            let key = format!("copies/{}/{}", item.profile, item.media.identity());
            let copy = KeptCopy::new(item.profile.clone(), key, 1, true);
            copies.add(item.profile.clone(), item.media.identity(), Arc::new(copy));
        }
        copies
    }

    #[test]
    fn a_line_says_how_many_copies_are_kept() {
        let files: Vec<_> = ["a.png", "b.png", "c.png"].map(|name| file(name, Some(5))).into();
        let all: Vec<_> = files.iter().collect();
        let said = |kept: usize, shown: usize| {
            let mut found = survey(Vec::new(), Vec::new());
            found.copies = Arc::new(copies(&all[..kept]));
            let text = digest(&found).timing(&all[..shown]).plain(&Zone::UTC);
            text.split_once(" UTC").map(|(_, end)| end.to_owned()).expect("a time")
        };
        assert_eq!((said(0, 1).as_str(), said(0, 3).as_str()), ("", ""));
        assert_eq!(said(1, 1), "; a copy is kept");
        assert_eq!(said(1, 3), "; copies of 1 of them are kept");
        assert_eq!(said(2, 3), "; copies of 2 of them are kept");
        assert_eq!(said(3, 3), "; copies of all are kept");
    }

    #[test]
    fn a_post_says_of_which_of_its_files_copies_are_kept() {
        let post = post(60, Some(50));
        let media = |id: &str, owner: Option<&str>| MediaAtRisk {
            id: Some(id.to_owned()),
            owner: owner.map(ProfileName::new),
            ..post.media[0].clone()
        };
        let item = file("a.png", Some(50));
        let id = item.media.identity();
        // Nothing is said about the gallery of a profile that the reader may not see.
        let media = vec![media(id, Some("Acme")), media("other", Some("Acme")), media(id, None)];
        let post = PostAtRisk { media, ..post.clone() };
        let mut found = survey(Vec::new(), vec![post.clone()]);
        found.copies = Arc::new(copies(&[&item]));
        let reasons = digest(&found).post_reasons(&post);
        let kept: Vec<_> = reasons.iter().map(|one| one.plain(&Zone::UTC).ends_with("; a copy is kept")).collect();
        assert_eq!(kept, [true, false, false]);
    }

    #[test]
    fn what_was_not_copied_is_named_with_the_reason() {
        let failed = |name: &str, is_too_large| FailedCopy {
            profile: ProfileName::new("Acme"),
            id: None,
            file_name: name.to_owned(),
            reason: "its host answered 404 Not Found".to_owned(),
            is_too_large,
        };
        let mut found = survey(Vec::new(), Vec::new());
        let mut copies = Copies::on();
        copies.failed = vec![failed("a.png", false), failed("film.mp4", true)];
        copies.failed.push(FailedCopy { profile: ProfileName::new("Birch"), ..failed("secret.png", false) });
        copies.add_waiting(ProfileName::new("Acme"));
        copies.add_waiting(ProfileName::new("Birch"));
        found.copies = Arc::new(copies);
        insta::assert_snapshot!(digest(&found).closing().join("\n"), @"
        1 file could not be copied: a.png (its host answered 404 Not Found). The next run tries again.
        Not copied, because it is larger than rescue.max_file_size allows: film.mp4.
        There was no time to copy 1 file more; the next run does.
        ");
    }
}
