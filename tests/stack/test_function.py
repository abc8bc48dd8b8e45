"""Runs the function with the environment and role of the deployed stack, against moto.

FUNCTION_BINARY is the path of the binary, relative to the root of the repository, for example
target/debug/media-expiry-alerts after `cargo build`. It may begin with the command of an emulator, for example
"qemu-aarch64-static -L /usr/aarch64-linux-gnu target/lambda/media-expiry-alerts/bootstrap".
"""

import datetime
import json
import os
import shlex

import pytest

from account import ACCOUNT, REGION, STACK
from ayrshare import Ayrshare, media
from checks import FUNCTION_MAY
from lambda_runtime import Function

COMMAND = shlex.split(os.environ.get("FUNCTION_BINARY", ""))
pytestmark = pytest.mark.skipif(not COMMAND, reason="FUNCTION_BINARY is not set")

KEY_NAME = f"/{STACK}/ayrshare-api-key"
FIRST_KEY, SECOND_KEY = "first-key-7TVRLEZ", "second-key-24A43C0"
# Permissions of the role that Lambda uses instead of the function.
USED_BY_LAMBDA = {"WriteLog", "SendFailedEventsToQueue"}


@pytest.fixture
def ayrshare():
    with Ayrshare(FIRST_KEY) as stand_in:
        stand_in.gallery = [
            media("summer.jpeg", datetime.timedelta(days=2)),
            media("winter.mp4", datetime.timedelta(days=40)),
        ]
        yield stand_in


class World:
    """The stack with an API key, and a queue that is subscribed to its topic."""

    def __init__(self, account, ayrshare, **parameters):
        self.account = account
        self.ayrshare = ayrshare
        self.stack = account.deploy(**parameters)
        self.ssm, self.sqs = account.client("ssm"), account.client("sqs")
        self.queue = self.sqs.create_queue(QueueName="reader")["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:reader"
        account.client("sns").subscribe(TopicArn=self.stack.outputs["AlertTopicArn"], Protocol="sqs", Endpoint=arn)
        self.put_key(FIRST_KEY)

    def put_key(self, key):
        self.ssm.put_parameter(Name=KEY_NAME, Value=key, Type="SecureString", Overwrite=True)

    def edit(self, change):
        """Changes the configuration document in Parameter Store."""
        name = self.stack.outputs["ConfigLocation"].removeprefix("ssm:")
        text = self.ssm.get_parameter(Name=name)["Parameter"]["Value"]
        self.ssm.put_parameter(Name=name, Value=change(text), Type="String", Overwrite=True)

    def function(self):
        """Starts the function. Only the URL of Ayrshare differs from a real deployment."""
        self.edit(lambda text: text.replace("[ayrshare]\n", f'[ayrshare]\nbase_url = "{self.ayrshare.url}"\n', 1))
        return Function(COMMAND, self.stack.function_environment())

    @property
    def scheduled(self):
        """The event of the schedule."""
        return json.loads(self.stack.properties("Schedule")["Target"]["Input"])

    def messages(self):
        """Receives and deletes the messages that SNS sent to the queue."""
        found = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]

    def ledger(self):
        table = self.stack.outputs["LedgerTableName"]
        return self.account.client("dynamodb").scan(TableName=table)["Items"]


    def age_lease(self, seconds):
        """Moves the end of the lease, as if this much time had passed."""
        dynamodb, table = self.account.client("dynamodb"), self.stack.outputs["LedgerTableName"]
        (lease,) = [item for item in self.ledger() if item["pk"]["S"] == "lease"]
        lease["ends_at_ms"] = {"N": str(int(lease["ends_at_ms"]["N"]) - 1000 * seconds)}
        dynamodb.put_item(TableName=table, Item=lease)


@pytest.fixture
def world(account, ayrshare):
    return World(account, ayrshare)


def test_a_scheduled_event_sends_a_message(account, world):
    with world.function() as function:
        answer = function.invoke(world.scheduled)
        assert not answer.is_error, answer.body
        assert answer.body["status"] == "ok", answer.body
        (message,) = world.messages()
        assert "summer.jpeg" in message["Message"] and "winter.mp4" not in message["Message"]
        assert message["Subject"]
        assert [item for item in world.ledger() if item["pk"]["S"] != "lease"]
        (metrics,) = function.metrics
        assert (metrics["RunsCompleted"], metrics["FunctionName"]) == (1, STACK)

        again = function.invoke(world.scheduled)
        assert [channel["outcome"] for channel in again.body["channels"]] == ["nothing-due"]
        assert world.messages() == []
        assert FIRST_KEY not in function.log
    assert [call for call in account.calls if not call.allowed] == []


def test_an_event_whose_run_was_killed_is_delivered_once_by_a_retry(world):
    world.ayrshare.hangs = True
    function = world.function()
    with function:
        function.crash_in(world.scheduled, world.ayrshare.asked)
    world.ayrshare.hangs = False
    world.ayrshare.resume.set()
    with function:
        # The killed run still holds the lease. This is an error for Lambda, so that it retries.
        early = function.invoke(world.scheduled)
        assert (early.is_error, early.body["errorType"]) == (True, "RunBusy"), early.body
        assert world.messages() == []
        # Lambda waits for a minute. The test moves the end of the lease instead.
        world.age_lease(seconds=60)
        retried = function.invoke(world.scheduled)
        assert not retried.is_error and retried.body["status"] == "ok", retried.body
        (message,) = world.messages()
        assert "summer.jpeg" in message["Message"]
        again = function.invoke(world.scheduled)
        assert [channel["outcome"] for channel in again.body["channels"]] == ["nothing-due"]
        assert world.messages() == []


def test_a_fresh_process_reports_what_the_last_run_has_seen(account, world):
    request = {
        "version": "2.0",
        "rawPath": "/report",
        "requestContext": {
            "http": {"method": "GET", "path": "/report"},
            "stage": "$default",
            "authorizer": {"iam": {"userArn": "arn:aws:iam::123456789012:user/someone"}},
        },
    }
    function = world.function()
    with function:
        # Nothing is kept before the first run, which is nothing to warn of.
        assert function.invoke(request).body["statusCode"] == 200
        assert "WARN" not in function.log
        ran = function.invoke(world.scheduled).body
    bucket = world.stack.outputs["StoreUrl"].removeprefix("s3://")
    kept = account.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    assert [each["Key"] for each in kept] == [f"snapshots/{ran['run_id']}-0.jsonl.gz", "snapshots/latest.json"]
    world.ayrshare.gallery.clear()
    with function:
        answer = function.invoke(request).body
        report = json.loads(answer["body"])
        assert (report["started_at"], report["items"]) == (ran["started_at"], ran["items"])
        assert "WARN" not in function.log
    assert [call for call in account.calls if not call.allowed] == []


def test_check_and_test(account, world):
    with world.function() as function:
        checked = function.invoke({"action": "check"})
        assert [channel["outcome"] for channel in checked.body["channels"]] == ["reachable"], checked.body
        assert world.messages() == []
        tested = function.invoke({"action": "test"})
        assert [channel["outcome"] for channel in tested.body["channels"]] == ["delivered"], tested.body
        (message,) = world.messages()
        assert "[TEST]" in message["Subject"]
    assert [call for call in account.calls if not call.allowed] == []


def test_a_rotated_key_is_picked_up(world):
    with world.function() as function:
        assert not function.invoke(world.scheduled).is_error
        world.messages()
        world.put_key(SECOND_KEY)
        world.ayrshare.key = SECOND_KEY
        world.ayrshare.gallery.append(media("spring.jpeg", datetime.timedelta(hours=20)))
        rotated = function.invoke(world.scheduled)
        assert not rotated.is_error and rotated.body["status"] == "ok", rotated.body
        (message,) = world.messages()
        assert "spring.jpeg" in message["Message"]
        assert FIRST_KEY not in function.log and SECOND_KEY not in function.log


def test_a_missing_key(account, world):
    world.ssm.delete_parameter(Name=KEY_NAME)
    with world.function() as function:
        answer = function.invoke({"action": "check"})
        assert (answer.is_error, answer.body["errorType"]) == (True, "InvalidConfiguration")
        assert f"ssm:{KEY_NAME}" in answer.body["errorMessage"]
        # No deployment is needed after the key is created.
        world.put_key(FIRST_KEY)
        assert not function.invoke({"action": "check"}).is_error


def test_a_denied_call(account, world):
    world.ssm.put_parameter(Name="/elsewhere/key", Value=FIRST_KEY, Type="SecureString")
    world.edit(lambda text: text.replace(f"ssm:{KEY_NAME}", "ssm:/elsewhere/key"))
    with world.function() as function:
        answer = function.invoke({"action": "check"})
        assert (answer.is_error, answer.body["errorType"]) == (True, "InvalidConfiguration")
        assert "ssm:/elsewhere/key" in answer.body["errorMessage"]
        assert "ssm:GetParameter" in answer.body["errorMessage"]
    denied = {call.resource.rpartition("parameter")[2] for call in account.calls if not call.allowed}
    assert denied == {"/elsewhere/key"}


def test_every_permission_is_used(account, ayrshare):
    """The role must not allow anything that the function never calls."""
    secret = account.client("secretsmanager").create_secret(Name="media", SecretString=json.dumps({"key": FIRST_KEY}))[
        "ARN"
    ]
    s3 = account.client("s3")
    s3.create_bucket(Bucket="settings", CreateBucketConfiguration={"LocationConstraint": REGION})
    topic = account.client("sns").create_topic(Name="amazon-q")["TopicArn"]
    table = account.client("dynamodb")
    key = [{"AttributeName": "name", "KeyType": "HASH"}]
    attributes = [{"AttributeName": "name", "AttributeType": "S"}]
    table.create_table(
        TableName="customers", KeySchema=key, AttributeDefinitions=attributes, BillingMode="PAY_PER_REQUEST"
    )
    table.put_item(TableName="customers", Item={"name": {"S": "Client"}, "key": {"S": "client-key-NJW0Z82"}})
    document = f"""
        [ayrshare]
        base_url = "{ayrshare.url}"
        api_key  = "secretsmanager:{secret}#key"
        [[profiles]]
        name    = "Primary"
        primary = true
        [profiles_from]
        table = "customers"
        [[channels]]
        name      = "mail"
        type      = "sns"
        topic_arn = "env:ALERT_TOPIC_ARN"
        [[channels]]
        name      = "chat"
        type      = "sns"
        topic_arn = "{topic}"
        format    = "amazon-q"
        [[channels]]
        name = "html"
        type = "email"
        from = "alerts@example.com"
        to   = ["maria@example.com"]
        [ledger]
        type  = "dynamodb"
        table = "env:LEDGER_TABLE"
        [store]
        url = "env:STORE_URL"
        [rescue]
        files = "of-posts"
    """
    s3.put_object(Bucket="settings", Key="config.toml", Body=document.encode())
    one_parameter = World(account, ayrshare)
    _run_all(one_parameter.stack, one_parameter.function())
    called = {call.action for call in account.calls}

    s3.delete_object(Bucket="code", Key="function.zip")
    s3.delete_bucket(Bucket="code")
    other = account.deploy(
        stack="other",
        ConfigSource="s3://settings/config.toml",
        SecretArn=secret,
        ExtraTopicArns=topic,
        ProfilesTable="customers",
        EmailFrom="alerts@example.com",
        Rescue="of-posts",
    )
    account.client("sesv2").create_email_identity(EmailIdentity="alerts@example.com")
    # moto sends from a verified identity, but says that none is verified.
    _run_all(other, Function(COMMAND, other.function_environment()), check_says="is not verified in SES")
    called |= {call.action for call in account.calls}
    assert [call for call in account.calls if not call.allowed] == []

    # moto does not check permissions for the keys of SecureStrings.
    not_seen = {"kms:Decrypt"}
    unused = {
        (sid, action)
        for sid, actions in FUNCTION_MAY.items()
        if sid not in USED_BY_LAMBDA
        for action in actions - called - not_seen
    }
    assert unused == set()


def _run_all(stack, function, check_says=None):
    with function:
        check = function.invoke({"action": "check"})
        if check_says is None:
            assert not check.is_error, check.body
        else:
            assert check_says in str(check.body)
        alert = function.invoke(json.loads(stack.properties("Schedule")["Target"]["Input"]))
        assert not alert.is_error, alert.body
