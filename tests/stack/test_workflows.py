"""Checks the workflows in .github: all actions are pinned, a release requires that the tests pass, and it publishes what the
documentation and Cargo.toml name. Checks the scripts that only workflows run, too."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from template import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PACKAGE = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]


def jobs(path):
    return yaml.safe_load(path.read_text())["jobs"]


def release():
    return jobs(ROOT / ".github/workflows/release.yml")


def commands(job):
    return [step["run"] for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_commit(path):
    used = [step["uses"] for job in jobs(path).values() for step in job["steps"] if "uses" in step]
    assert used and not [action for action in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)]


def test_a_release_is_tested_first():
    found = release()
    assert {"run": "make test"} in found["test"]["steps"] and {"run": "make guard"} in found["test"]["steps"]

    def before(name):
        """All jobs that must succeed before this one."""
        needs = found[name].get("needs", [])
        needs = [needs] if isinstance(needs, str) else needs
        return set(needs).union(*map(before, needs))

    publishing = [name for name, job in found.items() if job.get("permissions", {}).get("contents") == "write"]
    assert publishing == ["release"] and {"build", "macos", "test"} <= before("release")
    assert all("test" in before(name) for name in found if name != "test")


def test_a_release_is_built_by_what_everybody_can_run():
    found = release()
    assert "make release-bundle" in commands(found["build"])
    programs = [command for name in ("build", "macos") for command in commands(found[name]) if "tools/release-program" in command]
    targets = " ".join(programs).split()
    for target in ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-apple-darwin"):
        assert target in targets


def test_a_release_has_checksums_that_are_attested():
    steps = release()["release"]["steps"]
    order = [index for index, step in enumerate(steps) if "SHA256SUMS" in str(step) or "gh release" in str(step)]
    sums, attest, publish = (steps[index] for index in order)
    assert "sha256sum" in sums["run"] and attest["uses"].startswith("actions/attest@") and "gh release create" in publish["run"]
    assert {"id-token", "attestations"} <= set(release()["release"]["permissions"])


def test_binstall_finds_the_archives_of_a_release():
    binstall = PACKAGE["metadata"]["binstall"]
    script = (ROOT / "tools/release-program").read_text()
    assert "name=expiry-alerts-$version-$target\n" in script and '"$output/$name.tar.gz" "$name"' in script
    assert binstall["pkg-url"] == "{ repo }/releases/download/v{ version }/expiry-alerts-{ version }-{ target }.tar.gz"
    assert binstall["bin-dir"] == "expiry-alerts-{ version }-{ target }/{ bin }"
    # It fails if a program is missing that needs no features.
    assert '>"$folder/media-expiry-alerts"' in script


def test_the_notes_of_a_release_begin_with_how_to_deploy_it(tmp_path):
    # The repository itself may have no released version yet.
    for name in ("Cargo.toml", "template.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    version = PACKAGE["version"]
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## [{version}] - 2026-12-01\n\n- New.\n\n## [0.0.1]\n\n- Old.\n")
    (tmp_path / "tools").mkdir()
    script = tmp_path / "tools/release-notes"
    script.write_text((ROOT / "tools/release-notes").read_text())

    def notes(*arguments):
        return subprocess.run(["bash", script, *arguments], capture_output=True, text=True)

    assert notes(version).stdout.strip() == "- New."
    found = notes(version, "https://github.com/someone/alerts").stdout
    download = f"https://github.com/someone/alerts/releases/download/v{version}/media-expiry-alerts-{version}-aws.zip"
    assert f"curl -fLO {download}\n" in found and "--repo someone/alerts`" in found and found.endswith("- New.\n")
    assert notes("9.9.9").returncode == 1
    (tmp_path / "template.yaml").write_text("")
    assert "template.yaml has another version than" in notes(version).stderr


def test_every_mutant_that_survives_needs_a_reason(tmp_path):
    output = tmp_path / "target/mutants.out"
    output.mkdir(parents=True)

    def sum_up(listed, caught=40, missed=()):
        (tmp_path / "mutants.md").write_text("".join(f"- `{mutant}`: a reason\n" for mutant in listed))
        (output / "caught.txt").write_text("".join(f"src/a.rs:{line}:1: replace a with b in f\n" for line in range(caught)))
        (output / "missed.txt").write_text("".join(f"{mutant}\n" for mutant in missed))
        command = [sys.executable, ROOT / "tools/mutants.py", "target"]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        return run.returncode, run.stdout + run.stderr

    one, two = "src/b.rs:7:20: replace < with <= in g", "src/b.rs:9:3: replace < with <= in g"
    without_line = "src/b.rs: replace < with <= in g"
    assert sum_up([]) == (0, "40 of 40 mutants caught (100.0%); 0 more do not compile\n")
    assert sum_up([without_line], missed=[one])[0] == 0
    assert sum_up([], missed=[one]) == (1, "40 of 41 mutants caught (97.6%); 0 more do not compile\n"
                                        f"{without_line}: no test notices it. Write one, or give a reason in mutants.md\n")
    # Two places in one function have the same name.
    assert sum_up([without_line], missed=[one, two])[0] == 1
    assert "is caught, so remove it" in sum_up(["src/a.rs: replace a with b in f"])[1]
    assert sum_up([without_line] * 3, missed=[one] * 3)[0] == 0
    assert "fewer than 95% of the mutants are caught" in sum_up([without_line] * 6, caught=94, missed=[one] * 6)[1]
    assert sum_up([without_line] * 5, caught=95, missed=[one] * 5)[0] == 0
