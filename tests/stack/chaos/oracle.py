"""Holds what the channels have received against what was due. It shares no code with the function.

It knows the world, which messages have arrived, and which records the ledger has accepted.
"""

import datetime
from collections import Counter

from chaos import messages
from chaos.faults import MESSAGES
from chaos.services import Arrival

# How long a lease lasts that nobody renews.
LEASE = datetime.timedelta(seconds=45)


class Oracle:
    def __init__(self, world, services):
        self.world, self.services = world, services
        # What each channel was told last of each file and post, and the tightest level at which it was told.
        self.last, self.told = {}, {}
        # The levels in the ledger, and what each attempt has recorded itself.
        self.ledger, self.recorded = {}, set()
        self.counts = Counter()
        self.checked = 0
        # Until when the lease of a run may be valid that could not give it back.
        self.leased_until = datetime.datetime.min.replace(tzinfo=datetime.UTC)

    def observe(self, attempt, beside=None):
        """Checks an attempt that is over. `beside` is the one that it has interrupted."""
        self.counts["attempts"] += 1
        self.counts[f"attempts: {attempt.error or attempt.answer.body['status']}"] += 1
        for entry in self.services.log[self.checked :]:
            if isinstance(entry, Arrival):
                self._check_arrival(entry)
            else:
                self._check_record(entry)
        self.checked = len(self.services.log)
        self._check_error(attempt, beside)
        if attempt.error in (None, "RunFailed"):
            self._check_completeness(attempt)
            self._check_recorded(attempt)
        if attempt.is_success:
            self._check_status(attempt)

    # -------------------------------------------------------------------------------------------- nothing twice

    def _check_arrival(self, arrival):
        channel = self._channel(arrival.channel)
        due = self.world.due(channel, arrival.attempt.now)
        levels = {key[2]: level for key, level in due.items()}
        keys = {key[2]: key for key in due}
        reasons = set()
        for news in messages.read(channel, arrival.body, levels):
            key = keys.get(news.id)
            if key is None and not news.is_new:
                # The file of a post, which is outside of the channel's thresholds.
                continue
            assert key, f"{channel.name} was told something untrue: {news}"
            level, subject = due[key], (channel.name, key)
            assert news.level in (None, level), f"{channel.name} was told the wrong level: {news} instead of {level}"
            if news.is_new:
                self.counts["told"] += 1
                if reason := self._reason_to_repeat(subject, level, arrival):
                    reasons.add(reason)
                    self.counts[f"told twice: {reason}"] += 1
                self.last[subject] = arrival, level
                arrival.subjects.append(subject)
            self.told[subject] = min(level, self.told.get(subject, level))
        self.counts["messages"] += 1
        for reason in reasons:
            self.counts[f"messages that repeat something: {reason}"] += 1
        if channel.type == "slack" and _is_blind(arrival.attempt, channel):
            assert messages.MAY_REPEAT in str(arrival.body), "it does not say that it may repeat something"

    def _reason_to_repeat(self, subject, level, arrival):
        """Why a channel may be told again what it has been told before. `None` if it has not.

        Something has happened to the message before, or it would be in the ledger. It excuses one repetition: what comes
        after this message is held against this message.
        """
        before, level_before = self.last.get(subject, (None, None))
        if before is None or level < level_before:
            return None
        assert before.attempt is not arrival.attempt, f"told twice by one run: {subject} at {level}"
        if _is_blind(arrival.attempt, self._channel(arrival.channel)):
            return "the ledger could not be used"
        is_recorded = subject in self.ledger and self.ledger[subject] <= level
        assert not is_recorded, f"told again although the ledger has it: {subject} at {level}"
        if not before.is_confirmed:
            return "the answer was lost"
        if before.attempt.is_killed:
            return "the process was killed before the record"
        if before.attempt.held.is_set():
            return "the process was frozen before the record"
        if ("dynamodb", "BatchWriteItem") in before.attempt.failed:
            return "the ledger refused the record"
        raise AssertionError(f"told again for no reason: {subject} at {level}")

    # -------------------------------------------------------------------------------------------- nothing lost

    def _check_record(self, record):
        subject = (record.channel, record.key)
        if record.level is None:
            self.ledger.pop(subject, None)
            return
        told = self.told.get(subject)
        assert told is not None and told <= record.level, f"recorded before it was sent: {subject}"
        self.ledger[subject] = record.level
        self.recorded.add((record.attempt, subject))

    def _check_completeness(self, attempt):
        """Every channel that did not fail has been told everything that could be read."""
        for channel in self.world.channels:
            if not attempt.is_success and _has_failed(attempt, channel):
                continue
            for key, level in self.world.due(channel, attempt.now).items():
                needed = {("media", key[1])} | ({("history", key[1])} if key[0] == "post" else set())
                if needed <= attempt.served:
                    self.counts["due"] += 1
                    told = self.told.get((channel.name, key))
                    assert told is not None and told <= level, f"{channel.name} was not told of {key} at {level}"

    def _check_recorded(self, attempt):
        """What a channel has confirmed is recorded, unless the ledger has failed."""
        if ("dynamodb", "BatchWriteItem") in attempt.failed:
            return
        for arrival in self.services.log:
            if isinstance(arrival, Arrival) and arrival.attempt is attempt and arrival.is_confirmed:
                missing = [subject for subject in arrival.subjects if (attempt, subject) not in self.recorded]
                assert not missing, f"confirmed, but not recorded: {missing}"

    def _check_status(self, attempt):
        """A run that does not fail has read everything that it could, and says so if that was not everything."""
        read = {(what, profile) for profile in self.world.profiles for what in ("media", "history")}
        for what, profile in read - attempt.served:
            assert attempt.answer.body["status"] == "partial", f"it does not say that it has not read {what} of {profile}"
            assert ("ayrshare", profile) in attempt.failed, f"it has not read {what} of {profile}"

    def _check_error(self, attempt, beside):
        """An attempt fails only for a reason."""
        if attempt.error == "RunFailed":
            has_read = any(what == "media" for what, _ in attempt.served)
            is_excused = not has_read or any(_has_failed(attempt, channel) for channel in self.world.channels)
        elif attempt.error == "RunBusy":
            is_interrupting = beside is not None and not beside.plan.freezes
            was_frozen = attempt.held.is_set() and attempt.plan.freezes
            is_excused = is_interrupting or was_frozen or attempt.now < self.leased_until
        else:
            is_excused = attempt.error in (None, "killed")
        assert is_excused, f"failed for no reason: {attempt.answer.body}"
        if attempt.is_killed or any(service == "dynamodb" for service, _ in attempt.failed):
            self.leased_until = attempt.now + LEASE

    def _channel(self, name):
        (channel,) = [channel for channel in self.world.channels if channel.name == name]
        return channel


def _is_blind(attempt, channel):
    """Whether the ledger has not answered, so that the channel may be told everything again."""
    return not {("records", channel.name), ("lease", "lease")} <= attempt.served


def _has_failed(attempt, channel):
    hold = attempt.plan.hold
    was_cut_off = hold is not None and attempt.plan.freezes and hold.service == channel.type and attempt.held.is_set()
    return (channel.type, channel.name) in attempt.failed or was_cut_off
