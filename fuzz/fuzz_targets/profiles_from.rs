//! The document of `[profiles_from]`, which arrives in chunks.

#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::config::fuzzing;
use media_expiry_alerts::model::{FailureKind, Part};
use media_expiry_alerts_fuzz::chunks;
use media_expiry_alerts_fuzz::config::CONFIG;
use secrecy::ExposeSecret as _;

const MAX_NAME_CHARS: usize = 200;

fuzz_target!(|document: &[u8]| {
    let config = &*CONFIG;
    let listed = chunks::parse(document, |chunks| {
        let listed = fuzzing::listed_profiles(chunks, config)?;
        let profiles: Vec<_> = listed
            .profiles
            .into_iter()
            .map(|profile| {
                let key = profile.key.map(|key| key.expose_secret().to_owned()).unwrap_or_default();
                (profile.name, profile.tags, key)
            })
            .collect();
        Ok((profiles, listed.failed))
    });
    let Ok((profiles, failed)) = listed else { return };
    let mut names: HashSet<_> = config.profiles.iter().map(|profile| &profile.name).collect();
    for (name, _, key) in &profiles {
        assert!(names.insert(name), "{name} is there twice");
        assert!(!name.as_str().trim().is_empty() && name.as_str().chars().count() <= MAX_NAME_CHARS);
        assert!(!key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()), "a key that is no header");
    }
    for failed in &failed {
        assert_eq!((failed.what, failed.failure.kind), (Part::Profiles, FailureKind::InvalidEntry));
        assert!(!failed.failure.message.is_empty() && failed.failure.message.len() < 200);
    }
});
