//! The commands of `expiry-alerts`, their options and their help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::model::threshold::Threshold;
use crate::report::Format;
use crate::run::command::{Action, Command};

/// Warns before media uploaded to Ayrshare expires.
///
/// It does the work of the Lambda function in a terminal or a cron job: it reads the same configuration, checks the same
/// galleries and scheduled posts, and sends to the same channels. Try it with `expiry-alerts demo`, which needs no API
/// key and no network.
#[derive(Debug, Parser)]
#[command(
    name = "expiry-alerts",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = AFTER_HELP,
)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

const AFTER_HELP: &str = "\
Configuration:
  Set --config or MEDIA_ALERTS_CONFIG to the location of the configuration: a file path,
  ssm:/parameter/name, secretsmanager:ID[#json-key] or s3://bucket/key. If neither is set, the
  configuration comes from the environment variables AYRSHARE_API_KEY and one or more of
  SLACK_WEBHOOK_URL, TEAMS_WEBHOOK_URL, SNS_TOPIC_ARN, and EMAIL_FROM with EMAIL_TO.

Exit codes:
  0  success: everything was checked, and every channel got what it should
  1  the run failed: no profile could be checked, a channel failed, a check could not use the ledger
     or the store, a mark could not be recorded, a file could not be written, no file could be
     copied, or the configuration could not be read at this time
  2  nothing was done: the command line or the configuration is invalid, or there is no file to mark
     as handled
  3  partial: some profiles, or the scheduled posts of some, could not be checked; some files could
     not be copied; or another alert run was in progress, so nothing was done
  4  only with `report --exit-code`: everything was checked, and something is listed

Examples:
  expiry-alerts check                                    does the configuration work?
  expiry-alerts report --within 72h                      what expires in the next three days?
  expiry-alerts report --profile \"Acme Coffee\" -o acme.html
  expiry-alerts alert --dry-run                          what would be sent?
  expiry-alerts alert                                    send it, for example from cron";

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Shows what expires and which scheduled posts will fail; sends nothing
    #[command(after_help = "\
Examples:
  expiry-alerts report                                   print a table
  expiry-alerts report --within 30d --format csv | head
  expiry-alerts report --output report.html              write the HTML page to a file
  expiry-alerts report --exit-code >/dev/null            exit with 4 if anything is listed

`expiry-alerts --help` lists all exit codes.")]
    Report(ReportArgs),
    /// Sends each channel what is new to it
    #[command(after_help = "\
With a ledger, each item is sent to each channel once per threshold. It is recorded when the channel
has confirmed it. With --within, everything that expires within that time is sent, and nothing is
recorded. After a run over all profiles and channels, the heartbeat URL is called.

Examples:
  expiry-alerts alert --dry-run                          show what would be sent
  expiry-alerts alert --channel ops-email                send to one channel only

Exit codes: 0 success, 1 failed, 2 invalid command line or configuration, 3 partial, or another run
was in progress. `expiry-alerts --help` describes them.")]
    Alert(AlertArgs),
    /// Tests the configuration: reads every profile, tests every channel, the ledger and the store; sends nothing
    #[command(after_help = "\
Examples:
  expiry-alerts check --config alerts.toml               test a configuration before you deploy it
  expiry-alerts check --profile \"Acme Coffee\"            test one profile

Exit codes: 0 everything works, 1 failed, 2 invalid command line or configuration, 3 partial.")]
    Check(CheckArgs),
    /// Sends one sample, marked `[TEST]`, to each channel
    #[command(after_help = "\
Examples:
  expiry-alerts test --dry-run                           show the samples
  expiry-alerts test --channel social-team               send one sample to one channel

Exit codes: 0 every channel got its sample, 1 a channel failed, 2 invalid command line or
configuration.")]
    Test(TestArgs),
    /// Marks a file as handled for a channel, or takes the mark back
    #[command(after_help = "\
A file that is handled is not announced to the channel as it enters further thresholds. It is
announced when it has expired, when its expiry changes, and with each post that will fail without
it. The ledger keeps the mark. `report --format json` lists the ids of the files.

Examples:
  expiry-alerts handled \"Acme Coffee\" 5553a26a-cffb-4a31-bd89-dee296d35648-png --channel team
  expiry-alerts handled \"Acme Coffee\" 5553a26a-cffb-4a31-bd89-dee296d35648-png --channel team --undo

Exit codes: 0 success, 1 the profile or the ledger failed, 2 invalid command line or configuration, or
there is no such file.")]
    Handled(HandledArgs),
    /// Copies files before they are gone, into the store or a folder; sends nothing
    #[command(after_help = "\
Without --within and --all, it copies the files that `[rescue]` of the configuration selects. If there
is no such table, these are the files that a scheduled post will lack. Each copy is named
copies/PROFILE/ID.EXT. Files that have a copy of the same size already are skipped. So run the command
again if it was interrupted, or if some files could not be copied.

Examples:
  expiry-alerts rescue                                   copy what alert runs would copy
  expiry-alerts rescue --within 7d --to ~/rescued        all that expires in 7 days, to a folder
  expiry-alerts rescue --all --profile \"Acme Coffee\"     the whole gallery of one profile

Exit codes: 0 every file has a copy or is larger than `rescue.max_file_size`, 1 no profile could be
checked or no file could be copied, 2 invalid command line or configuration, 3 partial.")]
    Rescue(RescueArgs),
    /// Shows the alerts and the report with local stand-ins for all services
    #[command(after_help = "\
The demo needs no API key and no network. It writes the messages, the report and its configuration
as files and prints where they are: in the folder given by --output; otherwise in target/demo/, if
`cargo demo` started it; otherwise in a new temporary folder. The folder must be new, empty, or written
by an earlier demo.

Examples:
  expiry-alerts demo                                     write to a new temporary folder
  expiry-alerts demo --output ~/demo --serve             and serve the report to a browser")]
    Demo(DemoArgs),
    /// Prints the completion script for a shell
    #[command(after_help = "\
Examples:
  expiry-alerts completions bash > ~/.local/share/bash-completion/completions/expiry-alerts
  expiry-alerts completions zsh > \"${fpath[1]}/_expiry-alerts\"
  expiry-alerts completions fish > ~/.config/fish/completions/expiry-alerts.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// The options that all runs have in common.
#[derive(Debug, Args)]
pub struct Setup {
    #[arg(short, long, value_name = "PLACE", help = "Location of the configuration [default: $MEDIA_ALERTS_CONFIG]")]
    pub config: Option<String>,
    /// Only this profile; can be repeated
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,
    /// Only this channel; can be repeated
    #[arg(long = "channel", value_name = "NAME")]
    channels: Vec<String>,
    /// Show times in UTC instead of the time zone of this machine
    #[arg(long)]
    pub utc: bool,
    /// Write more log lines to standard error
    #[arg(short, long)]
    pub verbose: bool,
}

impl Setup {
    fn command(&self, action: Action) -> Command {
        Command { action, profiles: named(&self.profiles), channels: named(&self.channels), ..Command::default() }
    }
}

/// The names that an option was given, if it was given.
fn named(names: &[String]) -> Option<Vec<String>> {
    (!names.is_empty()).then(|| names.to_vec())
}

/// The option that replaces the thresholds of the configuration.
#[derive(Debug, Args)]
pub struct Within {
    /// How far ahead to look, for example 90m, 72h, 14d or 2w; replaces all thresholds
    #[arg(long, value_name = "DURATION", value_parser = Threshold::parse)]
    within: Option<Threshold>,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    pub setup: Setup,
    #[command(flatten)]
    within: Within,
    /// Output format [default: from the file extension of --output, otherwise table]
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<ReportFormat>,
    /// Write to this file, atomically; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Exit with 4 if anything is listed
    #[arg(long)]
    pub exit_code: bool,
}

impl ReportArgs {
    pub fn command(&self) -> Command {
        Command { within: self.within.within.clone(), ..self.setup.command(Action::Report) }
    }
}

#[derive(Debug, Args)]
pub struct AlertArgs {
    #[command(flatten)]
    pub setup: Setup,
    #[command(flatten)]
    within: Within,
    /// Show what would be sent; send and record nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub format: ResultFormat,
}

impl AlertArgs {
    pub fn command(&self) -> Command {
        let dry_run = self.dry_run;
        Command { within: self.within.within.clone(), dry_run, ..self.setup.command(Action::Alert) }
    }
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub setup: Setup,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub format: ResultFormat,
}

impl CheckArgs {
    pub fn command(&self) -> Command {
        self.setup.command(Action::Check)
    }
}

#[derive(Debug, Args)]
pub struct TestArgs {
    #[command(flatten)]
    pub setup: Setup,
    /// Show what would be sent; send nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub format: ResultFormat,
}

impl TestArgs {
    pub fn command(&self) -> Command {
        Command { dry_run: self.dry_run, ..self.setup.command(Action::Test) }
    }
}

#[derive(Debug, Args)]
pub struct HandledArgs {
    /// The name of the profile
    pub profile: String,
    /// The id of the file, or its URL or name if it has no id
    pub id: String,
    /// The channel for which the file is handled
    #[arg(long, value_name = "NAME")]
    pub channel: String,
    /// Take the mark back
    #[arg(long)]
    pub undo: bool,
    #[arg(short, long, value_name = "PLACE", help = "Location of the configuration [default: $MEDIA_ALERTS_CONFIG]")]
    pub config: Option<String>,
    /// Write more log lines to standard error
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Debug, Args)]
pub struct RescueArgs {
    /// Copy all files that expire within this time, for example 72h or 7d
    #[arg(long, value_name = "DURATION", value_parser = Threshold::parse)]
    pub within: Option<Threshold>,
    /// Copy all files of the galleries
    #[arg(long, conflicts_with = "within")]
    pub all: bool,
    /// Copy into this folder instead of the store of the configuration
    #[arg(long, value_name = "FOLDER", value_parser = folder)]
    pub to: Option<PathBuf>,
    /// Only this profile; can be repeated
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub format: ResultFormat,
    #[arg(short, long, value_name = "PLACE", help = "Location of the configuration [default: $MEDIA_ALERTS_CONFIG]")]
    pub config: Option<String>,
    /// Write more log lines to standard error
    #[arg(short, long)]
    pub verbose: bool,
}

impl RescueArgs {
    pub fn command(&self) -> Command {
        Command { action: Action::Rescue, profiles: named(&self.profiles), ..Command::default() }
    }
}

/// A folder of this machine. The URL of a bucket would become a folder with a strange name.
fn folder(text: &str) -> Result<PathBuf, &'static str> {
    if text.trim().is_empty() {
        return Err("it is blank");
    }
    if text.starts_with("s3:") {
        return Err("it must be a folder; name a bucket in `store.url` of the configuration");
    }
    Ok(PathBuf::from(text))
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Write the files to this folder, which must be new, empty, or written by an earlier demo
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Also serve the report on this machine until Ctrl-C, on this port or any free one
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0")]
    pub serve: Option<u16>,
}

/// The output formats of `report`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// A table, as wide as the terminal
    Table,
    /// The run result
    Json,
    /// One line per file
    Csv,
    /// A calendar of expiries and posts
    Ics,
    /// The web page, with pictures
    Html,
}

impl ReportFormat {
    /// Returns the format for a file extension. A name without an extension means a table.
    pub fn from_extension(path: &std::path::Path) -> Option<Self> {
        let Some(extension) = path.extension() else { return Some(Self::Table) };
        Some(match extension.to_str()?.to_ascii_lowercase().as_str() {
            "txt" | "log" => Self::Table,
            "json" => Self::Json,
            "csv" => Self::Csv,
            "ics" => Self::Ics,
            "html" | "htm" => Self::Html,
            _ => return None,
        })
    }

    /// The format that the function renders as well. A table exists only in a terminal.
    pub fn shared(self) -> Option<Format> {
        match self {
            Self::Table => None,
            Self::Json => Some(Format::Json),
            Self::Csv => Some(Format::Csv),
            Self::Ics => Some(Format::Ics),
            Self::Html => Some(Format::Html),
        }
    }
}

/// The output formats of the other commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResultFormat {
    /// A table
    Table,
    /// The run result, as the function returns it
    Json,
}
