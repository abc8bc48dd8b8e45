//! A configuration with every kind of channel.

use std::sync::LazyLock;

use media_expiry_alerts::config::{Config, InvalidConfiguration, fuzzing};
use media_expiry_alerts::net;
use media_expiry_alerts::net::aws::Aws;
use media_expiry_alerts::net::environment::Environment;

/// The value of the environment variable `KEY`, to which a document can refer.
pub const KEY: &str = "0123456789abcdef0123456789abcdef";

static SOURCES: LazyLock<(Environment, Aws)> = LazyLock::new(|| {
    let environment = Environment::of([("KEY", KEY), ("EMPTY", "")]);
    let aws = Aws::new(net::client().expect("a client"), environment.clone());
    (environment, aws)
});

/// A valid configuration.
pub static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let config = parse(include_str!("../corpus/configuration/everything.toml"));
    config.expect("no references to AWS").expect("a valid configuration")
});

/// Parses a configuration. `None` if it refers to AWS, which is not called.
pub fn parse(text: &str) -> Option<Result<Config, InvalidConfiguration>> {
    let (environment, aws) = &*SOURCES;
    fuzzing::config(text, aws, environment)
}
