use std::sync::{Arc, Mutex as StdMutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::model::{Part, ProfileName};
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
    let variables =
        [("AWS_ENDPOINT_URL_DYNAMODB", url.as_str()), ("AWS_ACCESS_KEY_ID", "ID"), ("AWS_SECRET_ACCESS_KEY", "SECRET")];
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
    assert_eq!(query["ExpressionAttributeValues"], json!({":pk": {"S": "channel#team"}, ":now": {"N": "1795413600"}}));
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
    let (ledger, calls) = ledger(|_, input| (200, json!({"UnprocessedItems": input["RequestItems"].clone()}))).await;
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
    let (ledger, _) = ledger(|_, _| error("ConditionalCheckFailedException", "The conditional request failed")).await;
    assert!(ledger.lease("one", now(), soon()).await.expect("an answer").is_none());
    let lease = Lease { owner: "one".to_owned(), lock: None, note: None };
    assert_eq!(ledger.renew(&lease, now(), soon()).await, Ok(false));
    assert_eq!(ledger.release(lease, soon()).await, Ok(()));
}

#[tokio::test]
async fn a_check_uses_every_operation_that_a_run_needs() {
    for denied in ["PutItem", "BatchWriteItem", "Query", "DeleteItem"] {
        let (ledger, _) =
            ledger(
                move |operation, _| {
                    if operation == denied { error("AccessDeniedException", "no") } else { (200, json!({"Count": 1})) }
                },
            )
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
