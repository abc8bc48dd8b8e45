//! The email channel: an HTML mail with a text part, sent through Amazon SES.

mod html;
mod ses;

use serde_json::json;

pub use self::ses::SesClient;
use super::{Message, plain_text};
use crate::config::EmailConfig;
use crate::digest::Digest;
use crate::model::text::shorten;

/// The longest subject, in characters.
const MAX_SUBJECT: usize = 150;
/// The longest text part, in bytes.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Renders a digest as one mail.
#[must_use]
pub fn render(digest: &Digest, email: &EmailConfig) -> Message {
    let subject = digest.short_headline();
    let body = json!({
        "subject": shorten(&subject, MAX_SUBJECT),
        "html": html::render(digest, email.pictures),
        "text": plain_text::render(digest, MAX_TEXT_BYTES).0,
    });
    Message { body, entries: digest.entries.len() }
}
