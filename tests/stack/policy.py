"""The permissions of a role: reads its policies from the account, and evaluates them as IAM does within one account.

It implements only what this stack needs. A policy with anything else (NotAction, Deny, other condition operators) fails the
test, so that it cannot be misjudged.
"""

import ast
import dataclasses
import fnmatch
import urllib.parse


@dataclasses.dataclass(frozen=True)
class Statement:
    """One statement of a policy."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[tuple[str, tuple[str, ...]], ...] = ()
    conditions_ignoring_case: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def parse(cls, statement):
        known = {"Sid", "Effect", "Action", "Resource", "Condition"}
        assert set(statement) <= known, f"not implemented: {set(statement) - known} in {statement}"
        assert statement["Effect"] == "Allow", f"not implemented: {statement}"
        conditions = statement.get("Condition", {})
        assert set(conditions) <= {"StringEquals", "StringEqualsIgnoreCase"}, f"not implemented: {conditions}"
        return cls(
            sid=statement.get("Sid", ""),
            actions=_tuple(statement["Action"]),
            resources=_tuple(statement["Resource"]),
            conditions=_conditions(conditions.get("StringEquals", {})),
            conditions_ignoring_case=_conditions(conditions.get("StringEqualsIgnoreCase", {})),
        )

    def allows(self, action, resource, context):
        return (
            any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in self.actions)
            and any(_arn_matches(resource, pattern) for pattern in self.resources)
            and all(context.get(key) in values for key, values in self.conditions)
            and all(
                context.get(key, "").lower() in [value.lower() for value in values]
                for key, values in self.conditions_ignoring_case
            )
        )


class Policy:
    """The permissions of a role."""

    def __init__(self, statements):
        self.statements = [Statement.parse(statement) for statement in statements]

    @classmethod
    def of_role(cls, iam, role_name):
        attached = iam.list_attached_role_policies(RoleName=role_name)["AttachedPolicies"]
        assert not attached, f"{role_name} has managed policies: {attached}"
        statements = []
        for name in iam.list_role_policies(RoleName=role_name)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role_name, PolicyName=name)["PolicyDocument"]
            if isinstance(document, str):
                # moto stores the policies of CloudFormation in Python syntax.
                document = ast.literal_eval(urllib.parse.unquote(document))
            statements += document["Statement"]
        return cls(statements)

    def allows(self, action, resource, **context):
        """Whether `action` is allowed on `resource`. Context keys are written `kms_ViaService` for `kms:ViaService`."""
        context = {key.replace("_", ":", 1): value for key, value in context.items()}
        return any(statement.allows(action, resource, context) for statement in self.statements)

    def actions(self):
        """All actions that are granted."""
        return {action for statement in self.statements for action in statement.actions}


def _conditions(wanted):
    return tuple((key, _tuple(values)) for key, values in wanted.items())


def _tuple(value):
    return (value,) if isinstance(value, str) else tuple(value)


def _arn_matches(arn, pattern):
    # IAM's only wildcards are `*` and `?`, so brackets must be escaped.
    return fnmatch.fnmatchcase(arn, pattern.replace("[", "[[]"))
