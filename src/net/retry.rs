//! Retries: how often, and after which delay. The caller decides which errors are retried.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use super::Deadline;

/// Whether, and when, a failed attempt may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Do not repeat it: it would fail again, or could take effect twice.
    Never,
    /// Repeat it after an exponentially growing delay.
    Backoff,
    /// Repeat it after the delay that the service asked for.
    After(Duration),
}

impl Retry {
    /// Uses the delay of a `Retry-After` header if there is one, else [`Retry::Backoff`].
    #[must_use]
    pub fn from_retry_after(retry_after: Option<Duration>) -> Self {
        retry_after.map_or(Self::Backoff, Self::After)
    }
}

/// How often [`retrying`] repeats a failed attempt. It is small because Ayrshare suspends a profile that gets 1,000
/// responses with status 429 in one day.
pub const MAX_RETRIES: usize = 2;

/// Repeats `attempt` while it fails and `retry` allows another attempt, but at most twice.
///
/// Delays grow exponentially and have jitter, unless the service asked for another delay. There is no further attempt
/// when the delay would last until the deadline or beyond.
///
/// # Errors
///
/// Returns the error of the last attempt.
pub async fn retrying<T, E, F: Future<Output = Result<T, E>>>(
    deadline: Deadline,
    attempt: impl FnMut() -> F,
    retry: impl Fn(&E) -> Retry,
) -> Result<T, E> {
    retrying_at_most(MAX_RETRIES, deadline, attempt, retry).await
}

/// Does the same as [`retrying`], but repeats a failed attempt up to `max_retries` times.
///
/// This is for services that do not penalize frequent requests.
///
/// # Errors
///
/// Returns the error of the last attempt.
pub async fn retrying_at_most<T, E, F: Future<Output = Result<T, E>>>(
    max_retries: usize,
    deadline: Deadline,
    attempt: impl FnMut() -> F,
    retry: impl Fn(&E) -> Retry,
) -> Result<T, E> {
    attempt
        .retry(
            ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(200))
                .with_max_times(max_retries)
                .with_jitter(),
        )
        .sleep(tokio::time::sleep)
        .when(|error| retry(error) != Retry::Never)
        .adjust(|error, delay| {
            let delay = match retry(error) {
                // `None` means that all attempts are used up.
                Retry::After(requested) => delay.map(|_| requested),
                _ => delay,
            };
            delay.filter(|delay| *delay < deadline.remaining())
        })
        .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::Instant;

    use super::*;

    async fn attempts_until(deadline: Duration, retry: Retry) -> (u32, Duration) {
        let attempts = Cell::new(0);
        let start = Instant::now();
        let attempt = || async {
            attempts.set(attempts.get() + 1);
            Err::<(), _>(())
        };
        let _ = retrying(Deadline::after(deadline), attempt, |()| retry).await;
        (attempts.get(), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_attempt_is_repeated_twice_but_not_after_the_deadline() {
        let minute = Duration::from_mins(1);
        assert_eq!(attempts_until(minute, Retry::Never).await, (1, Duration::ZERO));
        assert_eq!(attempts_until(minute, Retry::Backoff).await.0, 3);
        let (attempts, took) = attempts_until(minute, Retry::After(Duration::from_secs(5))).await;
        assert_eq!((attempts, took.as_secs()), (3, 10));
        assert_eq!(attempts_until(minute, Retry::After(minute * 2)).await, (1, Duration::ZERO));
        assert_eq!(attempts_until(Duration::ZERO, Retry::Backoff).await, (1, Duration::ZERO));
    }
}
