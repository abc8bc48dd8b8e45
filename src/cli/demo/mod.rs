//! The command `demo`.
//!
//! It invokes the real function with a scheduled event. The function checks the galleries of an agency and sends its alerts
//! to Slack, by email, to Teams, and to an SNS topic with email subscribers. All services are local stand-ins, so nothing
//! leaves this machine.

mod card;
mod output;
mod page;

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::lambda::{Function, FunctionError, Invocation};
use crate::model::Zone;
use crate::net::environment::Environment;

use crate::cli::run::{self, StartError};
use crate::cli::terminal::{self, TerminalStyle};
use crate::report::Format;
use crate::run::command::{Action, Command};

use crate::demo::data;
use crate::demo::stand_ins::{
    AyrshareStandIn, MediaHostStandIn, Publication, S3StandIn, SesStandIn, SlackStandIn, SnsStandIn, TeamsStandIn,
};
use output::Output;
use page::Page;

/// The time zone of the agency.
const TIMEZONE: &str = "America/New_York";
/// The region of the function and its services.
const REGION: &str = "us-east-1";
/// The sender of the emails.
const SENDER: &str = "alerts@agency.example";
/// The topic of the channel with email subscribers.
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:media-expiry-alerts";
/// Where the links in the messages point if nothing serves the report.
const REPORT_URL: &str = "https://reports.agency.example";
/// The bucket that keeps copies of files.
const BUCKET: &str = "demo-copies";
/// The event that the function is invoked with: its path in the repository and its content.
const EVENT: (&str, &str) = ("events/scheduled.json", include_str!("../../../events/scheduled.json"));
/// The longest link that is printed, in characters. Terminals handle longer ones badly.
const MAX_LINK: usize = 2_000;

/// The reasons why the demo failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A file could not be read or written, a port could not be bound, or standard output could not be written.
    #[error("{0}: {1}")]
    Io(String, io::Error),
    /// The folder contains files that are not from a demo.
    #[error("{0} is not empty and was not written by a demo; choose another folder with --output")]
    NotEmpty(String),
    /// The HTTP client could not be created.
    #[error("cannot create the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// The function failed.
    #[error(transparent)]
    Function(#[from] FunctionError),
    /// The report could not be created.
    #[error(transparent)]
    Report(#[from] StartError),
    /// The function sent a request that the real service would reject.
    #[error("a stand-in rejected a request: {0}")]
    Violation(String),
}

/// Runs the demo. Prints the messages to `out` and writes the files to `directory`.
///
/// The directory is created if needed; it must be empty or written by an earlier demo. With `serve`, the report is then
/// served on that port of this machine until the process ends; 0 stands for any free port. The function then also copies the
/// files that posts will lack, and the page links the copies.
///
/// # Errors
///
/// See [`DemoError`].
pub async fn run(
    directory: &Path,
    terminal: TerminalStyle,
    serve: Option<u16>,
    out: &mut impl Write,
) -> Result<(), DemoError> {
    let output = Output::new(directory)?;
    let page = match serve {
        Some(port) => Some(Page::bind(port).await?),
        None => None,
    };
    let services = Box::pin(StandIns::start(page.is_some())).await?;
    let document = services.config(&output.path(output::LEDGER), page.as_ref());
    let environment = services.environment(&output.write(output::CONFIG, &document)?);
    // Boxed, because these futures are large.
    let function = Box::pin(Function::new(environment.clone(), |_metrics| {})).await?;

    let started = Instant::now();
    let first = invoke(&function, EVENT.1).await?;
    let duration = started.elapsed();
    let (messages, publications) = (services.slack.messages(), services.sns.publications());
    let second = invoke(&function, EVENT.1).await?;
    let command = Command { action: Action::Report, ..Command::default() };
    let zone = Zone::parse(TIMEZONE).unwrap_or(Zone::UTC);
    let report = Box::pin(run::execute(&command, &zone, &environment, &())).await?;
    services.check()?;

    output.write("result.json", &pretty(&first))?;
    for (name, format) in [("report.html", Format::Html), ("calendar.ics", Format::Ics)] {
        let rendered = report.result.report(format, &report.question, usize::MAX, str::len);
        output.write(name, &rendered.body)?;
    }
    for mail in services.ses.mails() {
        output.write("email.html", &mail.html)?;
    }
    for message in services.teams.messages() {
        output.write("teams.json", &pretty(&message))?;
        output.write("teams.html", &card::page(&message))?;
    }
    let transcript = Transcript { terminal, first: &first, second: &second, duration };
    let mut text = transcript.text(&messages, &publications, &output)?;
    if let Some(page) = &page {
        text += &format!("\n  The report is at {}\n", terminal.bold(&format!("{}/report", page.origin())));
        let start = format!("{}/r/", page.origin());
        if let Some(link) = publications.iter().find_map(|publication| link_in(&publication.message, &start)) {
            text += &format!("\n  The link in the email also has the downloads of copies: {link}\n");
        }
        text += "\n  Stop the demo with Ctrl-C.\n";
    } else {
        text += &format!("\n  {}\n", terminal.faint("The links to the report work with --serve."));
    }
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader, for example `head`, needs no more output.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        written => written.map_err(|error| DemoError::Io("cannot write standard output".into(), error))?,
    }
    if let Some(page) = page {
        Box::pin(page.serve(&function)).await?;
    }
    Ok(())
}

/// The stand-ins for all services that the function uses.
struct StandIns {
    ayrshare: AyrshareStandIn,
    slack: SlackStandIn,
    ses: SesStandIn,
    teams: TeamsStandIn,
    sns: SnsStandIn,
    copying: Option<Copying>,
}

/// The stand-ins that copying files needs. Files are copied only if there is a page that links the copies.
struct Copying {
    host: MediaHostStandIn,
    s3: S3StandIn,
}

impl StandIns {
    async fn start(copies_files: bool) -> Result<Self, DemoError> {
        let no_port = |error| DemoError::Io("cannot bind a port of this machine".into(), error);
        let ayrshare = AyrshareStandIn::start(data::API_KEY).await.map_err(no_port)?;
        let copying = if copies_files {
            let host = MediaHostStandIn::start().await.map_err(no_port)?;
            Some(Copying { host, s3: S3StandIn::start(REGION).await.map_err(no_port)? })
        } else {
            None
        };
        data::fill(&ayrshare, copying.as_ref().map(|copying| &copying.host), Timestamp::now());
        let slack = SlackStandIn::start().await.map_err(no_port)?;
        let ses = SesStandIn::start(REGION, &[SENDER]).await.map_err(no_port)?;
        let teams = TeamsStandIn::start().await.map_err(no_port)?;
        let sns = SnsStandIn::start(&[TOPIC]).await.map_err(no_port)?;
        Ok(Self { ayrshare, slack, ses, teams, sns, copying })
    }

    /// The configuration as a user would write it.
    fn config(&self, ledger: &Path, page: Option<&Page>) -> String {
        let mut config = format!(
            "{}\n\n[ayrshare]\napi_key  = \"env:DEMO_API_KEY\"\nbase_url = \"{}\"\n",
            output::FIRST_LINE,
            self.ayrshare.base_url(),
        );
        for profile in &data::PROFILES {
            let key = profile.key.map_or("primary = true".to_owned(), |(name, _)| format!("key  = \"env:{name}\""));
            config += &format!("\n[[profiles]]\nname = \"{}\"\n{key}\n", profile.name);
        }
        config += &format!("\n[alerts]\ntimezone = \"{TIMEZONE}\"\n");
        config += "\n[[channels]]\nname        = \"social-team\"\ntype        = \"slack\"\n\
                   webhook_url = \"env:DEMO_SLACK_WEBHOOK\"\n";
        config += &format!(
            "\n[[channels]]\nname       = \"ops-email\"\ntype       = \"sns\"\ntopic_arn  = \"{TOPIC}\"\n\
             thresholds = [\"3d\", \"1d\"]\n",
        );
        config += &format!(
            "\n[[channels]]\nname = \"clients\"\ntype = \"email\"\nfrom = \"Media alerts <{SENDER}>\"\n\
             to   = [\"maria@client.example\", \"noor@client.example\"]\n",
        );
        config += "\n[[channels]]\nname        = \"client-team\"\ntype        = \"teams\"\n\
                   webhook_url = \"env:DEMO_TEAMS_WEBHOOK\"\n";
        config += &format!("\n[ledger]\ntype = \"file\"\npath = {}\n", json!(ledger));
        if self.copying.is_some() {
            config += &format!("\n[store]\nurl = \"s3://{BUCKET}\"\n\n[rescue]\nfiles = \"of-posts\"\n");
        }
        let report_url = page.map_or(REPORT_URL.to_owned(), Page::origin);
        config += &format!("\n[http]\nreport_url  = \"{report_url}\"\nlink_secret = \"env:DEMO_LINK_SECRET\"\n");
        config
    }

    fn environment(&self, config: &Path) -> Environment {
        let keys = data::PROFILES.iter().filter_map(|profile| profile.key);
        let variables = keys.map(|(name, key)| (name.to_owned(), key.to_owned())).chain(
            [
                ("MEDIA_ALERTS_CONFIG", config.display().to_string()),
                ("DEMO_API_KEY", data::API_KEY.to_owned()),
                ("DEMO_SLACK_WEBHOOK", self.slack.url()),
                ("DEMO_TEAMS_WEBHOOK", self.teams.url()),
                ("DEMO_LINK_SECRET", Uuid::new_v4().to_string()),
                ("AWS_ENDPOINT_URL", self.sns.origin()),
                ("AWS_ENDPOINT_URL_SESV2", self.ses.origin()),
                ("AWS_REGION", REGION.to_owned()),
                ("AWS_ACCESS_KEY_ID", "demo".to_owned()),
                ("AWS_SECRET_ACCESS_KEY", "demo".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let s3 = self.copying.as_ref().map(|copying| ("AWS_ENDPOINT_URL_S3".to_owned(), copying.s3.origin()));
        Environment::of(variables.chain(s3))
    }

    fn check(&self) -> Result<(), DemoError> {
        let violations = [
            self.ayrshare.violations(),
            self.slack.violations(),
            self.ses.violations(),
            self.teams.violations(),
            self.sns.violations(),
            self.copying.as_ref().map(|copying| copying.host.violations()).unwrap_or_default(),
            self.copying.as_ref().map(|copying| copying.s3.violations()).unwrap_or_default(),
        ]
        .concat();
        if violations.is_empty() { Ok(()) } else { Err(DemoError::Violation(violations.join("; "))) }
    }
}

/// Invokes the function as Lambda does.
async fn invoke(function: &Function, event: &str) -> Result<Value, DemoError> {
    let deadline_ms = (Timestamp::now() + Duration::from_mins(1)).as_millisecond().try_into().unwrap_or_default();
    let invocation = Invocation { request_id: "demo".into(), deadline_ms, function_name: "demo".into() };
    let answer = Box::pin(function.handle(event, &invocation)).await?;
    Ok(serde_json::from_str(answer.get()).unwrap_or_default())
}

/// The first link in a message that begins like this.
fn link_in<'m>(message: &'m str, start: &str) -> Option<&'m str> {
    let link = &message[message.find(start)?..];
    link.split_whitespace().next()
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// The text that the demo prints about its two runs: the first sends alerts, the second finds nothing new.
struct Transcript<'a> {
    terminal: TerminalStyle,
    first: &'a Value,
    second: &'a Value,
    duration: Duration,
}

impl Transcript<'_> {
    fn text(&self, messages: &[Value], publications: &[Publication], output: &Output) -> Result<String, DemoError> {
        let terminal = self.terminal;
        let mut written: Vec<(String, &str)> = Vec::new();
        let mut text = self.introduction();

        for (index, message) in messages.iter().enumerate() {
            let name = format!("slack-{}.json", index + 1);
            output.write(&name, &pretty(message))?;
            written.push((name, "the message to Slack"));
            let part =
                if messages.len() == 1 { String::new() } else { format!(", {} of {}", index + 1, messages.len()) };
            text += &format!("\n{}\n\n", terminal.rule(&format!("Slack, #social-team{part}")));
            text += &terminal::slack_message(message, terminal);
        }
        text += &format!(
            "\n  {}\n",
            terminal.faint(&format!("{} stands for a picture beside the text", terminal::PICTURE.trim()))
        );
        for publication in publications {
            output.write("sns.json", &pretty(&publish_request(publication)))?;
            let email = email(publication);
            output.write("email.txt", &email)?;
            written.push(("sns.json".into(), "the message to SNS"));
            written.push(("email.txt".into(), "the email that its subscribers get"));
            text += &format!("\n{}\n\n", terminal.rule("Email, through the SNS topic of ops-email"));
            text += &self.email(publication);
        }
        written.push(("email.html".into(), "the email through Amazon SES; open it in a browser"));
        written.push(("teams.json".into(), "the message to Microsoft Teams"));
        written.push(("teams.html".into(), "its card, about as Teams shows it; open it in a browser"));
        written.push(("report.html".into(), "the report; open it in a browser"));
        written.push(("calendar.ics".into(), "the report as a calendar"));
        written.push(("result.json".into(), "the run result that the function returned"));
        written.push((output::CONFIG.into(), "the configuration of the function"));

        text += &format!("\n{}\n\n", terminal.rule("The second run"));
        text += &self.second_run();
        text += &format!("\n{}\n\n", terminal.rule(&output.name()));
        let links: Vec<_> = messages.iter().map(block_kit_builder).collect();
        output.write("block-kit-builder.html", &links_page(&links))?;
        written.push(("block-kit-builder.html".into(), "links that open the messages in Slack's Block Kit Builder"));
        for (name, what) in written {
            text += &format!("  {name:<24}{}\n", terminal.faint(what));
        }
        for link in links.iter().filter(|link| link.len() <= MAX_LINK) {
            text += &format!("\n  {link}\n");
        }
        Ok(text)
    }

    /// A summary of the first run.
    fn introduction(&self) -> String {
        let number = |pointer: &str| self.first.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
        let posts = self.first["posts_at_risk"].as_array().map_or(0, Vec::len);
        let pauses = if 1 < number("/channels/0/messages") {
            ", including the pause of a second between two messages to Slack"
        } else {
            ""
        };
        let rows = [
            ("Profiles", format!("{} of {} checked", number("/profiles/checked"), number("/profiles/configured"))),
            (
                "Files",
                format!(
                    "{} listed: {} expiring, {} expired, {} without a date",
                    number("/media/listed"),
                    number("/media/expiring"),
                    number("/media/expired"),
                    number("/media/undated"),
                ),
            ),
            ("Posts", format!("{posts} will fail")),
            ("Time", format!("{} ms{pauses}", self.duration.as_millis())),
        ];
        let mut text = format!(
            "{}, invoked with {}.\nAll services are stand-ins on this machine.\n\n",
            self.terminal.bold("media-expiry-alerts"),
            EVENT.0,
        );
        for (label, value) in rows {
            text += &format!("  {} {value}\n", self.terminal.faint(&format!("{label:<8}")));
        }
        text
    }

    fn email(&self, publication: &Publication) -> String {
        let terminal = self.terminal;
        let mut text = format!(
            "  {} {}\n",
            terminal.faint("Subject:   "),
            terminal.bold(publication.subject.as_deref().unwrap_or_default())
        );
        for (index, (name, (_, value))) in publication.attributes.iter().enumerate() {
            let label = if index == 0 { "Attributes:" } else { "           " };
            text += &format!("  {} {name} = {value}\n", terminal.faint(label));
        }
        text.push('\n');
        for line in publication.message.lines() {
            text += format!("  {} {line}", terminal.faint("│")).trim_end();
            text.push('\n');
        }
        text
    }

    /// The outcome of the second run for each channel.
    fn second_run(&self) -> String {
        let mut text = String::new();
        for channel in self.second["channels"].as_array().into_iter().flatten() {
            let field = |name: &str| channel[name].as_str().unwrap_or_default().to_owned();
            text += &format!("  {:<12} {}\n", field("name"), field("outcome"));
        }
        text += "\n  Each alert is sent once per threshold, so the second run sends nothing.\n";
        text
    }
}

fn publish_request(publication: &Publication) -> Value {
    let attributes: serde_json::Map<_, _> = publication
        .attributes
        .iter()
        .map(|(name, (kind, value))| (name.clone(), json!({"DataType": kind, "StringValue": value})))
        .collect();
    json!({
        "TopicArn": publication.topic_arn,
        "Subject": publication.subject,
        "Message": publication.message,
        "MessageAttributes": attributes,
    })
}

fn email(publication: &Publication) -> String {
    format!("Subject: {}\n\n{}", publication.subject.as_deref().unwrap_or_default(), publication.message)
}

/// A link that opens a message in Slack's Block Kit Builder.
fn block_kit_builder(message: &Value) -> String {
    let blocks = json!({"blocks": message["blocks"]}).to_string();
    // The form encoding writes a space as `+`, but `+` has no special meaning in a URL fragment.
    let encoded: String = url::form_urlencoded::byte_serialize(blocks.as_bytes()).collect();
    format!("https://app.slack.com/block-kit-builder/#{}", encoded.replace('+', "%20"))
}

/// An HTML page with the links, which may be too long for a terminal.
fn links_page(links: &[String]) -> String {
    let mut page = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Slack messages of the demo</title>\n\
                    <h1>Slack messages of the demo</h1>\n<p>Slack's Block Kit Builder asks you to sign in to Slack.</p>\n<ol>\n"
        .to_owned();
    for (index, link) in links.iter().enumerate() {
        // The link needs no HTML escaping, because it is percent-encoded.
        page += &format!("<li><a href=\"{link}\">Open message {} in the Block Kit Builder</a></li>\n", index + 1);
    }
    page + "</ol>\n</html>\n"
}
