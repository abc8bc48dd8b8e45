"""Checks of the template. Each takes a template and returns the problems that it finds as texts.

They are functions instead of tests, so that `test_faults.py` can test that each of them finds its problems.
"""

import json
import re

from template import properties, resources, transformed

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def ref(name):
    return {"Ref": name}


def arn_of(name):
    return {"Fn::GetAtt": [name, "Arn"]}


def _require(condition, text):
    return [] if condition else [text]


def _list(value):
    return value if isinstance(value, list) else [value]


# ------------------------------------------------------------------------------------------------ permissions

# All permissions of the function, by Sid. A new permission must be added here.
FUNCTION_MAY = {
    "WriteLog": {"logs:CreateLogStream", "logs:PutLogEvents"},
    "ReadConfigurationAndSecrets": {"ssm:GetParameters"},
    "PublishAlerts": {"sns:Publish"},
    "CheckTopic": {"sns:GetTopicAttributes"},
    "RecordAnnouncements": {
        "dynamodb:BatchWriteItem",
        "dynamodb:DeleteItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
    },
    "KeepSnapshots": {"s3:DeleteObject", "s3:GetObject", "s3:PutObject"},
    "TellWhetherASnapshotIsKept": {"s3:ListBucket"},
    "KeepCopies": {"s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"},
    "SendFailedEventsToQueue": {"sqs:SendMessage"},
    "ReadSecret": {"secretsmanager:GetSecretValue"},
    "DecryptSecrets": {"kms:Decrypt"},
    "ReadConfigurationDocument": {"s3:GetObject"},
    "PublishToExtraTopics": {"sns:Publish", "sns:GetTopicAttributes"},
    "ReadProfilesFromTheTable": {"dynamodb:Scan"},
    "ReadProfilesFromTheObject": {"s3:GetObject"},
    "SendMail": {"ses:SendEmail"},
    "CheckSender": {"ses:GetEmailIdentity"},
}
SCHEDULE_MAY = {
    "InvokeFunction": {"lambda:InvokeFunction"},
    "SendUndeliveredEventsToQueue": {"sqs:SendMessage"},
}
# The only resources in a policy that may contain a wildcard: the parameters that the user creates under the stack's path,
# the snapshots and copies in the stack's bucket, and the identities of SES, of which a condition selects one sender.
OWN_PARAMETERS = "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/${AWS::StackName}/*"
OWN_SNAPSHOTS = "${Store.Arn}/snapshots/*"
OWN_COPIES = "${Store.Arn}/copies/*"
IDENTITIES = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/*"


def statements_of(template, role):
    """The statements of all policies of a role."""
    found = []
    for policy in properties(template, role).get("Policies", []):
        found += policy["PolicyDocument"]["Statement"]
    for policy in resources(template, "AWS::IAM::Policy").values():
        if ref(role) in policy["Properties"].get("Roles", []):
            found += policy["Properties"]["PolicyDocument"]["Statement"]
    return found


@check
def permissions_are_least(template):
    template = transformed(template)
    faults = []
    for name, role in resources(template, "AWS::IAM::Role").items():
        faults += _require("ManagedPolicyArns" not in role["Properties"], f"{name}: has managed policies, which contain wildcards")
        known = {"FunctionRole": FUNCTION_MAY, "ScheduleRole": SCHEDULE_MAY}.get(name)
        if known is None:
            faults.append(f"{name}: is an unexpected role")
            continue
        found = statements_of(template, name)
        sids = [statement.get("Sid") for statement in found]
        faults += _require(len(sids) == len(set(sids)), f"{name}: has a duplicate Sid")
        faults += [f"{name}: {sid} is missing" for sid in known if sid not in sids]
        for statement in found:
            where = f"{name}.{statement.get('Sid')}"
            actions = set(_list(statement.get("Action", [])))
            faults += _require(
                statement["Effect"] == "Allow" and "Resource" in statement, f"{where}: is not a simple Allow statement"
            )
            faults += _require(actions == known.get(statement.get("Sid")), f"{where}: allows {sorted(actions)}")
            faults += [
                f"{where}: {fault}" for resource in _list(statement.get("Resource")) for fault in _wildcards(resource)
            ]
    return faults


def _wildcards(resource):
    if isinstance(resource, str):
        return [f"resource {resource} has a wildcard"] if "*" in resource or "?" in resource else []
    if resource in [{"Fn::Sub": own} for own in (OWN_PARAMETERS, OWN_SNAPSHOTS, OWN_COPIES, IDENTITIES)]:
        return []
    return [f"resource {json.dumps(resource)} has a wildcard"] if "*" in json.dumps(resource) else []


@check
def mails_have_one_sender(template):
    statements = {each["Sid"]: each for each in statements_of(transformed(template), "FunctionRole")}
    condition = statements.get("SendMail", {}).get("Condition")
    wanted = {"StringEqualsIgnoreCase": {"ses:FromAddress": ref("EmailFrom")}}
    return _require(condition == wanted, "FunctionRole: ses:SendEmail is not limited to EmailFrom")


@check
def keys_decrypt_only_where_secrets_are_kept(template):
    statements = {each["Sid"]: each for each in statements_of(transformed(template), "FunctionRole")}
    condition = statements.get("DecryptSecrets", {}).get("Condition", {})
    services = condition.get("StringEquals", {}).get("kms:ViaService", [])
    wanted = [
        {"Fn::Sub": f"{service}.${{AWS::Region}}.${{AWS::URLSuffix}}"} for service in ("ssm", "secretsmanager", "s3")
    ]
    return _require(services == wanted, "FunctionRole: kms:Decrypt is not limited to the services that store secrets")


@check
def roles_are_assumed_by_their_service_only(template):
    template = transformed(template)
    faults = []
    for role, service in {"FunctionRole": "lambda.amazonaws.com", "ScheduleRole": "scheduler.amazonaws.com"}.items():
        document = properties(template, role).get("AssumeRolePolicyDocument", {"Statement": []})
        trusted = [each.get("Principal") for each in document["Statement"]]
        faults += _require(trusted == [{"Service": service}], f"{role}: can be assumed by {trusted}")
    (statement,) = properties(template, "ScheduleRole")["AssumeRolePolicyDocument"]["Statement"]
    guards = statement.get("Condition", {}).get("StringEquals", {})
    faults += _require(
        guards.get("aws:SourceAccount") == ref("AWS::AccountId"), "ScheduleRole: can be assumed for other accounts"
    )
    group = {"Fn::Sub": "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule-group/default"}
    faults += _require(guards.get("aws:SourceArn") == group, "ScheduleRole: can be assumed for other schedule groups")
    return faults


# ------------------------------------------------------------------------------------------------ lost events


@check
def no_event_is_lost(template):
    template = transformed(template)
    queue = arn_of("DeadLetterQueue")
    faults = []
    configs = list(resources(template, "AWS::Lambda::EventInvokeConfig").values())
    destinations = [
        config["Properties"].get("DestinationConfig", {}).get("OnFailure", {}).get("Destination") for config in configs
    ]
    faults += _require(destinations == [queue], "the function: failed events do not go to the dead-letter queue")
    faults += _require(
        [config["Properties"].get("MaximumRetryAttempts") for config in configs] == [2],
        "the function: failed events are not retried twice",
    )
    schedules = resources(template, "AWS::Scheduler::Schedule")
    faults += _require(set(schedules) == {"Schedule", "OverviewScheduleRule"}, "a schedule is missing, or is not checked")
    for name, schedule in schedules.items():
        target = schedule["Properties"]["Target"]
        faults += _require(target.get("DeadLetterConfig", {}).get("Arn") == queue, f"{name}: has no dead-letter queue")
        faults += _require(0 < target.get("RetryPolicy", {}).get("MaximumRetryAttempts", 0), f"{name}: has no retries")
    for role, sid in {
        "FunctionRole": "SendFailedEventsToQueue",
        "ScheduleRole": "SendUndeliveredEventsToQueue",
    }.items():
        granted = [
            each["Resource"] for each in statements_of(template, role) if "sqs:SendMessage" in _list(each["Action"])
        ]
        faults += _require(granted == [queue], f"{role}: {sid} does not reach the dead-letter queue")
    keep = properties(template, "DeadLetterQueue")
    faults += _require(
        keep.get("MessageRetentionPeriod") == 14 * 86_400, "DeadLetterQueue: does not keep events for the maximum of 14 days"
    )
    faults += _require(keep.get("SqsManagedSseEnabled") is True, "DeadLetterQueue: is not encrypted")
    return faults


# ------------------------------------------------------------------------------------------------ the schedule


@check
def the_schedule_invokes_the_function(template):
    template = transformed(template)
    schedule = properties(template, "Schedule")
    target = schedule.get("Target", {})
    command = json.loads(target.get("Input", "null"))
    return [
        *_require(
            schedule.get("ScheduleExpression") == ref("ScheduleExpression"), "Schedule: the expression is not a parameter"
        ),
        *_require(
            schedule.get("ScheduleExpressionTimezone") == ref("ScheduleTimezone"),
            "Schedule: the time zone is not a parameter",
        ),
        *_require(schedule.get("State") == ref("ScheduleState"), "Schedule: cannot be paused"),
        *_require(target.get("Arn") == arn_of("Function"), "Schedule: does not invoke the function"),
        *_require(target.get("RoleArn") == arn_of("ScheduleRole"), "Schedule: has another role"),
        *_require(command == {"action": "alert"}, f"Schedule: sends {command}"),
    ]


@check
def the_overview_is_off_unless_it_has_a_schedule(template):
    overview = transformed(template)["Resources"]["OverviewScheduleRule"]
    target = overview["Properties"]["Target"]
    command = json.loads(target["Input"])
    return [
        *_require(overview.get("Condition") == "HasOverview", "OverviewScheduleRule: is not optional"),
        *_require(overview["Properties"].get("State") == ref("ScheduleState"), "OverviewScheduleRule: cannot be paused"),
        *_require(target.get("Arn") == arn_of("Function"), "OverviewScheduleRule: does not invoke the function"),
        *_require(command == {"action": "alert", "within": "14d"}, f"OverviewScheduleRule: sends {command}"),
    ]


# ------------------------------------------------------------------------------------------------ alarms

ALARMS = {
    "NoRunAlarm": ("MediaExpiryAlerts", "RunsCompleted"),
    "ErrorsAlarm": ("AWS/Lambda", "Errors"),
    "DeadLetterAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
    "ProfilesAlarm": ("MediaExpiryAlerts", "ProfilesFailed"),
    "DeliveriesAlarm": ("MediaExpiryAlerts", "DeliveryFailures"),
    "LedgerAlarm": ("MediaExpiryAlerts", "LedgerFailures"),
}


@check
def every_problem_has_an_alarm(template):
    template = transformed(template)
    found = resources(template, "AWS::CloudWatch::Alarm")
    faults = [f"{name} is missing" for name in ALARMS if name not in found]
    of_function = [{"Name": "FunctionName", "Value": ref("Function")}]
    of_queue = [{"Name": "QueueName", "Value": {"Fn::GetAtt": ["DeadLetterQueue", "QueueName"]}}]
    for name, alarm in found.items():
        alarm = alarm["Properties"]
        metric = (alarm.get("Namespace"), alarm.get("MetricName"))
        faults += _require(metric == ALARMS.get(name), f"{name}: watches {metric}")
        dimensions = of_queue if name == "DeadLetterAlarm" else of_function
        faults += _require(alarm.get("Dimensions") == dimensions, f"{name}: watches the metric of another resource")
        faults += _require(alarm.get("AlarmActions") == [ref("AlarmTopic")], f"{name}: does not notify the alarm topic")
        faults += _require(alarm.get("OKActions") == [ref("AlarmTopic")], f"{name}: does not notify the alarm topic when it ends")
        # The policy of the topic accepts only alarms with this prefix.
        alarm_name = alarm.get("AlarmName", {}).get("Fn::Sub", "")
        faults += _require(alarm_name.startswith("${AWS::StackName}-"), f"{name}: its name does not begin with the stack's")
        faults += _require(alarm.get("AlarmDescription"), f"{name}: has no description")
        if name != "NoRunAlarm":
            # There is no data between two runs, which does not mean that the problem is solved.
            missing = "notBreaching" if name == "DeadLetterAlarm" else "ignore"
            faults += _require(alarm.get("TreatMissingData") == missing, f"{name}: does not treat missing data as {missing}")
            rises = (alarm.get("ComparisonOperator"), alarm.get("Threshold")) == ("GreaterThanThreshold", 0)
            faults += _require(rises and alarm.get("EvaluationPeriods") == 1, f"{name}: does not go off at the first data point above 0")
    return faults


@check
def missing_runs_set_off_an_alarm(template):
    template = transformed(template)
    alarm = properties(template, "NoRunAlarm")
    hours = template["Parameters"]["DeadManHours"]
    period = alarm.get("Period", 0)
    return [
        *_require(
            alarm.get("TreatMissingData") == "breaching",
            "NoRunAlarm: does not treat missing data as breaching",
        ),
        *_require(
            (alarm.get("Statistic"), alarm.get("ComparisonOperator"), alarm.get("Threshold"))
            == ("Sum", "LessThanThreshold", 1),
            "NoRunAlarm: does not require one completed run",
        ),
        *_require(period == 3600, "NoRunAlarm: the period is not an hour"),
        *_require(
            alarm.get("EvaluationPeriods") == alarm.get("DatapointsToAlarm") == ref("DeadManHours"),
            "NoRunAlarm: the window is not the parameter",
        ),
        # CloudWatch evaluates at most seven days.
        *_require(
            int(hours.get("MaxValue", 10**9)) * period <= 604_800, "DeadManHours: allows more than CloudWatch can evaluate"
        ),
        # The default schedule runs once a day.
        *_require(24 < int(hours["Default"]), "DeadManHours: is shorter than the interval of the default schedule"),
    ]


@check
def alarms_reach_their_topic(template):
    template = transformed(template)
    topic = properties(template, "AlarmTopic")
    faults = _require(
        "KmsMasterKeyId" not in topic, "AlarmTopic: is encrypted with a key that CloudWatch cannot use"
    )
    policy = properties(template, "AlarmTopicPolicy")
    statements = policy.get("PolicyDocument", {}).get("Statement", [])
    faults += _require(
        policy.get("Topics") == [ref("AlarmTopic")] and len(statements) == 1, "AlarmTopic: has no policy of its own"
    )
    for statement in statements:
        faults += _require(
            statement.get("Principal") == {"Service": "cloudwatch.amazonaws.com"}, "AlarmTopic: others may publish"
        )
        faults += _require(
            (statement.get("Action"), statement.get("Resource")) == ("sns:Publish", ref("AlarmTopic")),
            "AlarmTopic: its policy grants something else",
        )
        conditions = statement.get("Condition", {})
        account = conditions.get("StringEquals", {}).get("aws:SourceAccount")
        faults += _require(account == ref("AWS::AccountId"), "AlarmTopic: alarms of other accounts may publish")
        source = json.dumps(conditions.get("ArnLike", {}).get("aws:SourceArn"))
        faults += _require(":alarm:${AWS::StackName}-*" in source, "AlarmTopic: other alarms may publish")
    subscription = template["Resources"].get("AlarmSubscription", {})
    faults += _require(
        subscription.get("Condition") == "HasAlarmRecipient", "AlarmSubscription: does not exist with either address"
    )
    endpoint = subscription.get("Properties", {}).get("Endpoint")
    wanted = {"Fn::If": ["HasAlarmEmail", ref("AlarmEmail"), ref("AlertEmail")]}
    return faults + _require(endpoint == wanted, "AlarmSubscription: has another endpoint")


# ------------------------------------------------------------------------------------------------ what is kept


@check
def alerts_are_encrypted_and_reach_people(template):
    template = transformed(template)
    topic = properties(template, "AlertTopic")
    subscription = template["Resources"].get("AlertSubscription", {})
    return [
        *_require(topic.get("KmsMasterKeyId") == "alias/aws/sns", "AlertTopic: is not encrypted"),
        *_require(subscription.get("Condition") == "HasAlertEmail", "AlertSubscription: is not optional"),
        *_require(
            subscription.get("Properties")
            == {"TopicArn": ref("AlertTopic"), "Protocol": "email", "Endpoint": ref("AlertEmail")},
            "AlertSubscription: is another subscription",
        ),
    ]


@check
def the_ledger_fits_the_function(template):
    table = properties(transformed(template), "Ledger")
    keys = [(key["AttributeName"], key["KeyType"]) for key in table.get("KeySchema", [])]
    types = {each["AttributeName"]: each["AttributeType"] for each in table.get("AttributeDefinitions", [])}
    recovery = table.get("PointInTimeRecoverySpecification", {})
    return [
        *_require(
            keys == [("pk", "HASH"), ("sk", "RANGE")] and types == {"pk": "S", "sk": "S"},
            f"Ledger: has the keys {keys} {types}",
        ),
        *_require(
            table.get("TimeToLiveSpecification") == {"AttributeName": "ttl", "Enabled": True}, "Ledger: has no time to live"
        ),
        *_require(recovery.get("PointInTimeRecoveryEnabled") is True, "Ledger: has no point-in-time recovery"),
        *_require(table.get("BillingMode") == "PAY_PER_REQUEST", "Ledger: is not billed per request"),
        *_require(
            table.get("SSESpecification", {}).get("SSEEnabled") is True,
            "Ledger: is not encrypted with a KMS key",
        ),
    ]


@check
def the_store_is_private(template):
    template = transformed(template)
    store = properties(template, "Store")
    faults = []
    for setting in ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"):
        blocked = store.get("PublicAccessBlockConfiguration", {}).get(setting)
        faults += _require(blocked is True, f"Store: {setting} is not set")
    owners = [rule.get("ObjectOwnership") for rule in store.get("OwnershipControls", {}).get("Rules", [])]
    faults += _require(owners == ["BucketOwnerEnforced"], "Store: has access control lists")
    encryption = store.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
    algorithms = [rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] for rule in encryption]
    faults += _require(algorithms == ["AES256"], "Store: is not encrypted with a key that needs no permission")
    policy = properties(template, "StorePolicy")
    faults += _require(policy.get("Bucket") == ref("Store"), "Store: has no policy")
    denied = {
        "Sid": "DenyRequestsWithoutTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn_of("Store"), {"Fn::Sub": "${Store.Arn}/*"}],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    statements = policy.get("PolicyDocument", {}).get("Statement")
    return faults + _require(statements == [denied], "Store: its policy does more or less than to require TLS")


@check
def the_store_keeps_nothing_for_long(template):
    template = transformed(template)
    store = properties(template, "Store")
    rules = store.get("LifecycleConfiguration", {}).get("Rules", [])
    snapshots = [rule["ExpirationInDays"] for rule in rules if rule.get("Prefix") == "snapshots/" and "ExpirationInDays" in rule]
    uploads = [rule["AbortIncompleteMultipartUpload"] for rule in rules if "AbortIncompleteMultipartUpload" in rule]
    copies = [rule["ExpirationInDays"] for rule in rules if rule.get("Prefix") == "copies/" and "ExpirationInDays" in rule]
    everything = [rule for rule in rules if "ExpirationInDays" in rule and rule.get("Prefix") not in ("snapshots/", "copies/")]
    # A snapshot must stay until the next run.
    longest = template["Parameters"]["DeadManHours"]["MaxValue"] / 24
    return [
        *_require(all(rule.get("Status") == "Enabled" for rule in rules), "Store: has a rule that is not enabled"),
        *_require(len(snapshots) == 1 and longest < snapshots[0] <= 31, "Store: does not delete old snapshots, or too early"),
        *_require(copies == [ref("CopyRetentionDays")], "Store: the retention of copies is not the parameter"),
        *_require(not everything, "Store: a rule deletes more than snapshots and copies"),
        *_require(uploads == [{"DaysAfterInitiation": 1}], "Store: keeps incomplete uploads"),
        *_require("VersioningConfiguration" not in store, "Store: keeps versions of what was deleted"),
    ]


@check
def logs_have_a_retention(template):
    template = transformed(template)
    faults = []
    for name, group in resources(template, "AWS::Logs::LogGroup").items():
        faults += _require(
            group["Properties"].get("RetentionInDays") == ref("LogRetentionDays"), f"{name}: its retention is not the parameter"
        )
    return faults


@check
def a_deleted_stack_leaves_nothing_but_copies(template):
    template = transformed(template)
    store = template["Resources"]["Store"]
    policies = (store.get("DeletionPolicy"), store.get("UpdateReplacePolicy"))
    # A stack that could not be created leaves nothing: its bucket is empty.
    faults = _require(policies == ("RetainExceptOnCreate", "Retain"), "Store: copies are deleted with the stack")
    for name, resource in template["Resources"].items():
        if name == "Store":
            continue
        kept = [key for key in ("DeletionPolicy", "UpdateReplacePolicy") if resource.get(key, "Delete") != "Delete"]
        faults += [f"{name}: {key} keeps it" for key in kept]
    return faults


# ------------------------------------------------------------------------------------------------ the function


@check
def the_function_fits_its_build(template):
    given = template["Resources"]["Function"]
    build = given.get("Metadata", {})
    function = properties(transformed(template), "Function")
    logging = function.get("LoggingConfig", {})
    group = properties(template, "FunctionLog")
    variables = function.get("Environment", {}).get("Variables", {})
    config = {"Fn::If": ["HasOwnConfig", ref("ConfigSource"), {"Fn::Sub": "ssm:${DefaultConfig}"}]}
    architectures = template["Parameters"]["Architecture"]
    return [
        *_require(build.get("BuildMethod") == "rust-cargolambda", "Function: is not built by cargo-lambda"),
        *_require(build.get("BuildProperties", {}).get("Binary") == "media-expiry-alerts", "Function: is built from another binary"),
        *_require(function.get("Runtime") == "provided.al2023", "Function: has another runtime"),
        *_require(function.get("Architectures") == [ref("Architecture")], "Function: the architecture is not a parameter"),
        *_require(
            (architectures["Default"], architectures["AllowedValues"]) == ("arm64", ["arm64", "x86_64"]),
            "Architecture: does not allow arm64 (the default) and x86_64",
        ),
        *_require(function.get("MemorySize") == ref("MemorySize"), "Function: the memory is not a parameter"),
        *_require(function.get("Timeout") == ref("Timeout"), "Function: the timeout is not a parameter"),
        *_require(
            function.get("ReservedConcurrentExecutions")
            == {"Fn::If": ["HasReservedConcurrency", ref("ReservedConcurrency"), ref("AWS::NoValue")]},
            "Function: the reserved concurrency cannot be left unset",
        ),
        *_require(
            template["Parameters"]["ReservedConcurrency"]["Default"] == "",
            "ReservedConcurrency: has a default, which new accounts cannot deploy",
        ),
        *_require(function.get("Role") == arn_of("FunctionRole"), "Function: has another role"),
        *_require(
            (logging.get("LogFormat"), logging.get("LogGroup")) == ("JSON", ref("FunctionLog")),
            "Function: does not log JSON to its log group",
        ),
        *_require(
            group.get("LogGroupName") == {"Fn::Sub": "/aws/lambda/${AWS::StackName}"},
            "FunctionLog: does not have the usual name",
        ),
        *_require(variables.get("MEDIA_ALERTS_CONFIG") == config, "Function: has another configuration"),
        *_require(variables.get("ALERT_TOPIC_ARN") == ref("AlertTopic"), "Function: ALERT_TOPIC_ARN is not the topic"),
        *_require(variables.get("LEDGER_TABLE") == ref("Ledger"), "Function: LEDGER_TABLE is not the ledger"),
        *_require(
            variables.get("STORE_URL") == {"Fn::Sub": "s3://${Store}"}, "Function: STORE_URL is not the bucket of the stack"
        ),
        *_require(
            set(variables) == {"MEDIA_ALERTS_CONFIG", "ALERT_TOPIC_ARN", "LEDGER_TABLE", "STORE_URL", "REPORT_URL"},
            f"Function: has the variables {sorted(variables)}; secrets must not be among them",
        ),
    ]


@check
def the_log_level_is_known_to_lambda(template):
    # The function writes its metrics with this level, and Lambda drops lines with an unknown level.
    function = properties(transformed(template), "Function")
    level = function.get("LoggingConfig", {}).get("ApplicationLogLevel")
    allowed = set(template["Parameters"]["LogLevel"]["AllowedValues"])
    return [
        *_require(level == ref("LogLevel"), "Function: the log level is not a parameter"),
        *_require(
            allowed <= {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"},
            f"LogLevel: {sorted(allowed)} contains a level that Lambda does not know",
        ),
    ]


# ------------------------------------------------------------------------------------------------ HTTP

ROUTES = {
    "GET /report": "AWS_IAM",
    "HEAD /report": "AWS_IAM",
    "POST /alerts": "AWS_IAM",
    "GET /r/{token}": "NONE",
    "HEAD /r/{token}": "NONE",
    "POST /r/{token}/handled": "NONE",
    "GET /r/{token}/copies/{id}": "NONE",
}


@check
def only_signed_links_are_public(template):
    template = transformed(template)
    routes = {
        route["Properties"]["RouteKey"]: route["Properties"].get("AuthorizationType")
        for route in resources(template, "AWS::ApiGatewayV2::Route").values()
    }
    faults = _require(routes == ROUTES, f"Api: has the routes {routes}")
    for name, stage in resources(template, "AWS::ApiGatewayV2::Stage").items():
        stage = stage["Properties"]
        throttle = stage.get("DefaultRouteSettings", {})
        rate, burst = throttle.get("ThrottlingRateLimit"), throttle.get("ThrottlingBurstLimit")
        faults += _require(rate and rate <= 10 and burst and burst <= 50, f"{name}: is not throttled")
        log = stage.get("AccessLogSettings", {})
        faults += _require(log.get("DestinationArn") == arn_of("ApiLog"), f"{name}: has no access log")
        written = log.get("Format", "")
        # The path contains the token of a link.
        faults += _require(
            "$context.routeKey" in written and not re.search(r"\$context\.(path|rawPath)", written),
            f"{name}: logs tokens",
        )
    for name, permission in resources(template, "AWS::Lambda::Permission").items():
        source = json.dumps(permission["Properties"].get("SourceArn"))
        faults += _require("${Api}/*" in source, f"{name}: other APIs may call the function")
    for name, resource in template["Resources"].items():
        if resource["Type"].startswith("AWS::ApiGatewayV2::") or name in ("ApiLog", "ApiPermission"):
            faults += _require(resource.get("Condition") == "HasHttpApi", f"{name}: is not conditional on HasHttpApi")
    faults += _require(not resources(template, "AWS::Lambda::Url"), "a function URL bypasses the API")
    return faults


# ------------------------------------------------------------------------------------------------ for people


@check
def parameters_are_documented_and_validated(template):
    interface = template.get("Metadata", {}).get("AWS::CloudFormation::Interface", {})
    grouped = [name for group in interface.get("ParameterGroups", []) for name in group["Parameters"]]
    labels = interface.get("ParameterLabels", {})
    text = json.dumps({key: template[key] for key in ("Conditions", "Resources", "Outputs")})
    faults = []
    for name, parameter in template["Parameters"].items():
        faults += _require(20 <= len(parameter.get("Description", "")), f"{name}: has no description")
        faults += _require(grouped.count(name) == 1, f"{name}: is not in one group of the interface")
        faults += _require(labels.get(name, {}).get("default"), f"{name}: has no label")
        faults += _require("Default" in parameter, f"{name}: has no default")
        checked = {"AllowedValues", "AllowedPattern", "MinValue"} & set(parameter)
        faults += _require(checked, f"{name}: is not validated")
        if {"AllowedPattern", "MinValue"} & set(parameter):
            faults += _require("ConstraintDescription" in parameter, f"{name}: has no message for an invalid value")
        used = f'"Ref": "{name}"' in text or f"${{{name}}}" in text
        faults += _require(used, f"{name}: is unused")
    faults += [
        f"{name}: is in the interface but is not a parameter" for name in {*grouped, *labels} - set(template["Parameters"])
    ]
    return faults


@check
def outputs_are_complete_and_described(template):
    outputs = template.get("Outputs", {})
    wanted = {
        "FunctionName", "PutApiKeyCommand", "CheckCommand", "TestCommand", "RunCommand", "LogsCommand", "ConfigLocation",
        "AlertTopicArn", "AlarmTopicArn", "LedgerTableName", "StoreUrl", "DeleteStoreCommand", "DeadLetterQueueUrl", "ReportUrl",
        "ReportInvokeArn", "DashboardUrl",
    }  # fmt: skip
    faults = _require(set(outputs) == wanted, f"Outputs: {sorted(set(outputs) ^ wanted)} is new or missing")
    return faults + [f"{name}: has no description" for name, output in outputs.items() if not output.get("Description")]


@check
def names_do_not_collide(template):
    """Checks the name of the dashboard, because names of dashboards are global and not per region."""
    name = template["Resources"]["OverviewDashboard"]["Properties"].get("DashboardName")
    return _require("${AWS::Region}" in str(name), "OverviewDashboard: its name is the same in every region")


@check
def arns_use_the_partition_of_the_stack(template):
    return _require(
        "arn:aws:" not in str({part: template[part] for part in ("Resources", "Outputs")}),
        "an ARN contains the partition `aws`",
    )


@check
def linter_exceptions_have_reasons(template):
    faults = []
    for name, resource in template["Resources"].items():
        for exception in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            reason = exception.get("comment", "")
            faults += _require(40 <= len(reason), f"{name}: the exception {exception.get('id')} has no reason")
    return faults
