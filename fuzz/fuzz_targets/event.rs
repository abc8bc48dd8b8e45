//! The event that wakes the function, and the response to a request that is refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use media_expiry_alerts::http;
use media_expiry_alerts::lambda::event::Event;
use media_expiry_alerts_fuzz::config::CONFIG;

/// Enough for all that is accepted, and a quotation.
const MAX_ERROR_BYTES: usize = 1_000;

fuzz_target!(|text: &str| {
    match Event::parse(text) {
        Ok(Event::Command(command)) => {
            for selected in command.channels(&CONFIG).into_iter().flatten() {
                assert!(CONFIG.channels.iter().any(|channel| channel.name == selected.name));
            }
        }
        Ok(Event::Http(request)) => {
            let now = "2026-11-23T06:00:00Z".parse().expect("a time");
            let Err(response) = http::route(&request, &CONFIG, now) else { return };
            assert!((400..500).contains(&response.status_code), "{}", response.status_code);
            let has_line_end = response.headers.values().any(|value| value.contains(char::is_control));
            assert!(!has_line_end, "{:?}", response.headers);
        }
        Err(error) => {
            let error = error.to_string();
            assert!(error.len() <= MAX_ERROR_BYTES, "an error of {} bytes", error.len());
            assert!(!error.contains(char::is_control), "{error:?}");
        }
    }
});
