//! AWS services as moto implements them, on this machine.

use std::collections::BTreeMap;
use std::time::Duration;

use media_expiry_alerts::net;
use reqwest::Method;
use serde_json::{Value, json};

use super::program::{self, Program, Scratch, command, tool};

/// The region of all resources.
const REGION: &str = "us-east-1";
/// The account of every resource in moto.
const ACCOUNT: &str = "123456789012";

/// A moto server for one test.
pub struct Moto {
    /// The base URL.
    pub url: String,
    http: reqwest::Client,
    _program: Program,
    _recording: Scratch,
}

impl Moto {
    /// Starts a server on a free port, and waits until it answers.
    pub async fn start() -> Self {
        let port = program::free_port().to_string();
        let recording = Scratch::new("moto-recording");
        let mut server = command(tool("moto_server"));
        server.args(["--host", "127.0.0.1", "--port", &port]).env("MOTO_RECORDER_FILEPATH", recording.path());
        let mut program = Program::start("moto", &mut server);
        let url = format!("http://127.0.0.1:{port}");
        let http = net::client().expect("an HTTP client");
        let ready = format!("{url}/moto-api/data.json");
        program
            .wait_until(Duration::from_secs(60), || async {
                http.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success())
            })
            .await;
        Self { url, http, _program: program, _recording: recording }
    }

    /// The variables that point a process at this server.
    pub fn variables(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.url.as_str()),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "testing"),
            ("AWS_SECRET_ACCESS_KEY", "testing"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// Deletes all resources.
    pub async fn reset(&self) {
        let answer = self.http.post(format!("{}/moto-api/reset", self.url)).send().await.expect("moto to answer");
        assert!(answer.status().is_success(), "moto cannot be reset: {}", answer.status());
    }

    /// Calls a service with the JSON protocol: SQS, DynamoDB, SSM, Secrets Manager. `target` is its
    /// `X-Amz-Target`, like `AmazonSQS.CreateQueue`.
    pub async fn call(&self, service: &str, target: &str, input: &Value) -> Value {
        let request = self
            .request(service)
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.0")
            .body(input.to_string());
        let text = answer(target, request).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{target} answers no JSON ({error}): {text}"))
    }

    /// Calls a service with the query protocol: SNS, CloudFormation, STS. The answer is XML.
    pub async fn query(&self, service: &str, parameters: &[(&str, &str)]) -> String {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let request = self.request(service).header("content-type", "application/x-www-form-urlencoded").body(body);
        answer(&format!("{service} {parameters:?}"), request).await
    }

    /// The mails that SES has accepted.
    pub async fn mails(&self) -> Vec<Value> {
        let request = self.http.get(format!("{}/moto-api/data.json", self.url));
        let data: Value = serde_json::from_str(&answer("the mails", request).await).expect("JSON");
        data["ses"]["Message"].as_array().cloned().unwrap_or_default()
    }

    /// Creates or overwrites a SecureString in Parameter Store.
    pub async fn put_parameter(&self, name: &str, value: &str) {
        let input =
            json!({"Name": name, "Value": value, "Type": "SecureString", "Tier": "Advanced", "Overwrite": true});
        self.call("ssm", "AmazonSSM.PutParameter", &input).await;
    }

    /// Creates a secret and returns its ARN. `value` has its `SecretString` or its `SecretBinary`.
    pub async fn create_secret(&self, name: &str, value: &Value) -> String {
        let mut input = value.clone();
        input["Name"] = name.into();
        input["ClientRequestToken"] = uuid::Uuid::new_v4().to_string().into();
        let created = self.call("secretsmanager", "secretsmanager.CreateSecret", &input).await;
        created["ARN"].as_str().expect("an ARN").to_owned()
    }

    /// Replaces the value of a secret.
    pub async fn put_secret(&self, id: &str, text: &str) {
        let token = uuid::Uuid::new_v4().to_string();
        let input = json!({"SecretId": id, "SecretString": text, "ClientRequestToken": token});
        self.call("secretsmanager", "secretsmanager.PutSecretValue", &input).await;
    }

    /// Creates a bucket.
    pub async fn create_bucket(&self, bucket: &str) {
        answer(&format!("PUT {bucket}"), self.s3(Method::PUT, bucket)).await;
    }

    /// Puts an object into a bucket, which is created if needed. The key must be URL-encoded.
    pub async fn put_object(&self, bucket: &str, key: &str, body: impl Into<reqwest::Body>) {
        self.create_bucket(bucket).await;
        let path = format!("{bucket}/{key}");
        answer(&format!("PUT {path}"), self.s3(Method::PUT, &path).body(body)).await;
    }

    /// Deletes an object. The key must be URL-encoded.
    pub async fn delete_object(&self, bucket: &str, key: &str) {
        let path = format!("{bucket}/{key}");
        answer(&format!("DELETE {path}"), self.s3(Method::DELETE, &path)).await;
    }

    /// Reads an object. The key must be URL-encoded.
    pub async fn object(&self, bucket: &str, key: &str) -> Vec<u8> {
        let response = self.s3(Method::GET, &format!("{bucket}/{key}")).send().await.expect("an answer");
        assert!(response.status().is_success(), "{key}: {}", response.status());
        response.bytes().await.expect("a body").to_vec()
    }

    /// How many multipart uploads of a bucket are neither complete nor aborted.
    pub async fn uploads(&self, bucket: &str) -> usize {
        let listed = answer("the uploads", self.s3(Method::GET, &format!("{bucket}?uploads="))).await;
        listed.matches("<UploadId>").count()
    }

    /// Returns the keys of all objects of a bucket, in their order.
    pub async fn objects(&self, bucket: &str) -> Vec<String> {
        let request = self.s3(Method::GET, &format!("{bucket}?list-type=2"));
        let listed = answer(&format!("the list of {bucket}"), request).await;
        listed.split("<Key>").skip(1).map(|rest| rest.split('<').next().unwrap_or_default().to_owned()).collect()
    }

    /// Enforces signatures and IAM from now on, and returns the variables of a user who may do only these actions. The test
    /// itself can make no calls after this.
    pub async fn allow_only(&self, actions: &[&str]) -> Vec<(String, String)> {
        self.iam(&[("Action", "CreateUser"), ("UserName", "function")]).await;
        let policy = policy(actions);
        let put = [("Action", "PutUserPolicy"), ("UserName", "function"), ("PolicyName", "all")];
        self.iam(&[&put[..], &[("PolicyDocument", &policy)]].concat()).await;
        let key = self.iam(&[("Action", "CreateAccessKey"), ("UserName", "function")]).await;
        self.enforce(&key).await
    }

    /// Like [`Moto::allow_only`], for a role: its credentials are temporary and have a session token, like those of a
    /// deployed function.
    pub async fn assume_role_that_may(&self, actions: &[&str]) -> Vec<(String, String)> {
        let trust = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"},
        ]});
        let (trust, policy) = (trust.to_string(), policy(actions));
        self.iam(&[("Action", "CreateRole"), ("RoleName", "function"), ("AssumeRolePolicyDocument", &trust)]).await;
        let put = [("Action", "PutRolePolicy"), ("RoleName", "function"), ("PolicyName", "all")];
        self.iam(&[&put[..], &[("PolicyDocument", &policy)]].concat()).await;
        let role = format!("arn:aws:iam::{ACCOUNT}:role/function");
        let assume =
            [("Action", "AssumeRole"), ("Version", "2011-06-15"), ("RoleArn", &role), ("RoleSessionName", "a")];
        let session = self.query("sts", &assume).await;
        let mut variables = self.enforce(&session).await;
        variables.push(("AWS_SESSION_TOKEN".to_owned(), field(&session, "SessionToken")));
        variables
    }

    async fn iam(&self, parameters: &[(&str, &str)]) -> String {
        self.query("iam", &[&[("Version", "2010-05-08")], parameters].concat()).await
    }

    /// Enforces signatures and IAM from now on, and returns the variables with the key that IAM or STS has answered.
    async fn enforce(&self, key: &str) -> Vec<(String, String)> {
        answer("reset-auth", self.http.post(format!("{}/moto-api/reset-auth", self.url)).body("0")).await;
        let mut variables = self.variables();
        variables.retain(|(name, _)| !name.contains("KEY"));
        variables.push(("AWS_ACCESS_KEY_ID".to_owned(), field(key, "AccessKeyId")));
        variables.push(("AWS_SECRET_ACCESS_KEY".to_owned(), field(key, "SecretAccessKey")));
        variables
    }

    /// Starts to record all calls.
    pub async fn record(&self) {
        self.record_call("reset-recording").await;
        self.record_call("start-recording").await;
    }

    /// The number of calls of each target since [`Moto::record`].
    pub async fn recorded(&self) -> BTreeMap<String, usize> {
        let mut calls = BTreeMap::new();
        for call in self.recording().await {
            let headers = call["headers"].as_object().expect("headers");
            let target = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-amz-target"));
            let target = target.and_then(|(_, target)| target.as_str()).unwrap_or("none");
            *calls.entry(target.to_owned()).or_default() += 1;
        }
        calls
    }

    /// The methods of all calls since [`Moto::record`], in their order.
    pub async fn recorded_methods(&self) -> Vec<String> {
        let method = |call: Value| call["method"].as_str().expect("a method").to_owned();
        self.recording().await.into_iter().map(method).collect()
    }

    async fn recording(&self) -> Vec<Value> {
        self.record_call("stop-recording").await;
        let url = format!("{}/moto-api/recorder/download-recording", self.url);
        let recording = answer("the recording", self.http.get(url)).await;
        let call = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON ({error}): {line}"));
        recording.lines().map(call).collect()
    }

    async fn record_call(&self, action: &str) {
        answer(action, self.http.post(format!("{}/moto-api/recorder/{action}", self.url))).await;
    }

    fn s3(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.request_to("s3", method, &format!("{}/{path}", self.url))
    }

    fn request(&self, service: &str) -> reqwest::RequestBuilder {
        self.request_to(service, Method::POST, &self.url)
    }

    /// moto does not check the signature. It only reads the service from it.
    fn request_to(&self, service: &str, method: Method, url: &str) -> reqwest::RequestBuilder {
        let scope = format!("testing/20261123/{REGION}/{service}/aws4_request");
        let authorization = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none");
        self.http.request(method, url).header("authorization", authorization)
    }

    /// Creates a topic and returns its ARN. A name with the suffix `.fifo` creates a FIFO topic.
    pub async fn create_topic(&self, name: &str) -> String {
        let mut parameters = vec![("Action", "CreateTopic"), ("Version", "2010-03-31"), ("Name", name)];
        if name.ends_with(".fifo") {
            parameters.extend([("Attributes.entry.1.key", "FifoTopic"), ("Attributes.entry.1.value", "true")]);
        }
        self.query("sns", &parameters).await;
        format!("arn:aws:sns:{REGION}:{ACCOUNT}:{name}")
    }

    /// Creates a queue. A name with the suffix `.fifo` creates a FIFO queue.
    pub async fn create_queue(&self, name: &str) -> Queue<'_> {
        let attributes = if name.ends_with(".fifo") { json!({"FifoQueue": "true"}) } else { json!({}) };
        let input = json!({"QueueName": name, "Attributes": attributes});
        let created = self.call("sqs", "AmazonSQS.CreateQueue", &input).await;
        let url = created["QueueUrl"].as_str().expect("a queue URL").to_owned();
        Queue { moto: self, url, arn: format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}") }
    }

    /// Creates a table with a partition and a sort key, both strings.
    pub async fn create_table(&self, name: &str, keys: [&str; 2]) {
        let input = json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": keys.map(|key| json!({"AttributeName": key, "AttributeType": "S"})),
            "KeySchema": [
                {"AttributeName": keys[0], "KeyType": "HASH"},
                {"AttributeName": keys[1], "KeyType": "RANGE"},
            ],
        });
        self.call("dynamodb", "DynamoDB_20120810.CreateTable", &input).await;
    }

    /// Subscribes a queue to a topic. `filter_policy` is JSON, or empty for every message.
    pub async fn subscribe(&self, topic: &str, queue: &Queue<'_>, filter_policy: &str) {
        let mut parameters = vec![
            ("Action", "Subscribe"),
            ("Version", "2010-03-31"),
            ("TopicArn", topic),
            ("Protocol", "sqs"),
            ("Endpoint", &queue.arn),
        ];
        if !filter_policy.is_empty() {
            parameters
                .extend([("Attributes.entry.1.key", "FilterPolicy"), ("Attributes.entry.1.value", filter_policy)]);
        }
        self.query("sns", &parameters).await;
    }
}

/// A policy that allows these actions on everything.
fn policy(actions: &[&str]) -> String {
    let statement = json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// The text of the first element with this name.
fn field(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name}: {xml}"));
    rest.split_once('<').expect("an end").0.to_owned()
}

async fn answer(what: &str, request: reqwest::RequestBuilder) -> String {
    let answer = request.send().await.unwrap_or_else(|error| panic!("moto does not answer {what}: {error}"));
    let status = answer.status();
    let text = answer.text().await.expect("an answer as text");
    assert!(status.is_success(), "moto answers {status} to {what}: {text}");
    text
}

/// A queue of SQS.
pub struct Queue<'a> {
    moto: &'a Moto,
    url: String,
    arn: String,
}

impl Queue<'_> {
    /// Receives and deletes all messages. The `body` of each is the SNS envelope.
    pub async fn receive(&self) -> Vec<Received> {
        let mut all = Vec::new();
        loop {
            let input = json!({
                "QueueUrl": self.url,
                "MaxNumberOfMessages": 10,
                "AttributeNames": ["All"],
                "WaitTimeSeconds": 0,
            });
            let batch = self.moto.call("sqs", "AmazonSQS.ReceiveMessage", &input).await;
            let Some(messages) = batch["Messages"].as_array().filter(|messages| !messages.is_empty()) else {
                return all;
            };
            for message in messages {
                let input = json!({"QueueUrl": self.url, "ReceiptHandle": message["ReceiptHandle"]});
                self.moto.call("sqs", "AmazonSQS.DeleteMessage", &input).await;
                let body = message["Body"].as_str().expect("a body");
                all.push(Received {
                    body: serde_json::from_str(body).unwrap_or_else(|error| panic!("no JSON ({error}): {body}")),
                    attributes: message["Attributes"].clone(),
                });
            }
        }
    }
}

/// A message from a queue.
#[derive(Debug)]
pub struct Received {
    /// The SNS envelope: `Subject`, `Message`, `MessageAttributes`, …
    pub body: Value,
    /// The SQS attributes: `MessageGroupId`, `MessageDeduplicationId`, …
    pub attributes: Value,
}
