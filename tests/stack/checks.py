"""Checks of the template. Each takes a template and returns the problems that it finds as texts.

They are functions and not tests, so that `test_faults.py` can show of each that it finds what it is there for.
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


def _only(condition, text):
    return [] if condition else [text]


def _list(value):
    return value if isinstance(value, list) else [value]


# ------------------------------------------------------------------------------------------------ permissions

# The function's own: each with what it is for, so that a new one has to be put here with its reason.
FUNCTION_MAY = {
    "WriteItsLog": {"logs:CreateLogStream", "logs:PutLogEvents"},
    "ReadConfigurationAndSecrets": {"ssm:GetParameters"},
    "PublishAlerts": {"sns:Publish"},
    "ProveThatTheTopicIsThere": {"sns:GetTopicAttributes"},
    "RememberWhatWasAnnounced": {
        "dynamodb:BatchWriteItem",
        "dynamodb:DeleteItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
    },
    "KeepEventsThatFailed": {"sqs:SendMessage"},
    "ReadTheSecret": {"secretsmanager:GetSecretValue"},
    "DecryptSecretsWhereTheyAreKept": {"kms:Decrypt"},
    "ReadTheConfigurationDocument": {"s3:GetObject"},
    "PublishAlertsElsewhere": {"sns:Publish", "sns:GetTopicAttributes"},
    "ReadProfilesFromTheTable": {"dynamodb:Scan"},
    "ReadProfilesFromTheObject": {"s3:GetObject"},
}
SCHEDULE_MAY = {
    "WakeTheFunction": {"lambda:InvokeFunction"},
    "KeepEventsThatCouldNotBeDelivered": {"sqs:SendMessage"},
}
# The one resource of a policy that may end in a wildcard: what the user puts under the stack's own path.
OWN_PARAMETERS = "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/${AWS::StackName}/*"


def statements_of(template, role):
    """The statements of a role's policies, wherever they stand."""
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
        faults += _only("ManagedPolicyArns" not in role["Properties"], f"{name}: managed policies have wildcards")
        known = {"FunctionRole": FUNCTION_MAY, "ScheduleRole": SCHEDULE_MAY}.get(name)
        if known is None:
            faults.append(f"{name}: a role that nobody has asked for")
            continue
        found = statements_of(template, name)
        sids = [statement.get("Sid") for statement in found]
        faults += _only(len(sids) == len(set(sids)), f"{name}: a Sid twice")
        faults += [f"{name}: {sid} is missing" for sid in known if sid not in sids]
        for statement in found:
            where = f"{name}.{statement.get('Sid')}"
            actions = set(_list(statement.get("Action", [])))
            faults += _only(
                statement["Effect"] == "Allow" and "Resource" in statement, f"{where}: not of a kind that can be judged"
            )
            faults += _only(actions == known.get(statement.get("Sid")), f"{where}: allows {sorted(actions)}")
            faults += [
                f"{where}: {fault}" for resource in _list(statement.get("Resource")) for fault in _wildcards(resource)
            ]
    return faults


def _wildcards(resource):
    if isinstance(resource, str):
        return [f"resource {resource} has a wildcard"] if "*" in resource or "?" in resource else []
    if resource == {"Fn::Sub": OWN_PARAMETERS}:
        return []
    return [f"resource {json.dumps(resource)} has a wildcard"] if "*" in json.dumps(resource) else []


@check
def keys_decrypt_only_where_secrets_are_kept(template):
    statements = {each["Sid"]: each for each in statements_of(transformed(template), "FunctionRole")}
    condition = statements.get("DecryptSecretsWhereTheyAreKept", {}).get("Condition", {})
    services = condition.get("StringEquals", {}).get("kms:ViaService", [])
    wanted = [
        {"Fn::Sub": f"{service}.${{AWS::Region}}.${{AWS::URLSuffix}}"} for service in ("ssm", "secretsmanager", "s3")
    ]
    return _only(services == wanted, "FunctionRole: kms:Decrypt is not bound to the services that keep secrets")


@check
def roles_are_assumed_by_their_service_only(template):
    template = transformed(template)
    faults = []
    for role, service in {"FunctionRole": "lambda.amazonaws.com", "ScheduleRole": "scheduler.amazonaws.com"}.items():
        document = properties(template, role).get("AssumeRolePolicyDocument", {"Statement": []})
        trusted = [each.get("Principal") for each in document["Statement"]]
        faults += _only(trusted == [{"Service": service}], f"{role}: is assumed by {trusted}")
    (statement,) = properties(template, "ScheduleRole")["AssumeRolePolicyDocument"]["Statement"]
    guards = statement.get("Condition", {}).get("StringEquals", {})
    faults += _only(
        guards.get("aws:SourceAccount") == ref("AWS::AccountId"), "ScheduleRole: may be assumed for other accounts"
    )
    group = {"Fn::Sub": "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule-group/default"}
    faults += _only(guards.get("aws:SourceArn") == group, "ScheduleRole: may be assumed for other schedule groups")
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
    faults += _only(destinations == [queue], "the function: failed events do not go to the dead-letter queue")
    faults += _only(
        [config["Properties"].get("MaximumRetryAttempts") for config in configs] == [2],
        "the function: failed events are not tried again",
    )
    schedules = resources(template, "AWS::Scheduler::Schedule")
    faults += _only(len(schedules) == 1, "there is no schedule")
    for name, schedule in schedules.items():
        target = schedule["Properties"]["Target"]
        faults += _only(target.get("DeadLetterConfig", {}).get("Arn") == queue, f"{name}: has no dead-letter queue")
        faults += _only(0 < target.get("RetryPolicy", {}).get("MaximumRetryAttempts", 0), f"{name}: does not try again")
    for role, sid in {
        "FunctionRole": "KeepEventsThatFailed",
        "ScheduleRole": "KeepEventsThatCouldNotBeDelivered",
    }.items():
        granted = [
            each["Resource"] for each in statements_of(template, role) if "sqs:SendMessage" in _list(each["Action"])
        ]
        faults += _only(granted == [queue], f"{role}: {sid} does not reach the dead-letter queue")
    keep = properties(template, "DeadLetterQueue")
    faults += _only(
        keep.get("MessageRetentionPeriod") == 14 * 86_400, "DeadLetterQueue: keeps events for less than SQS can"
    )
    faults += _only(keep.get("SqsManagedSseEnabled") is True, "DeadLetterQueue: is not encrypted")
    return faults


# ------------------------------------------------------------------------------------------------ the schedule


@check
def the_schedule_wakes_the_function(template):
    template = transformed(template)
    schedule = properties(template, "Schedule")
    target = schedule.get("Target", {})
    command = json.loads(target.get("Input", "null"))
    return [
        *_only(
            schedule.get("ScheduleExpression") == ref("ScheduleExpression"), "Schedule: the expression is no parameter"
        ),
        *_only(
            schedule.get("ScheduleExpressionTimezone") == ref("ScheduleTimezone"),
            "Schedule: the time zone is no parameter",
        ),
        *_only(schedule.get("State") == ref("ScheduleState"), "Schedule: cannot be paused"),
        *_only(target.get("Arn") == arn_of("Function"), "Schedule: wakes something else"),
        *_only(target.get("RoleArn") == arn_of("ScheduleRole"), "Schedule: has another role"),
        *_only(command == {"action": "alert"}, f"Schedule: sends {command}"),
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
def every_trouble_has_its_alarm(template):
    template = transformed(template)
    found = resources(template, "AWS::CloudWatch::Alarm")
    faults = [f"{name} is missing" for name in ALARMS if name not in found]
    of_function = [{"Name": "FunctionName", "Value": ref("Function")}]
    of_queue = [{"Name": "QueueName", "Value": {"Fn::GetAtt": ["DeadLetterQueue", "QueueName"]}}]
    for name, alarm in found.items():
        alarm = alarm["Properties"]
        metric = (alarm.get("Namespace"), alarm.get("MetricName"))
        faults += _only(metric == ALARMS.get(name), f"{name}: watches {metric}")
        dimensions = of_queue if name == "DeadLetterAlarm" else of_function
        faults += _only(alarm.get("Dimensions") == dimensions, f"{name}: watches the metric of something else")
        faults += _only(alarm.get("AlarmActions") == [ref("AlarmTopic")], f"{name}: nobody hears of it")
        faults += _only(alarm.get("OKActions") == [ref("AlarmTopic")], f"{name}: nobody hears that it is over")
        # The topic's policy lets alarms of these names through.
        alarm_name = alarm.get("AlarmName", {}).get("Fn::Sub", "")
        faults += _only(alarm_name.startswith("${AWS::StackName}-"), f"{name}: its name is not one of the stack's")
        faults += _only(alarm.get("AlarmDescription"), f"{name}: does not say what to do")
        if name != "NoRunAlarm":
            # There is no data between two runs, and that does not mean that the problem is over.
            missing = "notBreaching" if name == "DeadLetterAlarm" else "ignore"
            faults += _only(alarm.get("TreatMissingData") == missing, f"{name}: does not treat missing data as {missing}")
            rises = (alarm.get("ComparisonOperator"), alarm.get("Threshold")) == ("GreaterThanThreshold", 0)
            faults += _only(rises and alarm.get("EvaluationPeriods") == 1, f"{name}: does not go off at the first sign")
    return faults


@check
def silence_sets_off_the_alarm(template):
    template = transformed(template)
    alarm = properties(template, "NoRunAlarm")
    hours = template["Parameters"]["DeadManHours"]
    period = alarm.get("Period", 0)
    return [
        *_only(
            alarm.get("TreatMissingData") == "breaching",
            "NoRunAlarm: missing data is not breaching, so it never goes off",
        ),
        *_only(
            (alarm.get("Statistic"), alarm.get("ComparisonOperator"), alarm.get("Threshold"))
            == ("Sum", "LessThanThreshold", 1),
            "NoRunAlarm: does not want one completed run",
        ),
        *_only(period == 3600, "NoRunAlarm: the window is not counted in hours"),
        *_only(
            alarm.get("EvaluationPeriods") == alarm.get("DatapointsToAlarm") == ref("DeadManHours"),
            "NoRunAlarm: its window is not the parameter",
        ),
        # CloudWatch looks back seven days at most.
        *_only(
            int(hours.get("MaxValue", 10**9)) * period <= 604_800, "DeadManHours: more than CloudWatch can look back"
        ),
        # The schedule's default is every day.
        *_only(24 < int(hours["Default"]), "DeadManHours: shorter than the pause of the default schedule"),
    ]


@check
def alarms_reach_their_topic(template):
    template = transformed(template)
    topic = properties(template, "AlarmTopic")
    faults = _only(
        "KmsMasterKeyId" not in topic, "AlarmTopic: CloudWatch cannot publish to a topic with the key aws/sns"
    )
    policy = properties(template, "AlarmTopicPolicy")
    statements = policy.get("PolicyDocument", {}).get("Statement", [])
    faults += _only(
        policy.get("Topics") == [ref("AlarmTopic")] and len(statements) == 1, "AlarmTopic: has no policy of its own"
    )
    for statement in statements:
        faults += _only(
            statement.get("Principal") == {"Service": "cloudwatch.amazonaws.com"}, "AlarmTopic: others may publish"
        )
        faults += _only(
            (statement.get("Action"), statement.get("Resource")) == ("sns:Publish", ref("AlarmTopic")),
            "AlarmTopic: grants more",
        )
        conditions = statement.get("Condition", {})
        account = conditions.get("StringEquals", {}).get("aws:SourceAccount")
        faults += _only(account == ref("AWS::AccountId"), "AlarmTopic: alarms of other accounts may publish")
        source = json.dumps(conditions.get("ArnLike", {}).get("aws:SourceArn"))
        faults += _only(":alarm:${AWS::StackName}-*" in source, "AlarmTopic: other alarms may publish")
    subscription = template["Resources"].get("AlarmSubscription", {})
    faults += _only(
        subscription.get("Condition") == "HearsAlarms", "AlarmSubscription: is not made with either address"
    )
    endpoint = subscription.get("Properties", {}).get("Endpoint")
    wanted = {"Fn::If": ["HasAlarmEmail", ref("AlarmEmail"), ref("AlertEmail")]}
    return faults + _only(endpoint == wanted, "AlarmSubscription: goes to somebody else")


# ------------------------------------------------------------------------------------------------ what is kept


@check
def alerts_are_encrypted_and_reach_people(template):
    template = transformed(template)
    topic = properties(template, "AlertTopic")
    subscription = template["Resources"].get("AlertSubscription", {})
    return [
        *_only(topic.get("KmsMasterKeyId") == "alias/aws/sns", "AlertTopic: is not encrypted"),
        *_only(subscription.get("Condition") == "HasAlertEmail", "AlertSubscription: is not optional"),
        *_only(
            subscription.get("Properties")
            == {"TopicArn": ref("AlertTopic"), "Protocol": "email", "Endpoint": ref("AlertEmail")},
            "AlertSubscription: goes to somebody else",
        ),
    ]


@check
def the_ledger_is_as_the_function_wants_it(template):
    table = properties(transformed(template), "Ledger")
    keys = [(key["AttributeName"], key["KeyType"]) for key in table.get("KeySchema", [])]
    types = {each["AttributeName"]: each["AttributeType"] for each in table.get("AttributeDefinitions", [])}
    recovery = table.get("PointInTimeRecoverySpecification", {})
    return [
        *_only(
            keys == [("pk", "HASH"), ("sk", "RANGE")] and types == {"pk": "S", "sk": "S"},
            f"Ledger: has the keys {keys} {types}",
        ),
        *_only(
            table.get("TimeToLiveSpecification") == {"AttributeName": "ttl", "Enabled": True}, "Ledger: never forgets"
        ),
        *_only(recovery.get("PointInTimeRecoveryEnabled") is True, "Ledger: cannot be recovered"),
        *_only(table.get("BillingMode") == "PAY_PER_REQUEST", "Ledger: is paid for while nothing happens"),
        *_only(
            table.get("SSESpecification", {}).get("SSEEnabled") is True,
            "Ledger: is not encrypted with a key of the account",
        ),
    ]


@check
def logs_end(template):
    template = transformed(template)
    faults = []
    for name, group in resources(template, "AWS::Logs::LogGroup").items():
        faults += _only(
            group["Properties"].get("RetentionInDays") == ref("LogRetentionDays"), f"{name}: is kept for ever"
        )
    return faults


@check
def a_removed_stack_leaves_nothing(template):
    faults = []
    for name, resource in transformed(template)["Resources"].items():
        kept = [key for key in ("DeletionPolicy", "UpdateReplacePolicy") if resource.get(key, "Delete") != "Delete"]
        faults += [f"{name}: {key} leaves it behind" for key in kept]
    return faults


# ------------------------------------------------------------------------------------------------ the function


@check
def the_function_is_as_it_is_built(template):
    given = template["Resources"]["Function"]
    build = given.get("Metadata", {})
    function = properties(transformed(template), "Function")
    logging = function.get("LoggingConfig", {})
    group = properties(template, "FunctionLog")
    variables = function.get("Environment", {}).get("Variables", {})
    config = {"Fn::If": ["HasOwnConfig", ref("ConfigSource"), {"Fn::Sub": "ssm:${DefaultConfig}"}]}
    architectures = template["Parameters"]["Architecture"]
    return [
        *_only(build.get("BuildMethod") == "rust-cargolambda", "Function: is not built by cargo-lambda"),
        *_only(build.get("BuildProperties", {}).get("Binary") == "media-expiry-alerts", "Function: is another binary"),
        *_only(function.get("Runtime") == "provided.al2023", "Function: has another runtime"),
        *_only(function.get("Architectures") == [ref("Architecture")], "Function: the architecture is no parameter"),
        *_only(
            (architectures["Default"], architectures["AllowedValues"]) == ("arm64", ["arm64", "x86_64"]),
            "Architecture: is not arm64 by default and x86_64 by choice",
        ),
        *_only(function.get("MemorySize") == ref("MemorySize"), "Function: the memory is no parameter"),
        *_only(function.get("Timeout") == ref("Timeout"), "Function: the timeout is no parameter"),
        *_only(
            function.get("ReservedConcurrentExecutions")
            == {"Fn::If": ["HasReservedConcurrency", ref("ReservedConcurrency"), ref("AWS::NoValue")]},
            "Function: the reserved concurrency cannot be left unset",
        ),
        *_only(
            template["Parameters"]["ReservedConcurrency"]["Default"] == "",
            "ReservedConcurrency: new accounts cannot deploy it",
        ),
        *_only(function.get("Role") == arn_of("FunctionRole"), "Function: has another role"),
        *_only(
            (logging.get("LogFormat"), logging.get("LogGroup")) == ("JSON", ref("FunctionLog")),
            "Function: does not log JSON to its log group",
        ),
        *_only(
            group.get("LogGroupName") == {"Fn::Sub": "/aws/lambda/${AWS::StackName}"},
            "FunctionLog: is not where people look",
        ),
        *_only(variables.get("MEDIA_ALERTS_CONFIG") == config, "Function: reads another configuration"),
        *_only(variables.get("ALERT_TOPIC_ARN") == ref("AlertTopic"), "Function: does not know the topic"),
        *_only(variables.get("LEDGER_TABLE") == ref("Ledger"), "Function: does not know the ledger"),
        *_only(
            set(variables) == {"MEDIA_ALERTS_CONFIG", "ALERT_TOPIC_ARN", "LEDGER_TABLE", "REPORT_URL"},
            f"Function: has the variables {sorted(variables)}; a secret has no place there",
        ),
    ]


@check
def the_log_level_is_one_of_lambdas(template):
    # The function writes its metrics with this level, so that Lambda keeps them; one that Lambda does not know drops them.
    function = properties(transformed(template), "Function")
    level = function.get("LoggingConfig", {}).get("ApplicationLogLevel")
    allowed = set(template["Parameters"]["LogLevel"]["AllowedValues"])
    return [
        *_only(level == ref("LogLevel"), "Function: the log level is no parameter"),
        *_only(
            allowed <= {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"},
            f"LogLevel: {sorted(allowed)} has one that Lambda does not know",
        ),
    ]


# ------------------------------------------------------------------------------------------------ HTTP

ROUTES = {
    "GET /report": "AWS_IAM",
    "HEAD /report": "AWS_IAM",
    "POST /alerts": "AWS_IAM",
    "GET /r/{token}": "NONE",
    "HEAD /r/{token}": "NONE",
}


@check
def only_signed_links_are_public(template):
    template = transformed(template)
    routes = {
        route["Properties"]["RouteKey"]: route["Properties"].get("AuthorizationType")
        for route in resources(template, "AWS::ApiGatewayV2::Route").values()
    }
    faults = _only(routes == ROUTES, f"Api: has the routes {routes}")
    for name, stage in resources(template, "AWS::ApiGatewayV2::Stage").items():
        stage = stage["Properties"]
        throttle = stage.get("DefaultRouteSettings", {})
        rate, burst = throttle.get("ThrottlingRateLimit"), throttle.get("ThrottlingBurstLimit")
        faults += _only(rate and rate <= 10 and burst and burst <= 50, f"{name}: is not throttled")
        log = stage.get("AccessLogSettings", {})
        faults += _only(log.get("DestinationArn") == arn_of("ApiLog"), f"{name}: has no access log")
        written = log.get("Format", "")
        # In a path there is the token.
        faults += _only(
            "$context.routeKey" in written and not re.search(r"\$context\.(path|rawPath)", written),
            f"{name}: logs tokens",
        )
    for name, permission in resources(template, "AWS::Lambda::Permission").items():
        source = json.dumps(permission["Properties"].get("SourceArn"))
        faults += _only("${Api}/*" in source, f"{name}: other APIs may call the function")
    for name, resource in template["Resources"].items():
        if resource["Type"].startswith("AWS::ApiGatewayV2::") or name in ("ApiLog", "ApiPermission"):
            faults += _only(resource.get("Condition") == "HasHttpApi", f"{name}: is made without being asked for")
    faults += _only(not resources(template, "AWS::Lambda::Url"), "a function URL goes past the API")
    return faults


# ------------------------------------------------------------------------------------------------ for people


@check
def parameters_explain_themselves(template):
    interface = template.get("Metadata", {}).get("AWS::CloudFormation::Interface", {})
    grouped = [name for group in interface.get("ParameterGroups", []) for name in group["Parameters"]]
    labels = interface.get("ParameterLabels", {})
    text = json.dumps({key: template[key] for key in ("Conditions", "Resources", "Outputs")})
    faults = []
    for name, parameter in template["Parameters"].items():
        faults += _only(20 <= len(parameter.get("Description", "")), f"{name}: has no description")
        faults += _only(grouped.count(name) == 1, f"{name}: is not in one group of the interface")
        faults += _only(labels.get(name, {}).get("default"), f"{name}: has no label")
        faults += _only("Default" in parameter, f"{name}: has no default")
        checked = {"AllowedValues", "AllowedPattern", "MinValue"} & set(parameter)
        faults += _only(checked, f"{name}: takes anything")
        if {"AllowedPattern", "MinValue"} & set(parameter):
            faults += _only("ConstraintDescription" in parameter, f"{name}: does not say what is wrong with a value")
        used = f'"Ref": "{name}"' in text or f"${{{name}}}" in text
        faults += _only(used, f"{name}: is used nowhere")
    faults += [
        f"{name}: is in the interface and is no parameter" for name in {*grouped, *labels} - set(template["Parameters"])
    ]
    return faults


@check
def outputs_say_what_comes_next(template):
    outputs = template.get("Outputs", {})
    wanted = {
        "FunctionName", "PutApiKeyCommand", "CheckCommand", "TestCommand", "RunCommand", "LogsCommand", "ConfigLocation",
        "AlertTopicArn", "AlarmTopicArn", "LedgerTableName", "DeadLetterQueueUrl", "ReportUrl", "ReportInvokeArn", "DashboardUrl",
    }  # fmt: skip
    faults = _only(set(outputs) == wanted, f"Outputs: {sorted(set(outputs) ^ wanted)} is new or missing")
    return faults + [f"{name}: has no description" for name, output in outputs.items() if not output.get("Description")]


@check
def names_do_not_collide(template):
    """Dashboards are global: two regions share their names."""
    name = template["Resources"]["OverviewDashboard"]["Properties"].get("DashboardName")
    return _only("${AWS::Region}" in str(name), "OverviewDashboard: its name is the same in every region")


@check
def it_fits_every_partition(template):
    return _only(
        "arn:aws:" not in str({part: template[part] for part in ("Resources", "Outputs")}),
        "an ARN is of the partition aws only",
    )


@check
def exceptions_are_explained(template):
    faults = []
    for name, resource in template["Resources"].items():
        for exception in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            reason = exception.get("comment", "")
            faults += _only(40 <= len(reason), f"{name}: the exception {exception.get('id')} has no reason")
    return faults
