// The fan-out's tables in docs/operations/settings.md, from the server's own definitions (oa-sync-fanout --print-settings).
//
//   node scripts/settings_doc.mjs --write     (make settings-doc)
//
// test/wire/settings.test.mjs fails when the page is not what this writes.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fanoutBinary, root } from '../test/harness/paths.mjs';

export const page = `${root}/docs/operations/settings.md`;
const begin = '<!-- made by `make settings-doc` from the definitions in fanout/src/config.cpp; not to be edited here -->\n';
const end = '<!-- end of what is made -->\n';

/** The server's settings, described by itself. @param {'json' | 'markdown'} form @param {string[]} [flags] */
export const printSettings = (form, flags = []) =>
  execFileSync(fanoutBinary, [`--print-settings=${form}`, ...flags], { encoding: 'utf8' });

/** The page as it should be. */
export function settingsPage() {
  const text = readFileSync(page, 'utf8');
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`${page} lacks the two comments between which the tables go`);
  return `${text.slice(0, from)}${begin}\n${printSettings('markdown')}\n${text.slice(to)}`;
}

if (process.argv.includes('--write')) writeFileSync(page, settingsPage());
