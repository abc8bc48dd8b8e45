"""The release bundle, and its deploy.sh from an empty account to an empty account.

deploy.sh runs with nothing but the AWS command line, bash and a few standard tools on its PATH. The command line is the real
one. Behind it is moto, with three differences from AWS: the macro of SAM is applied by the library that AWS publishes
(sam.py), invocations of the function run the uploaded code in a process (invocations.py), and some resources are placeholders
(account.py). That AWS accepts the transformed template is what the other tests of this folder are about.
"""

import datetime
import io
import json
import os
import pathlib
import platform
import pty
import re
import shlex
import shutil
import subprocess
import sys
import threading
import zipfile

import pytest
from moto.cloudformation.models import cloudformation_backends
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends
from samtranslator.yaml_helper import yaml_parse

import sam  # noqa: F401, applies the macro
from account import ACCOUNT, ADMIN, REGION, STACK, Stack
from ayrshare import Ayrshare, media
from invocations import Invocations
from template import ROOT, source

sys.path.append(str(ROOT / "tools"))
import bundle  # noqa: E402

KEY = "first-key-7TVRLEZ"
KEY_NAME = f"/{STACK}/ayrshare-api-key"
BUCKET = f"media-expiry-alerts-code-{ACCOUNT}-{REGION}"
ARCHITECTURE = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
COMMAND = shlex.split(os.environ.get("FUNCTION_BINARY", ""))
# All that deploy.sh needs besides the AWS command line.
TOOLS = ("bash", "cat", "cp", "dirname", "env", "mktemp", "readlink", "rm", "sed")
BIN = pathlib.Path(sys.prefix, "bin")

needs_function = pytest.mark.skipif(not COMMAND, reason="FUNCTION_BINARY is not set")


@pytest.fixture(scope="session")
def binary():
    return ROOT / COMMAND[-1]


@pytest.fixture
def unpacked(tmp_path):
    """Packs a bundle with this binary as the function, and unpacks it as a user does."""

    def unpack(binary, architecture=ARCHITECTURE):
        content = bundle.archive(bundle.files({architecture: binary}))
        archive = tmp_path / "bundle.zip"
        archive.write_bytes(content)
        folder = tmp_path / "media-expiry-alerts"
        shutil.unpack_archive(archive, folder)
        # Python's unpacking ignores permissions; `unzip` does not.
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                (folder / info.filename).chmod(info.external_attr >> 16 & 0o777)
        return folder

    return unpack


class Shell:
    """An empty environment in which deploy.sh of an unpacked bundle runs."""

    def __init__(self, account, folder, tmp_path):
        self.folder = folder
        # What its printed commands begin with, so that they can be copied.
        self.command = folder / "deploy.sh"
        self.tmp = tmp_path / "tmp"
        self.tmp.mkdir()
        path = tmp_path / "bin"
        path.mkdir()
        for tool in TOOLS:
            (path / tool).symlink_to(shutil.which(tool))
        # The command line itself, and a note of what others on the machine could see of it.
        self.seen = tmp_path / "seen"
        self.aws = path / "aws"
        self.first("")
        self.variables = {
            "PATH": str(path),
            "HOME": str(tmp_path),
            "TMPDIR": str(self.tmp),
            "AWS_REGION": REGION,
            # moto takes the first part of any other host for the bucket of the template.
            "AWS_ENDPOINT_URL": account.endpoint.replace("127.0.0.1", "localhost"),
            "AWS_ACCESS_KEY_ID": ADMIN["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": ADMIN["aws_secret_access_key"],
        }

    def first(self, script):
        """Lets the AWS command line run this part of a script before anything else."""
        self.aws.write_text(
            f'#!{self.aws.parent}/bash\nprintf "%s " "$@" "${{AYRSHARE_API_KEY:-}}" >>{self.seen}\n{script}\nexec {BIN}/aws "$@"\n'
        )
        self.aws.chmod(0o755)

    def deny(self, *commands):
        """Lets AWS reject these commands, like "s3api head-bucket"."""
        denied = "|".join(shlex.quote(command) for command in commands)
        says = "An error occurred (AccessDenied) when calling the operation: Access Denied"
        self.first(f'case "$1 $2" in {denied}) echo "{says}" >&2; exit 254 ;; esac')

    def imitate_aws(self, check=""):
        """Lets every command succeed at once, for a stack that exists. The function answers with this part of a script."""
        self.first(f"""
            case "$1 $2" in
                "sts get-caller-identity") echo {ACCOUNT} ;;
                "cloudformation describe-stacks") printf 'CREATE_COMPLETE\tmedia-expiry-alerts\n' ;;
                "lambda invoke") {check or ":"} ;;
            esac
            exit 0
        """)

    def run(self, *options, **variables):
        """Runs deploy.sh without a terminal, and returns its exit code and everything it printed."""
        ended = subprocess.run(
            [str(self.command), *options],
            cwd=self.folder.parent,
            env={**self.variables, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        self._check_nothing_is_left(ended.stdout)
        return ended.returncode, ended.stdout

    def talk(self, *options, answers):
        """Runs deploy.sh in a terminal, where each question gets the next answer: pairs of an end of output and a line."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(self.command, ["deploy.sh", *options], self.variables)
        timer = threading.Timer(300, os.kill, (pid, 9))
        timer.start()
        printed, answers = "", list(answers)
        while True:
            try:
                printed += os.read(terminal, 4096).decode()
            except OSError:
                break
            if answers and printed.endswith(answers[0][0]):
                os.write(terminal, f"{answers.pop(0)[1]}\n".encode())
        timer.cancel()
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        assert not answers, f"{answers[0][0]!r} was not asked: {printed}"
        printed = printed.replace("\r\n", "\n")
        self._check_nothing_is_left(printed)
        return os.waitstatus_to_exitcode(status), printed

    def _check_nothing_is_left(self, printed):
        assert list(self.tmp.iterdir()) == []
        assert KEY not in printed
        assert not self.seen.exists() or KEY not in self.seen.read_text()


@pytest.fixture
def ayrshare():
    with Ayrshare(KEY) as stand_in:
        stand_in.gallery = [media("summer.jpeg", datetime.timedelta(days=2))]
        yield stand_in


@pytest.fixture
def shell(account, ayrshare, unpacked, binary, tmp_path):
    account.boundary.invocations = Invocations(account, ayrshare, tmp_path)
    return Shell(account, unpacked(binary), tmp_path)


def actions(account):
    return [event["action"] for event in account.boundary.invocations.events]


def everything(account):
    """What the account contains, by kind."""

    def names(service, operation, key, **arguments):
        return getattr(account.client(service), operation)(**arguments)[key]

    cloudformation = account.client("cloudformation")
    return {
        "stacks": [each for each in cloudformation.describe_stacks()["Stacks"]],
        "buckets": names("s3", "list_buckets", "Buckets"),
        "parameters": names("ssm", "describe_parameters", "Parameters"),
        "tables": names("dynamodb", "list_tables", "TableNames"),
        "topics": names("sns", "list_topics", "Topics"),
        "queues": account.client("sqs").list_queues().get("QueueUrls", []),
        "functions": names("lambda", "list_functions", "Functions"),
        "roles": names("iam", "list_roles", "Roles"),
        "logs": names("logs", "describe_log_groups", "logGroups"),
        "dashboards": names("cloudwatch", "list_dashboards", "DashboardEntries"),
    }


# ------------------------------------------------------------------------------------------------ the whole way


@needs_function
def test_from_nothing_to_a_deployment_to_an_update_to_nothing(account, ayrshare, shell):
    assert not any(everything(account).values())
    code, printed = shell.run(
        "--email", "maria@example.com", "--time", "09:05", "--zone", "Europe/Berlin", "--set", f"Architecture={ARCHITECTURE}",
        AYRSHARE_API_KEY=KEY,
    )
    assert code == 0, printed
    assert f"media-expiry-alerts {bundle.version()} works." in printed
    assert 'Click "Confirm subscription" in both' in printed and "It was sent." in printed
    assert actions(account) == ["check", "test"]
    # Nobody was waited for, so nobody has confirmed yet.
    assert "reaches only the email addresses that are confirmed" in printed and f"  {shell.command} --test\n" in printed

    stack = Stack(account, STACK)
    assert stack.status == "CREATE_COMPLETE"
    assert stack.properties("Function")["Architectures"] == [ARCHITECTURE]
    assert stack.properties("Function")["Code"]["S3Bucket"] == BUCKET
    assert stack.properties("AlertSubscription")["Endpoint"] == "maria@example.com"
    schedule = stack.properties("Schedule")
    assert (schedule["ScheduleExpression"], schedule["ScheduleExpressionTimezone"]) == ("cron(5 9 * * ? *)", "Europe/Berlin")
    assert stack.outputs["DashboardUrl"] in printed
    stored = account.client("ssm").get_parameter(Name=KEY_NAME, WithDecryption=True)["Parameter"]
    assert (stored["Value"], stored["Type"]) == (KEY, "SecureString")
    access = account.client("s3").get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert all(access.values()) and len(access) == 4
    assert [call for call in account.calls if not call.allowed] == []

    # An update keeps every other setting, and needs neither a question nor the key. One that is exported for something else is ignored.
    code, printed = shell.run(
        "--set", "Thresholds=14d,2d", "--email", "noor@example.com", AYRSHARE_API_KEY="another-key"
    )
    assert code == 0, printed
    assert "AYRSHARE_API_KEY is ignored" in printed
    assert account.client("ssm").get_parameter(Name=KEY_NAME, WithDecryption=True)["Parameter"]["Value"] == KEY
    assert "Updating the stack" in printed and f"media-expiry-alerts {bundle.version()} works." in printed
    # Another address gets a sample. The account of these tests makes no subscriptions, like AWS after two days.
    assert "address for alerts has no subscription" in printed and "reaches only the email addresses" in printed
    assert actions(account) == ["check", "test", "check", "test"]
    stack = Stack(account, STACK)
    assert stack.status == "UPDATE_COMPLETE"
    chosen = {each["ParameterKey"]: each["ParameterValue"] for each in stack.parameters}
    assert chosen["AlertEmail"] == "noor@example.com" and chosen["ScheduleExpression"] == "cron(5 9 * * ? *)"
    assert chosen["Architecture"] == ARCHITECTURE
    config = account.client("ssm").get_parameter(Name=f"/{STACK}/default-config")["Parameter"]["Value"]
    assert 'thresholds = ["14d", "2d"]' in config

    # The same again changes nothing, except that the bucket for the program is made private again. Once all addresses are
    # confirmed, nothing is said of them.
    for topic in ("AlertTopicArn", "AlarmTopicArn"):
        account.client("sns").subscribe(TopicArn=stack.outputs[topic], Protocol="email", Endpoint="noor@example.com")
    account.client("s3").delete_public_access_block(Bucket=BUCKET)
    code, printed = shell.run("--new-key", AYRSHARE_API_KEY=KEY)
    assert code == 0, printed
    assert "No changes to deploy" in printed and "The API key is stored" in printed
    assert account.client("s3").get_public_access_block(Bucket=BUCKET)
    assert "onfirm" not in printed and "subscription" not in printed

    # What users have stored themselves, and what a run has written to the store.
    account.client("ssm").put_parameter(Name=f"/{STACK}/profiles/acme", Value="x", Type="SecureString")
    account.client("s3").put_object(Bucket=stack.physical_ids["Store"], Key="snapshots/one", Body=b"x")
    code, printed = shell.run("--remove")
    assert code == 1 and "Nothing was removed" in printed and everything(account)["functions"]
    for each in (f"the parameter {KEY_NAME}", f"the parameter /{STACK}/profiles/acme", f"the bucket {stack.physical_ids['Store']} "):
        assert each in printed
    assert "copies of media too" in printed
    code, printed = shell.run("--remove", "--yes")
    assert code == 0, printed
    assert "Everything is removed." in printed
    left = {kind: found for kind, found in everything(account).items() if found}
    assert not left
    code, printed = shell.run("--remove", "--yes")
    assert code == 0 and "There is nothing to remove" in printed


@needs_function
def test_a_terminal_is_asked_for_everything_and_a_wrong_key_can_be_replaced(account, shell):
    code, printed = shell.talk(
        "--set", f"Architecture={ARCHITECTURE}",
        answers=[
            ("Ayrshare API key: ", "another key"),
            ("Ayrshare API key: ", "another-key"),
            ("Email address for alerts: ", "maria"),
            ("Email address for alerts: ", "maria@example.com"),
            ("Time of the daily run [07:00]: ", "25:00"),
            ("Time of the daily run [07:00]: ", ""),
            ("[UTC]: ", "Europe, Berlin"),
            ("[UTC]: ", "Europe/Berlin"),
        ],
    )
    assert code == 1 and actions(account) == ["check"]
    assert "The check failed: " in printed and "unauthorized" in printed and f"{shell.command} --new-key\n" in printed
    assert "another-key" not in printed and "another key" not in printed
    for needed in ("is empty or contains blanks", "needs one email address", "needs a time", "needs the name of a time zone"):
        assert f"This {needed}" in printed
    schedule = Stack(account, STACK).properties("Schedule")
    assert (schedule["ScheduleExpression"], schedule["ScheduleExpressionTimezone"]) == ("cron(0 7 * * ? *)", "Europe/Berlin")

    # That the first attempt failed does not mean that somebody has confirmed the address. AWS deletes what nobody confirms.
    topic = Stack(account, STACK).outputs["AlertTopicArn"]
    account.client("sns").subscribe(TopicArn=topic, Protocol="email", Endpoint="maria@example.com")
    (subscription,) = sns_backends[ACCOUNT][REGION].subscriptions.values()
    subscription.arn = "PendingConfirmation"
    code, printed = shell.talk(
        "--new-key", answers=[("Ayrshare API key: ", KEY), ("Press Enter when you have done this: ", "")]
    )
    assert code == 0, printed
    assert "works." in printed and actions(account) == ["check", "check", "test"]
    assert "Not every subscription is confirmed yet" in printed and f"  {shell.command} --test\n" in printed
    assert "address for alerts has no subscription" not in printed
    alarms = Stack(account, STACK).outputs["AlarmTopicArn"]
    assert "address for alarms has no subscription" in printed
    assert f"--topic-arn {alarms} --protocol email --notification-endpoint maria@example.com\n" in printed

    code, printed = shell.talk("--remove", answers=[("to remove it: ", "yes")])
    assert code == 1 and "Nothing was removed." in printed
    code, printed = shell.talk("--remove", answers=[("to remove it: ", STACK)])
    assert code == 0, printed
    assert not any(everything(account).values())


# ------------------------------------------------------------------------------------------------ failures


@pytest.fixture
def idle_shell(account, unpacked, tmp_path):
    """A shell for what ends before the function is needed."""
    path = tmp_path / "function"
    path.write_bytes(b"function")
    return Shell(account, unpacked(path), tmp_path)


@pytest.mark.parametrize(
    ("options", "variables", "says"),
    [
        ([], {}, "The Ayrshare API key is missing"),
        ([], {"AYRSHARE_API_KEY": KEY}, "Add --email ADDRESS"),
        ([], {"AYRSHARE_API_KEY": KEY, "SHELLOPTS": "xtrace"}, "Add --email ADDRESS"),
        ([], {"AYRSHARE_API_KEY": "two words"}, "contains blanks"),
        (["--email", "maria"], {}, "one email address, like maria@example.com"),
        (["--email"], {}, "--email needs a value"),
        (["--time", "7"], {}, "a time like 07:00"),
        (["--zone", "Europe/Berln; x"], {}, "like Europe/Berlin"),
        (["--set", "Slack"], {}, "like --set Slack=yes"),
        (["--set", "Architecture=mips"], {}, "Architecture is arm64 or x86_64"),
        (["--stack", "my_stack"], {}, "begins with a letter"),
        (["--bucket"], {}, "There is no option --bucket"),
        ([], {"AWS_REGION": ""}, "--region eu-central-1"),
        ([], {"TMPDIR": "/nowhere"}, "Set TMPDIR"),
        ([], {"PATH": "/nowhere"}, None),
    ],
)
def test_what_is_missing_or_wrong_is_said_before_anything_is_made(account, idle_shell, options, variables, says):
    if says is None:
        # Without the AWS command line.
        (pathlib.Path(idle_shell.variables["PATH"]) / "aws").unlink()
        variables, says = {}, "The AWS command line is missing"
    if "Architecture=mips" not in options:
        options = [*options, "--set", f"Architecture={ARCHITECTURE}"] if options[-1:] != ["--email"] else options
    code, printed = idle_shell.run(*options, **variables)
    assert code == 1 and says in printed, printed
    assert not any(everything(account).values())


def test_a_half_unpacked_bundle_is_noticed(account, idle_shell):
    (idle_shell.folder / f"function-{ARCHITECTURE}.zip").unlink()
    code, printed = idle_shell.run("--set", f"Architecture={ARCHITECTURE}", AYRSHARE_API_KEY=KEY)
    assert code == 1 and "Unpack the whole archive again" in printed
    assert not any(everything(account).values())


@pytest.mark.parametrize(
    ("status", "says"),
    [("UPDATE_IN_PROGRESS", "Wait a few minutes"), ("DELETE_FAILED", f"/deploy.sh --stack staging --region {REGION} --remove: ")],
)
def test_a_stack_that_cannot_be_updated_says_what_helps(account, idle_shell, status, says):
    a_stack(account, "staging", source()["Description"], status)
    code, printed = idle_shell.run("--stack", "staging", "--region", REGION, AWS_REGION="")
    assert code == 1 and status in printed and says in printed, printed


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        ("", "None", "The check did not succeed. Its answer: nothing"),
        ('{"status":"failed","profiles":{}}', "None", 'Its answer: {"status":"failed"'),
        # Whatever the text of an error contains, it does not control the terminal.
        (r'{"errorMessage":"\"Caf\u00e9\"\u001b[2J \\u001b[2J\nend"}', "Unhandled", 'failed: "Café"[2J \\u001b[2J\nend\n'),
    ],
)
def test_only_a_check_that_succeeds_is_a_success(account, idle_shell, answer, error, says):
    idle_shell.imitate_aws(f'printf %s {shlex.quote(answer)} >"${{@: -1}}"; echo {error}')
    code, printed = idle_shell.run("--set", f"Architecture={ARCHITECTURE}", LC_ALL="C.UTF-8")
    assert code == 1 and says in printed and "works" not in printed, printed


def a_stack(account, name, description, status="CREATE_COMPLETE"):
    """Creates a stack with one bucket, and returns the name of the bucket."""
    template = {"Description": description, "Resources": {"Store": {"Type": "AWS::S3::Bucket"}}}
    template = {key: value for key, value in template.items() if value is not None}
    account.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))
    (stack,) = (each for each in cloudformation_backends[ACCOUNT][REGION].stacks.values() if each.name == name)
    stack.status = status
    return stack.resource_map["Store"].physical_resource_id


@pytest.mark.parametrize("description", [None, "The website. Uses media-expiry-alerts."])
@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "ROLLBACK_COMPLETE"])
def test_the_stack_of_another_program_is_left_alone(account, idle_shell, description, status):
    bucket = a_stack(account, "website", description, status)
    account.client("s3").put_object(Bucket=bucket, Key="index.html", Body=b"x")
    account.client("ssm").put_parameter(Name="/website/password", Value="x", Type="SecureString")
    before = everything(account)
    for options in (["--email", "maria@example.com"], ["--remove"]):
        code, printed = idle_shell.run("--stack", "website", "--yes", *options, AYRSHARE_API_KEY=KEY)
        assert code == 1 and "is not one of media-expiry-alerts" in printed, printed
    assert everything(account) == before
    assert account.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def test_without_an_answer_nothing_is_removed(idle_shell):
    idle_shell.imitate_aws()
    code, printed = idle_shell.talk("--remove", answers=[("to remove it: ", "\x04")])
    assert code == 1 and "There was no answer, so nothing was removed." in printed, printed
    assert "delete" not in idle_shell.seen.read_text()


def test_without_a_stack_only_the_key_is_removed(account, idle_shell):
    ssm, s3 = account.client("ssm"), account.client("s3")
    for name in ("ayrshare-api-key", "database/password"):
        ssm.put_parameter(Name=f"/prod/{name}", Value="x", Type="SecureString")
    # A removal that was interrupted leaves such a bucket. The others belong to other stacks, or to one in another region.
    left, others = "prod-store-1a2b3c4d5e6f", ("prod-eu-store-1a2b3c4d5e6f", "prod-store-0f0f0f0f0f0f", BUCKET)
    for bucket in (left, *others):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3_backends[ACCOUNT]["aws"].buckets["prod-store-0f0f0f0f0f0f"].region_name = "eu-west-1"
    s3.put_object(Bucket=BUCKET, Key="staging/code", Body=b"x")
    before = everything(account)

    code, printed = idle_shell.run("--remove", "--stack", "Prod", "--yes")
    assert code == 0 and "There is nothing to remove" in printed, printed
    assert f"  the bucket {left} " in printed and not any(each in printed for each in others)
    assert everything(account) == before

    code, printed = idle_shell.run("--remove", "--stack", "prod", "--yes")
    removed, _, stay = printed.partition("These stay.")
    assert code == 0 and "  the parameter /prod/ayrshare-api-key\n" in removed, printed
    assert "program" not in removed and "is removed" not in printed
    assert "  the parameter /prod/database/password\n" in stay and f"  the bucket {left} " in stay
    assert not any(each in printed for each in others)
    assert [each["Name"] for each in ssm.describe_parameters()["Parameters"]] == ["/prod/database/password"]
    assert everything(account)["buckets"] == before["buckets"]


def test_a_removal_that_fails_says_so_and_keeps_everything(account, idle_shell):
    bucket = a_stack(account, STACK, source()["Description"])
    account.client("s3").put_object(Bucket=bucket, Key="copies/one", Body=b"x")
    account.client("ssm").put_parameter(Name=KEY_NAME, Value="x", Type="SecureString")
    before = everything(account)
    for command, says in [
        ("cloudformation describe-stacks", "The stacks of the account cannot be read"),
        ("cloudformation describe-stack-resources", "The resources of the stack cannot be read"),
        ("cloudformation delete-stack", "The stack could not be deleted"),
        ("ssm get-parameters-by-path", "cannot be listed"),
        ("s3api list-buckets", "cannot be listed"),
    ]:
        idle_shell.deny(command)
        code, printed = idle_shell.run("--remove", "--yes")
        assert code == 1 and says in printed and "is removed" not in printed, printed
        assert everything(account) == before, command
        assert account.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 1, command


def test_what_a_removal_leaves_is_named_and_removed_by_the_next(account, idle_shell):
    a_stack(account, STACK, source()["Description"])
    account.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    account.client("ssm").put_parameter(Name=KEY_NAME, Value="x", Type="SecureString")
    for command, says in [
        ("ssm delete-parameters", KEY_NAME),
        ("s3api delete-bucket", f"The bucket {BUCKET} cannot be deleted"),
    ]:
        idle_shell.deny(command)
        code, printed = idle_shell.run("--remove", "--yes")
        assert code == 1 and says in printed and "is removed" not in printed, printed
    idle_shell.first("")
    code, printed = idle_shell.run("--remove", "--yes")
    assert code == 0, printed
    assert not any(everything(account).values())


def test_more_parameters_than_one_call_deletes_are_removed(account, idle_shell):
    a_stack(account, STACK, source()["Description"])
    for number in range(21):
        account.client("ssm").put_parameter(Name=f"/{STACK}/profiles/{number}", Value="x", Type="SecureString")
    code, printed = idle_shell.run("--remove", "--yes")
    assert code == 0, printed
    assert not any(everything(account).values())


def test_a_warning_of_the_command_line_is_no_part_of_an_answer(account, idle_shell):
    a_stack(account, STACK, source()["Description"], "UPDATE_IN_PROGRESS")
    idle_shell.first('echo "Warning: this version of Python is old." >&2')
    code, printed = idle_shell.run()
    assert code == 1 and "AWS is still busy with the stack media-expiry-alerts (UPDATE_IN_PROGRESS)" in printed, printed


def test_a_key_that_cannot_be_read_is_not_a_missing_one(account, idle_shell):
    idle_shell.deny("ssm get-parameter")
    code, printed = idle_shell.run("--set", f"Architecture={ARCHITECTURE}")
    assert code == 1 and f"The parameter {KEY_NAME} cannot be read" in printed, printed


def test_an_unknown_account_says_what_helps(account, idle_shell):
    code, printed = idle_shell.run(AWS_ENDPOINT_URL="http://127.0.0.1:9")
    of_aws, _, advice = printed.partition("The AWS account cannot be determined.")
    assert code == 1 and "Could not connect to the endpoint URL" in of_aws, printed
    assert "aws configure" in advice and f"the region, {REGION}" in advice


def test_the_code_stays_while_another_stack_needs_it(account, idle_shell):
    s3 = account.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    for stack in (STACK, "staging"):
        s3.put_object(Bucket=BUCKET, Key=f"{stack}/code", Body=b"x")
    code, printed = idle_shell.run("--remove", "--yes")
    assert code == 0 and "stays, because it contains the program of another stack" in printed, printed
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["staging/code"]


def test_help_and_version_need_no_account(idle_shell):
    code, printed = idle_shell.run("--version", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert (code, printed) == (0, f"media-expiry-alerts {bundle.version()}\n")
    # Whatever the settings of the shell are, and wherever it is started from.
    link = idle_shell.folder.parent / "link"
    link.symlink_to("media-expiry-alerts/deploy.sh")
    for idle_shell.command in (link, "media-expiry-alerts/deploy.sh"):
        code, printed = idle_shell.run("--version", CDPATH=".")
        assert (code, printed) == (0, f"media-expiry-alerts {bundle.version()}\n")
    code, printed = idle_shell.run("--help", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert code == 0
    script = (ROOT / "tools/deploy.sh").read_text()
    for option in re.findall(r"^        (--[a-z-]+)(?: \|.*)?\)", script, re.MULTILINE):
        assert f"  {option}" in printed, option


# ------------------------------------------------------------------------------------------------ the repository of AWS


def test_the_metadata_for_the_serverless_application_repository():
    metadata = source()["Metadata"]["AWS::ServerlessRepo::Application"]
    # Its rules, of which `sam package` checks none.
    assert re.fullmatch(r"[A-Za-z0-9-]{1,140}", metadata["Name"])
    assert re.fullmatch(r"[a-z0-9](-?[a-z0-9]){0,126}", metadata["Author"])
    assert 1 <= len(metadata["Description"]) <= 256
    assert len(metadata["Labels"]) <= 10 and all(re.fullmatch(r"[A-Za-z0-9+_:/@-]{1,127}", each) for each in metadata["Labels"])
    assert metadata["SemanticVersion"] == bundle.version()
    assert metadata["SpdxLicenseId"] == "MIT" and "MIT License" in (ROOT / metadata["LicenseUrl"]).read_text()
    assert (ROOT / metadata["ReadmeUrl"]).stat().st_size < 1_000_000
    # No intrinsic functions.
    assert all(isinstance(value, (str, list)) for value in metadata.values())


def test_sam_packages_the_bundle_with_its_readme_and_licence(account, unpacked, tmp_path):
    function = tmp_path / "function"
    function.write_bytes(b"function")
    folder = unpacked(function, "arm64")
    s3 = account.client("s3")
    s3.create_bucket(Bucket="serverless", CreateBucketConfiguration={"LocationConstraint": REGION})
    output = tmp_path / "packaged.yaml"
    packaged = subprocess.run(
        [BIN / "sam", "package", "--template-file", folder / "template.yaml", "--s3-bucket", "serverless", "--region", REGION]
        + ["--output-template-file", output],
        env={
            **os.environ,
            "SAM_CLI_TELEMETRY": "0",
            "AWS_ENDPOINT_URL": account.endpoint,
            "AWS_ACCESS_KEY_ID": "admin",
            "AWS_SECRET_ACCESS_KEY": "admin",
        },
        capture_output=True,
        text=True,
    )
    assert packaged.returncode == 0, packaged.stdout + packaged.stderr
    template = yaml_parse(output.read_text())
    metadata = template["Metadata"]["AWS::ServerlessRepo::Application"]
    uploaded = {
        metadata["ReadmeUrl"]: (ROOT / "README.md").read_bytes(),
        metadata["LicenseUrl"]: (ROOT / "LICENSE-MIT").read_bytes(),
        template["Resources"]["Function"]["Properties"]["CodeUri"]: (folder / "function-arm64.zip").read_bytes(),
    }
    for url, content in uploaded.items():
        bucket, _, key = url.removeprefix("s3://").partition("/")
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == content, url


# ------------------------------------------------------------------------------------------------ the archive


def test_the_bundle_has_what_is_needed_and_is_reproducible(tmp_path):
    binaries = {}
    for architecture in bundle.ARCHITECTURES:
        binaries[architecture] = tmp_path / architecture
        binaries[architecture].write_bytes(architecture.encode())
    content = bundle.archive(bundle.files(binaries))
    assert content == bundle.archive(bundle.files(dict(reversed(binaries.items()))))
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        assert {"template.yaml", "samconfig.toml", "deploy.sh", "README.md", "LICENSE-MIT", "VERSION"} < set(opened.namelist())
        for architecture in bundle.ARCHITECTURES:
            function = zipfile.ZipFile(io.BytesIO(opened.read(f"function-{architecture}.zip")))
            (info,) = function.infolist()
            assert (info.filename, info.external_attr >> 16, function.read(info)) == ("bootstrap", 0o100755, architecture.encode())
        template = opened.read("template.yaml").decode()
    assert "CodeUri: function-arm64.zip" in template
    without_code = [line for line in template.splitlines() if "CodeUri" not in line and "For x86_64, name" not in line]
    assert without_code == [line for line in (ROOT / "template.yaml").read_text().splitlines() if "CodeUri" not in line]


def test_names_of_this_machine_are_found(tmp_path):
    named = tmp_path / "named"
    named.write_bytes(b"panicked at " + str(ROOT).encode() + b"/src/main.rs")
    assert bundle.leaks(bundle.archive(bundle.files({"arm64": named})))


@pytest.mark.skipif("target/lambda/" not in "".join(COMMAND), reason="only `make release` leaves the names out")
def test_the_release_names_no_machine(binary):
    assert bundle.leaks(bundle.archive(bundle.files({ARCHITECTURE: binary}))) == []


def test_releases_keep_the_flags_of_cargo_lambda():
    # The variable would replace them, and with them the processors of Lambda.
    for name in ("Makefile", "tools/release-program"):
        text = (ROOT / name).read_text()
        assert "--remap-path-prefix" in text and "RUSTFLAGS=" not in text
