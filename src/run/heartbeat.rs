//! The heartbeat: tells a monitoring service that a run has ended, and whether it failed.

use std::time::Duration;

use reqwest::Client;

use crate::channel::SendError;
use crate::config::SecretUrl;
use crate::net::redact::Redactor;
use crate::net::{self, Deadline, NetError, Retry};

/// The longest time for a heartbeat. It comes last, and must not delay the answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Calls the heartbeat URL, or its `/fail` after a run that failed. A failure is only logged, because the monitoring
/// service notices a missing heartbeat by itself.
pub async fn beat(http: &Client, url: &SecretUrl, is_alive: bool, deadline: Deadline, redactor: &Redactor) {
    let mut url = url.expose().clone();
    if !is_alive && let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push("fail");
    }
    let call = || async {
        let answer = net::send(http.get(url.clone()), TIMEOUT, deadline, 64 * 1024).await;
        match answer {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) => Err(SendError::rejected("the heartbeat", &answer)),
            // A repeated heartbeat does no harm.
            Err(error @ (NetError::TimedOut(_) | NetError::Broken(_))) => {
                Err(SendError { retry: Retry::Backoff, ..error.into() })
            }
            Err(error) => Err(error.into()),
        }
    };
    if let Err(error) = net::retrying(deadline, call, |error| error.retry).await {
        tracing::warn!("the heartbeat did not arrive: {}", redactor.quote(&error.reason, 400));
    }
}
