//! Executes one command in this process, without Lambda.

use uuid::Uuid;

use crate::config::InvalidConfiguration;
use crate::model::Zone;
use crate::net::aws::Aws;
use crate::net::environment::Environment;
use crate::net::{self, Deadline};
use crate::report::Question;
use crate::run::command::{Command, InvalidCommand};
use crate::run::execute::{MAX_RUN, beat, keep_snapshot, now, run};
use crate::run::loaded_config::{ConfigReload, ConfigSource};
use crate::run::result::RunResult;
use crate::run::roster::Roster;
use crate::run::services::LiveServices;

/// Receives the progress of a run.
pub trait ProgressListener: Sync {
    /// Called when the run begins to scan this many profiles.
    fn on_start(&self, _profiles: usize) {}

    /// Called after each scanned profile.
    fn on_scanned(&self) {}
}

/// Ignores the progress.
impl ProgressListener for () {}

/// A completed run.
#[derive(Debug)]
pub struct CompletedRun {
    /// Its result.
    pub result: RunResult,
    /// The parameters for a report of it.
    pub question: Question,
    /// The names of the profiles that it covered.
    pub profiles: Vec<String>,
    /// Whether the configuration has a ledger.
    pub has_ledger: bool,
    /// Whether the configuration has a store.
    pub has_store: bool,
}

/// The reasons why a run could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is invalid or cannot be read.
    #[error(transparent)]
    Configuration(#[from] InvalidConfiguration),
    /// The command names a profile or channel that does not exist.
    #[error(transparent)]
    Command(#[from] InvalidCommand),
    /// The HTTP client cannot be created.
    #[error("the HTTP client cannot be created: {0}")]
    Client(#[from] reqwest::Error),
}

/// Reads the configuration, executes a command and calls the heartbeat, as the function does.
///
/// # Errors
///
/// See [`StartError`]. A run that fails is not an error: it has a result.
pub async fn execute(
    command: &Command,
    zone: &Zone,
    environment: &Environment,
    listener: &impl ProgressListener,
) -> Result<CompletedRun, StartError> {
    let aws = Aws::new(net::client_from_environment(environment)?, environment.clone());
    let deadline = Deadline::after(MAX_RUN);
    let source = ConfigSource { environment, aws: &aws, now: now() };
    let loaded = source.read(deadline).await?;
    let roster = Roster::read(&loaded, &aws, deadline).await;
    let plan = command.plan(&loaded.config, &roster)?;

    let profiles: Vec<_> = plan.profiles.iter().map(|profile| profile.name.to_string()).collect();
    let thresholds = plan.channels.iter().flat_map(|channel| channel.thresholds.iter());
    let question = Question {
        horizon: plan.within.clone().or_else(|| thresholds.max().cloned()),
        within: plan.within.clone(),
        profiles: command.profiles.clone().unwrap_or_default(),
        zone: zone.clone(),
        // A page in a file cannot link to the other formats.
        is_signed: true,
        ..Question::default()
    };
    let (is_whole_alert, is_whole_snapshot) = (plan.is_whole_alert, plan.is_whole_snapshot);
    listener.on_start(profiles.len());
    let reload = ConfigReload::new(source);
    let on_scanned = || listener.on_scanned();
    let services = LiveServices { on_scanned: &on_scanned, ..LiveServices::new(&loaded, &reload) };
    let result = run(Uuid::new_v4().to_string(), source.now, plan, services, deadline).await;
    if is_whole_alert && !result.is_busy() {
        if is_whole_snapshot {
            keep_snapshot(&result, &loaded, deadline).await;
        }
        beat(&result, &loaded, deadline).await;
    }
    Ok(CompletedRun {
        result,
        question,
        profiles,
        has_ledger: loaded.config.ledger.is_some(),
        has_store: loaded.config.store.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::demo::stand_ins::{AyrshareStandIn, Reply};
    use crate::model::Status;
    use crate::run::command::Action;

    #[derive(Default)]
    struct Counts {
        started: AtomicUsize,
        scanned: AtomicUsize,
    }

    impl ProgressListener for Counts {
        fn on_start(&self, profiles: usize) {
            self.started.fetch_add(profiles, Ordering::Relaxed);
        }

        fn on_scanned(&self) {
            self.scanned.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn the_listener_is_called_once_for_each_profile_even_if_it_fails() {
        let ayrshare = AyrshareStandIn::start("API-KEY").await.expect("a port");
        for key in ["KEY-A", "KEY-B"] {
            ayrshare.gallery(Some(key), &[]);
        }
        ayrshare.media(Some("KEY-B"), Reply::json(403, &json!({"status": "error", "code": 31})));
        let profiles = ["A", "B", "C"].map(|name| json!({"name": name, "key": format!("KEY-{name}")}));
        let document = json!({
            "ayrshare": {"api_key": "API-KEY", "base_url": ayrshare.base_url()},
            "profiles": profiles,
            "channels": [{"name": "a", "type": "sns", "topic_arn": "arn:aws:sns:eu-central-1:123456789012:alerts"}],
        });
        let path = std::env::temp_dir().join(format!("media-expiry-alerts-run-{}.json", std::process::id()));
        std::fs::write(&path, document.to_string()).expect("a file");
        let environment = Environment::of([
            ("MEDIA_ALERTS_CONFIG", path.to_str().expect("text")),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]);
        let profiles = Some(vec!["A".to_owned(), "B".to_owned()]);
        let command = Command { action: Action::Report, profiles, ..Command::default() };
        let counts = Counts::default();
        let done = execute(&command, &Zone::UTC, &environment, &counts).await;
        std::fs::remove_file(&path).expect("the file is ours");

        let done = done.expect("a run");
        assert_eq!((done.result.status, done.profiles), (Status::Partial, vec!["A".to_owned(), "B".to_owned()]));
        assert_eq!((counts.started.into_inner(), counts.scanned.into_inner()), (2, 2));
    }
}
