// What a drill notes down, and the report it makes of it.

/** @typedef {import('./gates.mjs').Reading} Reading */
/** @typedef {{at: number, text: string, kind: 'step' | 'command' | 'note' | 'decision'} | {at: number, kind: 'gates', title: string, readings: Reading[]}} Entry */

const number = (/** @type {number | null} */ value) => (value === null ? 'no data' : Number.isInteger(value) ? String(value) : value.toFixed(4));

export class Record {
  /** @type {Entry[]} */
  entries = [];
  startedAt = Date.now();
  /** @type {[string, string][]} */
  facts = [];

  /** @param {boolean} isLoud prints as it goes */
  constructor(isLoud) {
    this.isLoud = isLoud;
  }

  /** @param {Entry} entry */
  #add(entry) {
    this.entries.push(entry);
    if (!this.isLoud) return;
    const at = `${((entry.at - this.startedAt) / 1000).toFixed(1).padStart(6)} s  `;
    if (entry.kind === 'gates') console.log(`${at}${entry.title}: ${isOpen(entry.readings) ? 'open' : `CLOSED: ${closedGates(entry.readings).join(', ')}`}`);
    else console.log(at + (entry.kind === 'step' ? `── ${entry.text}` : entry.text));
  }

  /** @param {string} text */
  step(text) {
    this.#add({ at: Date.now(), kind: 'step', text });
  }

  /** @param {string} text */
  note(text) {
    this.#add({ at: Date.now(), kind: 'note', text });
  }

  /** @param {string} text */
  decision(text) {
    this.#add({ at: Date.now(), kind: 'decision', text });
  }

  /** @param {string} text */
  command(text) {
    this.#add({ at: Date.now(), kind: 'command', text });
  }

  /** @param {string} title @param {Reading[]} readings */
  gates(title, readings) {
    this.#add({ at: Date.now(), kind: 'gates', title, readings });
  }

  /** @param {string} name @param {string | number} value */
  fact(name, value) {
    this.facts.push([name, String(value)]);
  }

  /** @param {string | undefined} failure @returns {string} Markdown */
  report(failure) {
    const lines = [`# Drill of ${new Date(this.startedAt).toISOString().slice(0, 10)}: ${failure === undefined ? 'passed' : 'FAILED'}`, '',
      'Written by `make drill`, which plays [the cutover runbook](../RUNTIME_CODEX_CUTOVER_RUNBOOK.md) on the demo system.', ''];
    if (failure !== undefined) lines.push(`**${failure}**`, '');
    lines.push('| | |', '|---|---|', ...this.facts.map(([name, value]) => `| ${name} | ${value} |`), '');
    for (const entry of this.entries) {
      const at = `${((entry.at - this.startedAt) / 1000).toFixed(1)} s`;
      if (entry.kind === 'step') lines.push('', `## ${entry.text}`, '', `At ${at}.`, '');
      else if (entry.kind !== 'gates') lines.push(`- ${at}: ${{ command: `\`${entry.text}\``, decision: `**${entry.text}**`, note: entry.text }[entry.kind]}`);
      else {
        lines.push('', `${at}, ${entry.title}: **${isOpen(entry.readings) ? 'open' : 'closed'}**`, '', '| gate | value | limit | | |', '|---|--:|--:|---|---|',
          ...entry.readings.map(({ gate, value, limit, unit, open, detail }) => `| ${gate} | ${number(value)} ${unit} | ${limit} | ${open ? 'open' : '**closed**'} | ${detail.replaceAll('|', '\\|')} |`), '');
      }
    }
    return `${lines.join('\n').replace(/\n{3,}/g, '\n\n').trimEnd()}\n`;
  }
}

/** @param {Reading[]} readings */
export const isOpen = (readings) => readings.every(({ open }) => open);
/** @param {Reading[]} readings */
export const closedGates = (readings) => readings.filter(({ open }) => !open).map(({ gate, value }) => `${gate} (${number(value)})`);
