//! Human-readable log lines on standard error.

use std::fmt;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, registry};

use super::output::print_stderr;
use super::progress::Progress;
use crate::model::text::one_line;

/// The modules whose warnings are in the run result too, and are printed from there: failing profiles and channels.
const REPORTED_IN_RESULT: [&str; 2] =
    [concat!(env!("CARGO_CRATE_NAME"), "::scan"), concat!(env!("CARGO_CRATE_NAME"), "::run")];

/// Starts logging. Without `--verbose` only warnings and errors are logged. Other crates never log below warnings, because
/// their lower levels contain URLs and headers.
pub fn init(is_verbose: bool, progress: &Progress) {
    let (level, level_of_others) =
        if is_verbose { (LevelFilter::INFO, LevelFilter::WARN) } else { (LevelFilter::WARN, LevelFilter::ERROR) };
    let mut targets = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level).with_default(level_of_others);
    if !is_verbose {
        targets = targets.with_targets(REPORTED_IN_RESULT.map(|target| (target, LevelFilter::OFF)));
    }
    let lines = tracing_subscriber::fmt::layer().event_format(PlainFormat).with_writer(LogWriter(progress.clone()));
    // A second call, which only tests make, does nothing.
    let _ = registry().with(lines.with_filter(targets)).try_init();
}

/// Formats an event as `warning: what happened field=value`.
struct PlainFormat;

impl<S, N> FormatEvent<S, N> for PlainFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = String::new();
        context.field_format().format_fields(Writer::new(&mut fields), event)?;
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        write!(writer, "{level}: {}", one_line(&fields))
    }
}

/// Writes each line without damaging the progress bar.
struct LogWriter(Progress);

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl std::io::Write for &LogWriter {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.suspend(|| print_stderr(&String::from_utf8_lossy(line)));
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
