"""The template, before and after the SAM transform."""

import copy
import functools
import os
import pathlib

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"

# The transform asks boto3 for a region, though it calls nothing.
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")

# Where the code would be after `sam deploy` has uploaded it.
CODE = {"Bucket": "code", "Key": "function.zip"}


class NoManagedPolicies:
    """Stands for the list of AWS's managed policies, which the transform reads when a template names one."""

    def load(self):
        raise AssertionError("the template names a managed policy; those have wildcards")


@functools.cache
def _source():
    return yaml_parse(TEMPLATE.read_text())


def source():
    """The template, with short intrinsics spelt out. A copy: do with it what you like."""
    return copy.deepcopy(_source())


def transformed(template=None):
    """What CloudFormation deploys: `template` (by default the one that stands) after the SAM transform."""
    template = source() if template is None else copy.deepcopy(template)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = CODE
    return transform(template, {}, NoManagedPolicies())


def resources(template, type_):
    """The resources of a type, by their logical ids."""
    return {name: each for name, each in template["Resources"].items() if each["Type"] == type_}


def properties(template, name):
    """A resource's properties; empty when it is not there."""
    return template["Resources"].get(name, {}).get("Properties", {})
