//! `GET /history`, which arrives in chunks.

#![no_main]

use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::model::text::units;
use media_expiry_alerts::scan::ayrshare::fuzzing;
use media_expiry_alerts_fuzz::chunks;

const MAX_TEXT_CHARS: usize = 500;

fuzz_target!(|body: &[u8]| {
    let Ok((posts, _)) = chunks::parse(body, |chunks| fuzzing::posts(chunks)) else { return };
    for listed in posts {
        let post = &listed.post;
        let texts = [&post.id, &post.text].into_iter().flatten().chain(&post.media_urls);
        assert!(texts.into_iter().all(|text| !text.trim().is_empty()), "{post:?}");
        assert!(post.text.as_deref().is_none_or(|text| units(text) <= MAX_TEXT_CHARS));
        assert!(!listed.has_unreadable_due_date || post.scheduled_at.is_none());
        assert!((1..post.media_urls.len()).all(|end| !post.media_urls[..end].contains(&post.media_urls[end])));
    }
});
