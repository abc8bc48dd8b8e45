//! CloudWatch metrics.

use std::io::Write as _;

use jiff::Timestamp;
use serde_json::json;

use crate::model::Status;
use crate::run::result::{Outcome, RunResult};

/// The namespace of every metric.
const NAMESPACE: &str = "MediaExpiryAlerts";

/// The function that the metrics belong to.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// The function's name, which is the dimension of every metric.
    pub function_name: &'a str,
    /// The log level of the function. Lambda drops lines of a lower level, and treats a line without a level as `INFO`.
    /// The metrics carry the level of the function itself, so that they are always kept.
    pub log_level: &'a str,
}

/// The metrics of an alert run, as one line in CloudWatch's embedded metric format.
#[must_use]
pub fn metrics(result: &RunResult, source: &Source<'_>, now: Timestamp) -> String {
    let count = |outcome: Outcome| result.channels.iter().filter(|channel| channel.outcome == outcome).count();
    let media = result.survey.counts();
    let checked = result.survey.checked();
    let unchecked = result.configured - checked + result.survey.listing.failed.len();
    let copies = &result.survey.copies;
    let values = [
        ("ProfilesChecked", checked as u64),
        ("ProfilesFailed", unchecked as u64),
        ("ProfilesUnwatched", result.survey.discovery.unwatched.len() as u64),
        ("MediaListed", media.listed as u64),
        ("MediaExpiring", media.expiring as u64),
        ("MediaExpired", media.expired as u64),
        ("PostsAtRisk", result.survey.posts_at_risk.len() as u64),
        ("AlertsDelivered", count(Outcome::Delivered) as u64),
        ("DeliveryFailures", count(Outcome::Failed) as u64),
        ("LedgerFailures", u64::from(result.ledger_error.is_some())),
        ("RunsCompleted", u64::from(result.status != Status::Failed)),
        (DURATION, result.duration_ms),
    ];
    // Each metric costs money, so there are no metrics for copies without `[rescue]`.
    let of_copies = [("CopiesMade", copies.made() as u64), ("CopiesFailed", copies.failures() as u64)];
    let values: Vec<_> = values.into_iter().chain(of_copies.into_iter().filter(|_| copies.is_on)).collect();
    embed(&result.run_id, source, now, &values)
}

/// The metrics of an alert run that could not start because its configuration is invalid.
#[must_use]
pub fn metrics_of_refused_run(run_id: &str, source: &Source<'_>, now: Timestamp) -> String {
    embed(run_id, source, now, &[("RunsCompleted", 0), (DURATION, 0)])
}

const DURATION: &str = "RunDuration";

fn embed(run_id: &str, source: &Source<'_>, now: Timestamp, values: &[(&str, u64)]) -> String {
    let metrics: Vec<_> = values
        .iter()
        .map(|(name, _)| json!({"Name": name, "Unit": if *name == DURATION { "Milliseconds" } else { "Count" }}))
        .collect();
    let mut line = json!({
        "_aws": {
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [["FunctionName"]], "Metrics": metrics}],
        },
        "FunctionName": source.function_name,
        "run_id": run_id,
        "level": source.log_level,
        "timestamp": now,
    });
    for (name, value) in values {
        line[*name] = json!(value);
    }
    line.to_string()
}

/// Writes a line of metrics to standard output: CloudWatch reads them from the log, at every log level.
pub fn write(line: &str) {
    // There is nowhere to report that standard output is closed.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
