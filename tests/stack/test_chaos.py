"""Lets the function live through CHAOS_DAYS simulated days in which everything fails at some time, and holds every message
that has reached a channel against what was due.

`CHAOS_SEED` gives another course of events. A failure names the seed and the day.
"""

import datetime
import os
import random
import shlex
import time

import pytest

from chaos.clock import START, Clock
from chaos.faults import draw_plan
from chaos.events import Events, Sandboxes
from chaos.oracle import Oracle
from chaos.services import Services
from chaos.world import World

COMMAND = shlex.split(os.environ.get("FUNCTION_BINARY", ""))
DAYS = int(os.environ.get("CHAOS_DAYS", "200"))
SEED = os.environ.get("CHAOS_SEED", "1")
# The clock of the process cannot be moved through an emulator.
pytestmark = pytest.mark.skipif(len(COMMAND) != 1, reason="FUNCTION_BINARY is not set, or needs an emulator")

EVENT = {"detail-type": "Scheduled Event"}


def test_nothing_is_lost_and_nothing_is_told_twice(account, tmp_path):
    clock = Clock(tmp_path)
    world = World(random.Random(f"{SEED} world"), clock.now())
    stack = account.deploy()
    began = time.monotonic()
    with Services(account, world, clock) as services:
        environments = {name: services.environment(name, stack) | clock.environment for name in Sandboxes.NAMES}
        oracle = Oracle(world, services)
        with Sandboxes(COMMAND, environments, services) as sandboxes:
            events = Events(sandboxes, clock, oracle.observe)
            for day in range(DAYS):
                try:
                    live_through(day, account, stack, world, clock, sandboxes, events)
                except BaseException:
                    print(f"\nreplay this day with CHAOS_SEED={SEED} CHAOS_DAYS={day + 1}; the attempts were:")
                    print(*events.history, sep="\n")
                    raise
    print(f"\n{DAYS} days in {time.monotonic() - began:.0f} s, {events.dead_letters} events that failed for good")
    print(*(f"{count:6} {what}" for what, count in sorted(oracle.counts.items())), sep="\n")
    assert [call for call in account.calls if not call.allowed] == []


def live_through(day, account, stack, world, clock, sandboxes, events):
    morning = START + datetime.timedelta(days=day, hours=5)
    clock.set(morning)
    world.begin_day(morning)
    name = stack.outputs["ConfigLocation"].removeprefix("ssm:")
    account.client("ssm").put_parameter(Name=name, Value=world.document(), Type="String", Overwrite=True)
    if day % 10 == 0:
        delete_expired_records(account, stack, morning)
    # Of its own for each day, so that a day does not depend on how many attempts were needed before.
    draw = random.Random(f"{SEED} {day}")
    if draw.random() < 0.1:
        # Lambda replaces sandboxes whenever it likes.
        sandboxes.stop("first")
    events.schedule(morning + datetime.timedelta(hours=1))
    events.handle_all(EVENT, lambda: draw_plan(draw, world.channels))


def delete_expired_records(account, stack, now):
    """DynamoDB deletes by TTL, within days. moto does not."""
    table = account.client("dynamodb"), stack.outputs["LedgerTableName"]
    for item in table[0].scan(TableName=table[1])["Items"]:
        if int(item["ttl"]["N"]) < now.timestamp():
            table[0].delete_item(TableName=table[1], Key={key: item[key] for key in ("pk", "sk")})
