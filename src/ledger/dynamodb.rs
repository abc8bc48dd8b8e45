//! The ledger in a DynamoDB table: one item per record, one partition per channel.
//!
//! A run reads a channel with one query, whatever the number of profiles, and writes confirmed announcements in batches.
//! ARCHITECTURE.md has the calculations.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aws_types::SdkConfig;
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::key::{hash, is_hash};
use super::{Change, Key, LEASE_TTL, Lease, LedgerError, MAX_CLOCK_SKEW, Memory, Record, later};
use crate::model::Level;
use crate::model::ProfileName;
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

/// A value in DynamoDB's notation: `{"S": "text"}` or `{"N": "1"}`. Values of other types are read as empty.
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

/// The item of a record.
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
            label: record.label.as_deref().map(Attribute::text).unwrap_or_default(),
        }
    }

    /// Converts the item to a record. Returns `None` for an item of another version. Items are sorted by key, so
    /// neighbours often share their profile name.
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
            label: (!self.label.text.is_empty()).then(|| self.label.text.clone().into_owned()),
        };
        Some((Key::parse_sharing(&self.sk.text, profile)?, record))
    }
}

/// One write of a batch.
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
        let sk = Attribute { text: change.key().to_string().into(), number: Cow::default() };
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

/// The output of `BatchWriteItem`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchWritten {
    #[serde(default)]
    unprocessed_items: BTreeMap<String, Vec<Box<RawValue>>>,
}

/// The output of `Query`. Items are converted to records while they are parsed.
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

/// The output of `Query` if only the number of items is needed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Counted {
    count: u64,
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex as StdMutex};

    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::model::Part;
    use crate::net::aws::tests::config;

    /// The operations that the stand-in for DynamoDB received, with their input.
    type Calls = Arc<StdMutex<Vec<(String, Value)>>>;

    /// Creates a ledger on a stand-in that responds with `answer`, which maps an operation and its input to a status and a
    /// body.
    async fn ledger(answer: impl Fn(&str, &Value) -> (u16, Value) + Send + Sync + 'static) -> (DynamoDbLedger, Calls) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let calls = Calls::default();
        let (heard, answer) = (Arc::clone(&calls), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (heard, answer) = (Arc::clone(&heard), Arc::clone(&answer));
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    while let Some((operation, input)) = next_call(&mut stream).await {
                        heard.lock().expect("calls").push((operation.clone(), input.clone()));
                        let (status, body) = answer(&operation, &input);
                        let body = body.to_string();
                        let start = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n", body.len());
                        stream.write_all((start + &body).as_bytes()).await.expect("to be written");
                    }
                });
            }
        });
        let variables = [
            ("AWS_ENDPOINT_URL_DYNAMODB", url.as_str()),
            ("AWS_ACCESS_KEY_ID", "ID"),
            ("AWS_SECRET_ACCESS_KEY", "SECRET"),
        ];
        let client = DynamoDbLedger::client(net::client().expect("a client"), &config(&variables));
        (DynamoDbLedger::new(client, "table".to_owned()), calls)
    }

    /// Reads a request and checks what DynamoDB requires of every request.
    async fn next_call(stream: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
        let mut headers = BTreeMap::new();
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|bytes| 0 < *bytes)?;
        assert_eq!(line, "POST / HTTP/1.1\r\n");
        loop {
            line.clear();
            stream.read_line(&mut line).await.expect("a line");
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        assert_eq!(headers["content-type"], "application/x-amz-json-1.0");
        assert!(headers["authorization"].contains("/us-east-1/dynamodb/aws4_request"), "{headers:?}");
        let mut body = vec![0; headers["content-length"].parse().expect("a length")];
        stream.read_exact(&mut body).await.expect("a body");
        let operation = headers["x-amz-target"].strip_prefix("DynamoDB_20120810.").expect("an operation");
        Some((operation.to_owned(), serde_json::from_slice(&body).expect("JSON")))
    }

    fn error(code: &str, message: &str) -> (u16, Value) {
        (400, json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message}))
    }

    fn now() -> Timestamp {
        "2026-11-23T06:00:00Z".parse().expect("a time")
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(10))
    }

    fn put(id: &str) -> Change {
        let key = Key::Item { profile: ProfileName::new("A"), id: id.to_owned(), expires_at_ms: Some(5) };
        Change::Put(key, Record::new(Level::within(86_400), now(), None))
    }

    /// The sort keys of the items in a batch.
    fn keys(input: &Value) -> Vec<String> {
        let requests = input["RequestItems"]["table"].as_array().expect("requests").iter();
        let item = |request: &Value| request["PutRequest"]["Item"]["sk"]["S"].as_str().expect("a key").to_owned();
        requests.map(item).collect()
    }

    #[tokio::test]
    async fn a_channel_is_read_page_by_page_and_items_that_are_not_records_are_skipped() {
        let (ledger, calls) = ledger(|_, input| {
            let item = |sk: &str, more: Value| {
                let mut item =
                    json!({"sk": {"S": sk}, "announced_at_ms": {"N": "1795413600000"}, "ttl": {"N": "1803189600"}});
                item.as_object_mut().expect("an object").append(&mut more.as_object().expect("an object").clone());
                item
            };
            let last = json!({"pk": {"S": "channel#team"}, "sk": {"S": "item#A#a#5"}});
            let foreign = [
                item("lease", json!({})),
                item("item#A#b#x", json!({})),
                item("item#A#c#5", json!({"ttl": {"S": "tomorrow"}})),
                item("item#A#d#5", json!({"level_s": {"N": "1e99"}})),
                item("item#A#e#5", json!({"announced_at_ms": {"NULL": true}})),
                json!({"announced_at_ms": {"N": "1"}, "ttl": {"N": "1"}, "other": {"M": {"S": {"S": "x"}}}}),
            ];
            let post = json!({"level_s": {"N": "86400"}, "label": {"S": "“Spring”\n"}});
            match input.get("ExclusiveStartKey") {
                None => (200, json!({"Items": foreign, "Count": 6, "LastEvaluatedKey": last})),
                Some(start) if *start == last => {
                    (200, json!({"Items": [item("item#A%25%23B#a#-", json!({})), item("post#C#p#5", post)]}))
                }
                Some(start) => panic!("{start}"),
            }
        })
        .await;
        let memory = ledger.read("team", now(), soon()).await.expect("a memory");
        let seen = Record::new(Level::SEEN, now(), None);
        let profile = ProfileName::new;
        let expected = [
            (Key::Item { profile: profile("A%#B"), id: "a".to_owned(), expires_at_ms: None }, seen.clone()),
            (
                Key::Post { profile: profile("C"), id: "p".to_owned(), expires_at_ms: Some(5) },
                Record { level: Level::within(86_400), label: Some("“Spring”\n".to_owned()), ..seen },
            ),
        ];
        assert_eq!((memory.len(), memory.get(&expected[0].0)), (expected.len(), Some(expected[0].1.clone())));

        let calls = calls.lock().expect("calls");
        let [(operation, query), _] = &calls[..] else { panic!("{calls:?}") };
        assert_eq!((operation.as_str(), &query["ConsistentRead"]), ("Query", &json!(true)));
        assert_eq!(
            query["ExpressionAttributeValues"],
            json!({":pk": {"S": "channel#team"}, ":now": {"N": "1795413600"}})
        );
    }

    #[tokio::test]
    async fn each_record_is_written_as_one_item() {
        let (ledger, calls) = ledger(|_, _| (200, json!({"UnprocessedItems": {}}))).await;
        let failing = Key::of_failing(&ProfileName::new("B#"), Part::Posts);
        let post = Key::Post { profile: ProfileName::new("A"), id: "p".to_owned(), expires_at_ms: None };
        let record = Record { label: Some("“Spring”".to_owned()), ..Record::new(Level::SEEN, now(), None) };
        let changes = [put("a"), Change::Put(post, record), Change::Delete(failing)];
        ledger.write("team", changes.clone().into_iter(), soon()).await.expect("to be written");
        let calls = calls.lock().expect("calls");
        let (pk, at) = (json!({"S": "channel#team"}), json!({"N": "1795413600000"}));
        let ttl = json!({"N": "1803189600"});
        let expected = json!({"RequestItems": {"table": [
            {"PutRequest": {"Item": {"pk": pk, "sk": {"S": "item#A#a#5"}, "announced_at_ms": at, "ttl": ttl, "level_s": {"N": "86400"}}}},
            {"PutRequest": {"Item": {
                "pk": pk, "sk": {"S": "post#A#p#-"}, "announced_at_ms": at, "ttl": ttl,
                "label": {"S": "“Spring”"},
            }}},
            {"DeleteRequest": {"Key": {"pk": pk, "sk": {"S": "failing#B%23#posts"}}}},
        ]}});
        assert_eq!(*calls, [("BatchWriteItem".to_owned(), expected)]);
    }

    #[tokio::test]
    async fn one_bad_record_does_not_prevent_writing_the_others() {
        let written: Arc<StdMutex<Vec<String>>> = Arc::default();
        let table = Arc::clone(&written);
        let (ledger, _) = ledger(move |_, input| {
            let keys = keys(input);
            if keys.iter().any(|key| key.contains("bad")) {
                return error("ValidationException", "Item size has exceeded the maximum allowed size");
            }
            table.lock().expect("a table").extend(keys);
            (200, json!({}))
        })
        .await;
        let changes: Vec<_> = (0..60).map(|n| put(&if n == 30 { "bad".to_owned() } else { format!("{n}") })).collect();
        let rejected = ledger.write("team", changes.clone().into_iter(), soon()).await.expect_err("a rejected record");
        let message = "Item size has exceeded the maximum allowed size".to_owned();
        assert_eq!(rejected, LedgerError::Rejected { records: 1, message });
        assert_eq!(written.lock().expect("a table").len(), 59);
    }

    #[tokio::test]
    async fn a_table_with_other_keys_is_not_tried_record_by_record() {
        let message = "The provided key element does not match the schema";
        let (ledger, calls) = ledger(move |_, _| error("ValidationException", message)).await;
        let written = ledger.write("team", [put("a"), put("b")].into_iter(), soon()).await;
        assert_eq!(written, Err(LedgerError::WrongKeys));
        assert_eq!(calls.lock().expect("calls").len(), 1);
    }

    #[tokio::test]
    async fn only_unprocessed_items_are_written_again() {
        let is_first = StdMutex::new(true);
        let (ledger, calls) = ledger(move |_, input| {
            let left = input["RequestItems"]["table"][1].clone();
            let is_first = std::mem::take(&mut *is_first.lock().expect("a flag"));
            (200, if is_first { json!({"UnprocessedItems": {"table": [left]}}) } else { json!({}) })
        })
        .await;
        ledger.write("team", [put("a"), put("b")].into_iter(), soon()).await.expect("to be written");
        let calls = calls.lock().expect("calls");
        let keys: Vec<_> = calls.iter().map(|(_, input)| keys(input)).collect();
        assert_eq!(keys, [vec!["item#A#a#5", "item#A#b#5"], vec!["item#A#b#5"]]);
    }

    #[tokio::test]
    async fn a_retry_does_not_wait_beyond_the_deadline() {
        let (ledger, calls) =
            ledger(|_, input| (200, json!({"UnprocessedItems": input["RequestItems"].clone()}))).await;
        let began = std::time::Instant::now();
        let written = ledger.write("team", [put("a")].into_iter(), Deadline::after(Duration::from_millis(900))).await;
        assert_eq!(written, Err(LedgerError::Throttled));
        assert!(began.elapsed() < Duration::from_millis(900), "it slept after its last attempt");
        assert!(1 < calls.lock().expect("calls").len());
    }

    #[tokio::test]
    async fn each_error_response_becomes_an_error_that_says_what_to_do() {
        let (ledger, _) = ledger(|_, _| (200, json!({}))).await;
        let error =
            |code: &str, message: &str| ledger.error("PutItem", &AwsError::from_response(code, message, 400), soon());
        let check = |code: &str, message: &str, expected: &str| {
            let text = error(code, message).to_string();
            assert!(text.contains(expected), "{text}");
            assert_eq!(text.contains("other keys"), expected.contains("other keys"), "{text}");
        };
        check(
            "ResourceNotFoundException",
            "Requested resource not found",
            "the ledger table does not exist in this region",
        );
        check("AccessDeniedException", "User: arn:aws:sts::1:assumed-role/x", "does not allow dynamodb:PutItem");
        check("AccessDeniedException", "not authorized to perform: kms:Decrypt", "does not allow kms:Decrypt");
        for code in ["UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException"] {
            check(code, "The security token included in the request is invalid", code);
            assert!(!error(code, "x-amz-security-token:TOKEN").to_string().contains("TOKEN"));
        }
        check("ThrottlingException", "", "is throttled");
        check("InternalServerError", "Try again", "answered InternalServerError: Try again");
        for message in [
            "The provided key element does not match the schema",
            "One or more parameter values were invalid: Missing the key id in the item",
            "One or more parameter values were invalid: Type mismatch for key pk expected: N actual: S",
            "Query condition missed key schema element: id",
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
        ] {
            check("ValidationException", message, "has other keys; it needs the partition key `pk`");
        }
        for message in [
            "One or more parameter values were invalid: Size of rangekey has exceeded the maximum size limit of1024 bytes",
            "Provided list of item keys contains duplicates",
            "Item size has exceeded the maximum allowed size",
        ] {
            check("ValidationException", message, message);
        }
        let nothing = AwsError::transient("connection rejected");
        assert!(matches!(ledger.error("Query", &nothing, soon()), LedgerError::Unreachable { .. }));
    }

    #[tokio::test]
    async fn an_exceeded_deadline_is_reported_as_such() {
        let (ledger, calls) = ledger(|_, _| (200, json!({}))).await;
        let over = Deadline::after(Duration::ZERO);
        assert_eq!(ledger.read("team", now(), over).await.expect_err("no time"), LedgerError::OutOfTime);
        assert_eq!(ledger.write("team", [put("a")].into_iter(), over).await, Err(LedgerError::OutOfTime));
        assert!(calls.lock().expect("calls").is_empty());
    }

    #[tokio::test]
    async fn a_condition_that_is_not_met_is_not_an_error() {
        let (ledger, _) =
            ledger(|_, _| error("ConditionalCheckFailedException", "The conditional request failed")).await;
        assert!(ledger.lease("one", now(), soon()).await.expect("an answer").is_none());
        let lease = Lease { owner: "one".to_owned(), lock: None, note: None };
        assert_eq!(ledger.renew(&lease, now(), soon()).await, Ok(false));
        assert_eq!(ledger.release(lease, soon()).await, Ok(()));
    }

    #[tokio::test]
    async fn a_check_uses_every_operation_that_a_run_needs() {
        for denied in ["PutItem", "BatchWriteItem", "Query", "DeleteItem"] {
            let (ledger, _) = ledger(move |operation, _| {
                if operation == denied { error("AccessDeniedException", "no") } else { (200, json!({"Count": 1})) }
            })
            .await;
            let action = format!("dynamodb:{denied}");
            assert_eq!(ledger.check(now(), soon()).await, Err(LedgerError::Denied { action }));
        }
        let (forgetful, _) = ledger(|_, _| (200, json!({"Count": 0}))).await;
        assert_eq!(forgetful.check(now(), soon()).await, Err(LedgerError::NotKept));
    }

    #[test]
    fn each_channel_has_its_own_partition_key_which_fits_into_dynamodb() {
        assert_eq!(partition("team"), "channel#team");
        let longest = "名".repeat(680);
        assert_eq!(partition(&longest), format!("channel#{longest}"));
        let long = "名".repeat(681);
        assert_eq!(partition(&long), format!("channel#{}", hash(&long)));
        assert_ne!(partition(&hash(&long)), partition(&long));
    }
}
