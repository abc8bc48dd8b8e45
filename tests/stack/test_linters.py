"""Runs external linters on the template and the scripts, and checks that those of the template find known problems."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from template import ROOT, TEMPLATE, source, transformed

BIN = pathlib.Path(sys.prefix, "bin")
# It has its own environment, because it pins libraries that the other tools need in newer versions.
CHECKOV = pathlib.Path(os.environ.get("CHECKOV", BIN.parents[1] / "checkov/bin/checkov"))


def run(*command, **variables):
    """Runs a tool without network access."""
    offline = {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true"}
    return subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, **offline, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


def written(tmp_path, template):
    path = tmp_path / "template.json"
    path.write_text(json.dumps(template, default=str))
    return path


def test_sam_validate():
    found = run(BIN / "sam", "validate", "--lint", "--template", TEMPLATE)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "is a valid SAM Template" in found.stdout


def lint(path):
    """Returns all findings of cfn-lint, including hints."""
    return run(BIN / "cfn-lint", "--include-checks", "I", "--format", "parseable", "--", path)


def test_cfn_lint():
    found = lint(TEMPLATE)
    assert (found.returncode, found.stdout) == (0, ""), found.stdout + found.stderr


def test_cfn_lint_of_what_is_deployed(tmp_path):
    found = lint(written(tmp_path, transformed()))
    assert (found.returncode, found.stdout) == (0, ""), found.stdout + found.stderr


@pytest.mark.parametrize("fault", ["a reference to nothing", "a table without policy for its deletion"])
def test_cfn_lint_finds(fault, tmp_path):
    template = source()
    if fault == "a reference to nothing":
        template["Resources"]["NoRunAlarm"]["Properties"]["AlarmActions"] = [{"Ref": "Nothing"}]
    else:
        del template["Resources"]["Ledger"]["DeletionPolicy"]
    assert lint(written(tmp_path, template)).returncode != 0


def scan(path):
    """Returns the failed checks of checkov as (check, resource)."""
    found = run(
        CHECKOV,
        "--file",
        path,
        "--framework",
        "cloudformation",
        "--skip-download",
        "--output",
        "json",
        LOG_LEVEL="ERROR",
    )
    report = json.loads(found.stdout)
    assert report["summary"]["parsing_errors"] == 0
    # If checkov did not understand the template, it would find nothing.
    assert 50 <= report["summary"]["passed"], report["summary"]
    failed = {(each["check_id"], each["resource"].rpartition(".")[2]) for each in report["results"]["failed_checks"]}
    assert (found.returncode == 0) == (not failed)
    return failed


def test_checkov():
    assert scan(TEMPLATE) == set()


def test_checkov_needs_each_exception_of_the_template(tmp_path):
    template = source()
    declared = set()
    for name, resource in template["Resources"].items():
        exceptions = resource.get("Metadata", {}).pop("checkov", {"skip": []})
        declared |= {(exception["id"], name) for exception in exceptions["skip"]}
    template = transformed(template)
    assert scan(written(tmp_path, template)) == declared


def test_checkov_finds(tmp_path):
    template = transformed()
    resources = template["Resources"]
    document = resources["FunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    document["Statement"].append({"Sid": "Everything", "Effect": "Allow", "Action": "*", "Resource": "*"})
    del resources["AlertTopic"]["Properties"]["KmsMasterKeyId"]
    del resources["Ledger"]["Properties"]["PointInTimeRecoverySpecification"]
    found = scan(written(tmp_path, template))
    assert {("CKV_AWS_26", "AlertTopic"), ("CKV_AWS_28", "Ledger")} <= found
    assert "FunctionRole" in {resource for _, resource in found}


def test_shellcheck():
    scripts = ["tools/deploy.sh", "tools/release-notes", "tools/release-program", "tools/packages", ".ci/run"]
    scripts += ["tests/stack/run", "tests/browser/run"]
    found = run(BIN / "shellcheck", *scripts)
    assert found.returncode == 0, found.stdout
