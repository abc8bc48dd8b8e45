//! A valid configuration with its clients, and when it is read again.
//!
//! The document and the values that it refers to are read together: when the process starts, and again by the first
//! event that finds them older than [`FRESH`]. If reading fails, the reason decides what happens:
//!
//! - If a service cannot be reached, alerts must go on: the previous configuration is used, with a warning in the log,
//!   and the next event tries again.
//! - If the configuration was read and is invalid, or a key in it is missing or may no longer be read, its errors are the
//!   answer to the event.
//!
//! A key that Ayrshare rejects is read again at once: see [`ConfigReload`].

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::OnceCell;

use crate::config::{Config, InvalidConfiguration};
use crate::net::Deadline;
use crate::net::aws::Aws;
use crate::net::environment::Environment;
use crate::run::clients::Clients;
use crate::run::last_snapshot::LastSnapshot;
use crate::run::roster::KeptList;
use crate::run::stored_snapshot::StoredSnapshot;
use crate::store::snapshot::SnapshotRules;

/// The maximum age of a configuration that is used for an event.
const FRESH: Duration = Duration::from_mins(5);

/// A valid configuration, and the clients that it needs.
#[derive(Debug)]
pub struct LoadedConfig {
    /// The configuration.
    pub config: Config,
    /// Its clients.
    pub clients: Clients,
    /// The last survey of the profiles of this configuration.
    pub last_snapshot: LastSnapshot,
    /// The last list of profiles that was read for this configuration.
    pub kept_list: KeptList,
    /// What is known about the snapshot in the store.
    pub stored_snapshot: StoredSnapshot,
    read_at: Timestamp,
}

/// Where a configuration is read from.
#[derive(Clone, Copy, Debug)]
pub struct ConfigSource<'a> {
    /// The environment variables that name it.
    pub environment: &'a Environment,
    /// Access to AWS, where it may be stored.
    pub aws: &'a Aws,
    /// The current time.
    pub now: Timestamp,
}

impl ConfigSource<'_> {
    /// Reads the configuration before the deadline.
    ///
    /// # Errors
    ///
    /// Returns all errors of the configuration.
    pub async fn read(&self, deadline: Deadline) -> Result<LoadedConfig, InvalidConfiguration> {
        let config = Config::load(self.environment, self.aws, deadline).await?;
        let clients = Clients::new(&config, self.aws).await;
        let (last_snapshot, stored_snapshot, kept_list) =
            (LastSnapshot::default(), StoredSnapshot::default(), KeptList::default());
        Ok(LoadedConfig { config, clients, last_snapshot, stored_snapshot, kept_list, read_at: self.now })
    }

    /// Reads the configuration that replaces `before`. Its old secrets are still redacted, because an answer may repeat
    /// them.
    async fn read_after(
        &self,
        before: &LoadedConfig,
        deadline: Deadline,
    ) -> Result<LoadedConfig, InvalidConfiguration> {
        let loaded = self.read(deadline).await?;
        loaded.clients.redactor.add(&before.clients.redactor);
        if loaded.reads_same_list(before) {
            loaded.kept_list.take_over(&before.kept_list);
        }
        Ok(loaded)
    }

    /// Returns `before` while it is fresh; otherwise a new configuration, or `before` again if a service cannot be
    /// reached.
    ///
    /// # Errors
    ///
    /// Returns all errors of a configuration that was read and is invalid.
    pub async fn refresh(
        &self,
        before: LoadedConfig,
        deadline: Deadline,
    ) -> Result<LoadedConfig, InvalidConfiguration> {
        if before.is_fresh(self.now) {
            return Ok(before);
        }
        match self.read_after(&before, deadline).await {
            Err(invalid) if invalid.is_transient() => {
                tracing::warn!(read_at = %before.read_at, "the configuration cannot be read again, so the previous one is still used: {invalid}");
                Ok(before)
            }
            read => read,
        }
    }
}

impl LoadedConfig {
    /// Takes over the last snapshot of `before`, if both cover the same profiles by the same rules.
    pub fn take_over_snapshot(&self, before: &Self) {
        let of = |config: &Config| {
            let profiles: Vec<_> = config.profiles.iter().map(|profile| profile.name.clone()).collect();
            (profiles, SnapshotRules::of(config))
        };
        if of(&self.config) == of(&before.config) && self.reads_same_list(before) {
            self.last_snapshot.take_over(&before.last_snapshot);
            self.stored_snapshot.take_over(&before.stored_snapshot);
        }
    }

    /// Whether both have the same `[profiles_from]`, or none.
    fn reads_same_list(&self, other: &Self) -> bool {
        match (&self.config.profiles_from, &other.config.profiles_from) {
            (Some(one), Some(other)) => one.is_same_list(other),
            (None, None) => true,
            _ => false,
        }
    }

    /// If the clock was set back, the configuration counts as old; otherwise it would stay fresh for a long time.
    fn is_fresh(&self, now: Timestamp) -> bool {
        Duration::try_from(now.duration_since(self.read_at)).is_ok_and(|age| age < FRESH)
    }
}

/// Reads the configuration again during a run, at most once: a key that Ayrshare rejects may have been replaced since
/// it was read.
#[derive(Debug)]
pub struct ConfigReload<'a> {
    source: ConfigSource<'a>,
    reloaded: OnceCell<Option<LoadedConfig>>,
}

impl<'a> ConfigReload<'a> {
    /// Creates it without reading anything.
    #[must_use]
    pub fn new(source: ConfigSource<'a>) -> Self {
        Self { source, reloaded: OnceCell::new() }
    }

    /// Returns the configuration that replaces `before`, which the first call reads; `None` if that failed.
    pub async fn reload(&self, before: &LoadedConfig, deadline: Deadline) -> Option<&LoadedConfig> {
        let read = async || match self.source.read_after(before, deadline).await {
            Ok(loaded) => Some(loaded),
            Err(invalid) => {
                tracing::warn!("the keys cannot be read again: {invalid}");
                None
            }
        };
        self.reloaded.get_or_init(read).await.as_ref()
    }

    /// The configuration that was read during the run, if one was.
    #[must_use]
    pub fn reloaded(&self) -> Option<&LoadedConfig> {
        self.reloaded.get()?.as_ref()
    }

    /// The configuration that was read during the run, for the next event.
    #[must_use]
    pub fn into_reloaded(self) -> Option<LoadedConfig> {
        self.reloaded.into_inner()?
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use secrecy::ExposeSecret as _;
    use tempfile::NamedTempFile;
    use tracing::subscriber::DefaultGuard;

    use super::*;
    use crate::config::CONFIG_VARIABLE;

    const MINUTE: Duration = Duration::from_mins(1);

    /// A configuration document in a file, with AWS at an address where nothing listens.
    struct Document {
        file: NamedTempFile,
        environment: Environment,
        aws: Aws,
    }

    impl Document {
        fn with_key(api_key: &str) -> Self {
            let file = NamedTempFile::new().expect("a temporary file");
            let environment = Environment::of([
                (CONFIG_VARIABLE, file.path().to_str().expect("a Unicode path")),
                ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
            ]);
            let aws = Aws::new(crate::net::client().expect("an HTTP client"), environment.clone());
            let document = Self { file, environment, aws };
            document.set_key(api_key);
            document
        }

        fn set_key(&self, api_key: &str) {
            self.write(&format!(
                "[ayrshare]\napi_key = '{api_key}'\n[[profiles]]\nname = 'Primary'\nprimary = true\n[[channels]]\n\
                 name = 'team'\ntype = 'slack'\nwebhook_url = 'https://hooks.slack.com/services/T/B/x'\n"
            ));
        }

        fn write(&self, text: &str) {
            std::fs::write(self.file.path(), text).expect("the document can be written");
        }

        /// The document as an event finds it this long after the first one.
        fn after(&self, time: Duration) -> ConfigSource<'_> {
            ConfigSource { environment: &self.environment, aws: &self.aws, now: start() + time }
        }

        async fn read(&self) -> LoadedConfig {
            self.after(Duration::ZERO).read(deadline()).await.expect("a valid configuration")
        }
    }

    fn start() -> Timestamp {
        "2026-11-23T06:00:00Z".parse().expect("a time")
    }

    /// Short, because an unreachable service is asked again until then.
    fn deadline() -> Deadline {
        Deadline::after(Duration::from_millis(500))
    }

    fn key(loaded: &LoadedConfig) -> &str {
        loaded.config.ayrshare.api_key.expose_secret()
    }

    /// What is logged on this thread.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        fn capture() -> (Self, DefaultGuard) {
            let log = Self::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
            (log, tracing::subscriber::set_default(subscriber))
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("the log").clone()).expect("UTF-8 text")
        }
    }

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("the log").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_configuration_is_read_again_when_it_is_five_minutes_old() {
        let document = Document::with_key("FIRST-KEY");
        let before = document.read().await;
        document.set_key("SECOND-KEY");

        let almost = document.after(Duration::from_millis(5 * 60 * 1_000 - 1));
        let before = almost.refresh(before, deadline()).await.expect("a valid configuration");
        assert_eq!((key(&before), before.read_at), ("FIRST-KEY", start()));

        let after = document.after(5 * MINUTE).refresh(before, deadline()).await.expect("a valid configuration");
        assert_eq!((key(&after), after.read_at), ("SECOND-KEY", start() + 5 * MINUTE));
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_does_not_keep_a_configuration_fresh() {
        let document = Document::with_key("FIRST-KEY");
        let before = document.after(60 * MINUTE).read(deadline()).await.expect("a valid configuration");
        document.set_key("SECOND-KEY");
        let after = document.after(Duration::ZERO).refresh(before, deadline()).await.expect("a valid configuration");
        assert_eq!((key(&after), after.read_at), ("SECOND-KEY", start()));
    }

    #[tokio::test]
    async fn while_a_service_is_unreachable_the_old_configuration_is_used_with_a_warning() {
        let document = Document::with_key("FIRST-KEY");
        let before = document.read().await;
        document.set_key("ssm:/key");
        let (log, _guard) = Log::capture();
        let before = document.after(5 * MINUTE).refresh(before, deadline()).await.expect("the old configuration");
        // It is as old as before, so the next event tries again.
        assert_eq!((key(&before), before.read_at), ("FIRST-KEY", start()));
        let log = log.text();
        assert!(log.contains("WARN") && log.contains("ssm:/key") && !log.contains("FIRST-KEY"), "{log}");

        document.set_key("SECOND-KEY");
        let after = document.after(6 * MINUTE).refresh(before, deadline()).await.expect("a valid configuration");
        assert_eq!(key(&after), "SECOND-KEY");
    }

    #[tokio::test]
    async fn an_invalid_configuration_replaces_the_old_one_and_its_errors_are_returned() {
        let document = Document::with_key("FIRST-KEY");
        for invalid in ["colour = 'red'", "[ayrshare", ""] {
            document.set_key("FIRST-KEY");
            let before = document.read().await;
            document.write(invalid);
            let refreshed = document.after(5 * MINUTE).refresh(before, deadline()).await;
            let errors = refreshed.expect_err("an invalid configuration");
            assert!(!errors.is_transient() && !errors.faults.is_empty(), "{invalid}: {errors}");
        }
    }

    #[tokio::test]
    async fn the_secrets_of_the_old_configuration_stay_redacted() {
        let document = Document::with_key("FIRST-KEY");
        let before = document.read().await;
        document.set_key("SECOND-KEY");
        let reload = ConfigReload::new(document.after(MINUTE));
        let reloaded = reload.reload(&before, deadline()).await.expect("a valid configuration");
        let text = "FIRST-KEY, SECOND-KEY";
        assert_eq!(reloaded.clients.redactor.redact(text), "[redacted], [redacted]");

        let after = document.after(5 * MINUTE).refresh(before, deadline()).await.expect("a valid configuration");
        assert_eq!(after.clients.redactor.redact(text), "[redacted], [redacted]");
    }

    #[tokio::test]
    async fn a_reload_reads_the_configuration_once() {
        let document = Document::with_key("FIRST-KEY");
        let before = document.read().await;
        document.set_key("SECOND-KEY");
        let reload = ConfigReload::new(document.after(MINUTE));
        assert!(reload.reloaded().is_none(), "nothing is read before somebody asks");

        let (one, two) = tokio::join!(reload.reload(&before, deadline()), reload.reload(&before, deadline()));
        let (one, two) = (one.expect("a valid configuration"), two.expect("a valid configuration"));
        assert!(std::ptr::eq(one, two));

        document.set_key("THIRD-KEY");
        assert_eq!(reload.reload(&before, deadline()).await.map(key), Some("SECOND-KEY"));
        assert_eq!(reload.reloaded().map(key), Some("SECOND-KEY"));
        let next = reload.into_reloaded().expect("the configuration for the next event");
        assert_eq!((key(&next), next.read_at), ("SECOND-KEY", start() + MINUTE));
    }

    #[tokio::test]
    async fn a_snapshot_outlives_a_reload_unless_it_answers_another_question() {
        let document = Document::with_key("FIRST-KEY");
        let before = document.read().await;
        let survey = Arc::new(crate::digest::fixtures::survey());
        before.last_snapshot.keep(&survey, []);

        document.set_key("SECOND-KEY");
        let reloaded = document.read().await;
        reloaded.take_over_snapshot(&before);
        assert!(reloaded.last_snapshot.fresh(survey.now).is_some());

        let text = std::fs::read_to_string(document.file.path()).expect("the document");
        for changed in [text.replace("'Primary'", "'Office'"), format!("{text}thresholds = ['2d']\n")] {
            document.write(&changed);
            let other = document.read().await;
            other.take_over_snapshot(&reloaded);
            assert!(other.last_snapshot.fresh(survey.now).is_none(), "{changed}");
        }
    }

    #[tokio::test]
    async fn a_reload_that_fails_is_logged_and_not_repeated() {
        let document = Document::with_key("FIRST-KEY");
        let before = document.read().await;
        for broken in ["ssm:/key", " "] {
            document.set_key(broken);
            let (log, _guard) = Log::capture();
            let reload = ConfigReload::new(document.after(MINUTE));
            assert!(reload.reload(&before, deadline()).await.is_none());
            document.set_key("SECOND-KEY");
            assert!(reload.reload(&before, deadline()).await.is_none());
            assert!(reload.reloaded().is_none() && reload.into_reloaded().is_none());
            assert_eq!(log.text().matches("WARN").count(), 1, "{}", log.text());
        }
    }
}
