//! The email and the card for Teams about data that attacks them, and that is too much for one message.

use std::error::Error;
use std::fs;
use std::path::Path;

use jiff::SignedDuration;
use media_expiry_alerts::channel::{email, teams};
use media_expiry_alerts::config::{ChannelKind, Config};
use media_expiry_alerts::digest::{Digest, ReportLink};
use media_expiry_alerts::model::{AyrshareProfile, Part, ProfileName, Thresholds};
use media_expiry_alerts::scan::survey::Survey;

use crate::surveys::failure;

/// Writes `hostile-email.html` and `hostile-teams.json`.
pub fn write(directory: &Path, survey: &Survey, config: &Config) -> Result<(), Box<dyn Error>> {
    for channel in &config.channels {
        if let ChannelKind::Email(settings) = &channel.kind {
            let digest = digest(survey, &channel.thresholds);
            let message = email::render(&digest, settings);
            fs::write(directory.join("hostile-email.html"), message.body["html"].as_str().unwrap_or_default())?;
            fs::write(directory.join("hostile-teams.json"), teams::render(&digest).body.to_string())?;
        }
    }
    Ok(())
}

/// A digest in which each text from outside is hostile, and each list too long.
fn digest(survey: &Survey, thresholds: &Thresholds) -> Digest {
    let hostile = "\"><script>window.broken = 1</script>{{DATE(2026-11-25,SHORT)}} **bold** <at>everyone</at> \u{202E}";
    let name = |index: usize| format!("{index} {hostile}");
    let profiles: Vec<_> = survey.profiles.iter().map(|profile| profile.name.clone()).collect();
    let mut digest = Digest::new(survey, &profiles, thresholds);
    let parts = [Part::Media, Part::Posts, Part::Dates, Part::Profiles];
    let failed = |index: usize| failure(&name(index), parts[index % parts.len()]);
    digest.unchecked.extend((0..300).map(failed));
    digest.unwatched =
        (0..300).map(|index| AyrshareProfile { title: Some(name(index)), ref_id: Some(name(index)) }).collect();
    digest.recovered = (0..300).map(|index| (ProfileName::new(&name(index)), Part::Media)).collect();
    digest.resolved = (0..300).map(|index| (ProfileName::new(&name(index)), format!("“{hostile}”"))).collect();
    digest.note = Some(hostile.repeat(3));
    digest.ledger_note = Some(hostile.repeat(50));
    digest.report_link = Some(ReportLink {
        url: format!("https://reports.example/r/{}?a=1&b='{}", "x".repeat(300), "%22%3E".repeat(50)),
        until: survey.now + SignedDuration::from_hours(24 * 7),
    });
    digest
}
