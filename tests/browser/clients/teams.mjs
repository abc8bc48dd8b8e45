// A card as Teams shows it, drawn by the library of Adaptive Cards.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const library = readFileSync(createRequire(import.meta.url).resolve('adaptivecards/dist/adaptivecards.min.js'), 'utf8');

const COLOURS = {
  light: { ground: '#fff', text: '#242424', subtle: '#616161', attention: '#b10e1c', warning: '#8a3707', good: '#0e700e', accent: '#5b5fc7', alert: '#fdf3f4', line: '#e0e0e0' },
  dark: { ground: '#292929', text: '#fff', subtle: '#adadad', attention: '#f88', warning: '#fdb462', good: '#54b054', accent: '#7f85f5', alert: '#3b1a1d', line: '#525252' },
};

function hostConfig(scheme) {
  const colour = COLOURS[scheme];
  const one = (normal) => ({ default: normal, subtle: normal });
  const foregroundColors = {
    default: { default: colour.text, subtle: colour.subtle }, dark: one(colour.text), light: one(colour.subtle),
    accent: one(colour.accent), good: one(colour.good), warning: one(colour.warning), attention: one(colour.attention),
  };
  const style = (backgroundColor) => ({ backgroundColor, foregroundColors });
  return {
    fontFamily: '"Segoe UI", Inter, "Noto Color Emoji", sans-serif',
    spacing: { small: 8, default: 12, medium: 16, large: 20, extraLarge: 24, padding: 16 },
    separator: { lineThickness: 1, lineColor: colour.line },
    fontSizes: { small: 12, default: 14, medium: 14, large: 18, extraLarge: 24 },
    lineHeights: { small: 16, default: 20, medium: 20, large: 24, extraLarge: 32 },
    fontWeights: { lighter: 400, default: 400, bolder: 600 },
    imageSizes: { small: 32, medium: 52, large: 100 },
    containerStyles: { default: style(colour.ground), emphasis: style(colour.ground), attention: style(colour.alert) },
    factSet: { title: { weight: 'bolder', maxWidth: 250 }, value: { weight: 'default' }, spacing: 16 },
    actions: { actionAlignment: 'left', buttonSpacing: 8, maxActions: 6, spacing: 'large' },
  };
}

/** A channel with one message. The card is added by `draw`. */
export function teams(scheme) {
  const colour = COLOURS[scheme];
  return `<!DOCTYPE html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>
    body { margin: 0; padding: 16px; background: ${scheme === 'dark' ? '#1f1f1f' : '#f5f5f5'}; color: ${colour.text}; font: 14px/20px Inter, "Noto Color Emoji", sans-serif; }
    .by { display: flex; gap: 8px; align-items: center; margin: 0 0 10px; } .by svg { width: 32px; height: 32px; border-radius: 50%; }
    .by span { color: ${colour.subtle}; font-size: 12px; }
    #card { background: ${colour.ground}; border: 1px solid ${colour.line}; border-radius: 6px; overflow: hidden; }
    .ac-pushButton { border: 1px solid ${colour.line}; border-radius: 4px; background: none; color: inherit; font: 600 14px/20px Inter; padding: 5px 12px; }
    .ac-selectable { cursor: pointer; }
  </style><body><div class="by"><svg viewBox="0 0 48 48"><rect width="48" height="48" fill="#5b5fc7"/><circle cx="24" cy="24" r="13" fill="none" stroke="#fff" stroke-width="3.4"/><path d="M24 16.5v8l5.5 3.8" fill="none" stroke="#fff" stroke-width="3.4" stroke-linecap="round"/></svg>
  <b>Workflows</b><span>6:00 AM</span></div><div id="card"></div>`;
}

export async function draw(page, message, scheme) {
  await page.evaluate(library);
  await page.evaluate(({ card, config }) => {
    const { AdaptiveCard, HostConfig } = window.AdaptiveCards;
    const drawn = new AdaptiveCard();
    drawn.hostConfig = new HostConfig(config);
    drawn.parse(card);
    document.getElementById('card').append(drawn.render());
  }, { card: message.attachments[0].content, config: hostConfig(scheme) });
}
