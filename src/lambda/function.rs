//! The function: handles events, and keeps the configuration between them.

use std::sync::{Arc, Once};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::Mutex;
use tracing::Instrument as _;
use uuid::Uuid;

use super::error::FunctionError;
use super::event::{Event, InvalidEvent};
use crate::config::{InvalidConfiguration, LOAD_TIMEOUT};
use crate::http::request::Request;
use crate::http::{self, CopyRequest, MarkRequest, Response};
use crate::ledger::LedgerStore as _;
use crate::model::text::{json, shorten};
use crate::model::{Status, VERSION};
use crate::net::aws::Aws;
use crate::net::environment::Environment;
use crate::net::{self, Deadline};
use crate::run::command::{Action, Command, InvalidCommand, Plan};
use crate::run::execute::{self, MAX_RUN, beat, now, run};
use crate::run::loaded_config::{ConfigReload, ConfigSource, LoadedConfig};
use crate::run::metrics::{self, Source};
use crate::run::result::RunResult;
use crate::run::roster::Roster;
use crate::run::services::LiveServices;
use crate::run::stored_snapshot;
use crate::scan::survey::Survey;
use crate::store::StoreError;

/// How long a run for an HTTP request may take. API Gateway gives up after 29 seconds.
const MAX_HTTP_RUN: Duration = Duration::from_secs(28);
/// The longest name of a downloaded copy, in characters.
const MAX_DOWNLOAD_NAME: usize = 100;

/// The function, which keeps the configuration and its clients between two events.
pub struct Function {
    environment: Environment,
    aws: Aws,
    write_metrics: fn(&str),
    loaded: Mutex<Option<LoadedConfig>>,
    /// Done when the version was logged.
    is_started: Once,
}

/// Lambda's data about an invocation.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// The request's id, for the log.
    pub request_id: String,
    /// When Lambda stops it, in milliseconds since 1970.
    pub deadline_ms: u64,
    /// The function's name, for the metrics.
    pub function_name: String,
}

impl Function {
    /// Creates the function and reads the configuration. An invalid configuration is not an error here, because every
    /// event is answered with its errors until it is fixed.
    ///
    /// # Errors
    ///
    /// Returns an error if the HTTP client cannot be created, which no input can cause.
    pub async fn new(environment: Environment, write_metrics: fn(&str)) -> Result<Self, reqwest::Error> {
        let aws = Aws::new(net::client_from_environment(&environment)?, environment.clone());
        // The configuration is read here because initialization has a whole core, with any memory size.
        let source = ConfigSource { environment: &environment, aws: &aws, now: now() };
        let loaded = source.read(Deadline::after(LOAD_TIMEOUT)).await.ok();
        Ok(Self { environment, aws, write_metrics, loaded: Mutex::new(loaded), is_started: Once::new() })
    }

    /// Handles one event.
    ///
    /// # Errors
    ///
    /// See [`FunctionError`]. An HTTP request never fails: its response says what went wrong.
    pub async fn handle(&self, event: &str, invocation: &Invocation) -> Result<Box<RawValue>, FunctionError> {
        let call = Call { run_id: Uuid::new_v4().to_string(), now: now(), invocation };
        // At ERROR, so that `run_id` is attached even when only errors are logged.
        let span = tracing::error_span!("run", run_id = call.run_id, request_id = invocation.request_id);
        // With the first event and not before, so that every line of the log has a `run_id`.
        span.in_scope(|| self.is_started.call_once(|| tracing::info!(version = VERSION, "the function has started")));
        self.answer(event, &call).instrument(span).await
    }

    async fn answer(&self, event: &str, call: &Call<'_>) -> Result<Box<RawValue>, FunctionError> {
        let event = Event::parse(event).inspect_err(|error| tracing::error!("the event is invalid: {error}"))?;
        let deadline = call.deadline(match event {
            Event::Command(_) => MAX_RUN,
            Event::Http(_) => MAX_HTTP_RUN,
        });
        let source = ConfigSource { environment: &self.environment, aws: &self.aws, now: call.now };
        let to_read = Deadline::after(deadline.remaining() / 2);
        let mut loaded = self.loaded.lock().await;
        let read = match loaded.take() {
            Some(before) => source.refresh(before, to_read).await,
            None => source.read(to_read).await,
        };
        let reload = ConfigReload::new(source);
        let read = match read {
            Ok(read) => loaded.insert(read),
            Err(invalid) => return self.reject(&event, invalid, call),
        };
        let answer = self.serve(event, call, read, &reload, deadline).await;
        if let Some(reloaded) = reload.into_reloaded() {
            reloaded.take_over_snapshot(read);
            *loaded = Some(reloaded);
        }
        answer
    }

    async fn serve(
        &self,
        event: Event,
        call: &Call<'_>,
        loaded: &LoadedConfig,
        reload: &ConfigReload<'_>,
        deadline: Deadline,
    ) -> Result<Box<RawValue>, FunctionError> {
        match event {
            Event::Command(command) => {
                let roster = Roster::read(loaded, &self.aws, deadline).await;
                let plan = command
                    .plan(&loaded.config, &roster)
                    .inspect_err(|error| tracing::error!("the event is invalid: {error}"))
                    .map_err(InvalidEvent::from)?;
                let result = self.run(call, plan, LiveServices::new(loaded, reload), deadline).await;
                if result.is_busy() {
                    return Err(FunctionError::RunBusy);
                }
                if result.status == Status::Failed {
                    return Err(FunctionError::RunFailed(result.failure_in_words()));
                }
                Ok(raw(result.to_json_within(http::MAX_RESPONSE_BYTES).text))
            }
            Event::Http(request) => {
                let response = self.respond(&request, call, loaded, reload, deadline).await;
                let response = response.unwrap_or_else(|response| {
                    tracing::info!(status = response.status_code, "the request is rejected: {}", response.reason());
                    response
                });
                let response = if request.method == "HEAD" { response.without_body() } else { response };
                Ok(raw(json(&response)))
            }
        }
    }

    /// Responds to an HTTP request. The error is the response to a request that is rejected.
    async fn respond(
        &self,
        request: &Request,
        call: &Call<'_>,
        loaded: &LoadedConfig,
        reload: &ConfigReload<'_>,
        deadline: Deadline,
    ) -> Result<Response, Response> {
        let route = http::route(request, &loaded.config, call.now)?;
        let command = &route.command;
        let mut services = LiveServices::new(loaded, reload);
        if let Some(report) = &route.report {
            if request.method == "HEAD" {
                // The names cannot be checked without reading the list of profiles, which `HEAD` does not do.
                if loaded.config.profiles_from.is_none() {
                    command.plan(&loaded.config, &Roster::configured(&loaded.config)).map_err(http::bad_request)?;
                }
                return Ok(report.head());
            }
            services.max_retries = report.max_retries();
            if let Some(mark) = &route.mark {
                return mark_file(mark, request, call, command, services, &self.aws, deadline).await;
            }
            if let Some(copy) = &route.copy {
                return download_copy(copy, request, call, command, services, &self.aws, deadline).await;
            }
            if !report.is_live && command.is_within_thresholds(&loaded.config) {
                let narrowed = narrowed_snapshot(request, call, command, services, &self.aws, deadline).await?;
                let roster = Roster::configured(&loaded.config);
                let plan = command.plan_of_snapshot(&loaded.config, &roster).map_err(http::bad_request)?;
                return Ok(
                    route.respond(&execute::report(call.run_id.clone(), plan, services, narrowed, deadline).await)
                );
            }
        }
        let roster = Roster::read(loaded, &self.aws, deadline).await;
        let plan = command.plan(&loaded.config, &roster).map_err(http::bad_request)?;
        Ok(route.respond(&self.run(call, plan, services, deadline).await))
    }

    async fn run(&self, call: &Call<'_>, plan: Plan<'_>, services: LiveServices<'_>, deadline: Deadline) -> RunResult {
        let Plan { is_whole_alert, is_whole_snapshot, roster, .. } = plan;
        let last_snapshot = &services.loaded.last_snapshot;
        if is_whole_snapshot {
            last_snapshot.forget();
            services.loaded.stored_snapshot.release();
        }
        let result = run(call.run_id.clone(), call.now, plan, services, deadline).await;
        if is_whole_snapshot {
            last_snapshot.keep(&result.survey, roster.known().map(|(name, _)| name));
        }
        if is_whole_alert && !result.is_busy() {
            if is_whole_snapshot && execute::keep_snapshot(&result, services.loaded, deadline).await {
                services.loaded.stored_snapshot.keep(&result.run_id, &result.survey);
            }
            let metrics = |source: &Source<'_>| metrics::metrics(&result, source, now());
            self.write_metrics(call.invocation, metrics);
            beat(&result, services.loaded, deadline).await;
        }
        result
    }

    fn reject(
        &self,
        event: &Event,
        invalid: InvalidConfiguration,
        call: &Call<'_>,
    ) -> Result<Box<RawValue>, FunctionError> {
        for fault in &invalid.faults {
            tracing::error!(path = fault.path, "the configuration is invalid: {fault}");
        }
        match event {
            Event::Http(request) => Ok(raw(json(&Response::of_invalid_configuration(request, &invalid)))),
            Event::Command(command) => {
                if command.is_whole_alert() {
                    let metrics = |source: &Source<'_>| metrics::metrics_of_refused_run(&call.run_id, source, call.now);
                    self.write_metrics(call.invocation, metrics);
                }
                Err(FunctionError::InvalidConfiguration(invalid))
            }
        }
    }

    fn write_metrics(&self, invocation: &Invocation, metrics: impl Fn(&Source<'_>) -> String) {
        let given = Some(invocation.function_name.clone()).filter(|name| !name.is_empty());
        let function_name = given
            .or_else(|| self.environment.non_blank_var("AWS_LAMBDA_FUNCTION_NAME"))
            .unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned());
        let log_level = self.environment.non_blank_var("AWS_LAMBDA_LOG_LEVEL").unwrap_or_else(|| "INFO".to_owned());
        (self.write_metrics)(&metrics(&Source { function_name: &function_name, log_level: &log_level }));
    }
}

/// Returns what the newest snapshot has of a report. The error is the response to a link whose channel has no profiles.
async fn narrowed_snapshot(
    request: &Request,
    call: &Call<'_>,
    command: &Command,
    services: LiveServices<'_>,
    aws: &Aws,
    deadline: Deadline,
) -> Result<Arc<Survey>, Response> {
    let config = &services.loaded.config;
    let snapshot = last_snapshot(call, command, services, aws, deadline).await.map_err(http::bad_request)?;
    let narrowed = command.narrow(config, snapshot).map_err(http::bad_request)?;
    if command.is_limited_to_channels && narrowed.profiles.is_empty() {
        return Err(http::empty_link(request, config));
    }
    Ok(narrowed)
}

/// Marks a file that the page behind a link shows, and responds with the way back to the page.
async fn mark_file(
    form: &MarkRequest,
    request: &Request,
    call: &Call<'_>,
    command: &Command,
    services: LiveServices<'_>,
    aws: &Aws,
    deadline: Deadline,
) -> Result<Response, Response> {
    let LoadedConfig { config, clients, .. } = services.loaded;
    let snapshot = narrowed_snapshot(request, call, command, services, aws, deadline).await?;
    let changes = form.mark.changes(&snapshot, call.now);
    if changes.is_empty() && snapshot.checked() == 0 {
        return Err(http::not_read());
    }
    let Some(ledger) = clients.ledger.as_ref().filter(|_| !changes.is_empty()) else {
        return Err(http::no_such_file(request, config));
    };
    // A second run of the same form changes nothing, so it does not matter whether a failed one has arrived.
    ledger.write(&form.channel, changes.into_iter(), call.now, deadline).await.map_err(|error| {
        tracing::error!(channel = form.channel, "the ledger failed: {error}");
        http::not_recorded()
    })?;
    tracing::info!(channel = form.channel, handled = form.mark.is_handled, "a file is marked");
    Ok(form.respond())
}

/// Sends the browser to a copy of a file that the page behind a link shows.
async fn download_copy(
    copy: &CopyRequest,
    request: &Request,
    call: &Call<'_>,
    command: &Command,
    services: LiveServices<'_>,
    aws: &Aws,
    deadline: Deadline,
) -> Result<Response, Response> {
    let LoadedConfig { config, clients, .. } = services.loaded;
    let snapshot = narrowed_snapshot(request, call, command, services, aws, deadline).await?;
    let missing = || http::no_such_file(request, config);
    let unknown = || if snapshot.copies.is_incomplete { http::no_copy_now() } else { missing() };
    let key = snapshot.copies.key_of(&copy.id).ok_or_else(unknown)?;
    let store = clients.store.as_ref().ok_or_else(missing)?;
    let failed = |error: StoreError| {
        tracing::error!("a copy cannot be downloaded: {error}");
        http::no_copy_now()
    };
    // The lifecycle of the bucket may have deleted it since.
    if store.size(key, deadline).await.map_err(failed)?.is_none() {
        return Err(missing());
    }
    let name = snapshot.name_of_copy(key).unwrap_or_else(|| "copy".to_owned());
    // A gateway limits the length of headers. A character of the name takes up to 15 bytes there.
    let url = store.download_url(key, &shorten(&name, MAX_DOWNLOAD_NAME)).await.map_err(failed)?.ok_or_else(missing)?;
    tracing::info!("a copy is downloaded");
    Ok(copy.respond(url))
}

/// Returns the newest snapshot that may answer a report, and makes one if there is none.
async fn last_snapshot(
    call: &Call<'_>,
    command: &Command,
    services: LiveServices<'_>,
    aws: &Aws,
    deadline: Deadline,
) -> Result<Arc<Survey>, InvalidCommand> {
    let LoadedConfig { config, last_snapshot, .. } = services.loaded;
    if let Some(snapshot) = stored_snapshot::newest(services.loaded, command, call.now, deadline).await {
        return Ok(snapshot);
    }
    if let Some(snapshot) = last_snapshot.fresh(call.now)
        && command.select(config, snapshot.survey.known()).is_ok_and(|asked| snapshot.covers(&asked))
    {
        return Ok(Arc::clone(&snapshot.survey));
    }
    let roster = Roster::read(services.loaded, aws, deadline).await;
    let asked = command.plan(config, &roster)?.profiles;
    last_snapshot.forget();
    services.loaded.stored_snapshot.release();
    let everything = Command { action: Action::Report, ..Command::default() }.plan(config, &roster)?;
    let snapshot = execute::scan(call.now, everything, LiveServices { first: &asked, ..services }, deadline).await;
    last_snapshot.keep(&snapshot, asked.iter().map(|profile| &profile.name));
    Ok(snapshot)
}

/// One event that is being handled.
struct Call<'a> {
    run_id: String,
    now: Timestamp,
    invocation: &'a Invocation,
}

impl Call<'_> {
    /// Returns when the run must be done. A deadline in the past is ignored, because local runtimes send one.
    fn deadline(&self, max: Duration) -> Deadline {
        let now_ms = u64::try_from(self.now.as_millisecond()).unwrap_or_default();
        let given = self.invocation.deadline_ms.checked_sub(now_ms).filter(|left| 0 < *left);
        Deadline::after(given.map_or(max, |left| Duration::from_millis(left).min(max)))
    }
}

fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).or_else(|_| to_raw_value(&())).unwrap_or_default()
}
