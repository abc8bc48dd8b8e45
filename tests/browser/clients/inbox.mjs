// An email as a mail program shows it.
import { escape } from './html.mjs';

/** An open email: who has sent it, its subject, and its content as HTML. */
function inbox({ subject, from, address, to, content }) {
  return `<!DOCTYPE html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>
    :root { color-scheme: light dark; --ground: #fff; --text: #202124; --soft: #5f6368; --line: #e6e8eb; --link: #1550b8; }
    @media (prefers-color-scheme: dark) { :root { --ground: #14181c; --text: #e8eaed; --soft: #9aa0a6; --line: #30363c; --link: #8ec5ff; } }
    body { margin: 0; background: var(--ground); color: var(--text); font: 14px/1.5 Inter, "Noto Color Emoji", sans-serif; }
    header { padding: 20px 24px 16px; border-bottom: 1px solid var(--line); }
    header h1 { font-size: 19px; line-height: 1.35; font-weight: 500; margin: 0 0 14px; letter-spacing: -.01em; }
    .from { display: grid; grid-template-columns: 40px minmax(0, 1fr) auto; gap: 0 12px; align-items: center; }
    .from i { grid-row: span 2; width: 40px; height: 40px; border-radius: 50%; background: #1550b8; color: #fff; font: 600 17px/40px Inter; text-align: center; }
    .from b { font-weight: 600; } .from span { color: var(--soft); font-size: 13px; } .from .to { grid-column: 2; }
    .from div { overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }
    iframe { display: block; border: 0; width: 100%; height: 100px; }
    pre { font: 13px/1.55 "DejaVu Sans Mono", "Noto Color Emoji", "WenQuanYi Micro Hei", monospace; margin: 0; padding: 16px 26px; white-space: pre-wrap; overflow-wrap: anywhere; }
    a { color: var(--link); }
  </style><body><header><h1>${escape(subject)}</h1>
  <div class="from"><i>${escape(from[0])}</i><div><b>${escape(from)}</b> <span>&lt;${escape(address)}&gt;</span></div><span>6:00 AM</span><span class="to">to ${escape(to)}</span></div></header>
  ${content}`;
}

/** The email of SNS, which is plain text. */
export function plainEmail(text) {
  const [, subject, body] = text.match(/^Subject: (.*)\n\n([\s\S]*)$/);
  const shown = escape(body).trimEnd().replace(/https:\/\/\S+/g, '<a href="$&">$&</a>');
  return inbox({ subject, from: 'AWS Notifications', address: 'no-reply@sns.amazonaws.com', to: 'ops', content: `<pre>${shown}</pre>` });
}

/** The email of SES. Its content is a document of its own, as high as its text. */
export function htmlEmail(html) {
  const [, subject] = html.match(/<title>([\s\S]*?)<\/title>/);
  const decode = (text) => text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&');
  const grow = 'this.style.height = `${this.contentDocument.documentElement.scrollHeight}px`';
  const content = `<iframe onload="${escape(grow)}" srcdoc="${escape(html)}"></iframe>`;
  return inbox({ subject: decode(subject), from: 'Media alerts', address: 'alerts@agency.example', to: 'maria@client.example', content });
}
