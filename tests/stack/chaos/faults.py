"""What fails in one attempt to handle an event, and everything that the stand-ins have seen of it.

Moments are counted in requests and not in seconds, so that a seed always gives the same course.
"""

import dataclasses
import threading
import time
from collections import Counter

from chaos.world import PROFILES

# How long Ayrshare is slow, which is longer than the `timeout` of the configuration.
SLOW_S = 1.2


@dataclasses.dataclass(frozen=True)
class Point:
    """Before or after a service handles a request: the n-th one of the attempt."""

    service: str
    number: int
    is_after: bool


@dataclasses.dataclass(frozen=True)
class Fault:
    """How a service answers the first requests, `times` of them.

    A kind is `before` (the connection breaks before the request is handled), `after` (when it has been, but without an
    answer), `cut` (half of the answer), `slow`, or an error.
    """

    kind: str
    times: int = 1_000


@dataclasses.dataclass
class Plan:
    """What happens to an attempt."""

    # By service and subject: a profile, a channel or an operation.
    faults: dict[tuple[str, str], Fault] = dataclasses.field(default_factory=dict)
    kill: Point | None = None
    # Here another event arrives. The process is frozen until that one is handled if `freezes`.
    hold: Point | None = None
    freezes: bool = False
    # Whether the schedule delivers the event of a process that is killed once more, which comes before the first retry.
    copies: bool = False


# How many requests a run makes at most without any faults.
REQUESTS = {"ayrshare": 6, "slack": 1, "sns": 1, "webhook": 1, "dynamodb": 8, "s3": 2, "ssm": 1}
MESSAGES = {"slack", "sns", "webhook"}
OPERATIONS = ["PutItem", "Query", "BatchWriteItem", "DeleteItem"]


# What fails, by how often: a fault that is waited for takes a second or more.
OF_AYRSHARE = {
    Fault("403"): 4,
    Fault("cut"): 2,
    Fault("500"): 1,
    Fault("429", 1): 4,
    Fault("cut", 1): 4,
    Fault("before", 1): 4,
    Fault("500", 2): 2,
    Fault("slow", 1): 1,
}
OF_CHANNELS = {
    Fault("404"): 4,
    Fault("500"): 2,
    Fault("before", 1): 4,
    Fault("after", 1): 8,
    Fault("429", 1): 4,
    Fault("500", 2): 1,
}
OF_DYNAMODB = {
    Fault("absent"): 6,
    Fault("after", 1): 4,
    Fault("before", 1): 4,
    Fault("throttled", 1): 4,
    Fault("throttled", 2): 1,
}


def draw_plan(random, channels):
    """The plan of one attempt."""
    plan = Plan()
    if random.random() < 0.4:
        return plan
    chance = random.random()
    if chance < 0.35:
        plan.kill, plan.copies = _point(random), random.random() < 0.3
    elif chance < 0.5:
        plan.hold, plan.freezes = _point(random), random.random() < 0.7
    if random.random() < 0.3:
        for profile in random.sample(list(PROFILES), random.choice([1, 1, 2])):
            plan.faults["ayrshare", profile] = _one_of(random, OF_AYRSHARE)
    if random.random() < 0.4:
        channel = random.choice(channels)
        plan.faults[channel.type, channel.name] = _one_of(random, OF_CHANNELS)
    if random.random() < 0.3:
        fault = _one_of(random, OF_DYNAMODB)
        operations = OPERATIONS if fault.kind == "absent" and random.random() < 0.5 else [random.choice(OPERATIONS)]
        plan.faults |= {("dynamodb", operation): fault for operation in operations}
    return plan


def _one_of(random, weights):
    return random.choices(list(weights), weights=weights.values())[0]


def _point(random):
    service = random.choices(list(REQUESTS), weights=[2, 3, 2, 2, 9, 1, 1])[0]
    return Point(service, random.randint(1, REQUESTS[service]), random.random() < 0.5)


class Attempt:
    """One attempt to handle an event in one sandbox."""

    def __init__(self, plan, now):
        self.plan, self.now = plan, now
        self.began = time.monotonic()
        # Set by the sandbox that runs it.
        self.process = None
        self.answer = None
        self.is_killed = False
        self.held, self.resume = threading.Event(), threading.Event()
        # What was answered completely: galleries and histories of profiles, the lease, and the records of channels.
        self.served = set()
        # The services and subjects that have failed at least once.
        self.failed = set()
        self.counts, self.used, self.active = Counter(), Counter(), 0
        self.lock = threading.Condition()

    def serve(self, service, subject, handle, on_answered=lambda: None):
        """Answers a request. `handle` returns a reply; `None` stands for a broken connection."""
        with self.lock:
            self.active += 1
            self.counts[service] += 1
            number = self.counts[service]
        try:
            reply = self._serve(service, subject, number, handle)
            if reply is not None and not reply.is_error:
                on_answered()
            return reply
        finally:
            with self.lock:
                self.active -= 1
                self.lock.notify_all()

    def _serve(self, service, subject, number, handle):
        is_held = self._reach(Point(service, number, False))
        if self.is_killed or (is_held and self.plan.freezes and service in MESSAGES):
            # A message is not on its way for as long as a process is frozen.
            return None
        reply = self._reply(self._fault(service, subject), handle)
        self._reach(Point(service, number, True))
        return None if self.is_killed else reply

    def _fault(self, service, subject):
        fault = self.plan.faults.get((service, subject))
        if fault is None:
            return None
        with self.lock:
            self.used[service, subject] += 1
            if fault.times < self.used[service, subject]:
                return None
            self.failed.add((service, subject))
        return fault.kind

    def _reply(self, kind, handle):
        if kind == "before":
            return None
        if kind == "slow":
            time.sleep(SLOW_S)
            return None
        if kind in ERRORS:
            return ERRORS[kind]
        reply = handle()
        if kind == "after":
            return None
        return dataclasses.replace(reply, is_cut=True, is_error=True) if kind == "cut" else reply

    def _reach(self, point):
        if point == self.plan.kill:
            self.is_killed = True
            self.process.kill()
        elif point == self.plan.hold:
            self.held.set()
            self.resume.wait(60)
        return point == self.plan.hold

    def settle(self):
        """Waits until no request is being answered any more."""
        with self.lock:
            assert self.lock.wait_for(lambda: self.active == 0, 30), "a request was never answered"

    @property
    def is_success(self):
        return self.answer is not None and not self.answer.is_error

    @property
    def error(self):
        """The kind of error that Lambda sees. `None` after a success."""
        if self.answer is None:
            return "killed"
        return self.answer.body["errorType"] if self.answer.is_error else None


@dataclasses.dataclass(frozen=True)
class Reply:
    """An answer over HTTP."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    is_error: bool = False
    is_cut: bool = False


def aws_error(code):
    return Reply(400, b'{"__type":"%b","message":"chaos"}' % code.encode(), "application/x-amz-json-1.0", is_error=True)


ERRORS = {
    "404": Reply(404, b"{}", is_error=True),
    "500": Reply(500, b"{}", is_error=True),
    "429": Reply(429, b"{}", is_error=True),
    "403": Reply(403, b'{"status":"error","code":31,"message":"Not this profile."}', is_error=True),
    "throttled": aws_error("ProvisionedThroughputExceededException"),
    "absent": aws_error("ResourceNotFoundException"),
}
