"""Checks the workflows in .github: all actions are pinned, and a release requires that the tests pass."""

import re

import pytest
import yaml

from template import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def jobs(path):
    return yaml.safe_load(path.read_text())["jobs"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_commit(path):
    used = [step["uses"] for job in jobs(path).values() for step in job["steps"] if "uses" in step]
    assert used and not [action for action in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)]


def test_a_release_is_tested_first():
    release = jobs(ROOT / ".github/workflows/release.yml")
    assert {"run": "make test"} in release["test"]["steps"]

    def before(name):
        """All jobs that must succeed before this one."""
        needs = release[name].get("needs", [])
        needs = [needs] if isinstance(needs, str) else needs
        return set(needs).union(*map(before, needs))

    publishing = [name for name, job in release.items() if job.get("permissions", {}).get("contents") == "write"]
    assert publishing == ["release"] and {"build", "test"} <= before("release")
