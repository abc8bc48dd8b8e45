//! The ledger in a DynamoDB table: one item a record, all of a channel in one partition.
//!
//! A run reads a channel with one query, whatever the number of profiles, and writes what was confirmed in batches.
//! ARCHITECTURE.md has the arithmetic.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_types::SdkConfig;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::{Change, Key, Lease, LedgerError, Memory, Record};
use crate::model::{Level, ProfileName};
use crate::net::aws::{AwsError, DEFAULT_REGION, JsonClient, JsonService};
use crate::net::{self, Deadline, Retry};

const DYNAMODB: JsonService = JsonService {
    json_version: "1.0",
    timeout: Duration::from_secs(10),
    // A page holds 1 MB of names and values. JSON adds quotes, braces and at worst six bytes for one.
    max_answer_bytes: 16 * 1024 * 1024,
    ..JsonService::new("DynamoDB", "dynamodb", "DynamoDB_20120810")
};
/// The partition and sort key of the lease.
const LEASE: (&str, &str) = ("lease", "run");
/// The most items that one `BatchWriteItem` takes.
const MAX_BATCH: usize = 25;
/// How many batches are written at the same time.
const CONCURRENT_BATCHES: usize = 8;
/// How many times a call is repeated: an on-demand table throttles while it grows.
const MAX_RETRIES: usize = 6;

/// A ledger in a table with the keys `pk` and `sk` (both strings) and the TTL attribute `ttl`.
#[derive(Debug)]
pub struct DynamoDbLedger {
    client: JsonClient,
    table: String,
}

impl DynamoDbLedger {
    /// A client for DynamoDB in the region of `config`.
    #[must_use]
    pub fn client(http: reqwest::Client, config: &SdkConfig) -> JsonClient {
        let region = config.region().map_or(DEFAULT_REGION, AsRef::as_ref);
        JsonClient::new(DYNAMODB, http, config, region)
    }

    /// A ledger in `table`.
    #[must_use]
    pub fn new(client: JsonClient, table: String) -> Self {
        Self { client, table }
    }

    pub(super) async fn lease(
        &self,
        owner: &str,
        now: Timestamp,
        ends_at: Timestamp,
        deadline: Deadline,
    ) -> Result<Option<Lease>, LedgerError> {
        let put = json!({
            "TableName": self.table,
            "Item": {
                "pk": Attribute::text(LEASE.0),
                "sk": Attribute::text(LEASE.1),
                "owner": Attribute::text(owner),
                "ends_at_ms": Attribute::number(ends_at.as_millisecond()),
                "ttl": Attribute::number(ends_at.as_second()),
            },
            // The owner's own lease is no obstacle: the answer to a first attempt may have been lost.
            "ConditionExpression": "attribute_not_exists(pk) OR ends_at_ms <= :now OR #owner = :owner",
            "ExpressionAttributeNames": {"#owner": "owner"},
            "ExpressionAttributeValues": {
                ":now": Attribute::number(now.as_millisecond()),
                ":owner": Attribute::text(owner),
            },
        });
        let is_ours = self.call_if("PutItem", &put, deadline).await?;
        Ok(is_ours.then(|| Lease { owner: owner.to_owned(), _file: None, note: None }))
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

    /// Reads the records of a channel that are still to be kept at `now`: DynamoDB deletes those whose time is over
    /// within days, and until then they need not be sent.
    pub(super) async fn read(&self, channel: &str, now: Timestamp, deadline: Deadline) -> Result<Memory, LedgerError> {
        let partition = partition(channel);
        let mut query = json!({
            "TableName": self.table,
            "ConsistentRead": true,
            "KeyConditionExpression": "pk = :pk",
            "FilterExpression": ":now < #ttl",
            "ProjectionExpression": "sk, announced_at_ms, level_s, due_at_ms, #label, #ttl",
            "ExpressionAttributeNames": {"#label": "label", "#ttl": "ttl"},
            "ExpressionAttributeValues": {
                ":pk": Attribute::text(&partition),
                ":now": Attribute::number(now.as_second()),
            },
        });
        let mut records = Vec::new();
        loop {
            let page: Page = self.call("Query", &query, deadline).await?;
            records.extend(page.records);
            if page.last_evaluated_key.is_empty() {
                // Collected at once, a map has full nodes: half of the memory that inserting one by one takes.
                return Ok(records.into_iter().collect());
            }
            query["ExclusiveStartKey"] = page.last_evaluated_key.into();
        }
    }

    pub(super) async fn write(&self, channel: &str, changes: &[Change], deadline: Deadline) -> Result<(), LedgerError> {
        let partition = partition(channel);
        let request = |change: &Change| to_raw_value(&WriteRequest::new(&partition, change));
        // Every batch is tried, whatever became of another, so that as much as possible of what was confirmed is recorded.
        let written: Vec<_> = stream::iter(changes.chunks(MAX_BATCH))
            .map(async |batch| {
                let requests: Result<Vec<_>, _> = batch.iter().map(request).collect();
                let requests = requests.map_err(|error| self.error("BatchWriteItem", &unwritable(&error), deadline))?;
                self.write_batch(requests, deadline).await
            })
            .buffer_unordered(CONCURRENT_BATCHES)
            .collect()
            .await;
        let mut refused = Refused::default();
        for written in written {
            refused.add(written?);
        }
        refused.into_result(&self.table)
    }

    /// Writes one batch. DynamoDB refuses a whole batch for one bad record, so a refused one is written record by
    /// record; the answer counts those that are refused by themselves.
    async fn write_batch(&self, batch: Vec<Box<RawValue>>, deadline: Deadline) -> Result<Refused, LedgerError> {
        let singles = if 1 < batch.len() { batch.clone() } else { Vec::new() };
        let Err(refusal) = self.write_requests(batch, deadline).await else { return Ok(Refused::default()) };
        let error = self.error("BatchWriteItem", &refusal, deadline);
        if !is_about_records(&error) {
            return Err(error);
        }
        let mut refused = Refused::default();
        if singles.is_empty() {
            refused.add(Refused { records: 1, said: refusal.message });
            return Ok(refused);
        }
        for request in singles {
            refused.add(Box::pin(self.write_batch(vec![request], deadline)).await?);
        }
        Ok(refused)
    }

    /// Makes write requests, and again those that DynamoDB leaves unprocessed.
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

    pub(super) async fn check(&self, deadline: Deadline) -> Result<(), LedgerError> {
        let describe = json!({"TableName": self.table});
        let described: Described = self.call("DescribeTable", &describe, deadline).await?;
        if described.table.has_our_keys() { Ok(()) } else { Err(LedgerError::WrongKeys { table: self.table.clone() }) }
    }

    /// Makes a call with a condition, and says whether the condition held.
    async fn call_if(&self, operation: &'static str, input: &Value, deadline: Deadline) -> Result<bool, LedgerError> {
        match self.try_call::<IgnoredAny>(operation, input, deadline).await {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.code.as_deref() == Some("ConditionalCheckFailedException") => Ok(false),
            Err(refusal) => Err(self.error(operation, &refusal, deadline)),
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        input: &Value,
        deadline: Deadline,
    ) -> Result<T, LedgerError> {
        let answer = self.try_call(operation, input, deadline).await;
        answer.map_err(|refusal| self.error(operation, &refusal, deadline))
    }

    /// Makes a call, and again while it fails in a way that passes: every call here may be repeated.
    async fn try_call<T: DeserializeOwned>(
        &self,
        operation: &str,
        input: &Value,
        deadline: Deadline,
    ) -> Result<T, AwsError> {
        let call = || self.client.call(operation, input, deadline);
        net::retrying_at_most(MAX_RETRIES, deadline, call, retry).await
    }

    fn error(&self, operation: &str, refusal: &AwsError, deadline: Deadline) -> LedgerError {
        let table = self.table.clone();
        let said = refusal.message.clone();
        match refusal.code.as_deref() {
            None if deadline.remaining().is_zero() => LedgerError::OutOfTime,
            None => LedgerError::Unreachable { table, said },
            Some("ResourceNotFoundException") => LedgerError::NoTable { table },
            Some("ValidationException") if names_other_keys(&said) => LedgerError::WrongKeys { table },
            Some("AccessDeniedException") if said.contains("kms:") => {
                LedgerError::Denied { table, action: "kms:Decrypt".to_owned() }
            }
            Some("AccessDeniedException") => LedgerError::Denied { table, action: format!("dynamodb:{operation}") },
            Some(
                code @ ("UnrecognizedClientException"
                | "InvalidSignatureException"
                | "IncompleteSignatureException"
                | "MissingAuthenticationTokenException"
                | "ExpiredTokenException"),
            ) => LedgerError::Credentials { table, code: code.to_owned() },
            Some("ProvisionedThroughputExceededException" | "ThrottlingException" | "RequestLimitExceeded") => {
                LedgerError::Throttled { table }
            }
            Some(code) => LedgerError::Answered { table, code: code.to_owned(), said },
        }
    }
}

fn retry(refusal: &AwsError) -> Retry {
    if refusal.is_transient { Retry::Backoff } else { Retry::Never }
}

/// Whether a `ValidationException` is about the keys of the table. It has many other reasons: a key that is too long, an
/// item that is too large.
fn names_other_keys(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    [
        "does not match the schema",
        "does not match schema type",
        "type mismatch for key",
        "missing the key",
        "missed key schema",
        "query key condition not supported",
    ]
    .iter()
    .any(|reason| said.contains(reason))
}

/// Whether a batch was refused for what is in its records.
fn is_about_records(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Answered { code, .. } if code == "ValidationException")
}

fn unwritable(error: &serde_json::Error) -> AwsError {
    AwsError::permanent(&error.to_string())
}

fn partition(channel: &str) -> String {
    format!("channel#{channel}")
}

/// The records that the table refused by themselves.
#[derive(Default)]
struct Refused {
    records: usize,
    /// What was said of the first.
    said: String,
}

impl Refused {
    fn add(&mut self, other: Self) {
        if self.records == 0 {
            self.said = other.said;
        }
        self.records += other.records;
    }

    fn into_result(self, table: &str) -> Result<(), LedgerError> {
        let Self { records, said } = self;
        if records == 0 { Ok(()) } else { Err(LedgerError::Rejected { table: table.to_owned(), records, said }) }
    }
}

/// A value as DynamoDB writes it: `{"S": "text"}` or `{"N": "1"}`. Values of any other type are empty.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Attribute<'a> {
    #[serde(rename = "S", borrow, default, skip_serializing_if = "str::is_empty")]
    text: Cow<'a, str>,
    #[serde(rename = "N", borrow, default, skip_serializing_if = "str::is_empty")]
    number: Cow<'a, str>,
}

impl<'a> Attribute<'a> {
    fn text(text: &'a str) -> Self {
        Self { text: text.into(), number: Cow::default() }
    }

    fn number(number: i64) -> Self {
        Self { text: Cow::default(), number: number.to_string().into() }
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.number.is_empty()
    }

    fn as_number(&self) -> Option<i64> {
        self.number.parse().ok()
    }

    fn as_moment(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.as_number()?).ok()
    }
}

/// The primary key of an item.
#[derive(Serialize)]
struct ItemKey<'a> {
    pk: Attribute<'a>,
    sk: Attribute<'a>,
}

/// A record as an item.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Item<'a> {
    #[serde(borrow, skip_serializing_if = "Attribute::is_empty")]
    pk: Attribute<'a>,
    #[serde(borrow)]
    sk: Attribute<'a>,
    #[serde(borrow)]
    announced_at_ms: Attribute<'a>,
    #[serde(borrow)]
    ttl: Attribute<'a>,
    /// Absent for [`Level::SEEN`].
    #[serde(borrow, skip_serializing_if = "Attribute::is_empty")]
    level_s: Attribute<'a>,
    #[serde(borrow, skip_serializing_if = "Attribute::is_empty")]
    due_at_ms: Attribute<'a>,
    #[serde(borrow, skip_serializing_if = "Attribute::is_empty")]
    label: Attribute<'a>,
}

impl<'a> Item<'a> {
    fn new(keys: ItemKey<'a>, record: &'a Record) -> Self {
        let level = || Attribute::number(i64::try_from(record.level.seconds()).unwrap_or(i64::MAX));
        Self {
            pk: keys.pk,
            sk: keys.sk,
            announced_at_ms: Attribute::number(record.announced_at.as_millisecond()),
            ttl: Attribute::number(record.keep_until.as_second()),
            level_s: if record.level == Level::SEEN { Attribute::default() } else { level() },
            due_at_ms: record.due_at.map(|due_at| Attribute::number(due_at.as_millisecond())).unwrap_or_default(),
            label: record.label.as_deref().map(Attribute::text).unwrap_or_default(),
        }
    }

    /// Reads an item; `None` for one that is not of this version. Items come in the order of their keys, so that the
    /// name of the profile is often that of the item before.
    fn record(&self, profile: &mut Option<ProfileName>) -> Option<(Key, Record)> {
        let level = if self.level_s.is_empty() {
            Level::SEEN
        } else {
            Level::within(u64::try_from(self.level_s.as_number()?).ok()?)
        };
        let record = Record {
            level,
            announced_at: self.announced_at_ms.as_moment()?,
            keep_until: Timestamp::from_second(self.ttl.as_number()?).ok()?,
            due_at: self.due_at_ms.as_moment(),
            label: (!self.label.text.is_empty()).then(|| self.label.text.clone().into_owned()),
        };
        Some((Key::parse_sharing(&self.sk.text, profile)?, record))
    }
}

/// One element of a batch.
#[derive(Serialize)]
enum WriteRequest<'a> {
    PutRequest {
        #[serde(rename = "Item")]
        item: Box<Item<'a>>,
    },
    DeleteRequest {
        #[serde(rename = "Key")]
        key: ItemKey<'a>,
    },
}

impl<'a> WriteRequest<'a> {
    fn new(partition: &'a str, change: &'a Change) -> Self {
        let (Change::Put(key, _) | Change::Delete(key)) = change;
        let sk = Attribute { text: key.to_string().into(), number: Cow::default() };
        let key = ItemKey { pk: Attribute::text(partition), sk };
        match change {
            Change::Put(_, record) => Self::PutRequest { item: Box::new(Item::new(key, record)) },
            Change::Delete(_) => Self::DeleteRequest { key },
        }
    }
}

/// The input of `BatchWriteItem`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BatchWrite<'a> {
    request_items: BTreeMap<&'a str, &'a [Box<RawValue>]>,
}

/// The answer of `BatchWriteItem`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchWritten {
    #[serde(default)]
    unprocessed_items: BTreeMap<String, Vec<Box<RawValue>>>,
}

/// The answer of `Query`. Items become records while they are read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(rename = "Items", default, deserialize_with = "records")]
    records: Vec<(Key, Record)>,
    #[serde(default)]
    last_evaluated_key: Map<String, Value>,
}

fn records<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(Key, Record)>, D::Error> {
    struct Records;

    impl<'de> Visitor<'de> for Records {
        type Value = Vec<(Key, Record)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut records = Vec::new();
            let mut profile = None;
            while let Some(item) = items.next_element::<Item<'de>>()? {
                records.extend(item.record(&mut profile));
            }
            Ok(records)
        }
    }

    deserializer.deserialize_seq(Records)
}

/// The answer of `DescribeTable`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    table: Table,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Table {
    #[serde(default)]
    key_schema: Vec<Map<String, Value>>,
    #[serde(default)]
    attribute_definitions: Vec<Map<String, Value>>,
}

impl Table {
    fn has_our_keys(&self) -> bool {
        let has = |list: &[Map<String, Value>], name: &str, field: &str, value: &str| {
            list.iter()
                .any(|one| one.get("AttributeName") == Some(&name.into()) && one.get(field) == Some(&value.into()))
        };
        [("pk", "HASH"), ("sk", "RANGE")].iter().all(|(name, kind)| {
            has(&self.key_schema, name, "KeyType", kind) && has(&self.attribute_definitions, name, "AttributeType", "S")
        })
    }
}
