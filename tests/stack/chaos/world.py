"""The files, posts and configuration of each day."""

import dataclasses
import datetime

DAY = datetime.timedelta(days=1)
API_KEY = "chaos-key-5RZ81QX"
# The profiles by name, with their keys. The first one is the primary profile.
PROFILES = {"Head office": None, "Acme": "acme-key-0PW3T6M", "Birch": "birch-key-9CV2L4K"}
THRESHOLDS = [[14, 7, 3, 1], [7, 3, 1], [3, 1], [7, 1]]
# How long before its files a post must be published, or it is at risk.
MARGIN = datetime.timedelta(hours=1)

# Levels: seconds of the threshold, and these two.
EXPIRED, WITHOUT_THRESHOLD = 0, float("inf")


def text(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


@dataclasses.dataclass
class File:
    profile: str
    id: str
    expires_at: datetime.datetime | None

    @property
    def key(self):
        return ("file", self.profile, self.id, self.expires_at and int(self.expires_at.timestamp() * 1000))

    @property
    def url(self):
        return f"https://images.ayrshare.com/chaos/{self.id}"

    def json(self):
        return {
            "id": self.id,
            "fileName": self.id,
            "url": self.url,
            "size": 1000,
            "expiresAt": self.expires_at and text(self.expires_at),
        }


@dataclasses.dataclass
class Post:
    file: File
    id: str
    due: datetime.datetime

    @property
    def key(self):
        return ("post", *self.file.key[1:2], self.id, self.file.key[3])

    def is_at_risk(self):
        return self.file.expires_at is not None and self.file.expires_at <= self.due + MARGIN

    def json(self):
        return {
            "id": self.id,
            "post": self.id,
            "platforms": ["instagram"],
            "status": "pending",
            "scheduleDate": text(self.due),
            "mediaUrls": [self.file.url],
        }


@dataclasses.dataclass
class Channel:
    name: str
    type: str
    profiles: list[str]
    thresholds: list[int]

    def level(self, expires_at, now):
        """The level at which a file is announced. `None` while it is outside of all thresholds."""
        if expires_at is None:
            return WITHOUT_THRESHOLD
        if expires_at <= now:
            return EXPIRED
        reached = [days for days in self.thresholds if expires_at - now <= days * DAY]
        return min(reached) * 86_400 if reached else None


class World:
    """Everything that changes from day to day. Nothing in it expires in the first 20 minutes of an hour."""

    def __init__(self, random, now):
        self.random = random
        self.files, self.posts = [], []
        self.created = 0
        self.thresholds, self.profiles = THRESHOLDS[0], list(PROFILES)
        self.has_webhook = True
        self.own_thresholds = [3, 1]
        for profile in PROFILES:
            for _ in range(3):
                self._upload(profile, now)

    def begin_day(self, now):
        """What people have done since the day before."""
        random = self.random
        for profile in PROFILES:
            if random.random() < 0.3:
                self._upload(profile, now)
        for file in list(self.files):
            if random.random() < 0.01 or (file.expires_at and file.expires_at + random.randint(1, 9) * DAY < now):
                self.files.remove(file)
            elif file.expires_at and now < file.expires_at and random.random() < 0.02:
                file.expires_at += random.randint(1, 12) * DAY
        self.posts = [post for post in self.posts if now < post.due and random.random() < 0.98]
        if random.random() < 0.3 and self.files:
            file = random.choice(self.files)
            if file.expires_at and now < file.expires_at:
                self.posts.append(Post(file, self._id("post"), self._moment(now, 1, 30)))
        self._configure()

    def _configure(self):
        random = self.random
        if random.random() < 0.06:
            self.thresholds = random.choice(THRESHOLDS)
        if random.random() < 0.06:
            self.own_thresholds = random.choice(THRESHOLDS)
        if random.random() < 0.06:
            self.has_webhook = not self.has_webhook
        if random.random() < 0.06:
            self.profiles = random.choice([list(PROFILES), list(PROFILES)[:2]])

    def _upload(self, profile, now):
        expires_at = None if self.random.random() < 0.03 else self._moment(now, 1, 35)
        self.files.append(File(profile, self._id("file"), expires_at))

    def _moment(self, now, first, last):
        day = now.replace(hour=0, minute=0, second=0, microsecond=0) + self.random.randint(first, last) * DAY
        return day + datetime.timedelta(hours=self.random.randint(0, 23), minutes=self.random.randint(20, 59))

    def _id(self, kind):
        self.created += 1
        return f"{kind}-{self.created:04}"

    @property
    def channels(self):
        channels = [
            Channel("team", "slack", self.profiles, self.thresholds),
            Channel("ops", "sns", self.profiles, self.thresholds),
        ]
        if self.has_webhook:
            channels.append(Channel("own", "webhook", self.profiles[:2], self.own_thresholds))
        return channels

    def due(self, channel, now):
        """What the channel must have been told by now, and at which level, by key."""
        due = {}
        for file in self.files:
            if file.profile in channel.profiles and (level := channel.level(file.expires_at, now)) is not None:
                due[file.key] = level
        for post in self.posts:
            if post.file in self.files and post.file.profile in channel.profiles and post.is_at_risk():
                level = channel.level(post.file.expires_at, now)
                due[post.key] = WITHOUT_THRESHOLD if level is None else level
        return due

    def gallery(self, profile):
        return [file.json() for file in self.files if file.profile == profile]

    def history(self, profile):
        return [post.json() for post in self.posts if post.file.profile == profile]

    def document(self):
        """The configuration."""

        def days(thresholds):
            return [f"{each}d" for each in thresholds]

        lines = [
            "[ayrshare]",
            f'api_key = "{API_KEY}"',
            'base_url = "env:AYRSHARE_URL"',
            'timeout = "1s"',
            "check_media_urls = false",
            "discover_profiles = false",
            "[alerts]",
            f"thresholds = {days(self.thresholds)}",
        ]
        for name in self.profiles:
            key = PROFILES[name]
            lines += ["[[profiles]]", f'name = "{name}"', f'key = "{key}"' if key else "primary = true"]
        for channel in self.channels:
            lines += ["[[channels]]", f'name = "{channel.name}"', f'type = "{channel.type}"']
            if channel.type == "slack":
                lines += ['webhook_url = "env:SLACK_URL"']
            elif channel.type == "sns":
                lines += ['topic_arn = "env:ALERT_TOPIC_ARN"', 'format = "json"']
            else:
                lines += ['url = "env:WEBHOOK_URL"', 'secret = "whsec_Y2hhb3MtY2hhb3MtY2hhb3MtY2hhb3M="']
                lines += [f"profiles = {channel.profiles}", f"thresholds = {days(channel.thresholds)}"]
        lines += ["[ledger]", 'type = "dynamodb"', 'table = "env:LEDGER_TABLE"']
        lines += ["[store]", 'url = "env:STORE_URL"']
        return "\n".join(lines).replace("'", '"')
