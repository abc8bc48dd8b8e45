//! `GET /profiles`, which arrives in chunks.

#![no_main]

use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::model::text::units;
use media_expiry_alerts::scan::ayrshare::fuzzing;
use media_expiry_alerts_fuzz::chunks;

const MAX_TITLE_CHARS: usize = 300;
const MAX_REF_ID_BYTES: usize = 200;

fuzz_target!(|body: &[u8]| {
    let Ok((profiles, cursor)) = chunks::parse(body, |chunks| fuzzing::profiles(chunks)) else { return };
    assert!(cursor.is_none_or(|cursor| !cursor.trim().is_empty()));
    for profile in profiles {
        let texts = [&profile.title, &profile.ref_id];
        assert!(texts.into_iter().flatten().all(|text| !text.is_empty() && text.trim() == text), "{profile:?}");
        assert!(profile.title.is_none_or(|title| units(&title) <= MAX_TITLE_CHARS));
        assert!(profile.ref_id.is_none_or(|ref_id| ref_id.len() <= MAX_REF_ID_BYTES));
    }
});
