//! The Lambda function.

use std::io::Write as _;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use media_expiry_alerts::lambda::logging;
use media_expiry_alerts::lambda::{Function, Invocation};
use media_expiry_alerts::model::VERSION;
use media_expiry_alerts::net::environment::Environment;
use media_expiry_alerts::run::metrics;
use serde_json::value::RawValue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "--version") {
        writeln!(std::io::stdout(), "{} {VERSION}", env!("CARGO_PKG_NAME"))?;
        return Ok(());
    }
    // Tests must run the binary that is deployed, so a build with other features must not be used by mistake.
    if cfg!(feature = "demo") {
        return Err("this build has the feature `demo`, which the function never has".into());
    }
    let environment = Environment::process();
    logging::init(&environment);
    let function = &Function::new(environment, metrics::write).await?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        let invocation = Invocation {
            request_id: event.context.request_id,
            deadline_ms: event.context.deadline,
            function_name: event.context.env_config.function_name.clone(),
        };
        function.handle(event.payload.get(), &invocation).await
    }))
    .await
}
