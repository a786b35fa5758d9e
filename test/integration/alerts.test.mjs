// The alerts and the dashboard: recorded incidents fire what they should and nothing else, every alert fires in one, every
// metric is one that the server has, and a Prometheus takes the rules and scrapes a fan-out.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { Cluster, Fanout, atExit, root, waitFor } from '../harness/index.mjs';
import { Hopeless } from '../harness/wait.mjs';
import { monitoring, rulesFile, rulesText } from '../monitoring/rules.mjs';

const dashboard = JSON.parse(readFileSync(`${monitoring}/dashboard.json`, 'utf8'));
const recorded = readdirSync(`${root}/test/monitoring/incidents`).map((name) => `${root}/test/monitoring/incidents/${name}`);
const tests = [...recorded, `${root}/test/monitoring/handmade.yml`, `${root}/test/monitoring/handmade_week.yml`];
/** Each alert with the lines of its rule. */
const alerts = rulesText.split(/^ +- (?=alert: |record: )/m).filter((rule) => rule.startsWith('alert: '))
  .map((text) => ({ name: /^alert: (\w+)/.exec(text)?.[1] ?? '', text }));
/** Metrics that an expression names: the series of a histogram under its name. @param {string} text */
const metricsIn = (text) => [...new Set([...text.matchAll(/(?<![\w:])oa_sync_\w+/g)].map(([name]) => name.replace(/_bucket$/, '')))];

/** @param {...string} args */
const promtool = (...args) => {
  try {
    return execFileSync('promtool', args, { encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    const { stdout, stderr } = /** @type {{stdout: string, stderr: string}} */ (error);
    throw new Error(`promtool ${args.join(' ')}\n${stdout}${stderr}`);
  }
};

test('the rules are sound', () => {
  assert.match(promtool('check', 'rules', rulesFile), /SUCCESS/);
  assert.ok(alerts.length >= 30, `${alerts.length} alerts`);
});

test('in every incident what should fire does, and nothing else', () => {
  assert.ok(recorded.length >= 20);
  promtool('test', 'rules', ...tests);
});

test('a test of promtool can fail', () => {
  const dir = mkdtempSync('/tmp/oa-sync-promtool-');
  after(() => rmSync(dir, { recursive: true, force: true }));
  const text = readFileSync(`${root}/test/monitoring/incidents/tail_down.yml`, 'utf8').replace('../../../docs/operations/monitoring/alerts.yml', `${dir}/alerts.yml`);
  writeFileSync(`${dir}/test.yml`, text);
  writeFileSync(`${dir}/alerts.yml`, rulesText);
  promtool('test', 'rules', `${dir}/test.yml`);
  writeFileSync(`${dir}/alerts.yml`, rulesText.replace('oa_sync_tail_mode{mode="down"}) == 1', 'oa_sync_tail_mode{mode="down"}) == 2'));
  assert.throws(() => promtool('test', 'rules', `${dir}/test.yml`), /OaSyncTailDown/);
});

test('every alert fires in one of them, quiet traffic fires none, and recordings know of every alert', () => {
  const texts = tests.map((file) => readFileSync(file, 'utf8'));
  for (const { name } of alerts) {
    assert.ok(texts.some((text) => new RegExp(`alertname: ${name}\\n +exp_alerts:`).test(text)), `${name} fires nowhere`);
    for (const file of recorded) assert.ok(readFileSync(file, 'utf8').includes(`alertname: ${name}\n`), `${file} does not speak of ${name}: record anew`);
  }
  const quiet = readFileSync(`${root}/test/monitoring/incidents/quiet_traffic.yml`, 'utf8');
  assert.ok(!quiet.includes('exp_alerts') && /oa_sync_tail_mode\{[^}]*mode="logical"\}', values: '1x/.test(quiet));
});

test('each alert says what is so, how urgent it is, and where to read on', () => {
  for (const { name, text } of alerts) {
    assert.match(text, /severity: (page|ticket)\b/, name);
    assert.match(text, /summary: .*\{\{ \$(value|labels)/, name);
    const [, page = '', anchor] = /runbook: (docs\/operations\/runbooks\/[a-z-]+\.md)#([a-z-]+)/.exec(text) ?? [];
    assert.equal(anchor, 'what-to-do', name);
    assert.match(readFileSync(`${root}/${page}`, 'utf8'), /^## What to do$/m, `${name}: ${page}`);
  }
});

test('the dashboard has the shape that Grafana takes', () => {
  assert.equal(typeof dashboard.uid, 'string');
  assert.ok(dashboard.schemaVersion >= 36 && dashboard.id === undefined && dashboard.title === 'OA Sync');
  const variables = dashboard.templating.list.map((/** @type {any} */ one) => one.name);
  assert.deepEqual(variables, ['datasource', 'job', 'instance']);
  const { panels } = dashboard;
  assert.equal(new Set(panels.map((/** @type {any} */ panel) => panel.id)).size, panels.length, 'ids');
  /** @type {Set<string>} */
  const taken = new Set();
  for (const { type, title, gridPos: { x, y, w, h }, ...panel } of panels) {
    assert.ok(['row', 'stat', 'timeseries'].includes(type) && title, title);
    assert.ok(x >= 0 && x + w <= 24 && w > 0 && h > 0, `${title}: its place`);
    for (let i = x; i < x + w; i++) {
      for (let j = y; j < y + h; j++) {
        assert.ok(!taken.has(`${i} ${j}`), `${title} lies on another`);
        taken.add(`${i} ${j}`);
      }
    }
    if (type === 'row') continue;
    assert.ok(panel.description.length > 10, `${title}: what it says`);
    assert.ok(panel.targets.length > 0 && panel.fieldConfig.defaults.unit && panel.datasource.uid === '$' + '{datasource}', title);
    assert.equal(new Set(panel.targets.map((/** @type {any} */ one) => one.refId)).size, panel.targets.length, title);
    for (const { expr } of panel.targets) for (const [, name = ''] of expr.matchAll(/\$(\w+)/g)) assert.ok(variables.includes(name), `${title}: $${name}`);
  }
});

test('the page lists what rules and dashboard have', () => {
  const page = readFileSync(`${monitoring}/README.md`, 'utf8');
  const rules = [...rulesText.matchAll(/record: (\S+)/g)].map(([, name = '']) => name);
  assert.ok(rules.length >= 6);
  for (const rule of rules) assert.ok(page.includes(`\`${rule}\``), rule);
  for (const [name = ''] of JSON.stringify(dashboard).matchAll(/oa_sync:[\w:]+/g)) assert.ok(rules.includes(name), name);
  for (const panel of dashboard.panels) if (panel.type === 'row') assert.ok(page.includes(`| ${panel.title} |`), panel.title);
});

test('a fan-out has the metrics, and a Prometheus takes the rules and scrapes it', async () => {
  const cluster = await Cluster.create();
  after(() => cluster.destroy());
  await cluster.createDatabase('test');
  const fanout = await Fanout.start({ database: cluster.conninfo('test'), flags: { 'statistics-interval-ms': 200 } });
  after(() => fanout.destroy());
  await fanout.ready();
  await waitFor(async () => (await fanout.metric('oa_sync_database_reachable')) === 1, { what: 'the database has answered' });
  const served = new Set([...(await (await fanout.fetchAdmin('/metrics')).text()).matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name));
  const page = readFileSync(`${root}/docs/operations/metrics.md`, 'utf8');
  const expressions = dashboard.panels.flatMap((/** @type {any} */ panel) => panel.targets ?? []).map((/** @type {any} */ target) => target.expr).join('\n');
  for (const name of metricsIn(`${rulesText.replaceAll(/^ *#.*$/gm, '').replaceAll(/summary: .*/g, '')}\n${expressions}`)) {
    assert.ok(page.includes(`\`${name}`), `${name} is on the page`);
    assert.ok(served.has(name), `${name} is served`);
  }

  const dir = mkdtempSync('/tmp/oa-sync-prometheus-');
  writeFileSync(`${dir}/prometheus.yml`, `global: {scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms}
rule_files: ['${rulesFile}']
scrape_configs: [{job_name: oa-sync, static_configs: [{targets: ['127.0.0.1:${fanout.adminPort}']}]}]\n`);
  const prometheus = spawn('prometheus', [`--config.file=${dir}/prometheus.yml`, `--storage.tsdb.path=${dir}/data`, `--web.listen-address=127.0.0.1:0`], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  prometheus.stderr.setEncoding('utf8').on('data', (text) => (log += text));
  const ended = new Promise((resolve) => prometheus.once('close', resolve));
  const forget = atExit(() => prometheus.kill('SIGKILL'));
  after(async () => {
    prometheus.kill('SIGTERM');
    await ended;
    forget();
    rmSync(dir, { recursive: true, force: true });
  });
  const port = await waitFor(() => {
    if (prometheus.exitCode !== null) throw new Hopeless(`Prometheus ended with ${prometheus.exitCode}`);
    return /msg="Listening on" address=127\.0\.0\.1:(\d+)/.exec(log)?.[1];
  }, { timeoutMs: 60_000, what: () => `Prometheus listens; its log:\n${log.slice(-3000)}` });
  const ask = async (/** @type {string} */ path) => /** @type {any} */ (await (await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)).json()).data;
  const soon = { timeoutMs: 60_000, everyMs: 200, what: () => `of Prometheus; its log:\n${log.slice(-3000)}` };
  await waitFor(async () => (await ask('targets').catch(() => undefined))?.activeTargets.some((/** @type {any} */ target) => target.health === 'up'), soon);
  const evaluated = await waitFor(async () => {
    const rules = (await ask('rules')).groups.flatMap((/** @type {any} */ group) => group.rules);
    return rules.length > 0 && rules.every((/** @type {any} */ rule) => rule.health !== 'unknown') ? rules : undefined;
  }, soon);
  assert.deepEqual(evaluated.filter((/** @type {any} */ rule) => rule.health !== 'ok').map((/** @type {any} */ rule) => `${rule.name}: ${rule.lastError}`), []);
  assert.equal(evaluated.filter((/** @type {any} */ rule) => rule.type === 'alerting').length, alerts.length);
  assert.deepEqual((await ask('alerts')).alerts.filter((/** @type {any} */ alert) => alert.state === 'firing'), []);
  // What each panel asks is understood, and the first row has answers.
  for (const panel of dashboard.panels) {
    for (const { expr } of panel.targets ?? []) {
      const query = expr.replaceAll('$job', 'oa-sync').replaceAll('$instance', '.*');
      await waitFor(async () => {
        const answer = /** @type {any} */ (await (await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`)).json());
        if (answer.status !== 'success') throw new Hopeless(`${panel.title}: ${answer.error}`);
        return panel.type !== 'stat' || answer.data.result.length > 0;
      }, { ...soon, what: `${panel.title}: ${query} has an answer` });
    }
  }
});
