//! The command `rescue`: copies files before they are gone.

use std::time::Duration;

use uuid::Uuid;

use super::CliError;
use super::args::RescueArgs;
use super::progress::Progress;
use super::run::{ProgressListener as _, StartError};
use super::table::{indented, sentence_width, unchecked};
use super::terminal::{TerminalStyle, fit, wrap};
use crate::config::{RescueConfig, RescueFiles, StoreConfig};
use crate::model::text::{count, one_line, shorten};
use crate::model::{Copies, FailedCopy};
use crate::net::aws::Aws;
use crate::net::environment::Environment;
use crate::net::{self, Deadline};
use crate::run::command::Action;
use crate::run::execute::{MAX_RUN, now, run};
use crate::run::loaded_config::{ConfigReload, ConfigSource, LoadedConfig};
use crate::run::rescue::CopyProgress;
use crate::run::result::RunResult;
use crate::run::roster::Roster;
use crate::run::services::LiveServices;
use crate::store::Store;

/// The longest time for copying. Whole galleries over a slow line take hours. The store deletes unfinished uploads that
/// are older than a day.
const MAX_RESCUE: Duration = Duration::from_hours(12);
/// How many files that were not copied are named.
const MAX_NAMED: usize = 50;
/// How many warnings name a file.
const MAX_WARNINGS: usize = 20;

/// Scans the profiles and copies their files. Returns the result and the place of the copies.
pub async fn copy(
    args: &RescueArgs,
    environment: &Environment,
    progress: &Progress,
) -> Result<(RunResult, String), CliError> {
    let aws = Aws::new(net::client_from_environment(environment).map_err(StartError::Client)?, environment.clone());
    let until_start = Deadline::after(MAX_RUN);
    let source = ConfigSource { environment, aws: &aws, now: now() };
    let mut loaded = source.read(until_start).await.map_err(StartError::Configuration)?;
    let place = set_store(args, &mut loaded, &aws).await?;
    set_files(args, &mut loaded)?;

    let roster = Roster::read(&loaded, &aws, until_start).await;
    let plan = args.command().plan(&loaded.config, &roster).map_err(StartError::Command)?;
    progress.on_start(plan.profiles.len());
    let reload = ConfigReload::new(source);
    let on_scanned = || progress.on_scanned();
    let on_copied = |step: CopyProgress<'_>| progress.on_copied(step);
    let services =
        LiveServices { on_scanned: &on_scanned, on_copied: &on_copied, ..LiveServices::new(&loaded, &reload) };
    let result = run(Uuid::new_v4().to_string(), source.now, plan, services, Deadline::after(MAX_RESCUE)).await;
    Ok((result, place))
}

/// Replaces the store by the folder of the command line. Returns the place in words.
async fn set_store(args: &RescueArgs, loaded: &mut LoadedConfig, aws: &Aws) -> Result<String, CliError> {
    let LoadedConfig { config, clients, .. } = loaded;
    if let Some(folder) = &args.to {
        let store = StoreConfig::Folder(folder.clone());
        clients.store = Some(Store::new(&store, aws).await);
        config.store = Some(store);
    }
    match &config.store {
        Some(StoreConfig::Folder(path)) => Ok(one_line(&path.display().to_string())),
        Some(StoreConfig::S3 { bucket, prefix }) if prefix.is_empty() => Ok(format!("s3://{bucket}")),
        Some(StoreConfig::S3 { bucket, prefix }) => Ok(one_line(&format!("s3://{bucket}/{prefix}"))),
        None => Err(CliError::Usage("the configuration has no store; name a folder with --to".to_owned())),
    }
}

/// Replaces the selection of files by that of the command line.
fn set_files(args: &RescueArgs, loaded: &mut LoadedConfig) -> Result<(), CliError> {
    let config = &mut loaded.config;
    let asked = match &args.within {
        _ if args.all => Some(RescueFiles::All),
        Some(within) => Some(RescueFiles::Expiring(within.clone())),
        None => None,
    };
    let rescue = config.rescue.get_or_insert(RescueConfig::of(RescueFiles::OfPosts));
    if let Some(files) = asked {
        rescue.files = files;
    }
    if rescue.files == RescueFiles::OfPosts && !config.ayrshare.scheduled_posts {
        let why = "scheduled posts are not checked, because `ayrshare.scheduled_posts` is false; use --within or --all";
        return Err(CliError::Usage(why.to_owned()));
    }
    Ok(())
}

/// Renders what was copied, what was not, and why. The totals are the last lines because those stay visible.
pub fn summary(result: &RunResult, place: &str, terminal: TerminalStyle) -> String {
    let copies = &result.survey.copies;
    let mut text = String::new();
    if !copies.failed.is_empty() {
        text += &format!("{}\n", terminal.red("Not copied"));
    }
    for failed in copies.failed.iter().take(MAX_NAMED) {
        let name = format!("{} ({})", failed.file_name, one_line(failed.profile.as_str()));
        text += &format!("  {}\n", terminal.bold(&fit(&name, terminal.columns.saturating_sub(2).min(200))));
        text += &indented(&failed.reason, 4, terminal);
    }
    if MAX_NAMED < copies.failed.len() {
        text += &format!("  and {} more\n", count(copies.failed.len() - MAX_NAMED, "file"));
    }
    text += unchecked(result, terminal).strip_prefix(if text.is_empty() { "\n" } else { "" }).unwrap_or_default();
    if !text.is_empty() {
        text.push('\n');
    }
    let lines = |text: &str| wrap(text, sentence_width(terminal)).join("\n");
    let unread = result.survey.configured().saturating_sub(result.survey.checked());
    let totals = lines(&totals(copies, place, unread == 0));
    let is_complete = copies.failures() == 0 && copies.waiting() == 0 && unread == 0;
    text += &format!("{}\n", if is_complete { terminal.green(&totals) } else { terminal.bold(&totals) });
    if 0 < unread {
        let all = count(result.survey.configured(), "profile");
        let warning = format!("{unread} of {all} could not be checked: their files are not copied.");
        text += &format!("{}\n", terminal.red(&lines(&warning)));
    }
    text
}

fn totals(copies: &Copies, place: &str, all_profiles_are_checked: bool) -> String {
    let (made, kept, failed, waiting) = (copies.made(), copies.kept(), copies.failures(), copies.waiting());
    let too_large = copies.failed.len() - failed;
    if 0 == kept + copies.failed.len() + waiting && all_profiles_are_checked {
        return "There is no file to copy.".to_owned();
    }
    let before = kept - made;
    let mut totals = match (made, before) {
        (0, 0) => format!("No file was copied to {place}."),
        (0, _) => format!("{} had a copy in {place} already.", count(before, "file")),
        _ => format!("Copied {} ({}) to {place}.", count(made, "file"), size(copies.made_bytes())),
    };
    if 0 < made && 0 < before {
        totals += &format!(" {} had a copy there already.", count(before, "file"));
    }
    if 0 < failed {
        totals += &format!(" {} could not be copied.", count(failed, "file"));
    }
    if 0 < too_large {
        totals += &format!(" Too large: {}.", count(too_large, "file"));
    }
    if 0 < waiting {
        totals += &format!(" Left for another run: {}.", count(waiting, "file"));
    }
    if 0 < failed + waiting {
        totals += " Run the command again to copy what is missing.";
    }
    totals
}

/// A size in the largest unit that leaves a digit before the point. The units are powers of 1,000.
fn size(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}

/// Returns the warnings for standard error: one for each file that the command `rescue` has not copied. An alert does not warn
/// about such files.
pub fn warnings(result: &RunResult) -> Vec<String> {
    if result.action != Action::Rescue {
        return Vec::new();
    }
    let copies = &result.survey.copies;
    let warning = |failed: &FailedCopy| {
        let FailedCopy { profile, file_name, reason, .. } = failed;
        let (file_name, profile) = (shorten(file_name, 100), one_line(profile.as_str()));
        format!("warning: {file_name} ({}) is not copied: {}", shorten(&profile, 100), one_line(reason))
    };
    let mut lines: Vec<_> = copies.failed.iter().take(MAX_WARNINGS).map(warning).collect();
    let unnamed = copies.failed.len().saturating_sub(MAX_WARNINGS);
    if 0 < unnamed {
        lines.push(format!("warning: and {} more", count(unnamed, "file")));
    }
    if 0 < copies.waiting() {
        lines.push(format!("warning: left for another run: {}", count(copies.waiting(), "file")));
    }
    lines
}
