// The Node version for `make bench`. Reads several galleries at a time, selects what expires, sends to Slack and SNS.

import { readFileSync } from "node:fs";
import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";

const config = JSON.parse(readFileSync(process.env.MEDIA_ALERTS_CONFIG, "utf8"));
const { ayrshare, profiles } = config;
const windowMs = Math.max(...config.alerts.thresholds.map((threshold) => parseInt(threshold, 10))) * 86_400_000;
const channels = Object.fromEntries(config.channels.map((channel) => [channel.type, channel]));
const sns = new SNSClient({});

async function call(url, options) {
  const response = await fetch(url, { ...options, signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response;
}

async function readGallery({ name, key }, now) {
  const headers = { authorization: `Bearer ${ayrshare.api_key}` };
  if (key) headers["profile-key"] = key;
  const gallery = await (await call(`${ayrshare.base_url}/media`, { headers })).json();
  return gallery
    .map((item) => ({ profile: name, item, leftMs: Date.parse(item.expiresAt) - now }))
    .filter(({ leftMs }) => leftMs <= windowMs);
}

async function scan(now) {
  const due = [];
  const failed = [];
  // The workers share one iterator, so each profile is read once.
  const queue = profiles.values();
  const worker = async () => {
    for (const profile of queue) {
      try {
        due.push(...(await readGallery(profile, now)));
      } catch (error) {
        failed.push({ name: profile.name, error });
      }
    }
  };
  await Promise.all(Array.from({ length: ayrshare.concurrency }, worker));
  return { due: due.sort((a, b) => a.leftMs - b.leftMs), failed };
}

function textOf({ due, failed }) {
  const hours = (ms) => Math.floor(ms / 3_600_000);
  return [
    `${due.length} files expire soon`,
    ...due.map(
      ({ profile, item, leftMs }) => `• ${profile}: <${item.url}|${item.fileName}> expires in ${hours(leftMs)} h`,
    ),
    ...failed.map(({ name, error }) => `⚠ ${name} could not be checked: ${error.message}`),
  ].join("\n");
}

function tellSlack(text) {
  const headers = { "content-type": "application/json" };
  return call(channels.slack.webhook_url, { method: "POST", headers, body: JSON.stringify({ text }) });
}

function tellSns(text) {
  const message = { TopicArn: channels.sns.topic_arn, Subject: "Media expires soon", Message: text };
  return sns.send(new PublishCommand(message));
}

export async function handler() {
  const result = await scan(Date.now());
  if (result.due.length > 0 || result.failed.length > 0) {
    const text = textOf(result);
    await Promise.all([tellSlack(text), tellSns(text)]);
  }
  return { checked: profiles.length - result.failed.length, due: result.due.length };
}
