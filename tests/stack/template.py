"""The template, before and after the SAM transform."""

import copy
import functools
import os
import pathlib

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"

# The transform makes no calls, but needs a region for boto3.
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")

# Where `sam deploy` would have uploaded the code.
CODE = {"Bucket": "code", "Key": "function.zip"}


class NoManagedPolicies:
    """Replaces the list of AWS's managed policies, which the transform reads if the template names one."""

    def load(self):
        raise AssertionError("the template names a managed policy, and those contain wildcards")


@functools.cache
def _source():
    return yaml_parse(TEMPLATE.read_text())


def source():
    """A copy of the template, with the short intrinsic functions expanded."""
    return copy.deepcopy(_source())


def transformed(template=None):
    """What CloudFormation deploys: `template` (by default `template.yaml`) after the SAM transform."""
    template = source() if template is None else copy.deepcopy(template)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = CODE
    return transformed_code(template)


def transformed_code(template):
    """The same of a template whose code is uploaded already."""
    return transform(template, {}, NoManagedPolicies())


def resources(template, type_):
    """The resources of a type by their logical ids."""
    return {name: each for name, each in template["Resources"].items() if each["Type"] == type_}


def properties(template, name):
    """A resource's properties. Empty if the resource does not exist."""
    return template["Resources"].get(name, {}).get("Properties", {})
