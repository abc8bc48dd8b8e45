//! Logging according to Lambda's settings.

use std::io::{self, Write};

use serde_json::{Map, Value};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, registry};

use crate::net::environment::Environment;

/// Starts logging to standard output, with the level in `AWS_LAMBDA_LOG_LEVEL` (`INFO` by default) and the format in
/// `AWS_LAMBDA_LOG_FORMAT` (`Text`, else JSON).
///
/// Other crates log warnings and errors only, because the HTTP stack logs URLs and headers at its lower levels. A release
/// build contains no log statements below `INFO`.
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
        // This target would log every error of the handler a second time, without its `run_id`.
        .with_target("lambda_runtime::layers::panic", LevelFilter::OFF)
        .with_default(level.min(LevelFilter::WARN));
    let is_text = environment.var("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("text"));
    let lines = if is_text {
        fmt::layer().with_ansi(false).with_target(false).boxed()
    } else {
        let lines = fmt::layer().json().flatten_event(true).with_span_list(false).with_target(false);
        lines.with_writer(|| Flat(std::io::stdout())).boxed()
    };
    // A second call, which only tests make, has no effect.
    let _ = registry().with(lines.with_filter(targets)).try_init();
}

/// Moves the fields of a line's span, such as `run_id`, to the top level, so that queries find them there.
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
