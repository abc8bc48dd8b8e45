"""Delivers events like Lambda: asynchronously, with two retries, to sandboxes that live until they are killed."""

import datetime
import heapq
import itertools
import queue
import signal
import time

from chaos.faults import Attempt, Plan
from lambda_runtime import Function

# How long Lambda waits before it retries an event that has failed.
RETRY_AFTER_MIN = [1, 2]


class Sandboxes:
    """The processes of the function. The second one is used only while the first one is busy."""

    NAMES = ["first", "second"]

    def __init__(self, command, environments, services):
        self.functions = {name: Function(command, environments[name], now=services.clock.time) for name in self.NAMES}
        self.services = services
        self.running = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in list(self.running):
            self.stop(name)

    def stop(self, name):
        if name in self.running:
            self.running.remove(name)
            self.services.attempts[name] = None
            self.functions[name].__exit__()

    def begin(self, name, event, attempt):
        """Gives a sandbox an event, and starts its process if there is none."""
        function = self.functions[name]
        if name not in self.running:
            # The configuration is read while the process starts, which is a part of no attempt.
            function.__enter__()
            self.running.add(name)
        attempt.process = function.process
        assert function.api.is_idle.wait(30), f"the process does not ask for events:\n{function.log}"
        self.services.attempts[name] = attempt
        function.api.events.put(event)

    def is_over(self, name, attempt):
        """Whether the process has answered or ended. Waits for a moment."""
        function = self.functions[name]
        try:
            attempt.answer = function.api.answers.get(timeout=0.01)
        except queue.Empty:
            if function.process.poll() is None:
                return False
            assert attempt.is_killed, f"the process has ended by itself:\n{function.log}"
        attempt.settle()
        if attempt.is_killed:
            attempt.answer = None
            self.stop(name)
        return True


class Events:
    """The queue of events, and the attempts to handle them."""

    def __init__(self, sandboxes, clock, observe):
        self.sandboxes, self.clock, self.observe = sandboxes, clock, observe
        self.queue, self.order = [], itertools.count()
        self.dead_letters = 0
        # What has happened to the attempts of the day, for people.
        self.history = []

    def schedule(self, moment, tries=0):
        heapq.heappush(self.queue, (moment, next(self.order), tries))

    def handle_all(self, event, draw_plan):
        """Handles everything in the queue, retries included."""
        self.history = []
        while self.queue:
            moment, _, tries = heapq.heappop(self.queue)
            if self.clock.now() < moment:
                self.clock.set(moment)
            self._handle(event, tries, draw_plan())

    def _handle(self, event, tries, plan):
        attempt = Attempt(plan, self.clock.now())
        self.sandboxes.begin("first", event, attempt)
        while not self.sandboxes.is_over("first", attempt):
            if attempt.held.is_set() and not attempt.resume.is_set():
                self._interrupt(attempt, event)
        self._finish(attempt, tries)
        if attempt.is_killed and plan.copies:
            self.schedule(attempt.now + datetime.timedelta(seconds=20))

    def _interrupt(self, attempt, event):
        """Handles a copy of the event in the other sandbox while this attempt waits."""
        if attempt.plan.freezes:
            attempt.process.send_signal(signal.SIGSTOP)
        # A frozen process has lost its lease by now.
        self.clock.advance(seconds=60 if attempt.plan.freezes else 20)
        other = Attempt(Plan(), self.clock.now())
        self.sandboxes.begin("second", event, other)
        while not self.sandboxes.is_over("second", other):
            pass
        self._finish(other, tries=0, beside=attempt)
        if attempt.plan.freezes:
            attempt.process.send_signal(signal.SIGCONT)
        attempt.resume.set()

    def _finish(self, attempt, tries, beside=None):
        took = time.monotonic() - attempt.began
        end = attempt.error or attempt.answer.body["status"]
        self.history.append(f"{attempt.now:%H:%M:%S} {end} after {took:.1f} s and {dict(attempt.counts)}: {attempt.plan}")
        self.observe(attempt, beside)
        if attempt.is_success:
            return
        if tries == len(RETRY_AFTER_MIN):
            self.dead_letters += 1
        else:
            self.schedule(self.clock.now() + datetime.timedelta(minutes=RETRY_AFTER_MIN[tries]), tries + 1)
