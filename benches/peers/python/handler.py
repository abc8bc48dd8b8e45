"""The Python version for `make bench`. Reads several galleries at a time, selects what expires, sends to Slack and SNS."""

import asyncio
import json
import os
from datetime import datetime, timedelta, timezone

import boto3
import httpx

with open(os.environ["MEDIA_ALERTS_CONFIG"], encoding="utf-8") as document:
    CONFIG = json.load(document)
AYRSHARE = CONFIG["ayrshare"]
WINDOW = max(timedelta(days=int(threshold.removesuffix("d"))) for threshold in CONFIG["alerts"]["thresholds"])
CHANNELS = {channel["type"]: channel for channel in CONFIG["channels"]}

# Created once, before the function is ready, while it still has a whole core. The loop keeps connections open between
# invocations.
LOOP = asyncio.new_event_loop()
HTTP = httpx.AsyncClient(timeout=10)
SNS = boto3.client("sns")


async def read_gallery(profile, slots):
    headers = {"Authorization": f"Bearer {AYRSHARE['api_key']}"}
    if "key" in profile:
        headers["Profile-Key"] = profile["key"]
    async with slots:
        response = await HTTP.get(f"{AYRSHARE['base_url']}/media", headers=headers)
    response.raise_for_status()
    return response.json()


def select(profile, gallery, now):
    for item in gallery:
        expires_at = datetime.fromisoformat(item["expiresAt"])
        if expires_at - now <= WINDOW:
            yield expires_at, profile["name"], item


async def scan(profile, slots, now):
    return list(select(profile, await read_gallery(profile, slots), now))


def text_of(due, failed, now):
    lines = [f"{len(due)} files expire soon"]
    for expires_at, profile, item in due:
        hours = (expires_at - now) // timedelta(hours=1)
        lines.append(f"• {profile}: <{item['url']}|{item['fileName']}> expires in {hours} h")
    lines += [f"⚠ {name} could not be checked: {error}" for name, error in failed]
    return "\n".join(lines)


async def send_to_slack(text):
    (await HTTP.post(CHANNELS["slack"]["webhook_url"], json={"text": text})).raise_for_status()


async def send_to_sns(text):
    message = {"TopicArn": CHANNELS["sns"]["topic_arn"], "Subject": "Media expires soon", "Message": text}
    await asyncio.to_thread(SNS.publish, **message)


async def run():
    now = datetime.now(timezone.utc)
    profiles = CONFIG["profiles"]
    slots = asyncio.Semaphore(AYRSHARE["concurrency"])
    results = await asyncio.gather(*(scan(profile, slots, now) for profile in profiles), return_exceptions=True)
    failed = [(profile["name"], result) for profile, result in zip(profiles, results) if isinstance(result, Exception)]
    due = sorted((one for result in results if isinstance(result, list) for one in result), key=lambda one: one[0])
    if due or failed:
        text = text_of(due, failed, now)
        await asyncio.gather(send_to_slack(text), send_to_sns(text))
    return {"checked": len(profiles) - len(failed), "due": len(due)}


def handler(_event, _context):
    return LOOP.run_until_complete(run())
