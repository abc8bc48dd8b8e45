//! Reading the profiles of a DynamoDB table.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::entries::{ListEntries, ListEntry};
use super::{ListedProfiles, failure};
use crate::config::Profile;
use crate::config::table::{Table, TextField};
use crate::model::{Failure, FailureKind};
use crate::net::aws::{Aws, AwsError, JsonClient, JsonService};
use crate::net::{self, Deadline, Retry};

/// How often a failed request is repeated. AWS throttles only briefly.
const MAX_RETRIES: usize = 4;
/// The service DynamoDB. Its answer to a scan has up to 1 MB of items, which is more as JSON.
const SERVICE: JsonService = JsonService {
    id: "DynamoDB",
    name: "dynamodb",
    target: "DynamoDB_20120810",
    json_version: "1.0",
    timeout: Duration::from_secs(10),
    max_answer_bytes: 16 * 1024 * 1024,
};

/// A DynamoDB table of profiles, and the attributes that describe one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfilesTable {
    table: String,
    name: String,
    key: String,
    tags: String,
}

impl ProfilesTable {
    /// Validates the keys of `[profiles_from]` with a `table`.
    pub fn parse(settings: &Table<'_>) -> Option<Self> {
        let not_blank = |text: &TextField<'_>| {
            if text.value.trim().is_empty() { Err("is blank") } else { Ok(text.value.to_owned()) }
        };
        let attribute = |key: &'static str| {
            if settings.has(key) { settings.parsed(key, not_blank) } else { Some(key.to_owned()) }
        };
        let table = settings.required("table", not_blank);
        let (name, key, tags) = (attribute("name"), attribute("key"), attribute("tags"));
        Some(Self { table: table?, name: name?, key: key?, tags: tags? })
    }

    /// Scans the table. Only the named attributes are read.
    ///
    /// # Errors
    ///
    /// Returns an error if the table cannot be scanned to its end.
    pub async fn read(&self, configured: &[Profile], aws: &Aws, deadline: Deadline) -> Result<ListedProfiles, Failure> {
        let config = aws.config().await;
        let region = crate::config::region(config);
        let client = JsonClient::new(SERVICE, aws.http().clone(), config, &region);
        let mut entries = ListEntries::new(configured);
        let mut from: Option<Value> = None;
        while !entries.is_full() {
            let scan = self.scan(from.as_ref());
            let attempt = || client.call::<ScannedPage>("Scan", &scan, deadline);
            let retry = |error: &AwsError| if error.is_transient { Retry::Backoff } else { Retry::Never };
            let page = net::retrying_at_most(MAX_RETRIES, deadline, attempt, retry).await;
            let page = page.map_err(|error| self.failure(&error, &region, deadline))?;
            page.items.into_iter().for_each(|item| entries.add(Ok(self.entry(item))));
            from = page.last_evaluated_key;
            if from.is_none() {
                break;
            }
        }
        // If no item has these attributes, the configuration names the wrong attributes or the wrong table.
        entries
            .finish()
            .map_err(|reason| failure(FailureKind::BadResponse, &format!("the table {}: {reason}", self.table)))
    }

    /// Returns the request for one page. It uses placeholders, because the names of attributes may be reserved words.
    fn scan(&self, from: Option<&Value>) -> Value {
        let mut scan = json!({
            "TableName": self.table,
            "ProjectionExpression": "#name, #key, #tags",
            "ExpressionAttributeNames": {"#name": self.name, "#key": self.key, "#tags": self.tags},
        });
        if let Some(from) = from {
            scan["ExclusiveStartKey"] = from.clone();
        }
        scan
    }

    fn entry(&self, mut item: Map<String, Value>) -> ListEntry {
        let mut attribute = |name: &str| item.remove(name).and_then(plain);
        ListEntry { name: attribute(&self.name), key: attribute(&self.key), tags: attribute(&self.tags) }
    }

    fn failure(&self, error: &AwsError, region: &str, deadline: Deadline) -> Failure {
        let Self { table, .. } = self;
        let code = error.code.as_deref().unwrap_or_default();
        let (kind, message) = match code {
            "ResourceNotFoundException" => {
                (FailureKind::NotFound, format!("there is no DynamoDB table {table} in {region}"))
            }
            _ if error.is_denied() => (
                FailureKind::Forbidden,
                format!("the function's role does not allow dynamodb:Scan on the table {table}"),
            ),
            "ProvisionedThroughputExceededException" | "ThrottlingException" | "RequestLimitExceeded" => {
                (FailureKind::RateLimited, format!("DynamoDB {error}"))
            }
            _ if error.is_transient && deadline.remaining().is_zero() => {
                (FailureKind::Timeout, format!("the table {table} could not be read in time"))
            }
            _ if error.is_transient => (FailureKind::Unavailable, format!("DynamoDB {error}")),
            _ => (FailureKind::BadResponse, format!("DynamoDB {error}")),
        };
        failure(kind, &message)
    }
}

/// One page of a scan.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScannedPage {
    #[serde(default)]
    items: Vec<Map<String, Value>>,
    last_evaluated_key: Option<Value>,
}

/// Returns the plain JSON of an attribute: a string, a set of strings or a list of strings. Any other attribute becomes a
/// number, which is not valid in an entry.
fn plain(attribute: Value) -> Option<Value> {
    let Value::Object(attribute) = attribute else { return Some(Value::from(0)) };
    match attribute.into_iter().next() {
        None => None,
        Some((kind, _)) if kind == "NULL" => None,
        Some((kind, value)) if kind == "S" || kind == "SS" => Some(value),
        Some((kind, Value::Array(values))) if kind == "L" => {
            Some(values.into_iter().map(|value| plain(value).unwrap_or(Value::Null)).collect())
        }
        Some(_) => Some(Value::from(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_become_an_entry() {
        let table = ProfilesTable {
            table: "clients".into(),
            name: "title".into(),
            key: "profileKey".into(),
            tags: "tags".into(),
        };
        let check = |tags: Value, expected: Option<Value>| {
            let item = json!({"title": {"S": "Acme"}, "profileKey": {"S": "KEY"}, "tags": tags});
            let entry = table.entry(item.as_object().expect("an object").clone());
            assert_eq!(
                (entry.name, entry.key, entry.tags),
                (Some("Acme".into()), Some("KEY".into()), expected),
                "{tags}"
            );
        };
        check(json!({"SS": ["a", "b"]}), Some(json!(["a", "b"])));
        check(json!({"L": [{"S": "a"}, {"N": "1"}]}), Some(json!(["a", 0])));
        check(json!({"NULL": true}), None);
        check(json!({"N": "1"}), Some(json!(0)));
        assert_eq!(table.scan(None)["ProjectionExpression"], "#name, #key, #tags");
        assert_eq!(table.scan(Some(&json!({"id": {"S": "1"}})))["ExclusiveStartKey"]["id"]["S"], "1");
    }
}
