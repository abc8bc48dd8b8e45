//! What the page says of the copies of files.

use super::{Question, Report};
use crate::model::{Item, KeptCopy, MediaAtRisk};

/// A copy that is kept.
pub struct CopyNote {
    /// Where it can be downloaded, as a relative URL. `None` if it cannot.
    pub href: Option<String>,
}

/// The note about the copy of a file.
#[must_use]
pub fn of_item(report: &Report<'_>, question: &Question, item: &Item) -> Option<CopyNote> {
    report.survey.copies.of(item).map(|copy| note(report, question, copy))
}

/// The note about the copy of a file that a post will lack.
#[must_use]
pub fn of_media(report: &Report<'_>, question: &Question, media: &MediaAtRisk) -> Option<CopyNote> {
    report.survey.copies.of_media(media).map(|copy| note(report, question, copy))
}

fn note(report: &Report<'_>, question: &Question, copy: &KeptCopy) -> CopyNote {
    let address = report.survey.copies.address(copy);
    let href = question.copies.as_ref().zip(address).map(|(folder, address)| format!("{folder}/{}", address.id));
    CopyNote { href }
}
