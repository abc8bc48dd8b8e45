// Starts the browser for the tests and for the pictures of the README, and serves pictures instead of a real gallery.
import { chromium } from 'playwright-core';

export const PICTURES = 'https://images.ayrshare.com';

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
}

/** A picture for each URL, always the same: a landscape of its own colours, as wide or as tall as uploads are. */
export function picture(url) {
  let seed = [...url].reduce((sum, letter) => (Math.imul(sum, 31) + letter.charCodeAt(0)) >>> 0, 7);
  const upTo = (most) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(seed / 2 ** 32 * most);
  };
  const [hue, width, height] = [upTo(360), 300 + upTo(200), 300 + upTo(160)];
  const hill = (index) => {
    const y = height * (0.5 + index * 0.16);
    const [a, b] = [y - 20 - upTo(80), y + upTo(60)];
    return `<path d="M0 ${y}C${width * 0.3} ${a} ${width * 0.6} ${b} ${width} ${y - upTo(50)}V${height}H0z" fill="hsl(${(hue + 190 + index * 12) % 360} 38% ${52 - index * 14}%)"/>`;
  };
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
    <rect width="100%" height="100%" fill="hsl(${hue} 62% 78%)"/>
    <circle cx="${width * (0.25 + upTo(50) / 100)}" cy="${height * 0.32}" r="${height / 7}" fill="hsl(${(hue + 40) % 360} 90% 92%)"/>
    ${[0, 1, 2].map(hill).join('')}</svg>`;
}
