"""Tests the permissions of the deployed roles with real calls."""

import botocore.exceptions
import pytest

from account import ACCOUNT, REGION, STACK, Call
from checks import FUNCTION_MAY


@pytest.fixture
def stack(account):
    return account.deploy()


@pytest.fixture
def as_function(account, stack):
    """Returns a function that creates clients with the function's role."""
    credentials = account.assume(stack.function()["Role"])
    return lambda service: account.client(service, **credentials)


def error_code(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        call(**arguments)
    error = raised.value.response["Error"]
    assert "is not authorized to perform" in error["Message"]
    return error["Code"]


def test_secrets(account, as_function):
    for name in (f"/{STACK}/ayrshare-api-key", f"/{STACK}/profiles/acme", "/other/key", f"/{STACK}2/key"):
        account.client("ssm").put_parameter(Name=name, Value="value", Type="SecureString")
    ssm = as_function("ssm")
    read = ssm.get_parameters(Names=[f"/{STACK}/ayrshare-api-key", f"/{STACK}/profiles/acme"], WithDecryption=True)
    assert len(read["Parameters"]) == 2
    assert error_code(ssm.get_parameter, Name="/other/key") == "AccessDeniedException"
    assert error_code(ssm.get_parameters, Names=[f"/{STACK}/ayrshare-api-key", "/other/key"]) == "AccessDeniedException"
    assert error_code(ssm.get_parameter, Name=f"/{STACK}2/key") == "AccessDeniedException"
    assert (
        error_code(ssm.put_parameter, Name=f"/{STACK}/ayrshare-api-key", Value="x", Type="String")
        == "AccessDeniedException"
    )
    assert account.calls[0] == Call(
        "ssm:GetParameters", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{STACK}/ayrshare-api-key", True
    )


def test_alerts(account, stack, as_function):
    sns = as_function("sns")
    sns.publish(TopicArn=stack.outputs["AlertTopicArn"], Subject="s", Message="m")
    sns.get_topic_attributes(TopicArn=stack.outputs["AlertTopicArn"])
    other = account.client("sns").create_topic(Name="other")["TopicArn"]
    assert error_code(sns.publish, TopicArn=other, Message="m") == "AuthorizationError"
    assert error_code(sns.publish, TopicArn=stack.outputs["AlarmTopicArn"], Message="m") == "AuthorizationError"
    subscribe = {"TopicArn": stack.outputs["AlertTopicArn"], "Protocol": "email", "Endpoint": "a@example.com"}
    assert error_code(sns.subscribe, **subscribe) == "AuthorizationError"


def test_the_ledger(account, stack, as_function):
    dynamodb, table = as_function("dynamodb"), stack.outputs["LedgerTableName"]
    entry = {"pk": {"S": "a"}, "sk": {"S": "b"}}
    dynamodb.put_item(TableName=table, Item=entry)
    dynamodb.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": entry}}]})
    query = {"KeyConditionExpression": "pk = :a", "ExpressionAttributeValues": {":a": {"S": "a"}}}
    assert dynamodb.query(TableName=table, **query)["Count"] == 1
    dynamodb.delete_item(TableName=table, Key=entry)
    assert error_code(dynamodb.describe_table, TableName=table) == "AccessDeniedException"
    assert error_code(dynamodb.scan, TableName=table) == "AccessDeniedException"
    assert error_code(dynamodb.delete_table, TableName=table) == "AccessDeniedException"
    assert error_code(dynamodb.put_item, TableName="other", Item=entry) == "AccessDeniedException"


def test_the_store(account, stack, as_function):
    s3, bucket = as_function("s3"), stack.outputs["StoreUrl"].removeprefix("s3://")
    s3.put_object(Bucket=bucket, Key="snapshots/a", Body=b"1")
    assert s3.get_object(Bucket=bucket, Key="snapshots/a")["Body"].read() == b"1"
    s3.delete_object(Bucket=bucket, Key="snapshots/a")
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=bucket, Key="snapshots/a")
    for key in ("other/a", "snapshots", "snapshots2/a"):
        assert error_code(s3.put_object, Bucket=bucket, Key=key, Body=b"1") == "AccessDenied"
    account.client("s3").create_bucket(Bucket="other", CreateBucketConfiguration={"LocationConstraint": REGION})
    assert error_code(s3.put_object, Bucket="other", Key="snapshots/a", Body=b"1") == "AccessDenied"
    assert error_code(s3.get_object, Bucket="other", Key="snapshots/a") == "AccessDenied"


def test_optional_permissions(account):
    """Secrets Manager, S3, KMS and other topics are denied unless a parameter names the resource."""
    secret = account.client("secretsmanager").create_secret(Name="media", SecretString="{}")["ARN"]
    topic = account.client("sns").create_topic(Name="amazon-q")["TopicArn"]
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
    without = account.deploy()
    closed = account.policy(without.function()["Role"])
    ssm = f"ssm.{REGION}.amazonaws.com"
    wanted = [
        ("secretsmanager:GetSecretValue", secret),
        ("s3:GetObject", "arn:aws:s3:::bucket/some/config.toml"),
        ("sns:Publish", topic),
        ("dynamodb:Scan", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/clients"),
        ("s3:GetObject", "arn:aws:s3:::lists/profiles.jsonl"),
    ]
    copy = f"arn:aws:s3:::{without.outputs['StoreUrl'].removeprefix('s3://')}/copies/Acme/a.png"
    assert not any(closed.allows(action, copy) for action in FUNCTION_MAY["KeepCopies"])
    assert not any(closed.allows(action, resource) for action, resource in wanted)
    assert not closed.allows("kms:Decrypt", key, kms_ViaService=ssm)
    identity = f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/example.com"
    assert not closed.allows("ses:SendEmail", identity, ses_FromAddress="alerts@example.com")

    account.reset()
    secret = account.client("secretsmanager").create_secret(Name="media", SecretString="{}")["ARN"]
    wanted[0] = ("secretsmanager:GetSecretValue", secret)
    stack = account.deploy(
        SecretArn=secret,
        ConfigSource="s3://bucket/some/config.toml",
        ExtraTopicArns=topic,
        SecretsKeyArn=key,
        ProfilesTable="clients",
        ProfilesObject="s3://lists/profiles.jsonl",
        EmailFrom="Alerts@example.com",
        Rescue="of-posts",
    )
    policy = account.policy(stack.function()["Role"])
    assert all(policy.allows(action, resource) for action, resource in wanted)
    bucket = f"arn:aws:s3:::{stack.outputs['StoreUrl'].removeprefix('s3://')}"
    assert all(policy.allows(action, f"{bucket}/copies/Acme/a.png") for action in FUNCTION_MAY["KeepCopies"])
    assert not policy.allows("s3:DeleteObject", f"{bucket}/copies/Acme/a.png")
    assert not policy.allows("s3:PutObject", f"{bucket}/other/a.png")
    assert not policy.allows("s3:GetObject", "arn:aws:s3:::bucket/some/other.toml")
    assert not policy.allows("dynamodb:Scan", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/others")
    assert not policy.allows("secretsmanager:GetSecretValue", secret.replace("media", "other"))
    assert policy.allows("ses:SendEmail", identity, ses_FromAddress="alerts@example.com")
    assert not policy.allows("ses:SendEmail", identity, ses_FromAddress="ceo@example.com")
    assert not policy.allows("ses:SendEmail", identity)
    assert policy.allows("ses:GetEmailIdentity", identity)
    assert policy.allows("kms:Decrypt", key, kms_ViaService=ssm)
    assert not policy.allows("kms:Decrypt", key)
    assert not policy.allows("kms:Decrypt", key, kms_ViaService=f"ec2.{REGION}.amazonaws.com")
    assert policy.actions() == {action for actions in FUNCTION_MAY.values() for action in actions}


def test_the_schedule(account, stack):
    policy = account.policy(stack.properties("Schedule")["Target"]["RoleArn"])
    queue = stack.properties("Schedule")["Target"]["DeadLetterConfig"]["Arn"]
    assert policy.allows("lambda:InvokeFunction", stack.function()["FunctionArn"])
    assert policy.allows("sqs:SendMessage", queue)
    assert not policy.allows("lambda:InvokeFunction", stack.function()["FunctionArn"].replace(STACK, "other"))
    assert policy.actions() == {"lambda:InvokeFunction", "sqs:SendMessage"}
    role = account.client("iam").get_role(
        RoleName=stack.properties("Schedule")["Target"]["RoleArn"].rpartition("/")[2]
    )["Role"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {
        "aws:SourceAccount": ACCOUNT,
        "aws:SourceArn": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/default",
    }


def test_the_failed_events_of_the_function(account, stack):
    policy = account.policy(stack.function()["Role"])
    assert policy.allows("sqs:SendMessage", stack.properties("Schedule")["Target"]["DeadLetterConfig"]["Arn"])
    assert policy.allows("logs:PutLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{STACK}")
