// What changed between two texts, line by line (Myers' algorithm, the greedy form).

export type Line = { kind: 'same' | 'gone' | 'new'; text: string };
/** Lines, or a number of unchanged ones that are left out. */
export type Hunk = Line | { kind: 'skipped'; count: number };

/** Beyond this many differences the texts are shown one after the other: reading a larger diff helps nobody. */
const maxDifferences = 400;

export function diffLines(before: string[], after: string[]): Line[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let endBefore = before.length, endAfter = after.length;
  while (endBefore > start && endAfter > start && before[endBefore - 1] === after[endAfter - 1]) {
    endBefore--;
    endAfter--;
  }
  const same = (text: string): Line => ({ kind: 'same', text });
  return [...before.slice(0, start).map(same), ...middle(before.slice(start, endBefore), after.slice(start, endAfter)),
    ...before.slice(endBefore).map(same)];
}

function middle(a: string[], b: string[]): Line[] {
  const replaced = (): Line[] => [...a.map((text): Line => ({ kind: 'gone', text })), ...b.map((text): Line => ({ kind: 'new', text }))];
  if (a.length === 0 || b.length === 0) return replaced();
  const offset = a.length + b.length + 1;
  // furthest[k + offset]: how far into `a` a path on diagonal k = x - y has come; one copy per step to walk back on.
  const furthest = new Int32Array(2 * offset + 1);
  const steps: Int32Array[] = [];
  for (let d = 0; d <= Math.min(a.length + b.length, maxDifferences); d++) {
    steps.push(furthest.slice());
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && furthest[k - 1 + offset]! < furthest[k + 1 + offset]!);
      let x = down ? furthest[k + 1 + offset]! : furthest[k - 1 + offset]! + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      furthest[k + offset] = x;
      if (x >= a.length && x - k >= b.length) return walkBack(a, b, steps, offset);
    }
  }
  return replaced();
}

function walkBack(a: string[], b: string[], steps: Int32Array[], offset: number): Line[] {
  const lines: Line[] = [];
  let x = a.length, y = b.length;
  for (let d = steps.length - 1; d >= 0; d--) {
    const furthest = steps[d]!;
    const k = x - y;
    const down = k === -d || (k !== d && furthest[k - 1 + offset]! < furthest[k + 1 + offset]!);
    const from = d === 0 ? 0 : down ? furthest[k + 1 + offset]! : furthest[k - 1 + offset]!;
    const fromY = d === 0 ? 0 : from - (down ? k + 1 : k - 1);
    while (x > from && y > fromY && x > 0 && y > 0 && a[x - 1] === b[y - 1]) {
      lines.push({ kind: 'same', text: a[--x]! });
      y--;
    }
    if (d === 0) break;
    if (down) lines.push({ kind: 'new', text: b[--y]! });
    else lines.push({ kind: 'gone', text: a[--x]! });
  }
  // A removal is read before what came in its place.
  return lines.reverse();
}

/** The changed lines with `context` unchanged ones around them. */
export function hunks(lines: Line[], context = 3): Hunk[] {
  const near = new Uint8Array(lines.length);
  lines.forEach((line, i) => {
    if (line.kind !== 'same') near.fill(1, Math.max(0, i - context), i + context + 1);
  });
  const result: Hunk[] = [];
  let skipped = 0;
  lines.forEach((line, i) => {
    if (near[i]) {
      if (skipped > 0) result.push({ kind: 'skipped', count: skipped });
      skipped = 0;
      result.push(line);
    } else skipped++;
  });
  if (skipped > 0) result.push({ kind: 'skipped', count: skipped });
  return result;
}
