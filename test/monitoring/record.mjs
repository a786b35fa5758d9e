// Makes real incidents, scrapes /metrics during them, and keeps the series as tests for promtool in incidents/.
//
//   node test/monitoring/record.mjs [incident ...]
//
// A scrape every half second is played as one every 30 s, so that ten minutes of an alert's window are ten seconds of an
// incident. Values are what the servers said. What fires at the end of the quiet part and at the end of the incident is
// taken from promtool, and has to be what incidents.mjs says: a recording that does not show its alert is not written.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from '../harness/index.mjs';
import { incidents } from './incidents.mjs';
import { rulesFile, rulesText } from './rules.mjs';

const scrapeMs = 500;
export const playedS = 30;
const job = 'oa-sync';
const wanted = new Set(rulesText.match(/\boa_sync_\w+/g));
const alerts = [...rulesText.matchAll(/^ +- alert: (\w+)/gm)].map(([, name]) => name);

/** Samples of a scrape that a rule looks at: series to value. @param {string} text @param {string} instance */
function samplesOf(text, instance) {
  /** @type {Map<string, string>} */
  const samples = new Map();
  for (const line of text.split('\n')) {
    const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!match || !wanted.has(match[1] ?? '')) continue;
    const [, name, labels = '', value = ''] = match;
    if (name === 'oa_sync_setting' && !/max-connections|max-slot-wal-bytes/.test(labels)) continue;
    samples.set(`${name}{${[`instance="${instance}"`, `job="${job}"`, labels.replace(/,$/, '')].filter(Boolean).join(',')}}`, value);
  }
  return samples;
}

/** Values in promtool's notation, runs of one value as one. @param {string[]} values */
function notation(values) {
  const runs = [];
  for (let i = 0; i < values.length;) {
    let end = i;
    while (end + 1 < values.length && values[end + 1] === values[i]) end++;
    runs.push(end > i ? `${values[i]}x${end - i}` : values[i]);
    i = end + 1;
  }
  return runs.join(' ');
}

/** @param {Map<string, string>[]} scrapes */
function seriesOf(scrapes) {
  const names = new Set(scrapes.flatMap((samples) => [...samples.keys()]));
  return [...names].sort().map((name) => ({ name, values: notation(scrapes.map((samples) => samples.get(name) ?? '_')) }));
}

/** @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", "''")}'`;

/**
 * A promtool test of the series: at each time exactly these alerts.
 * @param {{name: string, values: string}[]} series @param {{at: number, firing: Map<string, Fired[]>}[]} times @param {string} head
 */
function testOf(series, times, head) {
  const lines = [...head.split('\n').map((line) => `# ${line}`), `rule_files: [../../../docs/operations/monitoring/alerts.yml]`, `evaluation_interval: ${playedS}s`, 'tests:',
    `  - interval: ${playedS}s`, '    input_series:'];
  for (const { name, values } of series) lines.push(`      - {series: ${quoted(name)}, values: ${quoted(values)}}`);
  lines.push('    alert_rule_test:');
  for (const { at, firing } of times) {
    for (const alert of alerts) {
      lines.push(`      - eval_time: ${at * playedS}s`, `        alertname: ${alert}`);
      for (const [i, { labels, annotations }] of (firing.get(/** @type {string} */ (alert)) ?? []).entries()) {
        if (i === 0) lines.push('        exp_alerts:');
        lines.push(`          - exp_labels: {${labels.map(([k, v]) => `${k}: ${quoted(/** @type {string} */ (v))}`).join(', ')}}`);
        lines.push('            exp_annotations:', ...annotations.map(([k, v]) => `              ${k}: ${quoted(/** @type {string} */ (v))}`));
      }
    }
  }
  return `${lines.join('\n')}\n`;
}

/** @typedef {{labels: string[][], annotations: string[][]}} Fired */

/** What promtool says fires: it is asked for nothing, and complains. @param {string} text @returns {Map<string, Fired[]>} */
function ask(text) {
  const dir = mkdtempSync('/tmp/oa-sync-record-');
  try {
    writeFileSync(`${dir}/test.yml`, text.replace('../../../docs/operations/monitoring/alerts.yml', rulesFile));
    const { stdout, stderr } = spawnSync('promtool', ['test', 'rules', `${dir}/test.yml`], { encoding: 'utf8' });
    const said = stdout + stderr;
    const firing = new Map();
    for (const [, alert, got = ''] of said.matchAll(/alertname: (\w+), time: [^,]+,[^]*?got:\[([^]*?)\n {12}\]/g)) {
      firing.set(alert, [...got.matchAll(/Labels:\{(.*)\}\n +Annotations:\{(.*)\}/g)].map(([, labels = '', annotations = '']) => {
        const pairs = (/** @type {string} */ list) => [...list.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, k = '', v = '']) => [k, v.replaceAll('\\"', '"')]);
        return { labels: pairs(labels).filter(([k]) => k !== 'alertname'), annotations: pairs(annotations) };
      }));
    }
    if (firing.size === 0 && !said.includes('SUCCESS')) throw new Error(said);
    return firing;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** @param {string} name @param {import('./incidents.mjs').Incident} incident */
async function record(name, incident) {
  /** @type {Map<string, string>[]} */
  const scrapes = [];
  /** @type {import('./incidents.mjs').Scene} */
  const scene = await incident.prepare();
  const scrape = async () => {
    try {
      const text = await (await scene.fanout.fetchAdmin('/metrics', { signal: AbortSignal.timeout(5000) })).text();
      scrapes.push(samplesOf(text, 'fanout-1').set(`up{instance="fanout-1",job="${job}"}`, '1'));
    } catch {
      scrapes.push(new Map([[`up{instance="fanout-1",job="${job}"}`, '0']]));
    }
  };
  const during = async (/** @type {number} */ count) => {
    for (let i = 0; i < count; i++) {
      await Promise.all([scrape(), sleep(scrapeMs)]);
    }
  };
  await scene.settled?.();
  await during(8);
  const quietAt = scrapes.length - 1;
  let done = false;
  const acting = Promise.resolve(scene.act()).finally(() => (done = true));
  while (!done) await during(1);
  await acting;
  await during(incident.after ?? 12);
  await scene.end?.();
  const series = seriesOf(scrapes);
  const times = [quietAt, scrapes.length - 1].map((at) => ({ at, firing: ask(testOf(series, [{ at, firing: new Map() }], '')) }));
  const [quiet = [], firing = []] = times.map((time) => [...time.firing.keys()].sort());
  console.log(`${name}: ${scrapes.length} scrapes, before: ${quiet.join(' ') || '-'}; at the end: ${firing.join(' ') || '-'}`);
  const missing = incident.fires.filter((alert) => !firing.includes(alert));
  const more = firing.filter((alert) => !incident.fires.includes(alert) && !incident.may?.includes(alert));
  if (missing.length + more.length > 0) throw new Error(`${name}: missing ${missing}, not expected ${more}`);
  if (quiet.some((alert) => !incident.from?.includes(alert))) throw new Error(`${name}: fires before it began: ${quiet}`);
  const head = `${incident.what}\nRecorded by test/monitoring/record.mjs: real servers, a scrape every ${scrapeMs} ms played as one every ${playedS} s.`;
  writeFileSync(`${root}/test/monitoring/incidents/${name}.yml`, testOf(series, times, head));
}

const names = process.argv.slice(2);
let failed = 0;
for (const [name, incident] of Object.entries(incidents)) {
  if (names.length > 0 && !names.includes(name)) continue;
  try {
    await record(name, incident);
  } catch (error) {
    failed++;
    console.error(`${name}: ${/** @type {Error} */ (error).stack}`);
  }
}
process.exit(failed > 0 ? 1 : 0);
