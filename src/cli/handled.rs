//! The command `handled`: marks a file as handled for a channel.

use super::args::HandledArgs;
use super::output::print_stderr;
use super::run::StartError;
use super::{CliError, Exit, print_out};
use crate::digest;
use crate::ledger::LedgerStore as _;
use crate::model::Part;
use crate::model::text::one_line;
use crate::net::aws::Aws;
use crate::net::environment::Environment;
use crate::net::{self, Deadline};
use crate::run::command::{Action, Command};
use crate::run::execute::{self, MAX_RUN, now};
use crate::run::loaded_config::{ConfigReload, ConfigSource, LoadedConfig};
use crate::run::mark::Mark;
use crate::run::roster::Roster;
use crate::run::services::LiveServices;

/// Reads the expiry of the file from its gallery, because the mark is for this expiry, and records the mark.
pub async fn mark(args: &HandledArgs, environment: &Environment) -> Result<Exit, CliError> {
    let aws = Aws::new(net::client_from_environment(environment).map_err(StartError::Client)?, environment.clone());
    let deadline = Deadline::after(MAX_RUN);
    let source = ConfigSource { environment, aws: &aws, now: now() };
    let loaded = source.read(deadline).await.map_err(StartError::Configuration)?;
    let LoadedConfig { config, clients, .. } = &loaded;
    let Some(ledger) = &clients.ledger else {
        return Err(CliError::Usage("the configuration has no ledger, which would keep the mark".to_owned()));
    };
    let command = Command {
        action: Action::Report,
        profiles: Some(vec![args.profile.clone()]),
        channels: Some(vec![args.channel.clone()]),
        ..Command::default()
    };
    let roster = Roster::read(&loaded, &aws, deadline).await;
    let plan = command.plan(config, &roster).map_err(StartError::Command)?;
    let hears = |name: &str| {
        let names = plan.channels.iter().flat_map(|channel| channel.audience.select(roster.known()));
        names.into_iter().any(|heard| heard.as_str() == name)
    };
    if !hears(&args.profile) {
        let (channel, profile) = (&args.channel, &args.profile);
        return Err(CliError::Usage(format!("the channel `{channel}` gets no alerts about the profile `{profile}`")));
    }
    let reload = ConfigReload::new(source);
    let snapshot = execute::scan(source.now, plan, LiveServices::new(&loaded, &reload), deadline).await;
    let unread: Vec<_> = snapshot.failed().into_iter().filter(|failed| failed.what == Part::Media).collect();
    if let Some(failed) = unread.first() {
        let (profile, reason) = (one_line(&args.profile), one_line(&digest::reason(failed)));
        print_stderr(&format!("error: {profile} could not be checked: {reason}"));
        return Ok(Exit::Failed);
    }
    let mark = Mark { profile: args.profile.clone(), id: args.id.clone(), is_handled: !args.undo };
    let changes = mark.changes(&snapshot, source.now);
    let item = snapshot.items.iter().find(|item| item.media.identity() == mark.id);
    let Some(item) = item.filter(|_| !changes.is_empty()) else {
        return Err(CliError::Usage(format!(
            "`{}` has no file with the id `{}` within the thresholds of the channel; `report --format json` lists the ids",
            mark.profile, mark.id
        )));
    };
    ledger.write(&args.channel, changes.into_iter(), source.now, deadline).await.map_err(CliError::Ledger)?;
    let state = if mark.is_handled { "Handled" } else { "No longer handled" };
    let (file, profile, channel) = (item.label(), one_line(&mark.profile), one_line(&args.channel));
    print_out(&format!("{state} for {channel}: {file} ({profile})\n"))?;
    Ok(Exit::Ok)
}
