"""What a role may do: its policies read from the account, and decided as IAM decides for one account's principals.

Enough of IAM for this stack and no more: what it does not know (NotAction, Deny, other condition operators) it refuses to
judge, so that a policy that uses it cannot pass unseen.
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

    @classmethod
    def parse(cls, statement):
        known = {"Sid", "Effect", "Action", "Resource", "Condition"}
        assert set(statement) <= known, f"cannot judge {set(statement) - known} in {statement}"
        assert statement["Effect"] == "Allow", f"cannot judge {statement}"
        conditions = statement.get("Condition", {})
        assert set(conditions) <= {"StringEquals"}, f"cannot judge {conditions}"
        wanted = conditions.get("StringEquals", {})
        return cls(
            sid=statement.get("Sid", ""),
            actions=_tuple(statement["Action"]),
            resources=_tuple(statement["Resource"]),
            conditions=tuple((key, _tuple(values)) for key, values in wanted.items()),
        )

    def allows(self, action, resource, context):
        return (
            any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in self.actions)
            and any(_arn_matches(resource, pattern) for pattern in self.resources)
            and all(context.get(key) in values for key, values in self.conditions)
        )


class Policy:
    """All that a role is allowed."""

    def __init__(self, statements):
        self.statements = [Statement.parse(statement) for statement in statements]

    @classmethod
    def of_role(cls, iam, role_name):
        attached = iam.list_attached_role_policies(RoleName=role_name)["AttachedPolicies"]
        assert not attached, f"{role_name} has policies that are not its own: {attached}"
        statements = []
        for name in iam.list_role_policies(RoleName=role_name)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role_name, PolicyName=name)["PolicyDocument"]
            if isinstance(document, str):
                # moto keeps what CloudFormation gives it as Python writes it.
                document = ast.literal_eval(urllib.parse.unquote(document))
            statements += document["Statement"]
        return cls(statements)

    def allows(self, action, resource, **context):
        """Whether `action` is allowed on `resource`. Context keys are written `kms_ViaService` for `kms:ViaService`."""
        context = {key.replace("_", ":", 1): value for key, value in context.items()}
        return any(statement.allows(action, resource, context) for statement in self.statements)

    def actions(self):
        """Every action that is granted."""
        return {action for statement in self.statements for action in statement.actions}


def _tuple(value):
    return (value,) if isinstance(value, str) else tuple(value)


def _arn_matches(arn, pattern):
    # `*` and `?` are IAM's only wildcards; brackets mean themselves.
    return fnmatch.fnmatchcase(arn, pattern.replace("[", "[[]"))
