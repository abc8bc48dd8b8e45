//! What the fuzz targets call. No other build contains it.

use futures_util::FutureExt as _;
use serde_json::Value;

use super::profiles_from::DocumentReader;
use super::reference::{Reference, ReferenceSources, each_string};
use super::{Config, InvalidConfiguration, ListedProfiles, parse};
use crate::net::Deadline;
use crate::net::aws::Aws;
use crate::net::environment::Environment;

/// Parses and validates a document.
///
/// Returns `None` if it refers to a value in AWS. Such values are not looked up.
///
/// # Errors
///
/// Returns all errors of the document.
pub fn config(text: &str, aws: &Aws, environment: &Environment) -> Option<Result<Config, InvalidConfiguration>> {
    let document = match document(text) {
        Ok(document) => document,
        Err(invalid) => return Some(Err(invalid)),
    };
    let mut is_from_aws = false;
    each_string("", &document, &mut |_, text| {
        is_from_aws |= matches!(Reference::parse(text), Some(Ok(reference)) if reference.is_from_aws());
    });
    if is_from_aws {
        return None;
    }
    let sources = ReferenceSources { environment, aws, deadline: Deadline::after(super::LOAD_TIMEOUT) };
    Config::from_document(document, sources).now_or_never()
}

/// Parses the text of a document into a tree of values.
///
/// # Errors
///
/// Returns a syntax error.
pub fn document(text: &str) -> Result<Value, InvalidConfiguration> {
    parse::document(text)
}

/// Parses a list of profiles, which arrives in chunks. The names of the configured profiles are taken.
///
/// # Errors
///
/// Returns the reason why it is no list of profiles.
pub fn listed_profiles<'a>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
    config: &Config,
) -> Result<ListedProfiles, String> {
    let mut reader = DocumentReader::new(&config.profiles);
    for chunk in chunks {
        if !reader.take(chunk) {
            break;
        }
    }
    reader.finish()
}
