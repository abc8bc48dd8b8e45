// Creates the pictures of the documentation from the demo files in target/demo/: what each channel shows, the page and the
// calendar, in light and dark mode and on a phone. `make pictures` runs the demo and then this script.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import UPNG from 'upng-js';
import { launch, PICTURES, picture } from './chromium.mjs';
import { calendar } from './clients/calendar.mjs';
import { htmlEmail, plainEmail } from './clients/inbox.mjs';
import { slack } from './clients/slack.mjs';
import { draw, teams } from './clients/teams.mjs';

const demo = process.env.DEMO;
const folder = new URL('../../docs/pictures/', import.meta.url).pathname;
const MOST_BYTES = 250_000;
/** The time zone of the demo. */
const TIME_ZONE = 'America/New_York';
const PHONE = 390;

const read = (name) => readFileSync(join(demo, name), 'utf8');

/** Opens a page, by its text or its URL, with pictures where the galleries' are. */
async function open(browser, { html, url, width, height = 600, colorScheme = 'light' }) {
  const context = await browser.newContext({ viewport: { width, height }, deviceScaleFactor: 2, colorScheme, timezoneId: TIME_ZONE, reducedMotion: 'reduce' });
  await context.route(/^https?:/, (route) => {
    const asked = route.request().url();
    return asked.startsWith(`${PICTURES}/`) ? route.fulfill({ contentType: 'image/svg+xml', body: picture(asked) }) : route.abort();
  });
  const page = await context.newPage();
  await (html ? page.setContent(html) : page.goto(url));
  await page.waitForLoadState('networkidle');
  return page;
}

/** Saves what is in the window, or the whole page up to a height. */
async function save(page, name, upTo) {
  if (upTo) {
    const { width } = page.viewportSize();
    const whole = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewportSize({ width, height: Math.min(whole, upTo) });
    await page.waitForLoadState('networkidle');
  }
  const { width, height, ...whole } = UPNG.decode(await page.screenshot());
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
  const message = JSON.parse(read('slack-1.json'));
  await save(await open(browser, { html: slack(message), width: 760, height: 100 }), 'slack.png', 2_000);
  await save(await open(browser, { html: plainEmail(read('email.txt')), width: 690, height: 100 }), 'sns.png', 960);
  await save(await open(browser, { html: calendar(read('calendar.ics'), TIME_ZONE), width: 1040, height: 100 }), 'calendar.png', 1_000);
  for (const colorScheme of ['light', 'dark']) {
    const [phone, desktop] = [{ width: PHONE, height: 844, colorScheme }, { width: 720, height: 100, colorScheme }];
    const email = htmlEmail(read('email.html'));
    await save(await open(browser, { html: email, ...desktop }), `email-${colorScheme}.png`, 1_250);
    await save(await open(browser, { html: email, ...phone }), `email-phone-${colorScheme}.png`);
    for (const [size, name, upTo] of [[desktop, 'teams', 1_250], [phone, 'teams-phone']]) {
      const page = await open(browser, { html: teams(colorScheme), ...size });
      await draw(page, JSON.parse(read('teams.json')), colorScheme);
      await page.waitForLoadState('networkidle');
      await save(page, `${name}-${colorScheme}.png`, upTo);
    }
    const url = pathToFileURL(join(demo, 'report.html')).href;
    await save(await open(browser, { url, width: 1120, height: 1560, colorScheme }), `page-${colorScheme}.png`);
    await save(await open(browser, { url, ...phone }), `page-phone-${colorScheme}.png`);
  }
} finally {
  await browser.close();
}
