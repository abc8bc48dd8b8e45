//! What is typed: the commands, their options, and the help that teaches them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::model::threshold::Threshold;
use crate::report::Format;
use crate::run::command::{Action, Command};

/// Warns before media uploaded to Ayrshare expires: what the Lambda function does, in a terminal.
///
/// It reads the same configuration as the function, looks at the same galleries and scheduled posts, and tells the same
/// channels. Try it with `expiry-alerts demo`, which needs no key and no network.
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
  --config, or else MEDIA_ALERTS_CONFIG, says where the document is: a path, ssm:/parameter/name,
  secretsmanager:ID[#json-key] or s3://bucket/key. Without it the environment is the configuration:
  AYRSHARE_API_KEY, and SLACK_WEBHOOK_URL or SNS_TOPIC_ARN (or both).

Exit codes:
  0  all is well: everything was looked at, and every channel was served
  1  the run failed: no profile could be checked, a channel could not be served, the ledger or a
     file could not be written
  2  nothing was done: the command line or the configuration is wrong
  3  partial: some profiles, or the posts of some, could not be checked; or another run was under
     way, and this one did nothing
  4  with `report --exit-code` only: all was looked at, and something is due

Examples:
  expiry-alerts check                                    does the configuration hold?
  expiry-alerts report --within 72h                      what expires in the next three days?
  expiry-alerts report --profile \"Acme Coffee\" -o acme.html
  expiry-alerts alert --dry-run                          what would be sent?
  expiry-alerts alert                                    the real thing, for a cron job";

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Shows what expires and which scheduled posts will fail; sends nothing
    #[command(after_help = "\
Examples:
  expiry-alerts report                                   a table
  expiry-alerts report --within 30d --format csv | head
  expiry-alerts report --output report.html              the page, written whole or not at all
  expiry-alerts report --exit-code >/dev/null            4 when something is due")]
    Report(ReportArgs),
    /// Tells each channel what is new to it
    #[command(after_help = "\
What a channel has confirmed is remembered in the ledger, if there is one, and not said again. With
--within, everything within it is said and nothing is remembered. The heartbeat is called after a
run over all profiles and channels.

Examples:
  expiry-alerts alert --dry-run                          shows what would be sent
  expiry-alerts alert --channel ops-email                one channel only")]
    Alert(AlertArgs),
    /// Proves the configuration: reads every profile, asks for every channel; sends nothing
    Check(CheckArgs),
    /// Sends one sample, marked as a test, to each channel
    Test(TestArgs),
    /// Shows the main job on stand-ins for Ayrshare, Slack and SNS: no key, no network
    #[command(after_help = "\
The demo writes the messages, the report and the configuration as files: to --output, or else to
target/demo/ when `cargo demo` runs it, or else to a new folder among the temporary files. It says
where. It removes nothing that no demo wrote, and refuses a folder that holds anything else.

Examples:
  expiry-alerts demo                                     into a new temporary folder
  expiry-alerts demo --output ~/demo --serve             and the report in a browser")]
    Demo(DemoArgs),
    /// Prints the completions for a shell
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

/// What every run takes.
#[derive(Debug, Args)]
pub struct Setup {
    #[arg(short, long, value_name = "PLACE", help = "Where the configuration is [default: $MEDIA_ALERTS_CONFIG]")]
    pub config: Option<String>,
    /// Only this profile; may be repeated
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,
    /// Only this channel; may be repeated
    #[arg(long = "channel", value_name = "NAME")]
    channels: Vec<String>,
    /// Log to standard error what is done
    #[arg(short, long)]
    pub verbose: bool,
}

impl Setup {
    fn command(&self, action: Action) -> Command {
        let names = |names: &[String]| (!names.is_empty()).then(|| names.to_vec());
        Command { action, profiles: names(&self.profiles), channels: names(&self.channels), ..Command::default() }
    }
}

/// Replaces the thresholds of the configuration.
#[derive(Debug, Args)]
pub struct Within {
    /// How far ahead to look, in place of the thresholds: 90m, 72h, 14d, 2w
    #[arg(long, value_name = "DURATION", value_parser = Threshold::parse)]
    within: Option<Threshold>,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    pub setup: Setup,
    #[command(flatten)]
    within: Within,
    /// How to show it [default: as the ending of --output says, else table]
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<ReportFormat>,
    /// Write to this file, whole or not at all; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Exit with 4 when anything is listed
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
    /// Show what would be sent; send nothing, remember nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// How to show what became of it
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
    /// How to show what was found
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
    /// How to show what became of it
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub format: ResultFormat,
}

impl TestArgs {
    pub fn command(&self) -> Command {
        Command { dry_run: self.dry_run, ..self.setup.command(Action::Test) }
    }
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Write everything to this folder, which must be new, empty, or an earlier demo's
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Then serve the report on this machine until Ctrl-C, on any free port or on this one
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0")]
    pub serve: Option<u16>,
}

/// The formats of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people, as wide as the window
    Table,
    /// The result of the run
    Json,
    /// The files, one a line
    Csv,
    /// Expiries and posts as calendar entries
    Ics,
    /// The page, with pictures
    Html,
}

impl ReportFormat {
    /// The format that the ending of a file's name says.
    pub fn of_file(path: &std::path::Path) -> Option<Self> {
        let Some(ending) = path.extension() else { return Some(Self::Table) };
        Some(match ending.to_str()?.to_ascii_lowercase().as_str() {
            "txt" | "log" => Self::Table,
            "json" => Self::Json,
            "csv" => Self::Csv,
            "ics" => Self::Ics,
            "html" | "htm" => Self::Html,
            _ => return None,
        })
    }

    /// The format as the function knows it; a table is a terminal's own.
    pub fn rendered(self) -> Option<Format> {
        match self {
            Self::Table => None,
            Self::Json => Some(Format::Json),
            Self::Csv => Some(Format::Csv),
            Self::Ics => Some(Format::Ics),
            Self::Html => Some(Format::Html),
        }
    }
}

/// The formats of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResultFormat {
    /// For people
    Table,
    /// The result of the run, as the function answers it
    Json,
}
