//! The function: takes an event, runs what it asks for, and answers in the shape that the caller understands.

use std::time::Duration;

use jiff::Timestamp;
use lambda_runtime::Diagnostic;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::Mutex;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::api::{self, Response};
use crate::clients::Clients;
use crate::command::{InvalidEvent, Plan};
use crate::config::{Config, InvalidConfiguration};
use crate::edge::Network;
use crate::environment::Environment;
use crate::event::Event;
use crate::heartbeat;
use crate::net::{self, Deadline};
use crate::run::Run;
use crate::run_result::{RunResult, Status, json};
use crate::telemetry;

/// The time of a run whose end nobody gives: the longest that Lambda allows.
const LONGEST_RUN: Duration = Duration::from_mins(15);
/// The time of a run behind API Gateway, which gives up after 29 seconds.
const LONGEST_HTTP_RUN: Duration = Duration::from_secs(28);

/// The function between two events.
pub struct Function {
    environment: Environment,
    http: reqwest::Client,
    write_metrics: fn(&str),
    ready: Mutex<Option<Ready>>,
}

/// What a configuration that was accepted makes possible.
struct Ready {
    config: Config,
    clients: Clients,
}

/// What Lambda tells of an invocation.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// The request's id, for the log.
    pub request_id: String,
    /// When Lambda ends it, in milliseconds since 1970.
    pub deadline_ms: u64,
    /// The function's name, for the metrics.
    pub function_name: String,
}

impl Function {
    /// Makes the function. A configuration that is refused is no error here: it is the answer to each event.
    ///
    /// # Errors
    ///
    /// Fails when the HTTP client cannot be made, which no input can cause.
    pub async fn new(environment: Environment, write_metrics: fn(&str)) -> Result<Self, reqwest::Error> {
        let function = Self { environment, http: net::client()?, write_metrics, ready: Mutex::default() };
        // What is done here is done with a whole core, and not with the memory's share of one.
        *function.ready.lock().await = function.load().await.ok();
        Ok(function)
    }

    /// Answers one event.
    ///
    /// # Errors
    ///
    /// See [`FunctionError`]; a failed HTTP request is an answer and no error.
    pub async fn handle(&self, event: &str, invocation: &Invocation) -> Result<Box<RawValue>, FunctionError> {
        let call = Call { run_id: Uuid::new_v4().to_string(), now: now(), invocation };
        // Of the highest level, or the lines of a function that logs errors alone would not say whose they are.
        let span = tracing::error_span!("run", run_id = call.run_id, request_id = invocation.request_id);
        self.answer(event, &call).instrument(span).await
    }

    async fn answer(&self, event: &str, call: &Call<'_>) -> Result<Box<RawValue>, FunctionError> {
        let event = Event::parse(event).inspect_err(|error| tracing::error!("the event is refused: {error}"))?;
        let mut ready = self.ready.lock().await;
        let loaded = match ready.take() {
            Some(loaded) => Ok(loaded),
            None => self.load().await,
        };
        let ready = match loaded {
            Ok(loaded) => &*ready.insert(loaded),
            Err(invalid) => return self.refuse(&event, invalid, call),
        };

        match event {
            Event::Command(command) => {
                let plan = command
                    .plan(&ready.config)
                    .inspect_err(|error| tracing::error!("the event is refused: {error}"))?;
                let result = self.run(call, plan, ready, LONGEST_RUN).await;
                if result.status == Status::Failed {
                    return Err(FunctionError::RunFailed(result.failure_in_words()));
                }
                Ok(raw(result.to_json_within(api::MOST_ANSWER_BYTES)))
            }
            Event::Http(request) => {
                let route = api::route(&request, &ready.config, call.now);
                let planned = route.and_then(|route| {
                    let plan = route.command.plan(&ready.config).map_err(api::bad_request)?;
                    Ok((route, plan))
                });
                let response = match planned {
                    Ok((route, plan)) => route.respond(&self.run(call, plan, ready, LONGEST_HTTP_RUN).await),
                    Err(response) => {
                        tracing::info!(status = response.status_code, "the request is refused: {}", response.reason());
                        response
                    }
                };
                let response = if request.method == "HEAD" { response.without_body() } else { response };
                Ok(raw(json(&response)))
            }
        }
    }

    async fn load(&self) -> Result<Ready, InvalidConfiguration> {
        let config = Config::load(&self.environment).await?;
        let clients = Clients::new(&config, self.http.clone(), &self.environment).await;
        Ok(Ready { config, clients })
    }

    async fn run(&self, call: &Call<'_>, plan: Plan<'_>, ready: &Ready, longest: Duration) -> RunResult {
        let Ready { config, clients } = ready;
        let deadline = call.deadline(longest);
        let is_whole_alert = plan.is_whole_alert;
        let network = Network { config, clients };
        let run = Run::new(call.run_id.clone(), call.now, plan, config, clients.ledger.as_ref(), network, deadline);
        let result = run.execute().await;
        log(&result);
        if is_whole_alert && !result.is_busy() {
            (self.write_metrics)(&telemetry::metrics(&result, &self.function_name(call.invocation), now()));
            if let Some(url) = &config.heartbeat {
                let is_alive = result.status != Status::Failed;
                heartbeat::beat(&clients.http, url, is_alive, deadline, &clients.redactor).await;
            }
        }
        result
    }

    fn refuse(
        &self,
        event: &Event,
        invalid: InvalidConfiguration,
        call: &Call<'_>,
    ) -> Result<Box<RawValue>, FunctionError> {
        for fault in &invalid.faults {
            tracing::error!(path = fault.path, "the configuration is refused: {fault}");
        }
        match event {
            Event::Http(request) => Ok(raw(json(&Response::of_refused_configuration(request, &invalid)))),
            Event::Command(command) => {
                if command.is_whole_alert() {
                    let name = self.function_name(call.invocation);
                    (self.write_metrics)(&telemetry::metrics_of_refused_run(&call.run_id, &name, call.now));
                }
                Err(FunctionError::InvalidConfiguration(invalid))
            }
        }
    }

    fn function_name(&self, invocation: &Invocation) -> String {
        let set = Some(invocation.function_name.clone()).filter(|name| !name.is_empty());
        set.or_else(|| self.environment.non_blank_var("AWS_LAMBDA_FUNCTION_NAME"))
            .unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned())
    }
}

/// The time, to the millisecond: as exact as Ayrshare's expiries.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// One event, from its arrival on.
struct Call<'a> {
    run_id: String,
    now: Timestamp,
    invocation: &'a Invocation,
}

impl Call<'_> {
    /// When a run must be over. A deadline that is over already is none: it is what local runtimes send.
    fn deadline(&self, longest: Duration) -> Deadline {
        let now_ms = u64::try_from(self.now.as_millisecond()).unwrap_or_default();
        let given = self.invocation.deadline_ms.checked_sub(now_ms).filter(|left| 0 < *left);
        Deadline::after(given.map_or(longest, |left| Duration::from_millis(left).min(longest)))
    }
}

fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).or_else(|_| to_raw_value(&())).unwrap_or_default()
}

fn log(result: &RunResult) {
    let announced: usize = result.channels.iter().map(|channel| channel.announced).sum();
    tracing::info!(
        action = ?result.action,
        status = ?result.status,
        dry_run = result.dry_run,
        duration_ms = result.duration_ms,
        listed = result.media.listed,
        expiring = result.media.expiring,
        expired = result.media.expired,
        undated = result.media.undated,
        announced,
        "checked {} of {} profiles",
        result.profiles.checked,
        result.profiles.configured,
    );
}

/// Why an invocation is an error to Lambda, so that retries, alarms and the dead-letter queue see it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FunctionError {
    /// No profile could be checked, or a channel could not be served.
    #[error("the run failed: {0}")]
    RunFailed(String),
    /// The configuration is refused.
    #[error(transparent)]
    InvalidConfiguration(#[from] InvalidConfiguration),
    /// The event is none that the function takes.
    #[error(transparent)]
    InvalidEvent(#[from] InvalidEvent),
}

impl From<FunctionError> for Diagnostic {
    fn from(error: FunctionError) -> Self {
        let error_type = match error {
            FunctionError::RunFailed(_) => "RunFailed",
            FunctionError::InvalidConfiguration(_) => "InvalidConfiguration",
            FunctionError::InvalidEvent(_) => "InvalidEvent",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}
