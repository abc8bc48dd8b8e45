'use strict';
// The page works without this script, which adds the filter, shows times in the zone of the reader and replaces pictures that cannot be loaded by their icon.
(() => {
  const byId = (id) => document.getElementById(id);
  const settle = (image) => {
    image.hidden = image.naturalWidth === 0;
    image.classList.add('there');
  };
  for (const outcome of ['load', 'error']) {
    document.addEventListener(outcome, (event) => {
      if (event.target instanceof HTMLImageElement) settle(event.target);
    }, true);
  }
  for (const image of document.images) if (image.complete && image.currentSrc) settle(image);

  // Times become those of the reader. A tooltip still shows what the page said.
  const local = new Intl.DateTimeFormat(undefined, {
    weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', timeZoneName: 'short',
  });
  for (const time of document.querySelectorAll('time')) {
    time.title = time.textContent;
    time.textContent = local.format(new Date(time.dateTime));
  }
  const zone = byId('zone');
  if (zone) zone.textContent = `Times are in your time zone, ${local.resolvedOptions().timeZone}.`;

  const bar = document.querySelector('.filter');
  if (!bar) return;
  const search = byId('q');
  const profile = byId('p');
  const kind = byId('k');
  const plain = (text) => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
  const groups = [...document.querySelectorAll('.group')].map((node) => ({
    node,
    cards: [...node.querySelectorAll('.card')].map((card) => ({
      node: card,
      text: plain(`${card.textContent} ${node.querySelector('h3').textContent}`),
    })),
  }));
  const sections = [...document.querySelectorAll('.entries')];
  const all = groups.reduce((sum, group) => sum + group.cards.length, 0);

  const apply = () => {
    const words = plain(search.value).split(/\s+/).filter(Boolean);
    const wanted = profile ? profile.value : '';
    let shown = 0;
    for (const group of groups) {
      let here = 0;
      for (const { node, text } of group.cards) {
        const fits = (!wanted || node.dataset.p === wanted) && (!kind.value || node.dataset.k === kind.value) &&
          words.every((word) => text.includes(word));
        node.hidden = !fits;
        here += fits;
      }
      group.node.hidden = here === 0;
      shown += here;
    }
    for (const section of sections) section.hidden = !section.querySelector('.group:not([hidden])');
    byId('shown').textContent = shown === all ? '' : `${shown} of ${all} shown`;
    byId('nothing').hidden = shown !== 0;
  };
  const reset = () => {
    search.value = '';
    kind.value = '';
    if (profile) profile.value = '';
    apply();
    search.focus();
  };
  search.addEventListener('input', apply);
  for (const select of [profile, kind]) if (select) select.addEventListener('change', apply);
  byId('reset').addEventListener('click', reset);
  document.addEventListener('keydown', (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    } else if (event.key === 'Escape' && document.activeElement === search) {
      reset();
    }
  });
  // Following a link to a card that the filter hides clears the filter.
  window.addEventListener('hashchange', () => {
    const target = byId(decodeURIComponent(location.hash.slice(1)));
    if (target && target.closest('[hidden]')) {
      reset();
      target.scrollIntoView();
    }
  });
  bar.hidden = false;
  // Browsers restore the fields when the user returns to the page, so the filter must be applied again.
  apply();
})();
