//! Executes and logs one run, for Lambda and for the terminal.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Run;
use super::check::check_store;
use super::command::{Action, Plan};
use super::heartbeat;
use super::loaded_config::LoadedConfig;
use super::result::RunResult;
use super::services::LiveServices;
use crate::model::Status;
use crate::net::Deadline;
use crate::scan::survey::Survey;
use crate::store::snapshot::{self, SnapshotRules};

/// The longest run if nothing else sets a deadline: what Lambda allows.
pub const MAX_RUN: Duration = Duration::from_mins(15);
/// Time reserved for the metrics, the heartbeat and the answer after the store.
const END_TIME: Duration = Duration::from_millis(500);
/// The longest time for keeping a snapshot. A store that hangs must not hold up the end of a run.
const MAX_TO_KEEP_SNAPSHOT: Duration = Duration::from_mins(1);
/// Time reserved for the answer after the heartbeat.
const ANSWER_TIME: Duration = Duration::from_millis(200);

/// Executes a run with the real services, and logs its result.
pub(crate) async fn run(
    id: String,
    now: Timestamp,
    plan: Plan<'_>,
    services: LiveServices<'_>,
    deadline: Deadline,
) -> RunResult {
    let LoadedConfig { config, clients, .. } = services.loaded;
    let is_check = plan.action == Action::Check;
    let mut result = Run::new(id, now, plan, config, clients.ledger.as_ref(), services, deadline).execute().await;
    if is_check
        && let Some(store) = &clients.store
        && let Err(error) = check_store(store, config, &result.run_id, deadline.earlier_by(END_TIME)).await
    {
        tracing::error!("{error}");
        result.store_error = Some(error.to_string());
        result.status = Status::Failed;
    }
    log(&result);
    result
}

/// Keeps the snapshot of an alert run over all profiles and channels in the store, if one is configured. Returns whether it
/// was kept.
///
/// The alerts are sent and recorded by now, so a failure is only logged: links then show the previous snapshot.
pub(crate) async fn keep_snapshot(result: &RunResult, loaded: &LoadedConfig, deadline: Deadline) -> bool {
    let LoadedConfig { config, clients, .. } = loaded;
    let Some(store) = clients.store.as_ref().filter(|_| 0 < result.survey.checked()) else { return false };
    let until = deadline.earlier_by(END_TIME).within(MAX_TO_KEEP_SNAPSHOT);
    let saving = snapshot::save(store, &result.survey, &result.run_id, SnapshotRules::of(config), until);
    match until.bound(saving).await {
        Some(Ok(())) => return true,
        Some(Err(error)) => tracing::warn!("the snapshot of this run is not kept: {error}"),
        None => tracing::warn!("the snapshot of this run is not kept: there was no time left for the store"),
    }
    false
}

/// Scans the profiles of a plan.
pub(crate) async fn scan(
    now: Timestamp,
    plan: Plan<'_>,
    services: LiveServices<'_>,
    deadline: Deadline,
) -> Arc<Survey> {
    let LoadedConfig { config, clients, .. } = services.loaded;
    Run::new(String::new(), now, plan, config, clients.ledger.as_ref(), services, deadline).scan().await
}

/// Makes a report from a snapshot that was narrowed to what the report is about, without calling Ayrshare.
pub(crate) async fn report(
    id: String,
    plan: Plan<'_>,
    services: LiveServices<'_>,
    snapshot: Arc<Survey>,
    deadline: Deadline,
) -> RunResult {
    let LoadedConfig { config, clients, .. } = services.loaded;
    let run = Run::new(id, snapshot.now, plan, config, clients.ledger.as_ref(), services, deadline);
    let result = run.with_snapshot(snapshot).execute().await;
    log(&result);
    result
}

/// Sends the heartbeat, if one is configured, after an alert run over all profiles and channels.
pub(crate) async fn beat(result: &RunResult, loaded: &LoadedConfig, deadline: Deadline) {
    let LoadedConfig { config, clients, .. } = loaded;
    if let Some(url) = &config.heartbeat {
        let is_alive = result.status != Status::Failed;
        heartbeat::beat(&clients.http, url, is_alive, deadline.earlier_by(ANSWER_TIME), &clients.redactor).await;
    }
}

/// The current time in milliseconds, the precision of Ayrshare's expiry dates.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

fn log(result: &RunResult) {
    let media = result.survey.counts();
    let announced: usize = result.channels.iter().map(|channel| channel.announced).sum();
    tracing::info!(
        action = ?result.action,
        status = ?result.status,
        dry_run = result.dry_run,
        duration_ms = result.duration_ms,
        listed = media.listed,
        expiring = media.expiring,
        expired = media.expired,
        undated = media.undated,
        announced,
        "checked {} of {} profiles",
        result.survey.checked(),
        result.configured,
    );
}
