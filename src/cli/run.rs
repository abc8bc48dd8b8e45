//! A single run of a process that ends with it: what a terminal asks for, without Lambda around it.

use uuid::Uuid;

use crate::config::InvalidConfiguration;
use crate::net::aws::Aws;
use crate::net::environment::Environment;
use crate::net::{self, Deadline};
use crate::report::Question;
use crate::run::command::{Command, InvalidEvent};
use crate::run::execute::{MAX_RUN, beat, now, run};
use crate::run::loaded::{ConfigReload, ConfigSource};
use crate::run::result::RunResult;
use crate::run::roster::Roster;
use crate::run::services::LiveServices;

/// Hears of a run's progress.
pub trait Watcher: Sync {
    /// The run begins to look at so many profiles.
    fn begins(&self, _profiles: usize) {}

    /// A profile was looked at.
    fn on_scanned(&self) {}
}

/// Nobody waits.
impl Watcher for () {}

/// A run that is over.
#[derive(Debug)]
pub struct Done {
    /// What it found and did.
    pub result: RunResult,
    /// What a report of it was asked for.
    pub question: Question,
    /// The names of the profiles that it was about.
    pub profiles: Vec<String>,
    /// Whether the configuration has a ledger.
    pub has_ledger: bool,
}

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
pub enum NoRun {
    /// The configuration is rejected, or cannot be read.
    #[error(transparent)]
    Configuration(#[from] InvalidConfiguration),
    /// The command names what is not there.
    #[error(transparent)]
    Command(#[from] InvalidEvent),
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// Reads the configuration, carries out a command as the function does, and tells the heartbeat as it does.
///
/// # Errors
///
/// See [`NoRun`]; a run that failed has a result.
pub async fn carry_out(command: &Command, environment: &Environment, watcher: &impl Watcher) -> Result<Done, NoRun> {
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
        // A page that is a file has nobody to ask for another format.
        is_signed: true,
    };
    let is_whole_alert = plan.is_whole_alert;
    watcher.begins(profiles.len());
    let reload = ConfigReload::new(source);
    let on_scanned = || watcher.on_scanned();
    let services = LiveServices { on_scanned: &on_scanned, ..LiveServices::new(&loaded, &reload) };
    let result = run(Uuid::new_v4().to_string(), source.now, plan, services, deadline).await;
    if is_whole_alert && !result.is_busy() {
        beat(&result, &loaded, deadline).await;
    }
    Ok(Done { result, question, profiles, has_ledger: loaded.config.ledger.is_some() })
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
        begun: AtomicUsize,
        on_scanned: AtomicUsize,
    }

    impl Watcher for Counts {
        fn begins(&self, profiles: usize) {
            self.begun.fetch_add(profiles, Ordering::Relaxed);
        }

        fn on_scanned(&self) {
            self.on_scanned.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn whoever_waits_hears_of_each_profile_once_the_failing_ones_too() {
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
        let path = std::env::temp_dir().join(format!("media-expiry-alerts-once-{}.json", std::process::id()));
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
        let done = carry_out(&command, &environment, &counts).await;
        std::fs::remove_file(&path).expect("the file is ours");

        let done = done.expect("a run");
        assert_eq!((done.result.status, done.profiles), (Status::Partial, vec!["A".to_owned(), "B".to_owned()]));
        assert_eq!((counts.begun.into_inner(), counts.on_scanned.into_inner()), (2, 2));
    }
}
