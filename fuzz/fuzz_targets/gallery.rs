//! `GET /media`, which arrives in chunks.

#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::model::{File as _, Media};
use media_expiry_alerts::scan::ayrshare::media::Reader;
use media_expiry_alerts_fuzz::chunks;

/// Earlier dates are placeholders.
const FIRST_SECOND: i64 = 946_684_800;
const MAX_TEXT_BYTES: usize = 16 * 1024;

fuzz_target!(|body: &[u8]| {
    let files = chunks::parse(body, |chunks| {
        let mut files = Vec::new();
        let mut reader = Reader::default();
        let add = |files: &mut Vec<_>, file: media_expiry_alerts::scan::ayrshare::media::ListedFile<'_>| {
            let is_unreadable = file.has_unreadable_expiry();
            let (size, expiry) = (file.size_bytes(), file.expires_at());
            let media = file.into_media();
            assert_eq!((media.size_bytes, media.expires_at), (size, expiry));
            assert!(!is_unreadable || expiry.is_none());
            files.push(media);
        };
        for chunk in chunks {
            if !reader.take(chunk, |file| add(&mut files, file)) {
                return Err("it is no array".to_owned());
            }
        }
        reader.end(|file| add(&mut files, file))?;
        Ok(files)
    });
    for file in files.iter().flatten() {
        check(file);
    }
});

fn check(file: &Media) {
    for text in [&file.id, &file.url, &file.file_name].into_iter().flatten() {
        assert!((1..=MAX_TEXT_BYTES).contains(&text.len()));
    }
    let is_date = |at: &Timestamp| FIRST_SECOND <= at.as_second();
    assert!(file.expires_at.iter().chain(&file.created_at).all(is_date));
    // A file does not expire before it is uploaded.
    if let (Some(created), Some(expires)) = (file.created_at, file.expires_at) {
        assert!(created <= expires, "{file:?}");
    }
}
