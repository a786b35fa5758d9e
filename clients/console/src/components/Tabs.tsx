// Tabs, as the ARIA practices have them: one stop for the keyboard, arrows move.
import { useRef, type KeyboardEvent } from 'react';

export function Tabs<T extends string>({ label, tabs, chosen, onChoose }: { label: string; tabs: [id: T, name: string][]; chosen: T; onChoose: (id: T) => void }) {
  const list = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent) => {
    const at = tabs.findIndex(([id]) => id === chosen);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = tabs[(to + tabs.length) % tabs.length]!;
    onChoose(next[0]);
    list.current?.querySelector<HTMLElement>(`#tab-${next[0]}`)?.focus();
  };
  return (
    <div role="tablist" aria-label={label} className="tabs" ref={list} onKeyDown={onKeyDown}>
      {tabs.map(([id, name]) => <button key={id} type="button" role="tab" id={`tab-${id}`} aria-selected={id === chosen} aria-controls={`panel-${id}`}
        tabIndex={id === chosen ? 0 : -1} onClick={() => onChoose(id)}>{name}</button>)}
    </div>
  );
}
