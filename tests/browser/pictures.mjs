// Creates the pictures of the README from the demo files in target/demo/: the digest in Slack, the email in a mail reader, and
// the page in light and dark mode. `make pictures` runs the demo and then this script.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import UPNG from 'upng-js';
import { launch, PICTURES, picture } from './chromium.mjs';

const demo = process.env.DEMO;
const folder = new URL('../../docs/pictures/', import.meta.url).pathname;
const MOST_BYTES = 250_000;

const EMOJI = {
  warning: '⚠️', rotating_light: '🚨', x: '❌', page_facing_up: '📄', hourglass_flowing_sand: '⏳', frame_with_picture: '🖼️',
  clapper: '🎬', grey_question: '❔', question: '❓', white_check_mark: '✅', link: '🔗', bulb: '💡', information_source: 'ℹ️',
};

/** Slack's mrkdwn as HTML. What is no markup of its own is escaped in it already. */
function mrkdwn(text) {
  const emoji = (plain) => plain.replace(/:([a-z_]+):/g, (whole, name) => {
    if (!EMOJI[name]) throw new Error(`tell pictures.mjs what ${whole} looks like`);
    return `<span class="emoji">${EMOJI[name]}</span>`;
  });
  const bold = (plain) => plain.replace(/(^|[\s(])\*([^*\n]+)\*(?=[\s·:.,)]|$)/gm, '$1<b>$2</b>');
  return text.split(/(<[^>]+>)/).map((part) => {
    const link = part.match(/^<([^|>]+)\|?([^>]*)>$/);
    return link ? `<a href="${link[1].replaceAll('"', '%22')}">${link[2] || link[1]}</a>` : emoji(bold(part));
  }).join('');
}

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

function block({ type, text, elements, accessory }) {
  switch (type) {
    case 'header':
      return `<h1>${escape(text.text)}</h1>`;
    case 'context':
      return `<p class="context">${elements.map((element) => mrkdwn(element.text)).join(' ')}</p>`;
    case 'divider':
      return '<hr>';
    case 'actions':
      return `<p class="buttons">${elements.map((button) => `<span class="button ${button.style ?? ''}">${escape(button.text.text)}</span>`).join('')}</p>`;
    case 'section': {
      const aside = accessory?.type === 'image'
        ? `<img src="${escape(accessory.image_url)}" alt="">`
        : accessory ? `<span class="button ${accessory.style ?? ''}">${escape(accessory.text.text)}</span>` : '';
      return `<div class="section"><p>${mrkdwn(text.text)}</p>${aside}</div>`;
    }
    default:
      throw new Error(`tell pictures.mjs what a block of type ${type} looks like`);
  }
}

const EMBLEM = `<svg viewBox="0 0 48 48"><rect width="48" height="48" rx="10" fill="#1550b8"/><circle cx="24" cy="24" r="13" fill="none"
  stroke="#fff" stroke-width="3.4"/><path d="M24 16.5v8l5.5 3.8" fill="none" stroke="#fff" stroke-width="3.4" stroke-linecap="round" stroke-linejoin="round"/></svg>`;

/** The first message in Slack's look, as far as the sections that are due within days. */
function slack() {
  const { blocks } = JSON.parse(readFileSync(join(demo, 'slack-1.json'), 'utf8'));
  const end = blocks.findIndex((one) => /\*Expires within 7 days\*/.test(one.text?.text ?? ''));
  const shown = blocks.slice(0, end < 0 ? blocks.length : end);
  return `<!DOCTYPE html><meta charset="utf-8"><style>
    body { margin: 0; background: #fff; color: #1d1c1d; font: 15px/1.46668 Lato, "Noto Color Emoji", sans-serif; -webkit-font-smoothing: antialiased; }
    .channel { display: flex; align-items: center; gap: 6px; padding: 13px 20px; border-bottom: 1px solid #e3e3e3; font-weight: 900; font-size: 18px; }
    .channel span { color: #616061; font-weight: 700; }
    .message { display: grid; grid-template-columns: 36px minmax(0, 1fr); gap: 8px; padding: 14px 20px 18px; }
    .message > svg { width: 36px; height: 36px; margin-top: 3px; }
    .by { display: flex; align-items: center; gap: 6px; line-height: 22px; }
    .by b { font-weight: 900; }
    .by small { font-size: 10px; font-weight: 700; color: #616061; background: #e8e8e8; border-radius: 2px; padding: 0 4px; line-height: 15px; letter-spacing: .02em; }
    .by time { color: #616061; font-size: 12px; margin-left: 2px; }
    h1 { font-size: 18px; line-height: 1.33; font-weight: 900; margin: 8px 0 4px; }
    p { margin: 0; white-space: pre-wrap; }
    .context { color: #616061; font-size: 13px; margin: 6px 0 8px; }
    .section { display: flex; justify-content: space-between; gap: 16px; margin: 8px 0; }
    .section img { flex: none; width: 76px; height: 76px; object-fit: cover; border-radius: 8px; }
    b { font-weight: 900; }
    a { color: #1264a3; text-decoration: none; }
    .emoji { font-size: 17px; line-height: 1; vertical-align: -1px; margin-right: 2px; }
    .button { display: inline-block; border: 1px solid #bbb; border-radius: 4px; padding: 5px 12px; font-weight: 700; font-size: 13px; margin-right: 8px; }
    .button.primary { background: #007a5a; border-color: #007a5a; color: #fff; }
    .more { color: #1264a3; margin-top: 8px; }
  </style><body><div class="channel"><span>#</span> social-team</div>
  <div class="message">${EMBLEM}<div><div class="by"><b>Media expiry alerts</b><small>APP</small><time>6:00 AM</time></div>
  ${shown.map(block).join('\n')}${shown.length < blocks.length ? '<p class="more">Show more</p>' : ''}</div></div>`;
}

/** The mail, which fades out where the picture ends. */
function mail() {
  const text = readFileSync(join(demo, 'email.txt'), 'utf8');
  const [, subject, body] = text.match(/^Subject: (.*)\n\n([\s\S]*)$/);
  const shown = escape(body).trimEnd()
    .replace(/https:\/\/\S+/g, '<a href="$&">$&</a>');
  return `<!DOCTYPE html><meta charset="utf-8"><style>
    body { margin: 0; background: #fff; color: #202124; font: 14px/1.5 Inter, "Noto Color Emoji", sans-serif; }
    .mail { padding: 22px 26px 0; height: 960px; box-sizing: border-box; overflow: hidden; position: relative; }
    h1 { font-size: 19px; line-height: 1.35; font-weight: 500; margin: 0 0 16px; letter-spacing: -.01em; }
    .from { display: grid; grid-template-columns: 40px 1fr auto; gap: 0 12px; align-items: center; padding-bottom: 16px; border-bottom: 1px solid #e6e8eb; }
    .from i { grid-row: span 2; width: 40px; height: 40px; border-radius: 50%; background: #1550b8; color: #fff; font: 600 17px/40px Inter; text-align: center; }
    .from b { font-weight: 600; } .from span { color: #5f6368; font-size: 13px; } .from .to { grid-column: 2; }
    pre { font: 13px/1.55 "DejaVu Sans Mono", "Noto Color Emoji", "WenQuanYi Micro Hei", monospace; margin: 16px 0 0; padding-bottom: 8px; white-space: pre-wrap; overflow-wrap: anywhere; }
    a { color: #1550b8; }
    .fade { position: absolute; inset: auto 0 0; height: 90px; background: linear-gradient(#fff0, #fff); }
  </style><body><div class="mail"><h1>${escape(subject)}</h1>
  <div class="from"><i>A</i><div><b>AWS Notifications</b> <span>&lt;no-reply@sns.amazonaws.com&gt;</span></div><span>6:00 AM</span><span class="to">to ops</span></div>
  <pre>${shown}</pre><div class="fade"></div></div>`;
}

/** Opens a page, by its text or its URL, with pictures where the galleries' are. */
async function open(browser, { html, url, width, height = 600, colorScheme = 'light' }) {
  const context = await browser.newContext({ viewport: { width, height }, deviceScaleFactor: 2, colorScheme, reducedMotion: 'reduce' });
  await context.route(/^https?:/, (route) => {
    const asked = route.request().url();
    return asked.startsWith(`${PICTURES}/`) ? route.fulfill({ contentType: 'image/svg+xml', body: picture(asked) }) : route.abort();
  });
  const page = await context.newPage();
  await (html ? page.setContent(html) : page.goto(url));
  await page.waitForLoadState('networkidle');
  return page;
}

async function save(page, name, fullPage) {
  const { width, height, ...whole } = UPNG.decode(await page.screenshot({ fullPage }));
  // A reduced palette makes the files two thirds smaller without a visible difference.
  const small = Buffer.from(UPNG.encode(UPNG.toRGBA8({ width, height, ...whole }), width, height, 192));
  writeFileSync(join(folder, name), small);
  const size = small.length;
  console.log(`docs/pictures/${name}: ${width} x ${height}, ${Math.ceil(size / 1000)} kB`);
  if (MOST_BYTES < size) throw new Error(`${name} is larger than ${MOST_BYTES} bytes`);
  await page.context().close();
}

mkdirSync(folder, { recursive: true });
const browser = await launch();
try {
  await save(await open(browser, { html: slack(), width: 760, height: 100 }), 'slack.png', true);
  await save(await open(browser, { html: mail(), width: 690, height: 960 }), 'mail.png', false);
  for (const colorScheme of ['light', 'dark']) {
    const page = await open(browser, { url: pathToFileURL(join(demo, 'report.html')).href, width: 1120, height: 1560, colorScheme });
    await save(page, `page-${colorScheme}.png`, false);
  }
} finally {
  await browser.close();
}
