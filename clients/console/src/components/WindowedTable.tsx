// A table of any length: rows of one fixed height, of which only those in sight are in the document.
//
// Keyboard: one row has the focus (roving tabindex); arrows, Page Up and Down, Home and End move it, Enter opens it. The
// focused row stays in the document when it is scrolled out of sight, so that the focus is never lost. Screen readers
// hear the whole size by aria-rowcount and each row's place by aria-rowindex.
import { memo, useCallback, useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactNode } from 'react';

export type Column<R> = { id: string; header: ReactNode; cell: (row: R) => ReactNode; className?: string };

type Props<R> = {
  label: string;
  /** Names the grid of columns in the style sheet: .cols-NAME. */
  layout: string;
  columns: Column<R>[];
  rows: readonly R[];
  /** Names a row; the same function with every render. */
  rowKey: (row: R) => string;
  rowHeight: number;
  /** Enter or a click on a row. */
  onOpen?: (row: R) => void;
  openKey?: string | null;
  /** Instead of rows when there are none. */
  empty?: ReactNode;
  /** How many rows there are in all, if more than are loaded. */
  total?: number;
};

const overscan = 6;

type RowProps<R> = Pick<Props<R>, 'layout' | 'columns' | 'rowHeight' | 'onOpen'> & {
  row: R; index: number; rowKey: string; current: boolean; open: boolean; onFocus: (key: string) => void;
};

function PlainRow<R>({ row, index, rowKey, columns, layout, rowHeight, current, open, onOpen, onFocus }: RowProps<R>) {
  return (
    <div role="row" aria-rowindex={index + 2} {...(onOpen ? { 'aria-selected': open } : {})} className={`row cols-${layout}${open ? ' open' : ''}${index % 2 ? ' odd' : ''}`}
      data-key={rowKey} tabIndex={current ? 0 : -1} style={{ transform: `translateY(${index * rowHeight}px)`, height: rowHeight }}
      onFocus={() => onFocus(rowKey)} onClick={() => onOpen?.(row)}>
      {columns.map((column) => <div key={column.id} role="gridcell" className={column.className}>{column.cell(row)}</div>)}
    </div>
  );
}
const Row = memo(PlainRow) as typeof PlainRow;

export function WindowedTable<R>({ label, layout, columns, rows, rowKey, rowHeight, onOpen, openKey = null, empty, total }: Props<R>) {
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ first: 0, count: 30 });
  const [currentKey, setCurrentKey] = useState<string | null>(null);
  const wantsFocus = useRef(false);
  // The row at the top of the view, so that what is read stays in place when rows come in above it.
  const anchor = useRef<{ key: string; offset: number } | null>(null);
  const shownRows = useRef(rows);

  const look = useCallback(() => {
    const element = scroller.current;
    if (!element) return;
    const first = Math.max(0, Math.floor(element.scrollTop / rowHeight) - overscan);
    const count = Math.ceil(element.clientHeight / rowHeight) + 2 * overscan;
    // Steps of a few rows: most scroll events then change nothing, and nothing is rendered for them.
    const stepped = first - (first % 4);
    const top = Math.floor(element.scrollTop / rowHeight);
    const topRow = element.scrollTop > 0 ? shownRows.current[top] : undefined;
    anchor.current = topRow === undefined ? null : { key: rowKey(topRow), offset: element.scrollTop - top * rowHeight };
    setView((old) => (old.first === stepped && old.count === count + 4 ? old : { first: stepped, count: count + 4 }));
  }, [rowHeight, rowKey]);

  useLayoutEffect(() => {
    const element = scroller.current;
    const held = anchor.current;
    shownRows.current = rows;
    if (element && held) {
      const index = rows.findIndex((row) => rowKey(row) === held.key);
      if (index >= 0 && Math.abs(index * rowHeight + held.offset - element.scrollTop) >= 1) element.scrollTop = index * rowHeight + held.offset;
    }
    look();
  }, [look, rows]);
  useEffect(() => {
    const observer = new ResizeObserver(look);
    if (scroller.current) observer.observe(scroller.current);
    return () => observer.disconnect();
  }, [look]);

  // The current row follows its document when the order changes; when it is gone, the first row is current.
  const found = currentKey === null ? -1 : rows.findIndex((row) => rowKey(row) === currentKey);
  const current = found >= 0 ? found : 0;

  const move = (to: number) => {
    const index = Math.max(0, Math.min(rows.length - 1, to));
    const row = rows[index];
    const element = scroller.current;
    if (row === undefined || !element) return;
    wantsFocus.current = true;
    setCurrentKey(rowKey(row));
    const head = element.querySelector<HTMLElement>('.head')?.offsetHeight ?? 0;
    const top = index * rowHeight;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + rowHeight + head > element.scrollTop + element.clientHeight) element.scrollTop = top + rowHeight + head - element.clientHeight;
    look();
  };

  useLayoutEffect(() => {
    if (!wantsFocus.current || currentKey === null) return;
    wantsFocus.current = false;
    scroller.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(currentKey)}"]`)?.focus({ preventScroll: true });
  });

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / rowHeight) - 2);
    const steps: Record<string, number> = { ArrowDown: current + 1, ArrowUp: current - 1, PageDown: current + page, PageUp: current - page, Home: 0, End: rows.length - 1 };
    const to = steps[event.key];
    if (to !== undefined) move(to);
    else if ((event.key === 'Enter' || event.key === ' ') && onOpen && rows[current] !== undefined && (event.target as HTMLElement).getAttribute('role') === 'row') onOpen(rows[current]);
    else return;
    event.preventDefault();
  };

  const last = Math.min(rows.length, view.first + view.count);
  const shown: number[] = [];
  if (current < view.first && rows.length > 0) shown.push(current);
  for (let i = Math.min(view.first, rows.length); i < last; i++) shown.push(i);
  if (current >= last && current < rows.length) shown.push(current);

  return (
    <div className="table" ref={scroller} onScroll={look} role="grid" aria-label={label} aria-rowcount={Math.max(total ?? 0, rows.length) + 1}
      aria-colcount={columns.length} onKeyDown={onKeyDown}>
      <div role="rowgroup" className="head">
        <div role="row" aria-rowindex={1} className={`row cols-${layout}`}>
          {columns.map((column) => <div key={column.id} role="columnheader" className={column.className}>{column.header}</div>)}
        </div>
      </div>
      {rows.length === 0 ? <div role="row" aria-rowindex={2} className="none"><div role="gridcell">{empty}</div></div>
        : <div role="rowgroup" className="body" style={{ height: rows.length * rowHeight }}>
          {shown.map((index) => {
            const row = rows[index]!;
            const key = rowKey(row);
            return <Row key={key} row={row} rowKey={key} index={index} columns={columns} layout={layout} rowHeight={rowHeight} current={index === current}
              open={openKey === key} onFocus={setCurrentKey} {...(onOpen ? { onOpen } : {})} />;
          })}
        </div>}
    </div>
  );
}
