//! The ledger in a DynamoDB table: one item a record, all of a channel in one partition.
//!
//! A run reads a channel with one query, whatever the number of profiles, and writes what was confirmed in batches.
//! ARCHITECTURE.md has the arithmetic.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, KeyType, PutRequest, ScalarAttributeType, TableDescription, WriteRequest,
};
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use super::{Change, Key, Lease, LedgerError, Memory, Record};
use crate::model::Level;
use crate::model::text::{one_line, shorten};
use crate::net::{self, Deadline, Retry};

/// The partition and sort key of the lease.
const LEASE: (&str, &str) = ("lease", "run");
/// Items of one `BatchWriteItem`.
const BATCH: usize = 25;
/// Batches that are written side by side.
const SIDE_BY_SIDE: usize = 8;
/// How many times a call is repeated: a table on demand throttles while it grows.
const MOST_RETRIES: usize = 6;

/// A ledger in a table with the keys `pk` and `sk` (both strings) and the TTL attribute `ttl`.
#[derive(Debug)]
pub struct DynamoDbLedger {
    client: Client,
    table: String,
}

type Item = HashMap<String, AttributeValue>;

impl DynamoDbLedger {
    /// A ledger in `table`.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    pub(super) async fn lease(
        &self,
        owner: &str,
        now: Timestamp,
        ends_at: Timestamp,
        deadline: Deadline,
    ) -> Result<Option<Lease>, LedgerError> {
        let put = || async {
            self.client
                .put_item()
                .table_name(&self.table)
                .item("pk", text(LEASE.0))
                .item("sk", text(LEASE.1))
                .item("owner", text(owner))
                .item("ends_at_ms", number(ends_at.as_millisecond()))
                .item("ttl", number(ends_at.as_second()))
                // The owner's own lease is no obstacle: the answer to a first attempt may have been lost.
                .condition_expression("attribute_not_exists(pk) OR ends_at_ms <= :now OR #owner = :owner")
                .expression_attribute_names("#owner", "owner")
                .expression_attribute_values(":now", number(now.as_millisecond()))
                .expression_attribute_values(":owner", text(owner))
                .send()
                .await
        };
        let is_held = |error: &PutItemError| error.is_conditional_check_failed_exception();
        match call(deadline, put).await {
            Ok(_) => Ok(Some(Lease { owner: owner.to_owned(), _file: None, note: None })),
            Err(CallError::Service(error)) if error.as_service_error().is_some_and(is_held) => Ok(None),
            Err(error) => Err(self.describe("PutItem", error)),
        }
    }

    pub(super) async fn release(&self, lease: Lease, deadline: Deadline) -> Result<(), LedgerError> {
        let delete = || async {
            self.client
                .delete_item()
                .table_name(&self.table)
                .key("pk", text(LEASE.0))
                .key("sk", text(LEASE.1))
                .condition_expression("#owner = :owner")
                .expression_attribute_names("#owner", "owner")
                .expression_attribute_values(":owner", text(&lease.owner))
                .send()
                .await
        };
        let is_not_ours = |error: &DeleteItemError| error.is_conditional_check_failed_exception();
        match call(deadline, delete).await {
            Ok(_) => Ok(()),
            Err(CallError::Service(error)) if error.as_service_error().is_some_and(is_not_ours) => Ok(()),
            Err(error) => Err(self.describe("DeleteItem", error)),
        }
    }

    pub(super) async fn read(&self, channel: &str, deadline: Deadline) -> Result<Memory, LedgerError> {
        let mut memory = Memory::new();
        let mut start: Option<Item> = None;
        loop {
            let query = || async {
                self.client
                    .query()
                    .table_name(&self.table)
                    .consistent_read(true)
                    .key_condition_expression("pk = :pk")
                    .expression_attribute_values(":pk", text(&partition(channel)))
                    .set_exclusive_start_key(start.clone())
                    .send()
                    .await
            };
            let page = call(deadline, query).await.map_err(|error| self.describe("Query", error))?;
            memory.extend(page.items().iter().filter_map(record_of));
            match page.last_evaluated_key {
                Some(last) if !last.is_empty() => start = Some(last),
                _ => return Ok(memory),
            }
        }
    }

    pub(super) async fn write(&self, channel: &str, changes: &[Change], deadline: Deadline) -> Result<(), LedgerError> {
        let mut batches = Vec::new();
        for batch in changes.chunks(BATCH) {
            let requests: Option<Vec<_>> = batch.iter().map(|change| request(channel, change)).collect();
            batches.push(requests.ok_or_else(|| LedgerError("a record could not be written as an item".to_owned()))?);
        }
        // Every batch is tried, whatever became of another: what was confirmed is to be remembered.
        let written: Vec<_> = stream::iter(batches)
            .map(|batch| self.write_batch(batch, deadline))
            .buffer_unordered(SIDE_BY_SIDE)
            .collect()
            .await;
        written.into_iter().collect()
    }

    /// Writes one batch; what DynamoDB leaves unprocessed is written again, after a growing pause.
    async fn write_batch(&self, mut batch: Vec<WriteRequest>, deadline: Deadline) -> Result<(), LedgerError> {
        for attempt in 0..=MOST_RETRIES {
            let write =
                || async { self.client.batch_write_item().request_items(&self.table, batch.clone()).send().await };
            let answer = call(deadline, write).await.map_err(|error| self.describe("BatchWriteItem", error))?;
            batch = answer.unprocessed_items.and_then(|mut left| left.remove(&self.table)).unwrap_or_default();
            if batch.is_empty() {
                return Ok(());
            }
            let pause = std::time::Duration::from_millis(100 << attempt);
            if deadline.remaining() <= pause {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        Err(LedgerError(format!(
            "DynamoDB left {} records of table {} unwritten: it is throttled",
            batch.len(),
            self.table
        )))
    }

    pub(super) async fn check(&self, deadline: Deadline) -> Result<(), LedgerError> {
        let describe = || async { self.client.describe_table().table_name(&self.table).send().await };
        let table = call(deadline, describe).await.map_err(|error| self.describe("DescribeTable", error))?.table;
        if table.as_ref().is_some_and(has_our_keys) { Ok(()) } else { Err(self.wrong_keys()) }
    }

    fn describe<E>(&self, what: &str, error: CallError<E>) -> LedgerError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let CallError::Service(error) = error else {
            return LedgerError("the run had no time left for the ledger".to_owned());
        };
        let table = &self.table;
        let said = error.message().unwrap_or_default();
        LedgerError(match error.code() {
            Some("ResourceNotFoundException") => {
                format!("there is no ledger table {table} in this region; create it, or correct `ledger.table`")
            }
            Some("ValidationException") if said.contains("key") || said.contains("schema") => self.wrong_keys().0,
            Some("AccessDeniedException" | "UnrecognizedClientException") => {
                format!("the function's role does not allow dynamodb:{what} on the ledger table {table}")
            }
            Some(code) => format!("the ledger table {table} answered {code}: {}", shorten(&one_line(said), 200)),
            None => {
                let text = one_line(&net::with_causes(&*error));
                format!("the ledger table {table} cannot be reached: {}", shorten(&text, 200))
            }
        })
    }

    fn wrong_keys(&self) -> LedgerError {
        LedgerError(format!(
            "the ledger table {} has other keys; it needs the partition key `pk` and the sort key `sk`, both strings",
            self.table
        ))
    }
}

/// Makes a call, and again while it fails in a way that passes: every call here may be repeated.
async fn call<T, E, F>(deadline: Deadline, call: impl Fn() -> F) -> Result<T, CallError<E>>
where
    E: ProvideErrorMetadata,
    F: Future<Output = Result<T, SdkError<E>>>,
{
    let attempt = || async {
        match deadline.bound(call()).await {
            Some(answer) => answer.map_err(|error| CallError::Service(Box::new(error))),
            None => Err(CallError::OutOfTime),
        }
    };
    let retry = |error: &CallError<E>| if error.is_transient() { Retry::Backoff } else { Retry::Never };
    net::retrying_at_most(MOST_RETRIES, deadline, attempt, retry).await
}

enum CallError<E> {
    Service(Box<SdkError<E>>),
    OutOfTime,
}

impl<E: ProvideErrorMetadata> CallError<E> {
    fn is_transient(&self) -> bool {
        let Self::Service(error) = self else { return false };
        match &**error {
            SdkError::ServiceError(service) => {
                let throttled = matches!(
                    error.code(),
                    Some(
                        "ProvisionedThroughputExceededException"
                            | "ThrottlingException"
                            | "RequestLimitExceeded"
                            | "TransactionInProgressException"
                    )
                );
                throttled || service.raw().status().is_server_error()
            }
            SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
            _ => false,
        }
    }
}

fn partition(channel: &str) -> String {
    format!("channel#{channel}")
}

fn has_our_keys(table: &TableDescription) -> bool {
    let is_key = |name: &str, key_type: KeyType| {
        table.key_schema().iter().any(|key| key.attribute_name() == name && *key.key_type() == key_type)
            && table
                .attribute_definitions()
                .iter()
                .any(|one| one.attribute_name() == name && *one.attribute_type() == ScalarAttributeType::S)
    };
    is_key("pk", KeyType::Hash) && is_key("sk", KeyType::Range)
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn request(channel: &str, change: &Change) -> Option<WriteRequest> {
    let keys = |key: &Key| [("pk", text(&partition(channel))), ("sk", text(&key.to_string()))];
    Some(match change {
        Change::Put(key, record) => {
            let mut put = PutRequest::builder()
                .item("announced_at_ms", number(record.announced_at.as_millisecond()))
                .item("ttl", number(record.keep_until.as_second()));
            for (name, value) in keys(key) {
                put = put.item(name, value);
            }
            if record.level != Level::SEEN {
                put = put.item("level_s", number(i64::try_from(record.level.seconds()).unwrap_or(i64::MAX)));
            }
            if let Some(due_at) = record.due_at {
                put = put.item("due_at_ms", number(due_at.as_millisecond()));
            }
            if let Some(label) = &record.label {
                put = put.item("label", text(label));
            }
            WriteRequest::builder().put_request(put.build().ok()?).build()
        }
        Change::Delete(key) => {
            let delete = DeleteRequest::builder()
                .set_key(Some(keys(key).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()));
            WriteRequest::builder().delete_request(delete.build().ok()?).build()
        }
    })
}

/// Reads an item; `None` for one that is not of this version.
fn record_of(item: &Item) -> Option<(Key, Record)> {
    let number = |name: &str| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
    let moment = |name: &str| Timestamp::from_millisecond(number(name)?).ok();
    let level = match number("level_s") {
        None => Level::SEEN,
        Some(seconds) => Level::within(u64::try_from(seconds).ok()?),
    };
    let record = Record {
        level,
        announced_at: moment("announced_at_ms")?,
        keep_until: Timestamp::from_second(number("ttl")?).ok()?,
        due_at: moment("due_at_ms"),
        label: item.get("label").and_then(|label| label.as_s().ok()).cloned(),
    };
    Some((Key::parse(item.get("sk")?.as_s().ok()?)?, record))
}
