//! The card for Teams, about any survey.

#![no_main]

use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::channel::teams;
use media_expiry_alerts::demo::stand_ins::check_teams_message;
use media_expiry_alerts_fuzz::survey::Found;

/// A request of 24 KB has been refused.
const MAX_BYTES: usize = 20_000;

fuzz_target!(|found: Found| {
    let message = teams::render(&found.digest);
    assert_eq!(message.entries, found.digest.entries.len());
    let bytes = message.body.to_string().len();
    assert!(bytes <= MAX_BYTES, "{bytes} bytes");
    check_teams_message(&message.body).unwrap_or_else(|what| panic!("{what}: {:#}", message.body));
});
