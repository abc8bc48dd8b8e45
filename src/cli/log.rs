//! Log lines for people, on standard error.

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

use super::output::complain;
use super::progress::Progress;
use crate::model::text::one_line;

/// What says by itself what it would log, in its result: profiles and channels that fail.
const SAID_ANYWAY: [&str; 2] =
    [concat!(env!("CARGO_CRATE_NAME"), "::scan"), concat!(env!("CARGO_CRATE_NAME"), "::run")];

/// Begins to log: warnings at most, unless more is asked for. Other crates never log more than that: what they tell at
/// lower levels holds URLs and headers.
pub fn init(is_verbose: bool, progress: &Progress) {
    let (level, of_others) =
        if is_verbose { (LevelFilter::INFO, LevelFilter::WARN) } else { (LevelFilter::WARN, LevelFilter::ERROR) };
    let mut targets = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level).with_default(of_others);
    if !is_verbose {
        targets = targets.with_targets(SAID_ANYWAY.map(|target| (target, LevelFilter::OFF)));
    }
    let lines = tracing_subscriber::fmt::layer().event_format(Plain).with_writer(Lines(progress.clone()));
    // A second call, as tests make it, changes nothing.
    let _ = registry().with(lines.with_filter(targets)).try_init();
}

/// `warning: what happened field=value`
struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
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

/// Writes each line beside the bar.
struct Lines(Progress);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl std::io::Write for &Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.aside(|| complain(&String::from_utf8_lossy(line)));
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
