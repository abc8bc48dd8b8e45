"""Tests the checks: each must find a problem that is added to a copy of the template."""

import pytest

import checks
from template import source

FAULTS = []


def fault(check, says):
    """Registers a fault that `check` must report with the text `says`."""

    def register(function):
        FAULTS.append((check, says, function))
        return function

    return register


def of(template, name):
    return template["Resources"][name]["Properties"]


def statement(template, sid):
    for resource in template["Resources"].values():
        policies = resource.get("Properties", {}).get("Policies", [])
        documents = [policy["PolicyDocument"] for policy in policies]
        if resource["Type"] == "AWS::IAM::Policy":
            documents.append(resource["Properties"]["PolicyDocument"])
        for document in documents:
            for each in document["Statement"]:
                if each["Sid"] == sid:
                    return each
    raise KeyError(sid)


# ------------------------------------------------------------------------------------------------ permissions


@fault(checks.permissions_are_least, "has a wildcard")
def a_wildcard_for_a_resource(template):
    statement(template, "PublishAlerts")["Resource"] = "*"


@fault(checks.permissions_are_least, "has a wildcard")
def a_wildcard_within_an_arn(template):
    statement(template, "RecordAnnouncements")["Resource"] = {
        "Fn::Sub": "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/*"
    }


@fault(checks.permissions_are_least, "has a wildcard")
def every_parameter_of_the_account(template):
    statement(template, "ReadConfigurationAndSecrets")["Resource"] = {
        "Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/*"
    }


@fault(checks.permissions_are_least, "has a wildcard")
def everything_in_the_bucket(template):
    statement(template, "KeepSnapshots")["Resource"] = {"Fn::Sub": "${Store.Arn}/*"}


@fault(checks.permissions_are_least, "allows")
def deleting_copies(template):
    (copies,) = of(template, "CopyPolicy")["PolicyDocument"]["Statement"]
    copies["Action"].append("s3:DeleteObject")


@fault(checks.permissions_are_least, "allows ['dynamodb:*']")
def a_wildcard_for_an_action(template):
    statement(template, "RecordAnnouncements")["Action"] = "dynamodb:*"


@fault(checks.permissions_are_least, "allows ['ssm:GetParameters', 'ssm:GetParametersByPath']")
def one_action_more(template):
    statement(template, "ReadConfigurationAndSecrets")["Action"] = ["ssm:GetParameters", "ssm:GetParametersByPath"]


@fault(checks.permissions_are_least, "has managed policies")
def a_managed_policy(template):
    of(template, "FunctionRole")["ManagedPolicyArns"] = [
        {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}
    ]


@fault(checks.permissions_are_least, "is an unexpected role")
def a_further_role(template):
    template["Resources"]["OtherRole"] = template["Resources"]["FunctionRole"]


@fault(checks.permissions_are_least, "SendFailedEventsToQueue is missing")
def a_missing_statement(template):
    statement(template, "SendFailedEventsToQueue")["Sid"] = "Other"


@fault(checks.permissions_are_least, "is not a simple Allow statement")
def a_deny_statement(template):
    each = statement(template, "PublishAlerts")
    each["NotResource"] = each.pop("Resource")


@fault(checks.mails_have_one_sender, "is not limited")
def mails_of_any_sender(template):
    del statement(template, "SendMail")["Condition"]


@fault(checks.keys_decrypt_only_where_secrets_are_kept, "is not limited")
def decrypting_for_any_service(template):
    del statement(template, "DecryptSecrets")["Condition"]


@fault(checks.roles_are_assumed_by_their_service_only, "can be assumed by")
def a_role_for_anybody(template):
    of(template, "FunctionRole")["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] = {"AWS": "*"}


@fault(checks.roles_are_assumed_by_their_service_only, "for other accounts")
def a_confused_deputy(template):
    del of(template, "ScheduleRole")["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]


# ------------------------------------------------------------------------------------------------ lost events


@fault(checks.no_event_is_lost, "failed events do not go to the dead-letter queue")
def no_on_failure_destination(template):
    del of(template, "Function")["EventInvokeConfig"]["DestinationConfig"]


@fault(checks.no_event_is_lost, "failed events do not go to the dead-letter queue")
def no_configuration_for_asynchronous_events(template):
    del of(template, "Function")["EventInvokeConfig"]


@fault(checks.no_event_is_lost, "failed events are not retried twice")
def no_retry_of_the_function(template):
    of(template, "Function")["EventInvokeConfig"]["MaximumRetryAttempts"] = 0


@fault(checks.no_event_is_lost, "Schedule: has no dead-letter queue")
def no_dead_letter_queue_of_the_schedule(template):
    del of(template, "Schedule")["Target"]["DeadLetterConfig"]


@fault(checks.the_overview_is_off_unless_it_has_a_schedule, "OverviewScheduleRule: is not optional")
def an_overview_that_is_always_on(template):
    del template["Resources"]["OverviewScheduleRule"]["Condition"]


@fault(checks.the_overview_is_off_unless_it_has_a_schedule, "OverviewScheduleRule: sends {'action': 'alert'}")
def an_overview_that_is_an_ordinary_alert(template):
    of(template, "OverviewScheduleRule")["Target"]["Input"] = '{"action": "alert"}'


@fault(checks.no_event_is_lost, "Schedule: has no retries")
def no_retry_of_the_schedule(template):
    del of(template, "Schedule")["Target"]["RetryPolicy"]


@fault(checks.no_event_is_lost, "does not reach the dead-letter queue")
def the_schedule_may_not_write_to_the_queue(template):
    statement(template, "SendUndeliveredEventsToQueue")["Resource"] = {"Fn::GetAtt": ["AlertTopic", "TopicArn"]}


@fault(checks.no_event_is_lost, "is not encrypted")
def an_open_queue(template):
    of(template, "DeadLetterQueue")["SqsManagedSseEnabled"] = False


@fault(checks.no_event_is_lost, "does not keep events for the maximum")
def a_short_retention_of_failed_events(template):
    del of(template, "DeadLetterQueue")["MessageRetentionPeriod"]


@fault(checks.the_schedule_invokes_the_function, "sends {'action': 'report'}")
def a_schedule_that_only_reports(template):
    of(template, "Schedule")["Target"]["Input"] = '{"action": "report"}'


@fault(checks.the_schedule_invokes_the_function, "the time zone is not a parameter")
def a_schedule_without_time_zone(template):
    del of(template, "Schedule")["ScheduleExpressionTimezone"]


# ------------------------------------------------------------------------------------------------ alarms


@fault(checks.missing_runs_set_off_an_alarm, "does not treat missing data as breaching")
def a_no_run_alarm_that_ignores_missing_data(template):
    of(template, "NoRunAlarm")["TreatMissingData"] = "missing"


@fault(checks.missing_runs_set_off_an_alarm, "does not treat missing data as breaching")
def a_no_run_alarm_with_the_default_for_missing_data(template):
    del of(template, "NoRunAlarm")["TreatMissingData"]


@fault(checks.missing_runs_set_off_an_alarm, "allows more than CloudWatch can evaluate")
def a_window_that_cloudwatch_rejects(template):
    template["Parameters"]["DeadManHours"]["MaxValue"] = 336


@fault(checks.missing_runs_set_off_an_alarm, "shorter than the interval of the default schedule")
def a_window_shorter_than_the_schedule(template):
    template["Parameters"]["DeadManHours"]["Default"] = 24


@fault(checks.missing_runs_set_off_an_alarm, "the window is not the parameter")
def an_alarm_after_one_hour_without_a_run(template):
    of(template, "NoRunAlarm")["DatapointsToAlarm"] = 1


@fault(checks.missing_runs_set_off_an_alarm, "does not require one completed run")
def an_alarm_on_success(template):
    of(template, "NoRunAlarm")["ComparisonOperator"] = "GreaterThanThreshold"


@fault(checks.every_problem_has_an_alarm, "DeadLetterAlarm is missing")
def no_alarm_on_the_queue(template):
    del template["Resources"]["DeadLetterAlarm"]
    del template["Resources"]["OverviewDashboard"]


@fault(checks.every_problem_has_an_alarm, "ErrorsAlarm: does not notify the alarm topic")
def an_alarm_without_actions(template):
    del of(template, "ErrorsAlarm")["AlarmActions"]


@fault(checks.every_problem_has_an_alarm, "watches the metric of another resource")
def an_alarm_on_all_functions(template):
    of(template, "ProfilesAlarm")["Dimensions"] = []


@fault(checks.every_problem_has_an_alarm, "watches ('MediaExpiryAlerts', 'DeliveriesFailed')")
def an_alarm_on_a_missing_metric(template):
    of(template, "DeliveriesAlarm")["MetricName"] = "DeliveriesFailed"


@fault(checks.every_problem_has_an_alarm, "ProfilesAlarm: does not treat missing data as ignore")
def an_alarm_that_is_over_after_five_minutes(template):
    of(template, "ProfilesAlarm")["TreatMissingData"] = "notBreaching"


@fault(checks.names_do_not_collide, "the same in every region")
def a_dashboard_name_without_region(template):
    of(template, "OverviewDashboard")["DashboardName"] = {"Ref": "AWS::StackName"}


@fault(checks.arns_use_the_partition_of_the_stack, "contains the partition `aws`")
def an_output_for_one_partition(template):
    template["Outputs"]["ReportInvokeArn"]["Value"] = {"Fn::Sub": "arn:aws:execute-api:${AWS::Region}:*"}


@fault(checks.every_problem_has_an_alarm, "its name does not begin with the stack's")
def an_alarm_that_the_topic_rejects(template):
    of(template, "ErrorsAlarm")["AlarmName"] = {"Fn::Sub": "errors-of-${AWS::StackName}"}


@fault(checks.alarms_reach_their_topic, "is encrypted with a key that CloudWatch cannot use")
def alarms_to_a_topic_that_cloudwatch_cannot_use(template):
    of(template, "AlarmTopic")["KmsMasterKeyId"] = "alias/aws/sns"


@fault(checks.alarms_reach_their_topic, "has no policy of its own")
def an_alarm_topic_without_policy(template):
    del template["Resources"]["AlarmTopicPolicy"]


@fault(checks.alarms_reach_their_topic, "alarms of other accounts may publish")
def an_alarm_topic_for_every_account(template):
    del of(template, "AlarmTopicPolicy")["PolicyDocument"]["Statement"][0]["Condition"]["StringEquals"]


@fault(checks.alarms_reach_their_topic, "does not exist with either address")
def alarms_only_where_alarms_have_an_address(template):
    template["Resources"]["AlarmSubscription"]["Condition"] = "HasAlarmEmail"


# ------------------------------------------------------------------------------------------------ what is kept


@fault(checks.alerts_are_encrypted_and_reach_people, "is not encrypted")
def an_open_topic(template):
    del of(template, "AlertTopic")["KmsMasterKeyId"]


@fault(checks.alerts_are_encrypted_and_reach_people, "is not optional")
def a_subscription_without_condition(template):
    del template["Resources"]["AlertSubscription"]["Condition"]


@fault(checks.the_ledger_fits_the_function, "has the keys")
def another_key(template):
    of(template, "Ledger")["KeySchema"][1]["AttributeName"] = "sort"


@fault(checks.the_ledger_fits_the_function, "has no time to live")
def no_time_to_live(template):
    del of(template, "Ledger")["TimeToLiveSpecification"]


@fault(checks.the_ledger_fits_the_function, "has no point-in-time recovery")
def no_recovery(template):
    of(template, "Ledger")["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] = False


@fault(checks.the_ledger_fits_the_function, "is not billed per request")
def provisioned_capacity(template):
    of(template, "Ledger")["BillingMode"] = "PROVISIONED"


@fault(checks.the_store_is_private, "BlockPublicPolicy is not set")
def a_bucket_that_can_be_public(template):
    del of(template, "Store")["PublicAccessBlockConfiguration"]["BlockPublicPolicy"]


@fault(checks.the_store_is_private, "has access control lists")
def a_bucket_with_access_control_lists(template):
    of(template, "Store")["OwnershipControls"]["Rules"][0]["ObjectOwnership"] = "ObjectWriter"


@fault(checks.the_store_is_private, "is not encrypted with a key that needs no permission")
def a_bucket_with_a_key_of_kms(template):
    of(template, "Store")["BucketEncryption"]["ServerSideEncryptionConfiguration"] = [
        {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    ]


@fault(checks.the_store_is_private, "has no policy")
def a_bucket_without_policy(template):
    del template["Resources"]["StorePolicy"]


@fault(checks.the_store_is_private, "does more or less than to require TLS")
def a_bucket_without_tls(template):
    of(template, "StorePolicy")["PolicyDocument"]["Statement"][0]["Resource"].pop()


@fault(checks.the_store_keeps_nothing_for_long, "does not delete old snapshots, or too early")
def snapshots_that_stay(template):
    of(template, "Store")["LifecycleConfiguration"]["Rules"][0]["Prefix"] = "other/"


@fault(checks.the_store_keeps_nothing_for_long, "does not delete old snapshots, or too early")
def a_snapshot_that_is_gone_before_the_next_run(template):
    of(template, "Store")["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] = 7


@fault(checks.the_store_keeps_nothing_for_long, "the retention of copies is not the parameter")
def copies_without_an_end(template):
    of(template, "Store")["LifecycleConfiguration"]["Rules"][1]["Prefix"] = "copy/"


@fault(checks.the_store_keeps_nothing_for_long, "a rule deletes more than snapshots and copies")
def an_end_of_everything(template):
    rules = of(template, "Store")["LifecycleConfiguration"]["Rules"]
    rules.insert(0, {"Id": "all", "Status": "Enabled", "ExpirationInDays": 30})


@fault(checks.the_store_keeps_nothing_for_long, "keeps incomplete uploads")
def incomplete_uploads_that_stay(template):
    of(template, "Store")["LifecycleConfiguration"]["Rules"].pop()


@fault(checks.the_store_keeps_nothing_for_long, "keeps versions")
def versions_of_snapshots(template):
    of(template, "Store")["VersioningConfiguration"] = {"Status": "Enabled"}


@fault(checks.logs_have_a_retention, "FunctionLog: its retention is not the parameter")
def a_log_with_another_retention(template):
    del of(template, "FunctionLog")["RetentionInDays"]


@fault(checks.a_deleted_stack_leaves_nothing_but_copies, "Store: copies are deleted with the stack")
def a_bucket_that_is_deleted(template):
    template["Resources"]["Store"]["DeletionPolicy"] = "Delete"


@fault(checks.a_deleted_stack_leaves_nothing_but_copies, "DeletionPolicy keeps it")
def a_table_that_is_retained(template):
    template["Resources"]["Ledger"]["DeletionPolicy"] = "Retain"


# ------------------------------------------------------------------------------------------------ the function


@fault(checks.the_function_fits_its_build, "is not built by cargo-lambda")
def another_build_method(template):
    template["Resources"]["Function"]["Metadata"]["BuildMethod"] = "makefile"


@fault(checks.the_function_fits_its_build, "secrets must not be among them")
def a_secret_in_the_environment(template):
    of(template, "Function")["Environment"]["Variables"]["AYRSHARE_API_KEY"] = "key"


@fault(checks.the_function_fits_its_build, "which new accounts cannot deploy")
def a_reservation_by_default(template):
    template["Parameters"]["ReservedConcurrency"]["Default"] = "2"


@fault(checks.the_function_fits_its_build, "does not log JSON to its log group")
def plain_text_logs(template):
    of(template, "Function")["LoggingConfig"]["LogFormat"] = "Text"


@fault(checks.the_log_level_is_known_to_lambda, "Lambda does not know")
def a_log_level_unknown_to_lambda(template):
    template["Parameters"]["LogLevel"]["AllowedValues"].append("CRITICAL")


# ------------------------------------------------------------------------------------------------ HTTP


@fault(checks.only_signed_links_are_public, "'GET /report': 'NONE'")
def a_report_for_everybody(template):
    of(template, "ReportRoute")["AuthorizationType"] = "NONE"


@fault(checks.only_signed_links_are_public, "'$default': 'AWS_IAM'")
def a_route_for_everything(template):
    of(template, "ReportHeadRoute")["RouteKey"] = "$default"


@fault(checks.only_signed_links_are_public, "is not throttled")
def no_throttle(template):
    del of(template, "ApiStage")["DefaultRouteSettings"]


@fault(checks.only_signed_links_are_public, "has no access log")
def no_access_log(template):
    del of(template, "ApiStage")["AccessLogSettings"]


@fault(checks.only_signed_links_are_public, "logs tokens")
def tokens_in_the_log(template):
    of(template, "ApiStage")["AccessLogSettings"]["Format"] += " $context.path"


@fault(checks.only_signed_links_are_public, "other APIs may call the function")
def a_permission_for_every_api(template):
    del of(template, "ApiPermission")["SourceArn"]


@fault(checks.only_signed_links_are_public, "bypasses the API")
def a_function_url(template):
    of(template, "Function")["FunctionUrlConfig"] = {"AuthType": "NONE"}


# ------------------------------------------------------------------------------------------------ for people


@fault(checks.parameters_are_documented_and_validated, "Other: is not in one group of the interface")
def a_parameter_outside_the_interface(template):
    template["Parameters"]["Other"] = {"Type": "String", "Default": ""}


@fault(checks.parameters_are_documented_and_validated, "Timeout: has no description")
def a_parameter_without_description(template):
    del template["Parameters"]["Timeout"]["Description"]


@fault(checks.parameters_are_documented_and_validated, "MemorySize: is not validated")
def a_parameter_without_validation(template):
    del template["Parameters"]["MemorySize"]["AllowedValues"]


@fault(checks.parameters_are_documented_and_validated, "Timeout: is unused")
def a_parameter_without_effect(template):
    of(template, "Function")["Timeout"] = 300
    del template["Resources"]["OverviewDashboard"]


@fault(checks.outputs_are_complete_and_described, "['CheckCommand'] is new or missing")
def a_missing_output(template):
    del template["Outputs"]["CheckCommand"]


@fault(checks.linter_exceptions_have_reasons, "Ledger: the exception CKV_AWS_119 has no reason")
def an_exception_without_reason(template):
    template["Resources"]["Ledger"]["Metadata"]["checkov"]["skip"][0]["comment"] = "no"


@pytest.mark.parametrize(("check", "says", "put"), FAULTS, ids=lambda each: getattr(each, "__name__", ""))
def test_fault(check, says, put):
    template = source()
    put(template)
    found = check(template)
    assert any(says in each for each in found), found


def test_every_check_is_tested():
    assert [each.__name__ for each in checks.CHECKS if each not in {check for check, _, _ in FAULTS}] == []
