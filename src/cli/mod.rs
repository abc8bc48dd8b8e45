//! The command line program `expiry-alerts`. It runs the same commands with the same configuration as the function.
//!
//! It is compiled only with the feature `cli`. Events, HTTP, metrics and a configuration that is kept between
//! invocations belong to Lambda and are in [`crate::lambda`]. The heartbeat is called by both, because a cron job can
//! stop running just as a schedule can.

mod args;
pub mod demo;
mod handled;
mod log;
mod output;
mod progress;
mod rescue;
pub mod run;
mod table;
pub mod terminal;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use jiff::tz::TimeZone;
use uuid::Uuid;

use args::{Cli, DemoArgs, ReportArgs, ReportFormat, ResultFormat, Setup, Verb};
use output::{print, print_stderr};
use progress::Progress;

use crate::cli::demo::DemoError;
use crate::cli::run::{CompletedRun, StartError};
use crate::cli::terminal::TerminalStyle;
use crate::config::{CONFIG_VARIABLE, InvalidConfiguration};
use crate::ledger::LedgerError;
use crate::model::text::one_line;
use crate::model::{Status, Zone};
use crate::net::environment::Environment;
use crate::report::Format;
use crate::run::command::{Action, Command};
use crate::run::result::RunResult;

/// The exit codes. The help and `docs/cli.md` list them too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// Everything was checked, and every channel got what it should.
    Ok = 0,
    /// No profile could be checked, a channel failed, a check could not use the ledger or the store, a mark could not be
    /// recorded, no file could be copied, the output could not be written, or the configuration could not be read at this
    /// time.
    Failed = 1,
    /// The command line or the configuration is invalid, or there is no file to mark as handled; nothing was done.
    Invalid = 2,
    /// Some profiles, or the scheduled posts of some, could not be checked; some files could not be copied; or another run
    /// was in progress.
    Partial = 3,
    /// Something is listed, and `--exit-code` was given.
    Due = 4,
}

impl Exit {
    fn of(result: &RunResult) -> Self {
        match result.status {
            Status::Ok => Self::Ok,
            Status::Partial => Self::Partial,
            Status::Failed => Self::Failed,
        }
    }
}

/// The reasons why a command has no result.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    StartError(#[from] StartError),
    #[error("{0}")]
    Usage(String),
    #[error("the demo failed: {0}")]
    Demo(#[from] DemoError),
    #[error("the ledger failed: {0}")]
    Ledger(LedgerError),
    #[error("cannot write {0}: {1}")]
    Output(String, std::io::Error),
}

impl CliError {
    /// Prints the error to standard error, with each configuration error on its own line.
    fn report(&self) -> Exit {
        match self {
            Self::StartError(StartError::Configuration(invalid)) if invalid.is_transient() => {
                print_stderr("error: the configuration cannot be read at this time:");
                print_faults(invalid);
                Exit::Failed
            }
            Self::StartError(StartError::Configuration(invalid)) => {
                print_stderr("error: the configuration is invalid:");
                print_faults(invalid);
                Exit::Invalid
            }
            Self::StartError(StartError::Command(_)) | Self::Usage(_) | Self::Demo(DemoError::NotEmpty(_)) => {
                print_stderr(&format!("error: {}", one_line(&self.to_string())));
                Exit::Invalid
            }
            Self::StartError(StartError::Client(_)) | Self::Demo(_) | Self::Ledger(_) | Self::Output(..) => {
                print_stderr(&format!("error: {}", one_line(&self.to_string())));
                Exit::Failed
            }
        }
    }
}

fn print_faults(invalid: &InvalidConfiguration) {
    for fault in &invalid.faults {
        print_stderr(&format!("  {}", one_line(&fault.to_string())));
    }
}

/// Runs the program. The first argument is the name of the program.
pub async fn main(arguments: impl IntoIterator<Item = OsString>, environment: Environment) -> ExitCode {
    let exit = match Cli::try_parse_from(arguments) {
        Ok(cli) => serve(cli.verb, environment).await.unwrap_or_else(|error| error.report()),
        Err(error) => {
            // Clap reports `--help` and `--version` as errors too. It prints them to standard output.
            let _ = error.print();
            if error.exit_code() == 0 { Exit::Ok } else { Exit::Invalid }
        }
    };
    ExitCode::from(exit as u8)
}

async fn serve(verb: Verb, environment: Environment) -> Result<Exit, CliError> {
    let terminal = TerminalStyle::for_stdout(&environment);
    match verb {
        Verb::Report(args) => report(&args, environment, terminal).await,
        Verb::Alert(args) => {
            let done = execute(&args.setup, &args.command(), environment).await?;
            show(&done, args.format, |done| table::sent(&done.result, &done.question, terminal))
        }
        Verb::Check(args) => {
            let done = execute(&args.setup, &args.command(), environment).await?;
            show(&done, args.format, |done| {
                table::check(&done.result, &done.profiles, done.has_ledger, done.has_store, terminal)
            })
        }
        Verb::Test(args) => {
            let done = execute(&args.setup, &args.command(), environment).await?;
            show(&done, args.format, |done| table::sent(&done.result, &done.question, terminal))
        }
        Verb::Handled(args) => {
            log::init(args.verbose, &Progress::hidden());
            handled::mark(&args, &configured(environment, args.config.as_ref())).await
        }
        Verb::Rescue(args) => {
            let progress = Progress::hidden();
            log::init(args.verbose, &progress);
            let done = rescue::copy(&args, &configured(environment, args.config.as_ref()), &progress).await;
            progress.end();
            let (result, place) = done?;
            let text = match args.format {
                ResultFormat::Table => rescue::summary(&result, &place, terminal),
                ResultFormat::Json => format!("{}\n", result.to_json()),
            };
            print_out(&text)?;
            warn_about(&result, args.format == ResultFormat::Table);
            Ok(Exit::of(&result))
        }
        Verb::Demo(args) => {
            demo::run(&demo_directory(&args, &environment), terminal.for_prose(), args.serve, &mut std::io::stdout())
                .await?;
            Ok(Exit::Ok)
        }
        Verb::Completions { shell } => {
            // Written to memory first, because the generator panics if the reader closes the pipe.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "expiry-alerts", &mut script);
            // The bash script spells a program name with a hyphen in two ways, and then completes no options
            // (clap-rs/clap#6421).
            let script = String::from_utf8_lossy(&script).replace("expiry__subcmd__alerts", "expiry__alerts");
            print_out(&script)?;
            Ok(Exit::Ok)
        }
    }
}

/// The time zone that `TZ` or the system says; UTC if neither is known.
fn zone_of_this_machine() -> Zone {
    TimeZone::try_system().map_or(Zone::UTC, Zone::from)
}

/// Runs a command with the given configuration and shows the progress.
async fn execute(setup: &Setup, command: &Command, environment: Environment) -> Result<CompletedRun, CliError> {
    let progress = Progress::hidden();
    log::init(setup.verbose, &progress);
    let environment = configured(environment, setup.config.as_ref());
    let zone = if setup.utc { Zone::UTC } else { zone_of_this_machine() };
    let done = if command.action == Action::Test {
        run::execute(command, &zone, &environment, &()).await
    } else {
        run::execute(command, &zone, &environment, &progress).await
    };
    progress.end();
    Ok(done?)
}

/// The environment with the location of the configuration that the command line gives.
fn configured(environment: Environment, place: Option<&String>) -> Environment {
    match place {
        Some(place) => environment.with(CONFIG_VARIABLE, place),
        None => environment,
    }
}

fn show(done: &CompletedRun, format: ResultFormat, table: impl Fn(&CompletedRun) -> String) -> Result<Exit, CliError> {
    let text = match format {
        ResultFormat::Table => table(done),
        ResultFormat::Json => format!("{}\n", done.result.to_json()),
    };
    print_out(&text)?;
    warn_about(&done.result, format == ResultFormat::Table);
    Ok(Exit::of(&done.result))
}

/// Prints the problems of a run to standard error, unless a table in a terminal shows them already. Cron sends standard error
/// by email, while a report in a file may never be opened.
fn warn_about(result: &RunResult, is_table: bool) {
    if !(is_table && std::io::stdout().is_terminal()) {
        for line in [table::warnings(result), rescue::warnings(result)].concat() {
            print_stderr(&line);
        }
    }
}

async fn report(args: &ReportArgs, environment: Environment, terminal: TerminalStyle) -> Result<Exit, CliError> {
    let file = args.output.as_deref().filter(|path| *path != Path::new("-"));
    let format = match (args.format, file) {
        (Some(format), _) => format,
        (None, None) => ReportFormat::Table,
        (None, Some(path)) => ReportFormat::from_extension(path).ok_or_else(|| {
            let path = one_line(&path.display().to_string());
            CliError::Usage(format!("the file extension of {path} is not known; give the format with --format"))
        })?,
    };
    let done = execute(&args.setup, &args.command(), environment).await?;
    let CompletedRun { result, question, .. } = &done;
    let terminal = if file.is_some() { TerminalStyle::plain() } else { terminal };
    let text = match format.shared() {
        None => table::report(result, question, terminal),
        Some(format) => {
            let mut text = result.report(format, question, usize::MAX, str::len).body;
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text
        }
    };
    match file {
        // CSV and calendar files cannot show that the run failed. An empty one would mean that nothing expires.
        Some(path) if result.status == Status::Failed && matches!(format.shared(), Some(Format::Csv | Format::Ics)) => {
            print_stderr(&format!("error: {} was not replaced", one_line(&path.display().to_string())));
        }
        Some(path) => {
            output::write(path, &text).map_err(|error| CliError::Output(path.display().to_string(), error))?;
        }
        None => print_out(&text)?,
    }
    warn_about(result, file.is_none() && format == ReportFormat::Table);
    let exit = Exit::of(result);
    let is_due = !result.survey.items.is_empty() || !result.survey.posts_at_risk.is_empty();
    Ok(if args.exit_code && is_due && exit == Exit::Ok { Exit::Due } else { exit })
}

fn print_out(text: &str) -> Result<(), CliError> {
    print(text).map_err(|error| CliError::Output("standard output".to_owned(), error))
}

/// The folder that the demo writes to: the one given by `--output`; otherwise `target/demo/` of this checkout, if cargo
/// started the program there; otherwise a new temporary folder.
fn demo_directory(args: &DemoArgs, environment: &Environment) -> PathBuf {
    const CHECKOUT: &str = env!("CARGO_MANIFEST_DIR");
    match &args.output {
        Some(directory) => directory.clone(),
        None if environment.var("CARGO_MANIFEST_DIR").is_some_and(|directory| directory == CHECKOUT) => {
            Path::new(CHECKOUT).join("target/demo")
        }
        None => std::env::temp_dir().join(format!("expiry-alerts-demo-{}", Uuid::new_v4())),
    }
}
