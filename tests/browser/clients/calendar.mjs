// A calendar as the week view of a calendar program.
import { escape } from './html.mjs';

const DAY = 86_400_000;
const [FIRST_HOUR, LAST_HOUR, HOUR] = [0, 24, 26];

/** The entries of an iCalendar text: when they begin, as milliseconds, and their title. */
function entries(text) {
  const unfolded = text.replace(/\r?\n[ \t]/g, '');
  return unfolded.split('BEGIN:VEVENT').slice(1).map((entry) => {
    const [, ...start] = entry.match(/DTSTART:(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/) ?? [];
    const [, title] = entry.match(/SUMMARY:(.*)/);
    const plain = title.trim().replace(/\\([,;\\])/g, '$1');
    return { at: Date.UTC(start[0], start[1] - 1, ...start.slice(2)), title: plain };
  }).filter(({ at }) => !Number.isNaN(at));
}

/** The seven days from the first entry on, in a time zone. */
export function calendar(text, timeZone) {
  const part = (at, options) => new Intl.DateTimeFormat('en-US', { timeZone, ...options }).format(at);
  const dayOf = (at) => part(at, { year: 'numeric', month: 'numeric', day: 'numeric' });
  const hourOf = (at) => Number(part(at, { hour: 'numeric', hourCycle: 'h23' })) + Number(part(at, { minute: 'numeric' })) / 60;
  const all = entries(text).sort((a, b) => a.at - b.at);
  const days = Array.from({ length: 7 }, (_, index) => Date.now() + index * DAY);
  const column = (day) => {
    const groups = new Map();
    for (const entry of all.filter(({ at }) => dayOf(at) === dayOf(day))) {
      const hour = hourOf(entry.at);
      const slot = Math.round(hour * 2) / 2;
      groups.set(slot, [...(groups.get(slot) ?? []), entry]);
    }
    let free = 0;
    return [...groups].map(([slot, group]) => {
      const top = Math.max((slot - FIRST_HOUR) * HOUR, free);
      free = top + 36;
      const more = group.length > 1 ? `<i> +${group.length - 1} more</i>` : '';
      const kind = /post/i.test(group[0].title) ? 'post' : '';
      return `<p class="${kind}" style="top: ${top}px"><b>${escape(group[0].title)}</b>${more}<br>${part(group[0].at, { hour: 'numeric', minute: '2-digit' })}</p>`;
    }).join('');
  };
  const hours = Array.from({ length: LAST_HOUR - FIRST_HOUR }, (_, index) => `<span style="top: ${index * HOUR}px">${(index + FIRST_HOUR) % 12 || 12} ${index + FIRST_HOUR < 12 ? 'AM' : 'PM'}</span>`);
  return `<!DOCTYPE html><meta charset="utf-8"><style>
    body { margin: 0; background: #fff; color: #202124; font: 12px/1.4 Inter, "Noto Color Emoji", sans-serif; }
    .days { display: grid; grid-template-columns: 56px repeat(7, minmax(0, 1fr)); }
    .days > h2 { margin: 0; padding: 10px 8px; font-size: 12px; font-weight: 500; color: #5f6368; border-bottom: 1px solid #e0e3e7; }
    .days > h2 b { display: block; font-size: 20px; font-weight: 500; color: #202124; }
    .column { position: relative; height: ${(LAST_HOUR - FIRST_HOUR) * HOUR + 12}px; border-left: 1px solid #e0e3e7;
      background: repeating-linear-gradient(#0000 0 ${HOUR * 2 - 1}px, #eef0f2 0 ${HOUR * 2}px); }
    .hours { border: 0; background: none; } .hours span { position: absolute; right: 8px; color: #80868b; font-size: 10px; }
    .column p { position: absolute; left: 2px; right: 4px; margin: 0; padding: 2px 6px; border-radius: 4px; background: #d7e5fb; color: #10396f;
      height: 30px; overflow: hidden; font-size: 11px; line-height: 15px; } .column p.post { background: #fbdcd9; color: #7a1a12; }
    .column b { display: inline-block; max-width: 100%; overflow: hidden; text-overflow: ellipsis; vertical-align: bottom; font-weight: 600; white-space: nowrap; }
  </style><body><div class="days"><h2></h2>${days.map((day) => `<h2>${part(day, { weekday: 'short' })}<b>${part(day, { day: 'numeric' })}</b></h2>`).join('')}
  <div class="column hours">${hours.filter((_, index) => index % 2 === 0).join('')}</div>${days.map((day) => `<div class="column">${column(day)}</div>`).join('')}</div>`;
}
