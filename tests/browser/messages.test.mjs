// Tests the email and the card for Teams, of the demo and of hostile data: against the rules of HTML, what mail programs support,
// what version 1.4 of Adaptive Cards defines, and axe.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { caniemail } from 'caniemail';
import { check } from './cards.mjs';
import { launch, PICTURES, picture } from './chromium.mjs';
import { faults } from './html.mjs';

const pages = process.env.REPORT_PAGES;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const read = (name) => readFileSync(join(pages, name), 'utf8');
const EMAILS = ['demo/email.html', 'hostile-email.html'];
const CARDS = ['demo/teams.json', 'hostile-teams.json'];

const ORANGE = ['orange.desktop-webmail', 'orange.ios', 'orange.android'];
const WINDOWS = ['outlook.windows', 'outlook.windows-mail'];
const YAHOO = ['yahoo.desktop-webmail', 'yahoo.ios', 'yahoo.android', 'aol.desktop-webmail', 'aol.ios', 'aol.android'];
const SFR = ['sfr.desktop-webmail', 'sfr.ios', 'sfr.android'];
/** Where these are missing, the email has square corners or the light colours, and can be read all the same. */
const UNSUPPORTED = {
  '@media': ['gmail.mobile-webmail', 'sfr.ios', 'sfr.android', 'thunderbird.macos', ...WINDOWS],
  '<style> element': ['gmail.mobile-webmail', 'sfr.ios', 'sfr.android'],
  'object-fit': ['gmail.mobile-webmail', ...ORANGE, ...WINDOWS, ...YAHOO],
  'border-radius': [...ORANGE, ...WINDOWS],
  'role attribute': ['outlook.windows-mail', 'hey.desktop-webmail', ...ORANGE],
  'lang attribute': ['orange.desktop-webmail', 'hey.desktop-webmail'],
  'text-decoration': ['sfr.ios', 'protonmail.ios', 'orange.ios'],
  // Long words have places where they may be broken as well. Where neither works, a long word makes the email wider.
  'word-break': ['outlook.windows-mail', ...ORANGE, ...YAHOO],
  '<wbr> element': ['gmail.ios', 'orange.desktop-webmail', 'orange.android', 'hey.desktop-webmail', 'mail-ru.desktop-webmail', ...WINDOWS],
  // The preheader is hidden in several ways.
  'display:none': ['gmail.mobile-webmail'],
  overflow: ['outlook.android', 'yahoo.android', 'aol.android', ...WINDOWS],
  // The tables have the colours of the body, and pictures have their size twice.
  '<body> element': ['outlook.macos', 'outlook.ios', 'outlook.android', 'yahoo.ios', 'yahoo.android', 'aol.ios', 'aol.android', 'protonmail.desktop-webmail',
    'protonmail.ios', 'protonmail.android', 'mail-ru.desktop-webmail', 'fastmail.desktop-webmail', 'laposte.desktop-webmail', ...SFR],
  'width attribute': ['hey.desktop-webmail'],
  'height attribute': ['hey.desktop-webmail'],
  'height property': ['yahoo.desktop-webmail', 'yahoo.ios', 'yahoo.android'],
};

let browser;

before(async () => { browser = await launch(); });
after(async () => { await browser?.close(); });

for (const name of EMAILS) {
  test(`${name} is small, and its lines are short`, () => {
    const html = readFileSync(join(pages, name));
    assert.ok(html.length < 90_000, `${html.length} bytes`);
    const longest = Math.max(...html.toString().split('\n').map((line) => Buffer.byteLength(line)));
    assert.ok(longest <= 998, `a line of ${longest} bytes`);
  });

  test(`${name} is valid HTML`, async () => {
    assert.deepEqual(await faults(read(name)), []);
  });

  test(`mail programs support what ${name} uses`, () => {
    const { errors } = caniemail({ clients: ['*'], html: read(name) }).issues;
    const unexpected = [...errors].flatMap(([client, issues]) => issues
      .filter(({ title }) => !UNSUPPORTED[title]?.includes(client))
      .map(({ title }) => `${title}: ${client}`));
    assert.deepEqual([...new Set(unexpected)], []);
  });

  test(`${name} shows outside text as text, asks for pictures only, and fits a phone`, async () => {
    for (const colorScheme of ['light', 'dark']) {
      const context = await browser.newContext({ colorScheme, viewport: { width: 1360, height: 900 } });
      const asked = [];
      await context.route(/^https?:/, (route) => {
        const url = route.request().url();
        asked.push(url);
        return url.startsWith(`${PICTURES}/`)
          ? route.fulfill({ contentType: 'image/svg+xml', body: picture(url) })
          : route.abort();
      });
      const page = await context.newPage();
      await page.setContent(read(name));
      await page.waitForLoadState('networkidle');
      for (const url of asked) assert.ok(url.startsWith(`${PICTURES}/`), url);
      if (name.startsWith('demo/')) assert.ok(0 < asked.length, 'pictures are shown');
      assert.equal(await page.evaluate(() => window.broken), undefined);
      assert.equal(await page.locator(':is(script, iframe, object, embed, form, base, link)').count(), 0);
      for (const link of await page.locator('a').evaluateAll((links) => links.map((one) => one.getAttribute('href')))) {
        assert.match(link, /^https:\/\//);
      }
      await page.evaluate(axe);
      for (const width of [1360, 390, 320]) {
        await page.setViewportSize({ width, height: 900 });
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(wide <= 0, `${wide} pixels too wide for ${width}`);
        if (width === 320) continue;
        // The mail program has the landmarks.
        const rules = { region: { enabled: false }, 'landmark-one-main': { enabled: false } };
        const found = await page.evaluate((options) => window.axe.run(document, options), { rules });
        assert.ok(10 < found.passes.length, 'axe has checked the email');
        const violations = found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).slice(0, 3).join(' | ')}`);
        assert.deepEqual(violations, [], `${colorScheme}, ${width}`);
      }
      await context.close();
    }
  });
}

test('the page with the card of the demo is valid HTML', async () => {
  assert.deepEqual(await faults(read('demo/teams.html')), []);
});

for (const name of CARDS) {
  test(`${name} is a small and valid card of version 1.4`, () => {
    const message = JSON.parse(read(name));
    // The demo file is indented; what is sent is not.
    const bytes = Buffer.byteLength(JSON.stringify(message));
    assert.ok(bytes < 20_000, `${bytes} bytes`);
    assert.equal(message.attachments.length, 1);
    assert.deepEqual(check(message.attachments[0].content), []);
  });
}

test('the check of cards finds what is wrong', () => {
  const card = (element) => ({ type: 'AdaptiveCard', version: '1.4', body: [element] });
  const text = { type: 'TextRun', text: 'a' };
  assert.deepEqual(check(card({ type: 'RichTextBlock', inlines: [text] })), []);
  for (const [element, what] of [
    [{ type: 'RichTextBlock', inlines: [{ ...text, colour: 'Good' }] }, /TextRun has no property colour/],
    [{ type: 'RichTextBlock', inlines: [{ ...text, color: 'Red' }] }, /color/],
    [{ type: 'Marquee', text: 'a' }, /Marquee/],
    [{ type: 'ActionSet', actions: [{ type: 'Action.OpenUrl', title: 'a' }] }, /url/],
    [{ type: 'Table', columns: [] }, /Table/],
    [{ type: 'FactSet', facts: [{ name: 'a', value: 'b' }] }, /Fact has no property name/],
  ]) {
    assert.match(check(card(element)).join('\n'), what);
  }
});
