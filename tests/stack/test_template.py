"""Runs all checks on the template."""

import pytest

from checks import CHECKS
from template import source


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test(check):
    assert check(source()) == []
