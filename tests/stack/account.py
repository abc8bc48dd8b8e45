"""An AWS account on this machine: moto with the deployed stack, enforcing the policies of the roles.

This module adds two things to moto. The CloudFormation of moto ignores some types and properties, so this module keeps the
resolved properties of every resource. And the IAM of moto does not check resources, so a proxy in front of it parses each
request, records the call, and denies what the role of the caller does not allow.
"""

import dataclasses
import email.utils
import functools
import io
import json
import threading
import urllib.parse
import zipfile

import boto3
import botocore.config
import requests
from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

import template as templates
from policy import Policy

REGION = "eu-central-1"
ACCOUNT = "123456789012"
STACK = "media-expiry-alerts"
S3_ARN = "arn:aws:s3:::"
ADMIN = {"aws_access_key_id": "admin", "aws_secret_access_key": "admin"}

# ------------------------------------------------------------------------------------------------ CloudFormation

# Properties of every resource, references resolved, by stack and logical id.
KEPT = {}


def _keeping(parse):
    @functools.wraps(parse)
    def keeping(logical_id, resource_json, resources_map):
        parsed = parse(logical_id, resource_json, resources_map)
        if parsed is None:
            raise AssertionError(f"moto does not support {resource_json['Type']}; register a placeholder below")
        _, resolved, _ = parsed
        KEPT[resources_map.stack_id, logical_id] = resolved["Properties"]
        return parsed

    return keeping


parsing.parse_resource_and_generate_name = _keeping(parsing.parse_resource_and_generate_name)


class Passive:
    """A placeholder for a resource of a type that moto's CloudFormation does not support."""

    type_ = ""

    def __init__(self, name, properties):
        self.physical_resource_id = self.reference(name, properties)

    @staticmethod
    def reference(name, properties):
        """The value of `Ref`."""
        return name

    def get_cfn_attribute(self, attribute):
        """The value of `Fn::GetAtt`."""
        if (self.type_, attribute) == ("AWS::ApiGatewayV2::Api", "ApiEndpoint"):
            return f"https://{self.physical_resource_id}.execute-api.{REGION}.amazonaws.com"
        if (self.type_, attribute) == ("AWS::CloudWatch::Alarm", "Arn"):
            return f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{self.physical_resource_id}"
        raise AssertionError(f"not implemented: {attribute} of {self.type_}")

    @classmethod
    def has_cfn_attr(cls, attribute):
        return True

    @staticmethod
    def cloudformation_name_type():
        return ""

    @classmethod
    def cloudformation_type(cls):
        return cls.type_

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        return cls(resource_name, cloudformation_json["Properties"])

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name):
        pass

    def is_created(self):
        return True


def _register(type_, reference=Passive.reference):
    """Registers a type with moto, which finds all subclasses of its model. Each must be in the module of a service."""
    members = {"type_": type_, "reference": staticmethod(reference), "__module__": "moto.passive.models"}
    return type(type_.replace("::", ""), (Passive, CloudFormationModel), members)


# Referenced here, because moto finds only types that are not garbage collected.
REGISTERED = [
    _register("AWS::ApiGatewayV2::Api", lambda name, properties: "a1b2c3d4e5"),
    _register("AWS::ApiGatewayV2::Integration", lambda name, properties: "i1"),
    _register("AWS::ApiGatewayV2::Route"),
    _register("AWS::ApiGatewayV2::Stage", lambda name, properties: properties["StageName"]),
    _register("AWS::CloudWatch::Alarm", lambda name, properties: properties["AlarmName"]),
    _register("AWS::Lambda::EventInvokeConfig"),
    _register("AWS::S3::BucketPolicy"),
    _register("AWS::SNS::Subscription"),
    _register("AWS::SNS::TopicPolicy"),
    _register("AWS::Scheduler::Schedule", lambda name, properties: properties["Name"]),
]

# ------------------------------------------------------------------------------------------------ permissions


@dataclasses.dataclass(frozen=True)
class Call:
    """A call made by a role."""

    action: str
    resource: str
    allowed: bool


class Boundary:
    """A proxy in front of moto. It enforces the policies of roles and allows all other calls."""

    def __init__(self, application):
        self.application = application
        self.policies = {}
        self.calls = []
        # Answers invocations of the function. moto answers them if there is none.
        self.invocations = None
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        key, region, service = _scope(environ.get("HTTP_AUTHORIZATION", ""))
        policy = self.policies.get(key)
        if self.invocations and environ["PATH_INFO"].endswith("/invocations"):
            return self._invoke(environ, start_response)
        if policy is None:
            return self.application(environ, start_response)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = io.BytesIO(body)
        action, wanted = _action_and_resources(environ, body, service, region)
        for action, resource in [(action, resource) for resource in wanted] + _needed_to_miss(environ, action, wanted):
            allowed = policy.allows(action, resource, **_context(action, body))
            with self.lock:
                self.calls.append(Call(action, resource, allowed))
            if not allowed:
                return _refusal(service, action, resource, start_response)
        return self.application(environ, start_response)

    def _invoke(self, environ, start_response):
        event = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body, is_error = self.invocations(event)
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response("200 OK", headers + [("X-Amz-Function-Error", "Unhandled")] * is_error)
        return [body]


def _scope(authorization):
    """The access key, region and service in a signature of version 4."""
    _, _, rest = authorization.partition("Credential=")
    parts = rest.partition(",")[0].split("/")
    return (parts[0], parts[2], parts[3]) if len(parts) == 5 else ("", "", "")


def _action_and_resources(environ, body, service, region):
    """The action of a request and the ARNs of its resources. An unknown kind of request fails the test."""
    operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    if service == "ssm":
        request = json.loads(body)
        names = request.get("Names") or [request["Name"]]
        prefix = f"arn:aws:ssm:{region}:{ACCOUNT}:parameter"
        return f"ssm:{operation}", [prefix + "/" + name.lstrip("/") for name in names]
    if service == "secretsmanager":
        secret = json.loads(body)["SecretId"]
        if not secret.startswith("arn:"):
            # IAM evaluates the complete ARN, which ends with six random characters.
            secret = _admin("secretsmanager", _endpoint(environ)).describe_secret(SecretId=secret)["ARN"]
        return f"secretsmanager:{operation}", [secret]
    if service == "dynamodb":
        request = json.loads(body)
        prefix = f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/"
        if operation in ("TransactWriteItems", "TransactGetItems"):
            # IAM has no action for transactions. Each item needs the permission for its own action.
            (kind,) = {kind for item in request["TransactItems"] for kind in item}
            names = {
                "Put": "PutItem",
                "Update": "UpdateItem",
                "Delete": "DeleteItem",
                "ConditionCheck": "ConditionCheckItem",
            }
            tables = {each["TableName"] for item in request["TransactItems"] for each in item.values()}
            return f"dynamodb:{names.get(kind, 'GetItem')}", [prefix + table for table in sorted(tables)]
        tables = request.get("RequestItems") or [request["TableName"]]
        return f"dynamodb:{operation}", [table if table.startswith("arn:") else prefix + table for table in tables]
    if service == "sns":
        form = dict(urllib.parse.parse_qsl(body.decode()))
        return f"sns:{form['Action']}", [form["TopicArn"]]
    if service == "sqs":
        queue = json.loads(body)["QueueUrl"].rpartition("/")[2]
        return f"sqs:{operation}", [f"arn:aws:sqs:{region}:{ACCOUNT}:{queue}"]
    if service == "s3":
        actions = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}
        # If the endpoint is an IP address, the bucket is in the path.
        bucket_and_key = urllib.parse.unquote(environ["PATH_INFO"]).lstrip("/")
        method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
        if "/" in bucket_and_key:
            if query.startswith(("uploads", "partNumber=", "uploadId=")):
                # All steps of an upload in parts need the permission to write the object, except giving it up.
                action = "s3:AbortMultipartUpload" if method == "DELETE" else "s3:PutObject"
                return action, [S3_ARN + bucket_and_key]
            if method in actions and not query:
                return actions[method], [S3_ARN + bucket_and_key]
    if service == "ses":
        prefix = f"arn:aws:ses:{region}:{ACCOUNT}:identity/"
        if environ["PATH_INFO"] == "/v2/email/outbound-emails":
            return "ses:SendEmail", [prefix + _sender(body)]
        return "ses:GetEmailIdentity", [prefix + urllib.parse.unquote(environ["PATH_INFO"].rpartition("/")[2])]
    raise AssertionError(f"not implemented: requests to {service}")


def _context(action, body):
    """The keys of the request that the conditions of policies use."""
    return {"ses_FromAddress": _sender(body)} if action == "ses:SendEmail" else {}


def _sender(body):
    return email.utils.parseaddr(json.loads(body)["FromEmailAddress"])[1]


def _needed_to_miss(environ, action, resources):
    """What the role also needs to learn that an object does not exist. S3 otherwise answers that access is denied."""
    if action != "s3:GetObject":
        return []
    (resource,) = resources
    bucket, _, key = resource.removeprefix(S3_ARN).partition("/")
    admin = _admin("s3", _endpoint(environ))
    try:
        admin.head_object(Bucket=bucket, Key=key)
    except admin.exceptions.ClientError:
        return [("s3:ListBucket", S3_ARN + bucket)]
    return []


# Creating a client takes longer than a call.
@functools.cache
def _admin(service, endpoint):
    return boto3.client(service, REGION, endpoint_url=endpoint, **ADMIN)


def _endpoint(environ):
    return f"http://127.0.0.1:{environ['SERVER_PORT']}"


def _refusal(service, action, resource, start_response):
    text = (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/role/session is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )
    if service == "sns":
        status, type_ = "403 Forbidden", "text/xml"
        body = (
            '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>'
            f"<Code>AuthorizationError</Code><Message>{text}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
        )
    elif service == "s3":
        status, type_ = "403 Forbidden", "application/xml"
        body = f"<Error><Code>AccessDenied</Code><Message>{text}</Message><RequestId>1</RequestId></Error>"
    else:
        status, type_ = "400 Bad Request", "application/x-amz-json-1.1"
        body = json.dumps({"__type": "AccessDeniedException", "Message": text, "message": text})
    body = body.encode()
    start_response(status, [("Content-Type", type_), ("Content-Length", str(len(body)))])
    return [body]


# ------------------------------------------------------------------------------------------------ the account


class Account:
    """The account, as a context manager."""

    def __enter__(self):
        self.boundary = Boundary(DomainDispatcherApplication(create_backend_app))
        self.server = make_server("127.0.0.1", 0, self.boundary, threaded=True, request_handler=QuietHandler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        self.reset()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()

    def reset(self):
        """Deletes everything in the account."""
        requests.post(f"{self.endpoint}/moto-api/reset", timeout=10).raise_for_status()
        self.boundary.policies.clear()
        self.boundary.calls.clear()
        self.boundary.invocations = None
        KEPT.clear()

    def client(self, service, **credentials):
        """A boto3 client, with the administrator's credentials by default."""
        config = botocore.config.Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
        return boto3.client(service, REGION, endpoint_url=self.endpoint, config=config, **(credentials or ADMIN))

    def deploy(self, template=None, stack=STACK, **parameters):
        """Deploys the transformed template and returns the stack."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=templates.CODE["Bucket"], CreateBucketConfiguration={"LocationConstraint": REGION})
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("bootstrap", "")
        s3.put_object(**templates.CODE, Body=code.getvalue())
        template = template or templates.transformed()
        # moto does not split the default of a list parameter.
        defaults = {
            name: parameter["Default"]
            for name, parameter in template["Parameters"].items()
            if parameter["Type"] == "CommaDelimitedList"
        }
        parameters = {**defaults, **parameters}
        self.client("cloudformation").create_stack(
            StackName=stack,
            TemplateBody=json.dumps(template, default=str),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
        return Stack(self, stack)

    def assume(self, role_arn):
        """Returns credentials of a role. Calls with them are subject to the policies of the role."""
        credentials = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="session")["Credentials"]
        self.boundary.policies[credentials["AccessKeyId"]] = self.policy(role_arn)
        return {
            "aws_access_key_id": credentials["AccessKeyId"],
            "aws_secret_access_key": credentials["SecretAccessKey"],
            "aws_session_token": credentials["SessionToken"],
        }

    def policy(self, role_arn):
        """The permissions of a role."""
        return Policy.of_role(self.client("iam"), role_arn.rpartition("/")[2])

    @property
    def calls(self):
        """All calls made by roles so far."""
        return list(self.boundary.calls)


class Stack:
    """A deployed stack."""

    def __init__(self, account, name):
        self.account = account
        self.name = name
        cloudformation = account.client("cloudformation")
        (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        self.id = stack["StackId"]
        self.status = stack["StackStatus"]
        self.parameters = stack["Parameters"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        found = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        # Resources whose condition is false are listed too, but without a logical id.
        self.physical_ids = {
            each["LogicalResourceId"]: each.get("PhysicalResourceId") for each in found if "LogicalResourceId" in each
        }

    def properties(self, logical_id):
        """A resource's properties with resolved references."""
        return KEPT[self.id, logical_id]

    def __contains__(self, logical_id):
        return logical_id in self.physical_ids

    def function(self):
        """The function's configuration."""
        return self.account.client("lambda").get_function(FunctionName=self.outputs["FunctionName"])["Configuration"]

    def function_environment(self):
        """The environment in which Lambda would start the function, including the credentials of its role."""
        function = self.function()
        credentials = self.account.assume(function["Role"])
        logging = self.properties("Function")["LoggingConfig"]
        return {
            **function["Environment"]["Variables"],
            "AWS_ACCESS_KEY_ID": credentials["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": credentials["aws_secret_access_key"],
            "AWS_SESSION_TOKEN": credentials["aws_session_token"],
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.account.endpoint,
            "AWS_LAMBDA_FUNCTION_NAME": function["FunctionName"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function["MemorySize"]),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_LOG_FORMAT": logging["LogFormat"],
            "AWS_LAMBDA_LOG_LEVEL": logging["ApplicationLogLevel"],
            "AWS_LAMBDA_LOG_GROUP_NAME": logging["LogGroup"],
            "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
            "TZ": ":UTC",
            "LANG": "en_US.UTF-8",
        }


class QuietHandler(MotoRequestHandler):
    """Does not log requests."""

    def log_request(self, *_):
        pass
