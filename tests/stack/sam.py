"""Lets moto deploy templates of SAM through change sets, as `aws cloudformation deploy` does.

CloudFormation has a macro that replaces the resources of SAM by those of AWS. moto has none, and would leave them out. AWS
publishes the source of the macro as aws-sam-translator, and this module applies it when a change set is created. It also
keeps what moto forgets when a change set is executed: the description, outputs, and resources that it cannot update.
"""

import functools
import json

from moto.cloudformation import parsing
from moto.cloudformation.models import ChangeSet, CloudFormationBackend
from samtranslator.yaml_helper import yaml_parse

import template as templates

_create_change_set = CloudFormationBackend.create_change_set
_update_resource = parsing.parse_and_update_resource


@functools.wraps(_create_change_set)
def _after_transform(backend, *, template, parameters, **rest):
    parsed = yaml_parse(template)
    if "Transform" in parsed:
        template = json.dumps(templates.transformed_code(parsed), default=str)
    # moto does not split the default of a list parameter, and an update asks for the values of all parameters.
    defaults = {name: str(each["Default"]) for name, each in parsed["Parameters"].items() if "Default" in each}
    # Of a stack, it gives lists.
    given = {name: ",".join(value) if isinstance(value, list) else value for name, value in parameters.items()}
    return _create_change_set(backend, template=template, parameters={**defaults, **given}, **rest)


def _apply(change_set):
    stack = change_set.stack
    stack.template, stack.parameters = change_set.template, change_set.parameters
    stack._parse_template()
    stack.description = stack.template_dict.get("Description")
    if change_set.change_set_type == "CREATE":
        stack.resource_map = stack._create_resource_map()
        stack.resource_map.create(stack.template_dict)
    else:
        stack.resource_map.update(stack.template_dict, stack.parameters)
    stack.output_map = stack._create_output_map()


def _updated(logical_id, resource_json, resources_map, **rest):
    return _update_resource(logical_id, resource_json, resources_map, **rest) or resources_map[logical_id]


parsing.parse_and_update_resource = _updated
CloudFormationBackend.create_change_set = _after_transform
ChangeSet.apply = _apply
