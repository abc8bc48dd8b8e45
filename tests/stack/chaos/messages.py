"""Reads the news out of the messages that channels have received."""

import dataclasses
import re

from chaos.world import EXPIRED, WITHOUT_THRESHOLD

HEADING = re.compile(r"\*(?:(Expired)|(Without an expiry date)|(Scheduled posts that will fail)|Expires within (\d+) days?)\*")
FILE = re.compile(r"\|(file-\d+)>|its file (file-\d+) ")
POST = re.compile(r"“(post-\d+)”")
# What the function says of a ledger that it cannot use.
MAY_REPEAT = "so this may repeat it"


@dataclasses.dataclass(frozen=True)
class News:
    """A file or post that a message tells of."""

    id: str
    # As the message says it. `None` if it does not.
    level: float | None = None
    # Whether the message gives it as new, and not for the sake of other news.
    is_new: bool = True


def read(channel, body, due):
    """All news in a message to a channel. `due` has the levels of what is due, by id."""
    return list(_read_slack(body) if channel.type == "slack" else _read_result(channel, body, due))


def _read_slack(body):
    level = None
    is_about_posts = False
    for block in body["blocks"]:
        for line in block.get("text", {}).get("text", "").splitlines():
            if heading := HEADING.search(line):
                expired, undated, posts, days = heading.groups()
                is_about_posts = bool(posts)
                level = EXPIRED if expired else WITHOUT_THRESHOLD if undated else days and int(days) * 86_400
            elif is_about_posts and (post := POST.search(line)):
                yield News(post[1])
            elif file := FILE.search(line):
                yield News(file[2], is_new=False) if file[2] else News(file[1], level)


def _read_result(channel, body, due):
    """A result has everything that is within the thresholds of any channel, and what this channel has been told of it."""
    assert not body.get("items_left_out")
    for item in body["items"]:
        before = (item.get("announced") or {}).get(channel.name)
        level = due.get(item["id"])
        if level is not None:
            yield News(item["id"], is_new=before is None or level < _level(before))
    for post in body["posts_at_risk"]:
        yield News(post["id"], is_new=False)


def _level(label):
    named = {"expired": EXPIRED, "undated": WITHOUT_THRESHOLD}
    return named[label] if label in named else int(label[:-1]) * {"d": 86_400, "s": 1}[label[-1]]
