//! Log lines and CloudWatch metrics.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, registry};

use crate::environment::Environment;
use crate::run_result::{Outcome, RunResult, Status};

/// Begins to log to standard output, as Lambda's settings say: `AWS_LAMBDA_LOG_LEVEL` (by default `INFO`) and
/// `AWS_LAMBDA_LOG_FORMAT` (`Text`, else JSON).
///
/// Other crates log warnings at most: what the HTTP stack tells at its lower levels holds URLs and headers. Below `INFO`
/// nothing is compiled into a release build.
pub fn init(environment: &Environment) {
    let level = environment.var("AWS_LAMBDA_LOG_LEVEL");
    let level = match level.as_deref().map(str::to_ascii_uppercase).as_deref() {
        Some("TRACE") => LevelFilter::TRACE,
        Some("DEBUG") => LevelFilter::DEBUG,
        Some("WARN") => LevelFilter::WARN,
        Some("ERROR" | "FATAL") => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    };
    let targets = Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), level)
        // It repeats every error that the handler returns, outside of the run that has logged it.
        .with_target("lambda_runtime::layers::panic", LevelFilter::OFF)
        .with_default(level.min(LevelFilter::WARN));
    let is_text = environment.var("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("text"));
    let lines = if is_text {
        fmt::layer().with_ansi(false).with_target(false).boxed()
    } else {
        let lines = fmt::layer().json().flatten_event(true).with_span_list(false).with_target(false);
        lines.with_writer(|| Flat(std::io::stdout())).boxed()
    };
    // A second call, as tests make it, changes nothing.
    let _ = registry().with(lines.with_filter(targets)).try_init();
}

/// Lifts the fields of a line's span, `run_id` among them, to the line itself, where queries look for them.
struct Flat<W>(W);

impl<W: Write> Write for Flat<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match serde_json::from_slice::<Map<String, Value>>(line) {
            Ok(mut fields) => {
                if let Some(Value::Object(span)) = fields.remove("span") {
                    fields.extend(span.into_iter().filter(|(name, _)| name != "name"));
                }
                writeln!(self.0, "{}", Value::Object(fields))?;
            }
            Err(_) => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The namespace of every metric.
const NAMESPACE: &str = "MediaExpiryAlerts";

/// Whose metrics they are.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// The function's name, which is the dimension of every metric.
    pub function_name: &'a str,
    /// The level at which the function logs. Lambda drops lines of a lower level, and takes one without a level for
    /// `INFO`: with the function's own, the metrics are kept at every level.
    pub log_level: &'a str,
}

/// The metrics of an alert run, as one line in CloudWatch's embedded metric format.
#[must_use]
pub fn metrics(result: &RunResult, source: &Source<'_>, now: Timestamp) -> String {
    let count = |outcome: Outcome| result.channels.iter().filter(|channel| channel.outcome == outcome).count();
    let unchecked = result.profiles.configured - result.profiles.checked;
    embed(
        &result.run_id,
        source,
        now,
        &[
            ("ProfilesChecked", result.profiles.checked as u64),
            ("ProfilesFailed", unchecked as u64),
            ("MediaListed", result.media.listed as u64),
            ("MediaExpiring", result.media.expiring as u64),
            ("MediaExpired", result.media.expired as u64),
            ("PostsAtRisk", result.posts_at_risk.len() as u64),
            ("AlertsDelivered", count(Outcome::Delivered) as u64),
            ("DeliveryFailures", count(Outcome::Failed) as u64),
            ("RunsCompleted", u64::from(result.status != Status::Failed)),
            (DURATION, result.duration_ms),
        ],
    )
}

/// The metrics of an alert run that could not begin, because its configuration is refused.
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
    // Nobody is left to tell when standard output is closed.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
