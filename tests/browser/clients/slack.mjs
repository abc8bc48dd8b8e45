// A message as Slack shows it.
import { escape } from './html.mjs';

const EMOJI = {
  warning: '⚠️', rotating_light: '🚨', x: '❌', page_facing_up: '📄', hourglass_flowing_sand: '⏳', frame_with_picture: '🖼️',
  clapper: '🎬', grey_question: '❔', question: '❓', white_check_mark: '✅', point_right: '👉', link: '🔗', bulb: '💡', information_source: 'ℹ️',
};

/** Slack's mrkdwn as HTML. What is no markup of its own is escaped in it already. */
function mrkdwn(text) {
  const emoji = (plain) => plain.replace(/:([a-z_]+):/g, (whole, name) => {
    if (!EMOJI[name]) throw new Error(`tell pictures.mjs what ${whole} looks like`);
    return `<span class="emoji">${EMOJI[name]}</span>`;
  });
  const bold = (plain) => plain.replace(/(^|[\s(])\*([^*\n]+)\*(?=[\s·:.,)]|$)/gm, '$1<b>$2</b>');
  const italic = (plain) => plain.replace(/^_(.+)_$/gm, '<i>$1</i>');
  return text.split(/(<[^>]+>)/).map((part) => {
    const date = part.match(/^<!date\^[^|]*\|([^>]*)>$/);
    if (date) return date[1];
    const link = part.match(/^<([^|>]+)\|?([^>]*)>$/);
    return link ? `<a href="${link[1].replaceAll('"', '%22')}">${link[2] || link[1]}</a>` : emoji(italic(bold(part)));
  }).join('');
}

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

/** A message in Slack's look, as far as the sections that are due within days. */
export function slack({ blocks }) {
  const end = blocks.findIndex((one) => /\*Expires within 3 days\*/.test(one.text?.text ?? ''));
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
