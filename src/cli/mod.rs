//! The function's work in a terminal: the same configuration, the same commands, the same run.
//!
//! Only behind the feature `cli`. What belongs to Lambda stays with [`crate::lambda`]: events, HTTP, metrics on
//! standard output, a configuration that serves on. The heartbeat belongs to both, because a cron job can stop as a
//! schedule can.

mod args;
pub mod demo;
mod log;
mod output;
mod progress;
pub mod run;
mod table;
pub mod terminal;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use uuid::Uuid;

use args::{Cli, DemoArgs, ReportArgs, ReportFormat, ResultFormat, Setup, Verb};
use output::{complain, print};
use progress::Progress;

use crate::cli::demo::DemoError;
use crate::cli::run::{Done, NoRun};
use crate::cli::terminal::Look;
use crate::config::{CONFIG_VARIABLE, InvalidConfiguration};
use crate::model::Status;
use crate::model::text::one_line;
use crate::net::environment::Environment;
use crate::report::Format;
use crate::run::command::{Action, Command};
use crate::run::result::RunResult;

/// How a program ends, for whoever called it. The help and the README list these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// Everything was looked at, and every channel was served.
    Ok = 0,
    /// No profile could be checked, a channel could not be served, or nothing could be written.
    Failed = 1,
    /// The command line or the configuration is wrong; nothing was done.
    Refused = 2,
    /// Some profiles, or the posts of some, could not be checked; or another run was under way.
    Partial = 3,
    /// Something is due, and the caller asked to be told.
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

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    NoRun(#[from] NoRun),
    #[error("{0}")]
    Usage(String),
    #[error("the demo failed: {0}")]
    Demo(#[from] DemoError),
    #[error("{0} cannot be written: {1}")]
    Output(String, std::io::Error),
}

impl Refusal {
    /// Tells it on standard error, every fault in a line of its own.
    fn tell(&self) -> Exit {
        match self {
            Self::NoRun(NoRun::Configuration(invalid)) if invalid.is_transient() => {
                complain("error: the configuration cannot be read now:");
                tell_faults(invalid);
                Exit::Failed
            }
            Self::NoRun(NoRun::Configuration(invalid)) => {
                complain("error: the configuration is refused:");
                tell_faults(invalid);
                Exit::Refused
            }
            Self::NoRun(NoRun::Command(_)) | Self::Usage(_) | Self::Demo(DemoError::NotEmpty(_)) => {
                complain(&format!("error: {}", one_line(&self.to_string())));
                Exit::Refused
            }
            Self::NoRun(NoRun::Client(_)) | Self::Demo(_) | Self::Output(..) => {
                complain(&format!("error: {}", one_line(&self.to_string())));
                Exit::Failed
            }
        }
    }
}

fn tell_faults(invalid: &InvalidConfiguration) {
    for fault in &invalid.faults {
        complain(&format!("  {}", one_line(&fault.to_string())));
    }
}

/// Runs the program with these arguments, the first of which is its name.
pub async fn main(arguments: impl IntoIterator<Item = OsString>, environment: Environment) -> ExitCode {
    let exit = match Cli::try_parse_from(arguments) {
        Ok(cli) => serve(cli.verb, environment).await.unwrap_or_else(|refusal| refusal.tell()),
        Err(error) => {
            // Help and the version go to standard output, and are no errors.
            let _ = error.print();
            if error.exit_code() == 0 { Exit::Ok } else { Exit::Refused }
        }
    };
    ExitCode::from(exit as u8)
}

async fn serve(verb: Verb, environment: Environment) -> Result<Exit, Refusal> {
    let look = Look::of_stdout(&environment);
    match verb {
        Verb::Report(args) => report(&args, environment, look).await,
        Verb::Alert(args) => {
            let done = carry_out(&args.setup, &args.command(), environment).await?;
            show(&done, args.format, |done| table::sent(&done.result, &done.question, look))
        }
        Verb::Check(args) => {
            let done = carry_out(&args.setup, &args.command(), environment).await?;
            show(&done, args.format, |done| table::check(&done.result, &done.profiles, done.has_ledger, look))
        }
        Verb::Test(args) => {
            let done = carry_out(&args.setup, &args.command(), environment).await?;
            show(&done, args.format, |done| table::sent(&done.result, &done.question, look))
        }
        Verb::Demo(args) => {
            demo::run(&demo_directory(&args, &environment), look.for_prose(), args.serve, &mut std::io::stdout())
                .await?;
            Ok(Exit::Ok)
        }
        Verb::Completions { shell } => {
            // Into memory first, because the generator does not expect a reader that goes away.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "expiry-alerts", &mut script);
            // For bash it spells a program with a hyphen in two ways, and so finds no options (clap-rs/clap#6421).
            let script = String::from_utf8_lossy(&script).replace("expiry__subcmd__alerts", "expiry__alerts");
            print_out(&script)?;
            Ok(Exit::Ok)
        }
    }
}

/// Carries out a command with the configuration that was named, under the eyes of whoever waits.
async fn carry_out(setup: &Setup, command: &Command, environment: Environment) -> Result<Done, Refusal> {
    let progress = Progress::hidden();
    log::init(setup.verbose, &progress);
    let environment = match &setup.config {
        Some(place) => environment.with(CONFIG_VARIABLE, place),
        None => environment,
    };
    let done = if command.action == Action::Test {
        run::carry_out(command, &environment, &()).await
    } else {
        run::carry_out(command, &environment, &progress).await
    };
    progress.end();
    Ok(done?)
}

fn show(done: &Done, format: ResultFormat, table: impl Fn(&Done) -> String) -> Result<Exit, Refusal> {
    let text = match format {
        ResultFormat::Table => table(done),
        ResultFormat::Json => format!("{}\n", done.result.to_json()),
    };
    print_out(&text)?;
    complain_of(&done.result, format == ResultFormat::Table);
    Ok(Exit::of(&done.result))
}

/// Tells standard error what went wrong, unless somebody sits before a table that says it: cron mails what comes there,
/// and whoever keeps a file may never look into it.
fn complain_of(result: &RunResult, is_table: bool) {
    if !(is_table && std::io::stdout().is_terminal()) {
        for line in table::complaints(result) {
            complain(&line);
        }
    }
}

async fn report(args: &ReportArgs, environment: Environment, look: Look) -> Result<Exit, Refusal> {
    let file = args.output.as_deref().filter(|path| *path != Path::new("-"));
    let format = match (args.format, file) {
        (Some(format), _) => format,
        (None, None) => ReportFormat::Table,
        (None, Some(path)) => ReportFormat::of_file(path).ok_or_else(|| {
            let path = one_line(&path.display().to_string());
            Refusal::Usage(format!("the ending of {path} says no format that is known; say it with --format"))
        })?,
    };
    let done = carry_out(&args.setup, &args.command(), environment).await?;
    let Done { result, question, .. } = &done;
    let look = if file.is_some() { Look::plain() } else { look };
    let text = match format.rendered() {
        None => table::report(result, question, look),
        Some(format) => {
            let mut text = result.report(format, question, usize::MAX, str::len).body;
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text
        }
    };
    match file {
        // An empty table in place of yesterday's would say that all is well.
        Some(path)
            if result.status == Status::Failed && matches!(format.rendered(), Some(Format::Csv | Format::Ics)) =>
        {
            complain(&format!("error: {} is left as it was", one_line(&path.display().to_string())));
        }
        Some(path) => output::write(path, &text).map_err(|error| Refusal::Output(path.display().to_string(), error))?,
        None => print_out(&text)?,
    }
    complain_of(result, file.is_none() && format == ReportFormat::Table);
    let exit = Exit::of(result);
    let is_due = !result.survey.items.is_empty() || !result.survey.posts_at_risk.is_empty();
    Ok(if args.exit_code && is_due && exit == Exit::Ok { Exit::Due } else { exit })
}

fn print_out(text: &str) -> Result<(), Refusal> {
    print(text).map_err(|error| Refusal::Output("standard output".to_owned(), error))
}

/// Where the demo writes to: the folder that was named; else `target/demo/` of this checkout, if cargo started the program
/// there; else a new one among the temporary files.
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
