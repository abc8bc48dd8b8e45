// Tests the report in a real browser: no script in the data runs, only the host of the gallery gets requests, the filter works,
// axe reports nothing, and the page fits every size. If SHOTS is set, screenshots are written to that folder.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, PICTURES, picture } from './chromium.mjs';
import { faults } from './html.mjs';

const pages = process.env.REPORT_PAGES;
const shots = process.env.SHOTS;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SIZES = [['phone', 390, 844], ['tablet', 834, 1112], ['desktop', 1360, 900]];
/** Every page but the one of forty thousand files, which takes long. */
const PAGES = ['usual', 'hostile', 'empty', 'failed', 'many', 'signed', 'expired-link', 'no-link'];

let server;
let base;
let browser;

before(async () => {
  server = createServer((request, response) => {
    const name = new URL(request.url, 'http://localhost').pathname.slice(1);
    try {
      const head = JSON.parse(readFileSync(join(pages, `${name}.head.json`), 'utf8'));
      response.writeHead(head.status, head.headers).end(readFileSync(join(pages, name)));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  base = `http://127.0.0.1:${server.address().port}`;
  browser = await launch();
});

after(async () => {
  await browser?.close();
  server?.close();
});

/** Opens a page; `asked` collects what it asks for, `refused` what its policy stopped. */
async function open(name, { size = [1360, 900], colorScheme = 'light', script = true, hash = '' } = {}) {
  const context = await browser.newContext({
    viewport: { width: size[0], height: size[1] }, colorScheme, javaScriptEnabled: script, reducedMotion: 'reduce',
  });
  const asked = [];
  const messages = [];
  context.on('request', (request) => asked.push(request));
  await context.route((url) => url.origin !== base, (route) => {
    const url = route.request().url();
    if (!url.startsWith(`${PICTURES}/`)) return route.abort();
    if (url.includes('missing')) return route.fulfill({ status: 404, body: '' });
    return route.fulfill({ contentType: 'image/svg+xml', body: picture(url) });
  });
  const page = await context.newPage();
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) messages.push(message.text()); });
  page.on('pageerror', (error) => messages.push(String(error)));
  page.on('dialog', (dialog) => { messages.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  const response = await page.goto(`${base}/${name}.html${hash}`);
  await page.waitForLoadState('networkidle');
  return { page, context, asked, messages, response };
}

/** Scrolls through the page, so that every picture is asked for. */
async function look(page) {
  for (let y = 0; y < await page.evaluate(() => document.body.scrollHeight); y += 600) {
    await page.evaluate((to) => window.scrollTo(0, to), y);
    await page.waitForTimeout(30);
  }
  await page.waitForLoadState('networkidle');
  await page.evaluate(() => window.scrollTo(0, 0));
}

const visible = (page) => page.locator('.card:visible').count();

async function violations(page) {
  // Evaluated through the debugger, because the policy of the page blocks injected scripts.
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document));
  assert.ok(found.passes.length > 10, 'axe has checked the page');
  return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).slice(0, 3).join(' | ')}`);
}

for (const name of PAGES.filter((page) => page !== 'many')) {
  test(`axe finds nothing in ${name}`, async () => {
    const { page, context } = await open(name);
    for (const [size, width, height] of [SIZES[0], SIZES[2]]) {
      await page.setViewportSize({ width, height });
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        assert.deepEqual(await violations(page), [], `${size}, ${colorScheme}`);
      }
    }
    await context.close();
  });
}

for (const name of PAGES.filter((page) => page !== 'many')) {
  test(`${name} is valid HTML`, async () => {
    assert.deepEqual(await faults(readFileSync(join(pages, `${name}.html`), 'utf8')), []);
  });
}

test('axe finds nothing if the filter finds nothing, or in a card that a link points to', async () => {
  const { page, context } = await open('usual', { hash: '#post-0' });
  assert.deepEqual(await violations(page), []);
  await page.fill('#q', 'no file is called that');
  assert.equal(await visible(page), 0);
  assert.equal(await page.locator('#nothing').isVisible(), true);
  assert.deepEqual(await violations(page), []);
  await context.close();
});

test('no script in the data runs, and only pictures are requested', async () => {
  for (const name of PAGES.filter((page) => page !== 'many')) {
    const { page, context, asked, messages } = await open(name);
    await look(page);
    await page.mouse.move(400, 400);
    assert.equal(await page.evaluate(() => window.broken), undefined);
    const others = asked.map((request) => request.url()).filter((url) => !url.startsWith(`${base}/${name}.html`));
    if (['usual', 'hostile', 'signed'].includes(name)) assert.ok(others.length > 0, 'some pictures are shown');
    for (const url of others) assert.ok(url.startsWith(`${PICTURES}/`), url);
    for (const request of asked.slice(1)) {
      assert.equal(request.resourceType(), 'image');
      assert.equal((await request.allHeaders()).referer, undefined, 'no referrer is sent');
    }
    const links = await page.locator('main a, img').evaluateAll((nodes) => nodes.map((node) => node.getAttribute('href') ?? node.src));
    for (const link of links) assert.match(link, /^(https:\/\/|webcal:\/\/reports\.example\/|#|\?)/, link);
    // A linked page gets no referrer and no access to this window.
    assert.equal(await page.locator('main a[href^="https:"]:not([rel="noopener noreferrer"])').count(), 0);
    assert.deepEqual(messages.filter((text) => !/status of (404|410|502)/.test(text)), []);
    assert.equal(await page.locator('script').count(), name.endsWith('-link') ? 0 : 1);
    assert.equal(await page.locator('main :is(iframe, object, embed, form, base, meta, link, style)').count(), 0);
    const handlers = await page.locator('*').evaluateAll((nodes) => nodes.flatMap((node) => node.getAttributeNames())
      .filter((attribute) => attribute.startsWith('on') || attribute === 'style'));
    assert.deepEqual(handlers, []);
    await context.close();
  }
});

test('hostile text is shown as text, on one line and in its direction', async () => {
  const { page, context } = await open('hostile');
  const text = await page.locator('main').textContent();
  assert.ok(text.includes('<script>window.broken = 1</script>'));
  assert.doesNotMatch(text, /[\u202A-\u202E\u2066-\u2069\u200E\u200F\u0000\u0007]/);
  const width = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(width <= 0, `the page is ${width} px too wide`);
  // A symbol replaces a picture that cannot be loaded.
  const missing = page.locator('.card img[src$="missing.png"]').last();
  await missing.evaluate((node) => node.closest('.card').scrollIntoView());
  await page.waitForTimeout(300);
  assert.equal(await missing.isHidden(), true);
  await context.close();
});

test('the policy allows only the page itself', async () => {
  const { page, context, response } = await open('usual');
  const headers = response.headers();
  const policy = headers['content-security-policy'];
  assert.match(policy, /^default-src 'none'; img-src https:\/\/images\.ayrshare\.com; style-src 'sha256-[^']+'; script-src 'sha256-[^']+';/);
  for (const part of ["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]) assert.ok(policy.includes(part), part);
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.equal(headers['referrer-policy'], 'no-referrer');
  assert.equal(headers['x-frame-options'], 'DENY');
  const ran = await page.evaluate(() => new Promise((resolve) => {
    const script = document.createElement('script');
    try {
      script.text = 'window.broken = 2';
      document.body.append(script);
    } catch { /* Trusted types refuse even that. */ }
    setTimeout(() => resolve(window.broken), 50);
  }));
  assert.equal(ran, undefined);
  await context.close();
});

test('the filter searches by text, profile and kind, and works with the keyboard', async () => {
  const { page, context } = await open('usual');
  const all = await visible(page);
  assert.equal(all, 24);
  await page.keyboard.press('/');
  await page.keyboard.type('LOYALTY card');
  assert.equal(await visible(page), 3);
  assert.equal(await page.locator('#shown').textContent(), '3 of 24 shown');
  assert.equal(await page.locator('.entries:visible').count(), 2);
  await page.selectOption('#k', 'image');
  assert.equal(await visible(page), 2);
  await page.selectOption('#p', { label: 'Harbour Hotel' });
  assert.equal(await visible(page), 0);
  await page.click('#reset');
  assert.equal(await visible(page), all);
  await page.keyboard.type('cafe');
  assert.equal(await visible(page), 4, 'a profile is found without its accents');
  await page.keyboard.press('Escape');
  await page.selectOption('#k', 'video');
  assert.equal(await visible(page), 3);
  await page.locator('.needed a').first().evaluate((node) => node.click());
  await page.waitForTimeout(100);
  assert.equal(await page.locator('#post-0').isVisible(), true, 'a link to a hidden card shows it again');
  await context.close();
});

test('the page can be read without a script', async () => {
  const { page, context } = await open('usual', { script: false });
  assert.equal(await visible(page), 24);
  assert.equal(await page.locator('.filter').isVisible(), false);
  const headings = await page.locator('h1, h2').allTextContents();
  assert.match(headings[0], /^2 scheduled posts will fail, 2 files have expired, 19 files expire within 14 days and /);
  const order = ['Could not be checked', 'Scheduled posts that will fail', 'Expired', 'Expires within 1 day',
    'Expires within 3 days', 'Expires within 7 days', 'Expires within 14 days', 'Without an expiry date'];
  const places = order.map((start) => headings.findIndex((heading) => heading.startsWith(start)));
  assert.ok(places.every((place, index) => place > 0 && (index === 0 || places[index - 1] < place)), String(headings));
  await context.close();
});

test('two thousand files are shown quickly', async () => {
  const { page, context } = await open('many');
  assert.equal(await page.locator('.card').count(), 2000);
  const took = await page.evaluate(() => {
    const search = document.getElementById('q');
    const began = performance.now();
    search.value = 'campaign-0199';
    search.dispatchEvent(new Event('input'));
    document.body.getBoundingClientRect();
    return performance.now() - began;
  });
  assert.equal(await visible(page), 10);
  console.log(`filtering 2,000 files took ${Math.round(took)} ms`);
  assert.ok(took < 1_000, `${took} ms`);
  const [timing] = await page.evaluate(() => performance.getEntriesByType('navigation').map((entry) => entry.toJSON()));
  console.log(`2,000 files were there after ${Math.round(timing.domContentLoadedEventEnd)} ms`);
  assert.ok(timing.domContentLoadedEventEnd < 5_000);
  await context.close();
});

test('entries that do not fit are counted', async () => {
  const { page, context, response } = await open('endless');
  const shown = await page.locator('.card').count();
  const notice = await page.locator('#left-out + p').textContent();
  const [, left] = notice.match(/for ([\d,]+) files more/);
  assert.equal(shown + Number(left.replaceAll(',', '')), 40_000);
  assert.equal(response.headers()['x-left-out'], left.replaceAll(',', ''));
  await context.close();
});

test('every page fits every screen size', async () => {
  for (const name of PAGES) {
    const { page, context } = await open(name);
    // 320 pixels are the width of a desktop at 400 % zoom.
    for (const width of [320, ...SIZES.map(([, width]) => width)]) {
      await page.setViewportSize({ width, height: 800 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `${name} is ${wide} pixels too wide for ${width}`);
      const cut = await page.locator('.card').evaluateAll((cards) => cards.slice(0, 60).filter((card) => (
        card.scrollWidth > card.clientWidth + 1)).map((card) => card.textContent.trim().slice(0, 60)));
      assert.deepEqual(cut, [], `${name} at ${width}`);
    }
    await context.close();
  }
});

if (shots) test('screenshots', async () => {
  mkdirSync(shots, { recursive: true });
  for (const name of PAGES) {
    const { page, context } = await open(name);
    for (const [size, width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      if (name !== 'many') await look(page);
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: join(shots, `${name}-${size}-${colorScheme}.png`), fullPage: name !== 'many' });
      }
    }
    await page.emulateMedia({ colorScheme: 'light' });
    await page.pdf({ path: join(shots, `${name}.pdf`), format: 'A4' });
    await context.close();
  }
});
