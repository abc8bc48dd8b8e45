//! The card for Teams, about any survey.

#![no_main]

use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::channel::teams;
use media_expiry_alerts::demo::stand_ins::check_teams_message;
use media_expiry_alerts_fuzz::survey::Found;

/// A request of 24 KB has been refused.
const MAX_BYTES: usize = 20_000;

fuzz_target!(|found: Found| {
    // What every channel relies on: the lines of the digest stand for all its entries.
    let lines = found.digest.lines();
    let announced: usize = lines.iter().map(|line| line.entries).sum();
    let counted: usize = lines.iter().map(|line| line.shown() + line.named.len()).sum();
    assert_eq!((announced, counted), (found.digest.entries.len(), found.digest.entries.len()));

    let message = teams::render(&found.digest);
    assert_eq!(message.entries, found.digest.entries.len());
    let bytes = message.body.to_string().len();
    assert!(bytes <= MAX_BYTES, "{bytes} bytes");
    check_teams_message(&message.body).unwrap_or_else(|what| panic!("{what}: {:#}", message.body));
});
