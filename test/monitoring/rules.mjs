// The alert rules, as files and as text.
import { readFileSync } from 'node:fs';
import { root } from '../harness/paths.mjs';

export const monitoring = `${root}/docs/operations/monitoring`;
export const rulesFile = `${monitoring}/alerts.yml`;
export const rulesText = readFileSync(rulesFile, 'utf8');
