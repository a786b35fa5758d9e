// The settings, as the server describes them itself: the reference page, --print-settings, and the values in effect.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Stand, fanoutBinary, waitFor } from '../harness/index.mjs';
import { page, printSettings, settingsPage } from '../../scripts/settings_doc.mjs';

/** @param {string[]} [flags] @returns {Record<string, any>} by name */
const settings = (flags) => Object.fromEntries(JSON.parse(printSettings('json', flags)).map((/** @type {any} */ one) => [one.name, one]));

test('docs/operations/settings.md is what the definitions say (make settings-doc writes it)', () => {
  assert.equal(readFileSync(page, 'utf8'), settingsPage());
});

test('every flag of --help but three is a described setting', () => {
  const help = execFileSync(fanoutBinary, ['--help'], { encoding: 'utf8' });
  const flags = [...help.matchAll(/^ {2}(?:-\w,)?(--[\w-]+)/gm)].map(([, flag]) => flag);
  assert.ok(flags.length > 30, `${flags.length} flags`);
  const described = Object.keys(settings());
  assert.deepEqual(flags.filter((flag) => !described.includes(/** @type {string} */ (flag))).sort(),
    ['--help', '--print-settings', '--version']);
});

test('every setting says what it means; numbers say their range, and their default is in it', () => {
  for (const one of Object.values(settings())) {
    assert.ok(one.meaning.length > 10, one.name);
    assert.equal(one.environment, `OA_SYNC_${one.name.slice(2).toUpperCase().replaceAll('-', '_')}`);
    assert.ok(['restart', 'SIGHUP'].includes(one.reload), one.name);
    const [, low, high] = /^(\d+) to (\d+)$/.exec(one.range) ?? [];
    if (low === undefined || typeof one.default !== 'number') continue;
    assert.ok(Number(low) <= one.default && one.default <= Number(high), one.name);
  }
});

test('values in effect are printed, secrets are not', () => {
  const printed = settings(['--database', 'postgres://u:hush@h/d', '--max-batch-events', '33', '--allowed-origin', 'http://a', '--allowed-origin', 'http://b']);
  assert.equal(printed['--max-batch-events'].value, 33);
  assert.equal(printed['--max-batch-events'].default, 200);
  assert.equal(printed['--allowed-origin'].value, 'http://a, http://b');
  assert.equal(printed['--database'].value, 'set');
  assert.equal(printed['--database'].secret, true);
  assert.doesNotMatch(JSON.stringify(printed), /hush/);
});

test('a running server has them in its metrics and its log', async () => {
  const stand = await Stand.create({ flags: { 'max-batch-events': 77, 'window-bytes': 5_000_000 } });
  const text = await (await stand.fanout.fetchAdmin('/metrics')).text();
  assert.match(text, /^oa_sync_setting\{name="max-batch-events"\} 77$/m);
  assert.match(text, /^oa_sync_setting\{name="window-bytes"\} 5000000$/m);
  assert.match(text, /^oa_sync_setting\{name="loops"\} [1-9]\d*$/m);
  assert.doesNotMatch(text, /oa_sync_setting\{name="database"/);
  const [line] = await waitFor(() => /settings that differ.*\n/.exec(stand.fanout.log), { what: 'the line in the log' });
  assert.match(line, /--max-batch-events 77/);
  assert.match(line, /--database set/);
  assert.ok(!line.includes(stand.cluster.conninfo('test')), 'the connection string is in the log');
});
