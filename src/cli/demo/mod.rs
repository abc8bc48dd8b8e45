//! Stand-ins for the services that the function talks to, and the demo on them. Only behind the feature `demo`, which
//! the function on Lambda never has.
//!
//! The demo is the main job: the real function, woken by a schedule, looks at the galleries of an agency and tells
//! Slack and a mail topic. Nothing leaves this machine.

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
use crate::net::environment::Environment;

use crate::cli::run::{self, NoRun};
use crate::cli::terminal::{self, Look};
use crate::report::Format;
use crate::run::command::{Action, Command};

use crate::demo::data;
use crate::demo::stand_ins::{AyrshareStandIn, Publication, SlackStandIn, SnsStandIn};
use output::Output;
use page::Page;

/// The topic that the mail goes to.
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:media-expiry-alerts";
/// The event that wakes the function, and where it is in the repository.
const EVENT: (&str, &str) = ("events/scheduled.json", include_str!("../../../events/scheduled.json"));
/// Characters of a link that a terminal still takes well.
const MAX_LINK: usize = 2_000;

/// Why the demo did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A file could not be read or written, a port not be had, or nobody reads the output.
    #[error("{0}: {1}")]
    Io(String, io::Error),
    /// The folder holds something that no demo wrote.
    #[error("{0} is not empty, and no demo wrote it; name another folder with --output")]
    NotEmpty(String),
    /// The HTTP client could not be made.
    #[error("the HTTP client cannot be made: {0}")]
    Client(#[from] reqwest::Error),
    /// The function failed.
    #[error(transparent)]
    Function(#[from] FunctionError),
    /// There could be no report.
    #[error(transparent)]
    Report(#[from] NoRun),
    /// What the function sent is nothing that the real services would have taken.
    #[error("a stand-in objects to what was sent: {0}")]
    Violation(String),
}

/// Runs the demo, writes what it shows to `out`, and what there is to look at into `directory`, which is created, empty, or
/// an earlier demo's. With `serve` it then serves the report on that port of this machine (0 is any free one), until the process ends.
///
/// # Errors
///
/// See [`DemoError`].
pub async fn run(directory: &Path, look: Look, serve: Option<u16>, out: &mut impl Write) -> Result<(), DemoError> {
    let output = Output::new(directory)?;
    let page = match serve {
        Some(port) => Some(Page::open(port).await?),
        None => None,
    };
    let services = Services::start().await?;
    let document = services.config(&output.path(output::LEDGER), page.as_ref());
    let environment = services.environment(&output.write(output::CONFIG, &document)?);
    let function = Function::new(environment.clone(), |_metrics| {}).await?;

    let began = Instant::now();
    let first = wake(&function, EVENT.1).await?;
    let took = began.elapsed();
    let (messages, publications) = (services.slack.messages(), services.sns.publications());
    let again = wake(&function, EVENT.1).await?;
    let command = Command { action: Action::Report, ..Command::default() };
    let report = run::carry_out(&command, &environment, &()).await?;
    services.check()?;

    output.write("result.json", &pretty(&first))?;
    let html = report.result.report(Format::Html, &report.question, usize::MAX, str::len);
    output.write("report.html", &html.body)?;
    let shown = Shown { look, first: &first, again: &again, took };
    let mut text = shown.text(&messages, &publications, &output)?;
    if let Some(page) = &page {
        text +=
            &format!("\n  The report is at {}\n  Ctrl-C ends it.\n", look.bold(&format!("{}/report", page.origin())));
    }
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads it through `head` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        written => written.map_err(|error| DemoError::Io("standard output cannot be written".into(), error))?,
    }
    if let Some(page) = page {
        page.serve(&function).await?;
    }
    Ok(())
}

/// Everything that the function talks to.
struct Services {
    ayrshare: AyrshareStandIn,
    slack: SlackStandIn,
    sns: SnsStandIn,
}

impl Services {
    async fn start() -> Result<Self, DemoError> {
        let no_port = |error| DemoError::Io("no port of this machine can be had".into(), error);
        let ayrshare = AyrshareStandIn::start(data::API_KEY).await.map_err(no_port)?;
        data::fill(&ayrshare, Timestamp::now());
        let slack = SlackStandIn::start().await.map_err(no_port)?;
        let sns = SnsStandIn::start(&[TOPIC]).await.map_err(no_port)?;
        Ok(Self { ayrshare, slack, sns })
    }

    /// The configuration, as a person would write it.
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
        config += "\n[[channels]]\nname        = \"social-team\"\ntype        = \"slack\"\n\
                   webhook_url = \"env:DEMO_SLACK_WEBHOOK\"\n";
        config += &format!(
            "\n[[channels]]\nname       = \"ops-email\"\ntype       = \"sns\"\ntopic_arn  = \"{TOPIC}\"\n\
             thresholds = [\"3d\", \"1d\"]\n",
        );
        config += &format!("\n[ledger]\ntype = \"file\"\npath = {}\n", json!(ledger));
        if let Some(page) = page {
            config +=
                &format!("\n[http]\nreport_url  = \"{}\"\nlink_secret = \"env:DEMO_LINK_SECRET\"\n", page.origin());
        }
        config
    }

    fn environment(&self, config: &Path) -> Environment {
        let keys = data::PROFILES.iter().filter_map(|profile| profile.key);
        let variables = keys.map(|(name, key)| (name.to_owned(), key.to_owned())).chain(
            [
                ("MEDIA_ALERTS_CONFIG", config.display().to_string()),
                ("DEMO_API_KEY", data::API_KEY.to_owned()),
                ("DEMO_SLACK_WEBHOOK", self.slack.url()),
                ("DEMO_LINK_SECRET", Uuid::new_v4().to_string()),
                ("AWS_ENDPOINT_URL", self.sns.origin()),
                ("AWS_REGION", "us-east-1".to_owned()),
                ("AWS_ACCESS_KEY_ID", "demo".to_owned()),
                ("AWS_SECRET_ACCESS_KEY", "demo".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        Environment::of(variables)
    }

    fn check(&self) -> Result<(), DemoError> {
        let violations = [self.ayrshare.violations(), self.slack.violations(), self.sns.violations()].concat();
        if violations.is_empty() { Ok(()) } else { Err(DemoError::Violation(violations.join("; "))) }
    }
}

/// Wakes the function as Lambda does.
async fn wake(function: &Function, event: &str) -> Result<Value, DemoError> {
    let deadline_ms = (Timestamp::now() + Duration::from_mins(1)).as_millisecond().try_into().unwrap_or_default();
    let invocation = Invocation { request_id: "demo".into(), deadline_ms, function_name: "demo".into() };
    let answer = function.handle(event, &invocation).await?;
    Ok(serde_json::from_str(answer.get()).unwrap_or_default())
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// What is shown of two runs: the one that has something to say, and the one after it.
struct Shown<'a> {
    look: Look,
    first: &'a Value,
    again: &'a Value,
    took: Duration,
}

impl Shown<'_> {
    fn text(&self, messages: &[Value], publications: &[Publication], output: &Output) -> Result<String, DemoError> {
        let look = self.look;
        let mut written: Vec<(String, &str)> = Vec::new();
        let mut text = self.introduction();

        for (index, message) in messages.iter().enumerate() {
            let name = format!("slack-{}.json", index + 1);
            output.write(&name, &pretty(message))?;
            written.push((name, "what Slack was sent"));
            let part =
                if messages.len() == 1 { String::new() } else { format!(", {} of {}", index + 1, messages.len()) };
            text += &format!("\n{}\n\n", look.rule(&format!("Slack, #social-team{part}")));
            text += &terminal::slack_message(message, look);
        }
        text += &format!("\n  {}\n", look.faint(&format!("{} is a picture beside the text", terminal::PICTURE.trim())));
        for publication in publications {
            output.write("sns.json", &pretty(&raw(publication)))?;
            let mail = mail(publication);
            output.write("email.txt", &mail)?;
            written.push(("sns.json".into(), "what SNS was sent"));
            written.push(("email.txt".into(), "the mail that its subscribers get"));
            text += &format!("\n{}\n\n", look.rule("Email, through the SNS topic of ops-email"));
            text += &self.mail(publication);
        }
        written.push(("report.html".into(), "the report, to be opened in a browser"));
        written.push(("result.json".into(), "what the function answered"));
        written.push((output::CONFIG.into(), "what the function was configured with"));

        text += &format!("\n{}\n\n", look.rule("Woken once more"));
        text += &self.second_run();
        text += &format!("\n{}\n\n", look.rule(&output.name()));
        let links: Vec<_> = messages.iter().map(block_kit_builder).collect();
        output.write("block-kit-builder.html", &page(&links))?;
        written.push(("block-kit-builder.html".into(), "opens the messages in Slack's Block Kit Builder"));
        for (name, what) in written {
            text += &format!("  {name:<24}{}\n", look.faint(what));
        }
        for link in links.iter().filter(|link| link.len() <= MAX_LINK) {
            text += &format!("\n  {link}\n");
        }
        Ok(text)
    }

    /// What happened, in a few lines.
    fn introduction(&self) -> String {
        let number = |pointer: &str| self.first.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
        let posts = self.first["posts_at_risk"].as_array().map_or(0, Vec::len);
        let pauses =
            if 1 < number("/channels/0/messages") { ", with the second that Slack wants between messages" } else { "" };
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
            ("Time", format!("{} ms{pauses}", self.took.as_millis())),
        ];
        let mut text = format!(
            "{}, woken by {}.\nAyrshare, Slack and SNS are stand-ins on this machine.\n\n",
            self.look.bold("media-expiry-alerts"),
            EVENT.0,
        );
        for (label, value) in rows {
            text += &format!("  {} {value}\n", self.look.faint(&format!("{label:<8}")));
        }
        text
    }

    fn mail(&self, publication: &Publication) -> String {
        let look = self.look;
        let mut text = format!(
            "  {} {}\n",
            look.faint("Subject:   "),
            look.bold(publication.subject.as_deref().unwrap_or_default())
        );
        for (index, (name, (_, value))) in publication.attributes.iter().enumerate() {
            let label = if index == 0 { "Attributes:" } else { "           " };
            text += &format!("  {} {name} = {value}\n", look.faint(label));
        }
        text.push('\n');
        for line in publication.message.lines() {
            text += format!("  {} {line}", look.faint("│")).trim_end();
            text.push('\n');
        }
        text
    }

    /// What became of each channel when nothing was new.
    fn second_run(&self) -> String {
        let mut text = String::new();
        for channel in self.again["channels"].as_array().into_iter().flatten() {
            let word = |name: &str| channel[name].as_str().unwrap_or_default().to_owned();
            text += &format!("  {:<12} {}\n", word("name"), word("outcome"));
        }
        text += "\n  Each file is announced once per threshold: nobody is told twice.\n";
        text
    }
}

fn raw(publication: &Publication) -> Value {
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

fn mail(publication: &Publication) -> String {
    format!("Subject: {}\n\n{}", publication.subject.as_deref().unwrap_or_default(), publication.message)
}

/// A link that opens a message in Slack's Block Kit Builder.
fn block_kit_builder(message: &Value) -> String {
    let blocks = json!({"blocks": message["blocks"]}).to_string();
    // The form encoding writes blanks as `+`, which a fragment does not know.
    let encoded: String = url::form_urlencoded::byte_serialize(blocks.as_bytes()).collect();
    format!("https://app.slack.com/block-kit-builder/#{}", encoded.replace('+', "%20"))
}

/// A page of links that are too long for a terminal.
fn page(links: &[String]) -> String {
    let mut page = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Slack messages of the demo</title>\n\
                    <h1>Slack messages of the demo</h1>\n<p>Slack's Block Kit Builder asks you to sign in to Slack.</p>\n<ol>\n"
        .to_owned();
    for (index, link) in links.iter().enumerate() {
        // The link is percent-encoded: no character of it means anything to HTML.
        page += &format!("<li><a href=\"{link}\">Open message {} in the Block Kit Builder</a></li>\n", index + 1);
    }
    page + "</ol>\n</html>\n"
}
