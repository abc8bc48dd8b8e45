"""Deploys the stack on moto and inspects it through the AWS services that moto supports."""

import json
import tomllib

import pytest

from account import ACCOUNT, REGION, STACK


def test_all_resources_are_created(account):
    stack = account.deploy(AlertEmail="social@example.com")
    assert stack.status == "CREATE_COMPLETE"
    assert "AlertSubscription" in stack and "AlarmSubscription" in stack and "DefaultConfig" in stack
    for optional in ("SecretPolicy", "SecretsKeyPolicy", "ConfigObjectPolicy", "ExtraTopicsPolicy"):
        assert optional not in stack


def test_the_function(account):
    stack = account.deploy()
    function = stack.function()
    assert function["FunctionName"] == STACK
    assert (function["Runtime"], function["Handler"]) == ("provided.al2023", "bootstrap")
    assert (function["MemorySize"], function["Timeout"]) == (256, 300)
    assert stack.properties("Function")["Architectures"] == ["arm64"]
    assert function["Role"].startswith(f"arn:aws:iam::{ACCOUNT}:role/{STACK}-FunctionRole-")
    assert function["Environment"]["Variables"] == {
        "MEDIA_ALERTS_CONFIG": f"ssm:/{STACK}/default-config",
        "ALERT_TOPIC_ARN": stack.outputs["AlertTopicArn"],
        "LEDGER_TABLE": stack.outputs["LedgerTableName"],
        "STORE_URL": stack.outputs["StoreUrl"],
        "REPORT_URL": f"https://{stack.physical_ids['Api']}.execute-api.{REGION}.amazonaws.com",
    }
    assert "ReservedConcurrentExecutions" not in stack.properties("Function")
    assert stack.properties("Function")["LoggingConfig"] == {
        "LogFormat": "JSON",
        "ApplicationLogLevel": "INFO",
        "SystemLogLevel": "INFO",
        "LogGroup": f"/aws/lambda/{STACK}",
    }


def test_the_parameters_of_the_function(account):
    stack = account.deploy(
        Architecture="x86_64",
        MemorySize="512",
        Timeout="900",
        ReservedConcurrency="3",
        LogLevel="DEBUG",
        LogRetentionDays="7",
    )
    function = stack.function()
    assert (function["MemorySize"], function["Timeout"]) == (512, 900)
    assert stack.properties("Function")["Architectures"] == ["x86_64"]
    assert int(stack.properties("Function")["ReservedConcurrentExecutions"]) == 3
    assert stack.properties("Function")["LoggingConfig"]["ApplicationLogLevel"] == "DEBUG"
    groups = {group["logGroupName"]: group for group in account.client("logs").describe_log_groups()["logGroups"]}
    assert groups[f"/aws/lambda/{STACK}"]["retentionInDays"] == 7


def test_the_ledger(account):
    stack = account.deploy()
    table = account.client("dynamodb").describe_table(TableName=stack.outputs["LedgerTableName"])["Table"]
    assert [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]] == [("pk", "HASH"), ("sk", "RANGE")]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    deployed = stack.properties("Ledger")
    assert deployed["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    assert deployed["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert deployed["SSESpecification"]["SSEEnabled"] is True


def test_the_store(account):
    stack = account.deploy()
    s3, bucket = account.client("s3"), stack.outputs["StoreUrl"].removeprefix("s3://")
    assert bucket == stack.physical_ids["Store"] == bucket.lower()
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    arn = f"arn:aws:s3:::{bucket}"
    (statement,) = stack.properties("StorePolicy")["PolicyDocument"]["Statement"]
    assert statement["Resource"] == [arn, f"{arn}/*"]
    assert stack.outputs["DeleteStoreCommand"] == f"aws s3 rb s3://{bucket} --region {REGION} --force"


def test_copies_of_files(account):
    stack = account.deploy(Rescue="expiring", CopyRetentionDays="30")
    rules = {rule["Id"]: rule for rule in stack.properties("Store")["LifecycleConfiguration"]["Rules"]}
    assert int(rules["old-copies"]["ExpirationInDays"]) == 30
    assert document(account)["rescue"] == {"files": "expiring"}


def test_the_topics(account):
    stack = account.deploy(AlertEmail="social@example.com", AlarmEmail="ops@example.com")
    sns = account.client("sns")
    alerts = sns.get_topic_attributes(TopicArn=stack.outputs["AlertTopicArn"])["Attributes"]
    assert alerts["KmsMasterKeyId"] == "alias/aws/sns"
    assert stack.properties("AlertSubscription") == {
        "TopicArn": stack.outputs["AlertTopicArn"],
        "Protocol": "email",
        "Endpoint": "social@example.com",
    }
    assert stack.properties("AlarmSubscription") == {
        "TopicArn": stack.outputs["AlarmTopicArn"],
        "Protocol": "email",
        "Endpoint": "ops@example.com",
    }


@pytest.mark.parametrize(
    ("alerts", "alarms", "hears"),
    [("", "", None), ("a@example.com", "", "a@example.com"), ("", "b@example.com", "b@example.com")],
)
def test_the_subscribers_of_alarms(account, alerts, alarms, hears):
    stack = account.deploy(AlertEmail=alerts, AlarmEmail=alarms)
    if hears is None:
        assert "AlarmSubscription" not in stack
    else:
        assert stack.properties("AlarmSubscription")["Endpoint"] == hears
    assert ("AlertSubscription" in stack) == bool(alerts)


def test_the_schedule(account):
    stack = account.deploy(
        ScheduleExpression="cron(30 6 ? * MON-FRI *)", ScheduleTimezone="Europe/Berlin", DeadManHours="74"
    )
    schedule = stack.properties("Schedule")
    queue = _queue(account, stack)
    assert schedule["ScheduleExpression"] == "cron(30 6 ? * MON-FRI *)"
    assert schedule["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert schedule["Target"]["Arn"] == stack.function()["FunctionArn"]
    assert schedule["Target"]["DeadLetterConfig"] == {"Arn": queue["QueueArn"]}
    assert json.loads(schedule["Target"]["Input"]) == {"action": "alert"}
    assert stack.properties("FunctionEventInvokeConfig")["DestinationConfig"] == {
        "OnFailure": {"Destination": queue["QueueArn"]}
    }
    assert stack.properties("NoRunAlarm")["EvaluationPeriods"] == 74
    assert (queue["MessageRetentionPeriod"], queue["SqsManagedSseEnabled"]) == ("1209600", "true")


def _queue(account, stack):
    url = stack.outputs["DeadLetterQueueUrl"]
    return account.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def test_the_alarms(account):
    stack = account.deploy()
    watched = {}
    for name in ("NoRunAlarm", "ErrorsAlarm", "DeadLetterAlarm", "ProfilesAlarm", "DeliveriesAlarm", "LedgerAlarm"):
        alarm = stack.properties(name)
        assert alarm["AlarmActions"] == alarm["OKActions"] == [stack.outputs["AlarmTopicArn"]]
        assert "${" not in alarm["AlarmDescription"]
        (dimension,) = alarm["Dimensions"]
        watched[alarm["AlarmName"]] = (alarm["MetricName"], dimension["Value"])
    queue = _queue(account, stack)["QueueArn"].rpartition(":")[2]
    assert watched == {
        f"{STACK}-no-run": ("RunsCompleted", STACK),
        f"{STACK}-errors": ("Errors", STACK),
        f"{STACK}-lost-events": ("ApproximateNumberOfMessagesVisible", queue),
        f"{STACK}-profiles-failing": ("ProfilesFailed", STACK),
        f"{STACK}-deliveries-failing": ("DeliveryFailures", STACK),
        f"{STACK}-ledger-failing": ("LedgerFailures", STACK),
    }


def test_the_http_api(account):
    stack = account.deploy()
    api = stack.physical_ids["Api"]
    assert stack.properties("ApiIntegration") == {
        "ApiId": api,
        "IntegrationType": "AWS_PROXY",
        "IntegrationUri": stack.function()["FunctionArn"],
        "PayloadFormatVersion": "2.0",
        "TimeoutInMillis": 30000,
    }
    routes = ["ReportRoute", "ReportHeadRoute", "AlertsRoute", "LinkRoute", "LinkHeadRoute", "HandledRoute", "CopyRoute"]
    for name in routes:
        route = stack.properties(name)
        assert (route["ApiId"], route["Target"]) == (api, f"integrations/{stack.physical_ids['ApiIntegration']}")
    written = stack.properties("ApiStage")["AccessLogSettings"]["Format"]
    assert "\n" not in written and json.loads(written)["route"] == "$context.routeKey"
    policy = json.loads(account.client("lambda").get_policy(FunctionName=STACK)["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
    assert statement["Condition"]["ArnLike"]["AWS:SourceArn"] == f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}/*"


def test_without_http_api(account):
    stack = account.deploy(HttpApi="no", ReportLinks="yes", Dashboard="no")
    for name in (
        "Api",
        "ApiIntegration",
        "ReportRoute",
        "LinkRoute",
        "ApiStage",
        "ApiLog",
        "ApiPermission",
        "OverviewDashboard",
    ):
        assert name not in stack
    assert "REPORT_URL" not in stack.function()["Environment"]["Variables"]
    assert "http" not in document(account)
    assert not {"ReportUrl", "ReportInvokeArn", "DashboardUrl"} & set(stack.outputs)


def document(account):
    value = account.client("ssm").get_parameter(Name=f"/{STACK}/default-config")["Parameter"]["Value"]
    # The limit of a standard parameter, which is free.
    assert len(value.encode()) <= 4096
    return tomllib.loads(value)


def test_the_default_configuration(account):
    account.deploy()
    assert document(account) == {
        "ayrshare": {"api_key": f"ssm:/{STACK}/ayrshare-api-key"},
        "profiles": [{"name": "Primary", "primary": True}],
        "alerts": {"thresholds": ["7d", "3d", "1d"], "timezone": "UTC"},
        "channels": [{"name": "ops-email", "type": "sns", "topic_arn": "env:ALERT_TOPIC_ARN"}],
        "ledger": {"type": "dynamodb", "table": "env:LEDGER_TABLE"},
        "store": {"url": "env:STORE_URL"},
    }


def test_the_default_configuration_with_all_options(account):
    account.deploy(
        Slack="yes",
        Teams="yes",
        EmailFrom="alerts@example.com",
        EmailTo="maria@example.com,noor@example.com",
        ReportLinks="yes",
        Rescue="of-posts",
        Thresholds="14d,72h",
    )
    found = document(account)
    assert found["alerts"] == {"thresholds": ["14d", "72h"], "timezone": "UTC"}
    assert found["channels"][1:] == [
        {"name": "slack", "type": "slack", "webhook_url": f"ssm:/{STACK}/slack-webhook"},
        {"name": "teams", "type": "teams", "webhook_url": f"ssm:/{STACK}/teams-webhook"},
        {
            "name": "mail",
            "type": "email",
            "from": "alerts@example.com",
            "to": ["maria@example.com", "noor@example.com"],
        },
    ]
    assert (found["store"], found["rescue"]) == ({"url": "env:STORE_URL"}, {"files": "of-posts"})
    assert found["http"] == {"report_url": "env:REPORT_URL", "link_secret": f"ssm:/{STACK}/link-secret"}


@pytest.mark.parametrize("where", [f"ssm:/{STACK}/config", "s3://bucket/config.toml", "secretsmanager:media#config"])
def test_a_custom_configuration(account, where):
    stack = account.deploy(ConfigSource=where)
    assert stack.function()["Environment"]["Variables"]["MEDIA_ALERTS_CONFIG"] == where
    assert stack.outputs["ConfigLocation"] == where
    assert "DefaultConfig" not in stack
    assert ("ConfigObjectPolicy" in stack) == where.startswith("s3:")


def test_the_dashboard(account):
    stack = account.deploy(Architecture="x86_64")
    body = stack.properties("OverviewDashboard")["DashboardBody"]
    assert "${" not in body
    dashboard = json.loads(body)
    asked = [widget["properties"]["markdown"] for widget in dashboard["widgets"] if widget["type"] == "text"]
    assert asked[:3] == ["## Is it working?", "## What is about to expire?", "## What did it cost?"]
    (alarms,) = [widget["properties"]["alarms"] for widget in dashboard["widgets"] if widget["type"] == "alarm"]
    assert len(alarms) == 6 and all(
        arn.startswith(f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{STACK}-") for arn in alarms
    )
    shown = set()
    for widget in dashboard["widgets"]:
        previous = None
        for metric in widget["properties"].get("metrics", []):
            if isinstance(metric[0], str):
                # A dot repeats the value of the line above.
                previous = [
                    before if part == "." else part for before, part in zip(previous or metric, metric, strict=False)
                ]
                shown.add((previous[0], previous[1], previous[3]))
    ours = {"RunsCompleted", "ProfilesChecked", "ProfilesFailed", "AlertsDelivered", "DeliveryFailures", "LedgerFailures", "RunDuration"}
    ours |= {"ProfilesUnwatched", "PostsAtRisk", "MediaExpiring", "MediaExpired", "MediaListed"}
    assert {("MediaExpiryAlerts", name, STACK) for name in ours} <= shown
    assert ("AWS/DynamoDB", "ConsumedWriteCapacityUnits", stack.outputs["LedgerTableName"]) in shown
    assert "0.0000166667" in body and "/ 1000 * 256 / 1024" in body
    # Widgets must not overlap, and the dashboard has 24 columns.
    cells = [
        (x, y)
        for each in dashboard["widgets"]
        for x in range(each["x"], each["x"] + each["width"])
        for y in range(each["y"], each["y"] + each["height"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24


def test_two_stacks_do_not_conflict(account):
    one = account.deploy()
    account.client("s3").delete_object(Bucket="code", Key="function.zip")
    account.client("s3").delete_bucket(Bucket="code")
    other = account.deploy(stack="staging-alerts")
    assert set(one.physical_ids.values()) & set(other.physical_ids.values()) <= {None, "a1b2c3d4e5", "i1", "$default"}
    mine = account.policy(one.function()["Role"])
    prefix = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter"
    assert mine.allows("ssm:GetParameters", f"{prefix}/{STACK}/ayrshare-api-key")
    assert not mine.allows("ssm:GetParameters", f"{prefix}/staging-alerts/ayrshare-api-key")
