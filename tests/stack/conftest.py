"""Fixtures: one account for all tests, which is reset before each test."""

import os

import pytest

# The tests must not see the AWS settings of this machine.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull

from account import Account  # noqa: E402


@pytest.fixture(scope="session")
def running_account():
    with Account() as account:
        yield account


@pytest.fixture
def account(running_account):
    running_account.reset()
    return running_account
