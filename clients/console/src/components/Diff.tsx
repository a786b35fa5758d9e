// Two states of a document, and what changed between them.
import { useMemo } from 'react';
import { diffLines, hunks } from '../lib/diff';
import { prettyJson } from '../lib/json';
import { plural } from '../lib/format';

const split = (value: unknown) => (value === null || value === undefined ? [] : prettyJson(value).split('\n'));

export function Diff({ before, after, label }: { before: unknown; after: unknown; label: string }) {
  const lines = useMemo(() => diffLines(split(before), split(after)), [before, after]);
  const added = lines.filter((line) => line.kind === 'new').length;
  const removed = lines.filter((line) => line.kind === 'gone').length;
  if (added + removed === 0) return <p className="quiet">Nothing changed in the payload.</p>;
  return (
    <figure className="diff" aria-label={label}>
      <figcaption>{plural(added, 'line')} added, {plural(removed, 'line')} removed</figcaption>
      <div className="lines" tabIndex={0} role="group" aria-label="Lines of the difference">
        {hunks(lines).map((line, i) => line.kind === 'skipped'
          ? <div key={i} className="line skipped">{plural(line.count, 'unchanged line')}</div>
          : line.kind === 'same' ? <div key={i} className="line"><span className="sign" aria-hidden="true"> </span>{line.text}</div>
            : line.kind === 'new' ? <ins key={i} className="line new"><span className="sign">+</span>{line.text}</ins>
              : <del key={i} className="line gone"><span className="sign">−</span>{line.text}</del>)}
      </div>
    </figure>
  );
}

/** A document's payload, readable. */
export function Payload({ value, label = 'Payload' }: { value: unknown; label?: string }) {
  const text = useMemo(() => (value === null || value === undefined ? '' : prettyJson(value)), [value]);
  if (!text) return <p className="quiet">No payload.</p>;
  return <pre className="payload" tabIndex={0} aria-label={label}>{text}</pre>;
}
