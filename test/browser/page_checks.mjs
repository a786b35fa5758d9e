// Checks of a page as it stands, run inside the browser: structure, names, contrast. Each function is sent as text, so
// each stands alone.

/** Landmarks, headings, names of controls, ids, sizes. @returns {string[]} */
export function structureProblems() {
  /** @type {string[]} */
  const problems = [];
  /** @param {string} text @param {Element} [element] */
  const wrong = (text, element) => problems.push(element ? `${text}: ${element.outerHTML.slice(0, 160)}` : text);
  /** @param {Element} element */
  const shown = (element) => element.checkVisibility({ visibilityProperty: true });
  const all = (/** @type {string} */ selector) => [...document.querySelectorAll(selector)].filter(shown);

  if (!document.documentElement.lang) wrong('the document has no language');
  if (!document.title) wrong('the document has no title');
  if (all('h1').length !== 1) wrong(`there are ${all('h1').length} h1`);
  if (all('main').length !== 1) wrong(`there are ${all('main').length} main`);
  if (all('body > #root > header').length !== 1) wrong('there is no banner');
  if (all('nav[aria-label]').length < 1) wrong('there is no named navigation');
  for (const link of all('nav a[aria-current="page"]')) if (new URL(/** @type {HTMLAnchorElement} */ (link).href).pathname === '') wrong('a current link without a path', link);

  const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
  for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) wrong(`the id ${id} is there twice`);

  /** A small part of the accessible name computation: what this console uses. @param {Element} element @returns {string} */
  const nameOf = (element) => {
    const labelledBy = element.getAttribute('aria-labelledby');
    if (labelledBy) return labelledBy.split(/\s+/).map((id) => document.getElementById(id)?.textContent ?? '').join(' ').trim();
    const label = element.getAttribute('aria-label');
    if (label) return label.trim();
    const labels = /** @type {HTMLInputElement} */ (element).labels;
    if (labels && labels.length > 0) return [...labels].map((one) => one.textContent).join(' ').trim();
    if (['INPUT', 'SELECT', 'TEXTAREA', 'METER'].includes(element.tagName)) return '';
    return [element.textContent, ...[...element.querySelectorAll('img[alt]')].map((image) => image.getAttribute('alt'))].join(' ').trim();
  };
  for (const element of all('button, a[href], input, select, textarea, meter, [role=grid], [role=tablist], [role=tab], [role=img], dialog, form[aria-label], section[aria-label]')) {
    if (nameOf(element) === '') wrong('without a name', element);
  }
  for (const image of all('img')) if (!image.hasAttribute('alt')) wrong('an image without alt', image);
  for (const element of all('[tabindex]')) if (Number(element.getAttribute('tabindex')) > 0) wrong('a tabindex above 0', element);
  for (const hidden of document.querySelectorAll('[aria-hidden=true]')) {
    if (hidden.matches('a, button, input, select, [tabindex]') || hidden.querySelector('a, button, input, select, [tabindex]')) wrong('a control in what is hidden from screen readers', hidden);
  }
  for (const element of document.querySelectorAll('[aria-controls], [aria-describedby], [aria-labelledby]')) {
    for (const attribute of ['aria-describedby', 'aria-labelledby']) {
      for (const id of element.getAttribute(attribute)?.split(/\s+/) ?? []) if (!document.getElementById(id)) wrong(`${attribute} names ${id}, which is not there`, element);
    }
    const selected = element.getAttribute('aria-selected') !== 'false';
    const controls = element.getAttribute('aria-controls');
    if (selected && controls && !document.getElementById(controls)) wrong(`aria-controls names ${controls}, which is not there`, element);
  }
  for (const list of all('dl')) {
    for (const child of list.children) if (!['DT', 'DD', 'DIV'].includes(child.tagName)) wrong('a dl with something else in it', child);
  }
  // Headings do not skip levels downwards.
  let level = 0;
  for (const heading of all('h1, h2, h3, h4')) {
    const now = Number(heading.tagName[1]);
    if (now > level + 1 && level > 0) wrong(`a h${now} after a h${level}`, heading);
    level = now;
  }
  for (const grid of all('[role=grid]')) {
    const count = Number(grid.getAttribute('aria-rowcount'));
    const rows = [...grid.querySelectorAll('[role=row][aria-rowindex]')];
    const places = rows.map((row) => Number(row.getAttribute('aria-rowindex')));
    if (new Set(places).size !== places.length) wrong('two rows of a grid with one place', grid);
    if (grid.querySelector('.body') && places.some((place) => place > count)) wrong(`a row beyond aria-rowcount ${count}`, grid);
    const stops = rows.filter((row) => row.getAttribute('tabindex') === '0').length;
    if (grid.querySelector('.body') && stops !== 1) wrong(`a grid with ${stops} rows in the order of the keyboard`, grid);
  }
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) {
    const widest = all('body *').filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !element.closest('.table, .payload, .lines, .tabs, .hidden')).slice(0, 3);
    wrong(`the page is ${document.documentElement.scrollWidth} wide in ${document.documentElement.clientWidth}: ${widest.map((element) => element.outerHTML.slice(0, 100)).join(' | ')}`);
  }
  return problems;
}

/** Text whose contrast with what is behind it is below WCAG AA. @returns {string[]} */
export function contrastProblems() {
  /** @type {string[]} */
  const problems = [];
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  if (!canvas) return ['no canvas'];
  /** @param {string} colour @returns {[number, number, number, number]} */
  const parse = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r = 0, g = 0, b = 0, a = 0] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  /** @param {number[]} rgb */
  const luminance = (rgb) => {
    const [r = 0, g = 0, b = 0] = rgb.map((value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  /** @param {Element | null} element @returns {number[]} */
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, a] = parse(getComputedStyle(at).backgroundColor);
      if (a > 0.99) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!element || seen.has(element) || !node.textContent?.trim() || !element.checkVisibility({ visibilityProperty: true }) || element.closest('.hidden, noscript, .skip, :disabled')) continue;
    seen.add(element);
    const style = getComputedStyle(element);
    if (parseFloat(style.fontSize) === 0) continue;
    const [r, g, b] = parse(style.color);
    const [light, dark] = [luminance([r, g, b]), luminance(ground(element))].sort((x, y) => y - x);
    const contrast = ((light ?? 0) + 0.05) / ((dark ?? 0) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast < (large ? 3 : 4.5)) problems.push(`contrast ${contrast.toFixed(2)} of "${node.textContent.trim().slice(0, 40)}" (${style.color} on ${ground(element)})`);
  }
  return problems;
}
