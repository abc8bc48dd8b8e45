//! The ledger in a DynamoDB table: one item per record, one partition per channel.
//!
//! A run reads a channel with one query, whatever the number of profiles, and writes confirmed announcements in batches.
//! ARCHITECTURE.md has the calculations.

mod items;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_types::SdkConfig;
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;

use self::items::{Attribute, BatchWrite, BatchWritten, Counted, Item, ItemKey, Page, WriteRequest};
use super::key::{hash, is_hash};
use super::{Change, Key, LEASE_TTL, Lease, LedgerError, MAX_CLOCK_SKEW, Memory, Record, later};
use crate::model::Level;
use crate::net::aws::{AwsError, DEFAULT_REGION, JsonClient, JsonService};
use crate::net::redact::Redactor;
use crate::net::{self, Deadline, Retry};

const DYNAMODB: JsonService = JsonService {
    json_version: "1.0",
    timeout: Duration::from_secs(10),
    // A page has 1 MB of names and values. JSON adds quotes and braces, and escapes one byte as six in the worst case.
    max_answer_bytes: 16 * 1024 * 1024,
    ..JsonService::new("DynamoDB", "dynamodb", "DynamoDB_20120810")
};
/// The partition and sort key of the lease.
const LEASE: (&str, &str) = ("lease", "run");
/// The partition for the records that a check writes.
const CHECK_PARTITION: &str = "check";
/// How long the record of a check is kept if it cannot be deleted.
const CHECK_KEPT: SignedDuration = SignedDuration::from_hours(1);
/// The prefix of the partition key of a channel.
const PARTITION_PREFIX: &str = "channel#";
/// DynamoDB's limit for a partition key.
const MAX_PARTITION_KEY_BYTES: usize = 2_048;
/// DynamoDB's limit for the items of one `BatchWriteItem`.
const MAX_BATCH: usize = 25;
/// How many batches are written at the same time.
const CONCURRENT_BATCHES: usize = 8;
/// How many times a call is repeated. There are many retries because an on-demand table throttles while it scales.
const MAX_RETRIES: usize = 6;

/// A ledger in a table with the keys `pk` and `sk` (both strings) and the TTL attribute `ttl`.
#[derive(Debug)]
pub struct DynamoDbLedger {
    client: JsonClient,
    table: String,
    redactor: Box<Redactor>,
}

impl DynamoDbLedger {
    /// Creates a client for DynamoDB in the region of `config`.
    #[must_use]
    pub fn client(http: reqwest::Client, config: &SdkConfig) -> JsonClient {
        let region = config.region().map_or(DEFAULT_REGION, AsRef::as_ref);
        JsonClient::new(DYNAMODB, http, config, region)
    }

    /// Creates a ledger in `table`.
    #[must_use]
    pub fn new(client: JsonClient, table: String) -> Self {
        Self { client, table, redactor: Box::default() }
    }

    /// Redacts secrets in the error messages of DynamoDB.
    #[must_use]
    pub fn redacting(self, redactor: Redactor) -> Self {
        Self { redactor: Box::new(redactor), ..self }
    }

    pub(super) async fn lease(
        &self,
        owner: &str,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Option<Lease>, LedgerError> {
        let mut put = self.put_lease(owner, now);
        // An end time that is not a number or too far in the future is invalid, so the lease is free. The owner may take
        // its own lease again, because the response to its first attempt may have been lost.
        put["ConditionExpression"] = "NOT attribute_type(ends_at_ms, :number) OR ends_at_ms <= :now \
                                      OR :latest < ends_at_ms OR #owner = :owner"
            .into();
        let latest = later(now, LEASE_TTL + MAX_CLOCK_SKEW);
        put["ExpressionAttributeValues"] = json!({
            ":number": Attribute::text("N"),
            ":now": Attribute::number(now.as_millisecond()),
            ":latest": Attribute::number(latest.as_millisecond()),
            ":owner": Attribute::text(owner),
        });
        let is_ours = self.call_if("PutItem", &put, deadline).await?;
        Ok(is_ours.then(|| Lease { owner: owner.to_owned(), lock: None, note: None }))
    }

    pub(super) async fn renew(&self, lease: &Lease, now: Timestamp, deadline: Deadline) -> Result<bool, LedgerError> {
        let mut put = self.put_lease(&lease.owner, now);
        put["ConditionExpression"] = "#owner = :owner".into();
        put["ExpressionAttributeValues"] = json!({":owner": Attribute::text(&lease.owner)});
        self.call_if("PutItem", &put, deadline).await
    }

    /// Returns the input of the `PutItem` that writes the lease, without its condition.
    fn put_lease(&self, owner: &str, now: Timestamp) -> Value {
        let ends_at = later(now, LEASE_TTL);
        json!({
            "TableName": self.table,
            "Item": {
                "pk": Attribute::text(LEASE.0),
                "sk": Attribute::text(LEASE.1),
                "owner": Attribute::text(owner),
                "ends_at_ms": Attribute::number(ends_at.as_millisecond()),
                "ttl": Attribute::number(ends_at.as_second()),
            },
            "ExpressionAttributeNames": {"#owner": "owner"},
        })
    }

    pub(super) async fn release(&self, lease: Lease, deadline: Deadline) -> Result<(), LedgerError> {
        let delete = json!({
            "TableName": self.table,
            "Key": {"pk": Attribute::text(LEASE.0), "sk": Attribute::text(LEASE.1)},
            "ConditionExpression": "#owner = :owner",
            "ExpressionAttributeNames": {"#owner": "owner"},
            "ExpressionAttributeValues": {":owner": Attribute::text(&lease.owner)},
        });
        self.call_if("DeleteItem", &delete, deadline).await?;
        Ok(())
    }

    /// Reads the records of a channel that have not expired at `now`. The query filters the others, because DynamoDB may
    /// take days to delete expired items.
    pub(super) async fn read(&self, channel: &str, now: Timestamp, deadline: Deadline) -> Result<Memory, LedgerError> {
        let partition = partition(channel);
        let mut query = json!({
            "TableName": self.table,
            "ConsistentRead": true,
            "KeyConditionExpression": "pk = :pk",
            "FilterExpression": ":now < #ttl",
            "ProjectionExpression": "sk, announced_at_ms, level_s, #label, #ttl",
            "ExpressionAttributeNames": {"#label": "label", "#ttl": "ttl"},
            "ExpressionAttributeValues": {
                ":pk": Attribute::text(&partition),
                ":now": Attribute::number(now.as_second()),
            },
        });
        let mut memory = Memory::default();
        loop {
            let page: Page = self.call("Query", &query, deadline).await?;
            memory.extend(page.records);
            if page.last_evaluated_key.is_empty() {
                return Ok(memory);
            }
            query["ExclusiveStartKey"] = page.last_evaluated_key.into();
        }
    }

    pub(super) async fn write(
        &self,
        channel: &str,
        mut changes: impl Iterator<Item = Change>,
        deadline: Deadline,
    ) -> Result<(), LedgerError> {
        let partition = partition(channel);
        let request = |change: &Change| to_raw_value(&WriteRequest::new(&partition, change));
        // DynamoDB rejects a batch that contains a key twice. The last change of a key wins.
        let batches = std::iter::from_fn(|| {
            let batch = changes.by_ref().take(MAX_BATCH).map(|change| (change.key().clone(), change));
            Some(batch.collect::<BTreeMap<_, _>>()).filter(|batch| !batch.is_empty())
        });
        // All batches are tried even if one fails, so that as many confirmed announcements as possible are recorded.
        let written: Vec<_> = stream::iter(batches)
            .map(async |batch| {
                let requests: Result<Vec<_>, _> = batch.values().map(request).collect();
                let requests = requests.map_err(|error| self.error("BatchWriteItem", &unwritable(&error), deadline))?;
                self.write_batch(requests, deadline).await
            })
            .buffer_unordered(CONCURRENT_BATCHES)
            .collect()
            .await;
        let mut rejected = Rejected::default();
        for written in written {
            rejected.add(written?);
        }
        rejected.into_result()
    }

    /// Writes one batch. DynamoDB rejects a whole batch because of one bad record, so the records of a rejected batch are
    /// written one by one. The result counts those that were rejected individually.
    async fn write_batch(&self, batch: Vec<Box<RawValue>>, deadline: Deadline) -> Result<Rejected, LedgerError> {
        let singles = if 1 < batch.len() { batch.clone() } else { Vec::new() };
        let Err(cause) = self.write_requests(batch, deadline).await else { return Ok(Rejected::default()) };
        let error = self.error("BatchWriteItem", &cause, deadline);
        if !is_about_records(&error) {
            return Err(error);
        }
        let mut rejected = Rejected::default();
        if singles.is_empty() {
            rejected.add(Rejected { records: 1, message: self.redactor.redact(&cause.message) });
            return Ok(rejected);
        }
        for request in singles {
            rejected.add(Box::pin(self.write_batch(vec![request], deadline)).await?);
        }
        Ok(rejected)
    }

    /// Sends write requests, and sends those again that DynamoDB left unprocessed.
    async fn write_requests(&self, requests: Vec<Box<RawValue>>, deadline: Deadline) -> Result<(), AwsError> {
        let left = Mutex::new(requests);
        let write = || async {
            let mut left = left.lock().await;
            let input = BatchWrite { request_items: BTreeMap::from([(self.table.as_str(), left.as_slice())]) };
            let answer: BatchWritten = self.client.call("BatchWriteItem", &input, deadline).await?;
            *left = answer.unprocessed_items.into_values().next().unwrap_or_default();
            let throttled = || AwsError::from_response("ProvisionedThroughputExceededException", "", 400);
            if left.is_empty() { Ok(()) } else { Err(throttled()) }
        };
        net::retrying_at_most(MAX_RETRIES, deadline, write, retry).await
    }

    /// Writes, reads and deletes one record with every operation that a run uses. If deleting is not allowed, the record
    /// is deleted by its TTL.
    pub(super) async fn check(&self, now: Timestamp, deadline: Deadline) -> Result<(), LedgerError> {
        let id = Uuid::new_v4().to_string();
        let key = || ItemKey { pk: Attribute::text(CHECK_PARTITION), sk: Attribute::text(&id) };
        let record = Record { keep_until: later(now, CHECK_KEPT), ..Record::new(Level::SEEN, now, None) };
        let put = json!({"TableName": self.table, "Item": Item::new(key(), &record)});
        self.call::<IgnoredAny>("PutItem", &put, deadline).await?;
        let request = WriteRequest::PutRequest { item: Box::new(Item::new(key(), &record)) };
        let request = to_raw_value(&request).map_err(|error| unwritable(&error));
        let written = match request {
            Ok(request) => self.write_requests(vec![request], deadline).await,
            Err(error) => Err(error),
        };
        written.map_err(|error| self.error("BatchWriteItem", &error, deadline))?;

        let query = json!({
            "TableName": self.table,
            "ConsistentRead": true,
            "KeyConditionExpression": "pk = :pk AND sk = :sk",
            "ExpressionAttributeValues": {":pk": Attribute::text(CHECK_PARTITION), ":sk": Attribute::text(&id)},
        });
        let found: Counted = self.call("Query", &query, deadline).await?;
        let delete = json!({"TableName": self.table, "Key": key()});
        self.call::<IgnoredAny>("DeleteItem", &delete, deadline).await?;
        if found.count == 1 { Ok(()) } else { Err(LedgerError::NotKept) }
    }

    /// Makes a call with a condition, and returns whether the condition was met.
    async fn call_if(&self, operation: &'static str, input: &Value, deadline: Deadline) -> Result<bool, LedgerError> {
        match self.try_call::<IgnoredAny>(operation, input, deadline).await {
            Ok(_) => Ok(true),
            Err(error) if error.code.as_deref() == Some("ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(self.error(operation, &error, deadline)),
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        input: &Value,
        deadline: Deadline,
    ) -> Result<T, LedgerError> {
        let answer = self.try_call(operation, input, deadline).await;
        answer.map_err(|error| self.error(operation, &error, deadline))
    }

    /// Makes a call, and retries transient failures. All calls of the ledger are idempotent.
    async fn try_call<T: DeserializeOwned>(
        &self,
        operation: &str,
        input: &Value,
        deadline: Deadline,
    ) -> Result<T, AwsError> {
        let call = || self.client.call(operation, input, deadline);
        net::retrying_at_most(MAX_RETRIES, deadline, call, retry).await
    }

    fn error(&self, operation: &str, error: &AwsError, deadline: Deadline) -> LedgerError {
        let message = self.redactor.redact(&error.message);
        match error.code.as_deref() {
            None if deadline.remaining().is_zero() => LedgerError::OutOfTime,
            None => LedgerError::Unreachable { message },
            Some("ResourceNotFoundException") => LedgerError::NoTable,
            Some("ValidationException") if names_other_keys(&message) => LedgerError::WrongKeys,
            Some("AccessDeniedException") if message.contains("kms:") => {
                LedgerError::Denied { action: "kms:Decrypt".to_owned() }
            }
            Some("AccessDeniedException") => LedgerError::Denied { action: format!("dynamodb:{operation}") },
            Some(
                code @ ("UnrecognizedClientException"
                | "InvalidSignatureException"
                | "IncompleteSignatureException"
                | "MissingAuthenticationTokenException"
                | "ExpiredTokenException"),
            ) => LedgerError::Credentials { code: code.to_owned() },
            Some("ProvisionedThroughputExceededException" | "ThrottlingException" | "RequestLimitExceeded") => {
                LedgerError::Throttled
            }
            Some(code) => LedgerError::Answered { code: self.redactor.redact(code), message },
        }
    }
}

fn retry(error: &AwsError) -> Retry {
    if error.is_transient { Retry::Backoff } else { Retry::Never }
}

/// Returns whether a `ValidationException` is about the keys of the table. It also reports other mistakes, such as a key
/// that is too long or an item that is too large.
fn names_other_keys(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "does not match the schema",
        "does not match schema type",
        "type mismatch for key",
        "missing the key",
        "missed key schema",
        "query key condition not supported",
    ]
    .iter()
    .any(|reason| message.contains(reason))
}

/// Returns whether a batch was rejected because of the content of its records.
fn is_about_records(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Answered { code, .. } if code == "ValidationException")
}

fn unwritable(error: &serde_json::Error) -> AwsError {
    AwsError::permanent(&error.to_string())
}

/// Returns the partition key of a channel. A name that is too long is replaced by its hash.
fn partition(channel: &str) -> String {
    let is_short = PARTITION_PREFIX.len() + channel.len() <= MAX_PARTITION_KEY_BYTES && !is_hash(channel);
    if is_short { format!("{PARTITION_PREFIX}{channel}") } else { format!("{PARTITION_PREFIX}{}", hash(channel)) }
}

/// How many records the table rejected individually.
#[derive(Default)]
struct Rejected {
    records: usize,
    /// The error message for the first of them.
    message: String,
}

impl Rejected {
    fn add(&mut self, other: Self) {
        if self.records == 0 {
            self.message = other.message;
        }
        self.records += other.records;
    }

    fn into_result(self) -> Result<(), LedgerError> {
        let Self { records, message } = self;
        if records == 0 { Ok(()) } else { Err(LedgerError::Rejected { records, message }) }
    }
}

#[cfg(test)]
mod tests;
