//! What an accepted configuration makes possible, and when it is read again.
//!
//! The document and the values in it are read together: once at the start of the process, and again by the first event
//! that finds them older than [`FRESH`]. Whether the new reading counts depends on why it fails, if it does:
//!
//! - A service that cannot be asked just now must not silence the alerts: the configuration that is at hand serves on,
//!   with a warning in the log, and the next event tries again.
//! - A configuration that was read and is refused, a key that is gone or may no longer be read among it, is the answer
//!   to the event: whoever changed it must hear of it.
//!
//! A key that Ayrshare does not take any more need not wait for that: see [`Renewal`].

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::OnceCell;

use crate::config::{Config, InvalidConfiguration};
use crate::net::Deadline;
use crate::net::aws::Aws;
use crate::net::environment::Environment;
use crate::run::clients::Clients;

/// How old a configuration may be when an event is answered with it.
const FRESH: Duration = Duration::from_mins(5);

/// A configuration that was accepted, and the clients that it needs.
#[derive(Debug)]
pub struct Ready {
    /// What is to be done.
    pub config: Config,
    /// Through what.
    pub clients: Clients,
    read_at: Timestamp,
}

/// Where a configuration is read from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The environment, which names it.
    pub environment: &'a Environment,
    /// AWS, which may have it.
    pub aws: &'a Aws,
    /// The moment.
    pub now: Timestamp,
}

impl Origin<'_> {
    /// Reads the configuration, by the deadline or sooner.
    ///
    /// # Errors
    ///
    /// Every fault of the configuration.
    pub async fn read(&self, deadline: Deadline) -> Result<Ready, InvalidConfiguration> {
        let config = Config::load(self.environment, self.aws, deadline).await?;
        let clients = Clients::new(&config, self.aws).await;
        Ok(Ready { config, clients, read_at: self.now })
    }

    /// Reads the configuration that takes the place of `before`, whose secrets stay known: an answer may repeat them.
    async fn read_after(&self, before: &Ready, deadline: Deadline) -> Result<Ready, InvalidConfiguration> {
        let mut ready = self.read(deadline).await?;
        ready.clients.redactor.add(&before.clients.redactor);
        Ok(ready)
    }

    /// `before` while it is fresh; else what is read now, or `before` once more when nothing can be read.
    ///
    /// # Errors
    ///
    /// Every fault of a configuration that was read and is refused.
    pub async fn refresh(&self, before: Ready, deadline: Deadline) -> Result<Ready, InvalidConfiguration> {
        if before.is_fresh(self.now) {
            return Ok(before);
        }
        match self.read_after(&before, deadline).await {
            Err(invalid) if invalid.is_transient() => {
                tracing::warn!(read_at = %before.read_at, "the configuration cannot be read again now, so the old one serves on: {invalid}");
                Ok(before)
            }
            read => read,
        }
    }
}

impl Ready {
    /// A clock that was set back makes it old, and not fresh for ever.
    fn is_fresh(&self, now: Timestamp) -> bool {
        Duration::try_from(now.duration_since(self.read_at)).is_ok_and(|age| age < FRESH)
    }
}

/// Reads the configuration anew in the midst of a run, once: a key that Ayrshare refuses may have been changed since it
/// was read.
#[derive(Debug)]
pub struct Renewal<'a> {
    origin: Origin<'a>,
    renewed: OnceCell<Option<Ready>>,
}

impl<'a> Renewal<'a> {
    /// Prepares it; nothing is read yet.
    #[must_use]
    pub fn new(origin: Origin<'a>) -> Self {
        Self { origin, renewed: OnceCell::new() }
    }

    /// The configuration after `before`, read when this is first asked for; `None` when that failed.
    pub async fn renew(&self, before: &Ready, deadline: Deadline) -> Option<&Ready> {
        let read = async || match self.origin.read_after(before, deadline).await {
            Ok(ready) => Some(ready),
            Err(invalid) => {
                tracing::warn!("the keys cannot be read anew: {invalid}");
                None
            }
        };
        self.renewed.get_or_init(read).await.as_ref()
    }

    /// The configuration that was read anew, if one was.
    #[must_use]
    pub fn renewed(&self) -> Option<&Ready> {
        self.renewed.get()?.as_ref()
    }

    /// The configuration that was read anew, for the next event.
    #[must_use]
    pub fn into_renewed(self) -> Option<Ready> {
        self.renewed.into_inner()?
    }
}
