//! One run from its beginning to its line in the log, for Lambda and for the terminal.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Run;
use super::command::Plan;
use super::heartbeat;
use super::loaded::Ready;
use super::result::RunResult;
use super::services::Network;
use crate::model::Status;
use crate::net::Deadline;
use crate::scan::survey::Survey;

/// How long a run may take when nobody sets a deadline: the longest that Lambda allows.
pub const MAX_RUN: Duration = Duration::from_mins(15);
/// Time kept free after the heartbeat, for the answer.
const ANSWER_TIME: Duration = Duration::from_millis(200);

/// A run over the network, from its beginning to its line in the log.
pub(crate) async fn run(
    id: String,
    now: Timestamp,
    plan: Plan<'_>,
    network: Network<'_>,
    deadline: Deadline,
) -> RunResult {
    let Ready { config, clients, .. } = network.ready;
    let result = Run::new(id, now, plan, config, clients.ledger.as_ref(), network, deadline).execute().await;
    log(&result);
    result
}

/// Looks at the profiles of a plan over the network.
pub(crate) async fn look(now: Timestamp, plan: Plan<'_>, network: Network<'_>, deadline: Deadline) -> Arc<Survey> {
    let Ready { config, clients, .. } = network.ready;
    Run::new(String::new(), now, plan, config, clients.ledger.as_ref(), network, deadline).scan().await
}

/// A report of a look at all profiles, which asks Ayrshare nothing.
pub(crate) async fn report(
    id: String,
    plan: Plan<'_>,
    network: Network<'_>,
    look: Arc<Survey>,
    deadline: Deadline,
) -> RunResult {
    let Ready { config, clients, .. } = network.ready;
    let run = Run::new(id, look.now, plan, config, clients.ledger.as_ref(), network, deadline);
    let result = run.with_look(look).execute().await;
    log(&result);
    result
}

/// Tells the dead-man's switch, where there is one, of an alert run over all profiles and channels.
pub(crate) async fn beat(result: &RunResult, ready: &Ready, deadline: Deadline) {
    let Ready { config, clients, .. } = ready;
    if let Some(url) = &config.heartbeat {
        let is_alive = result.status != Status::Failed;
        heartbeat::beat(&clients.http, url, is_alive, deadline.earlier_by(ANSWER_TIME), &clients.redactor).await;
    }
}

/// The time, to the millisecond: as exact as Ayrshare's expiries.
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
