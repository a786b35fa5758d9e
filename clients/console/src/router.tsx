// Paths and pages by the History API: links are real links, and a page that was navigated to begins at its heading.
import { createContext, useContext, useEffect, useMemo, useSyncExternalStore, type AnchorHTMLAttributes, type MouseEvent } from 'react';

const listeners = new Set<() => void>();
const announce = () => [...listeners].forEach((listener) => listener());
addEventListener('popstate', announce);

export function navigate(to: string, { replace = false } = {}): void {
  if (to === location.pathname + location.search) return;
  if (replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  announce();
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};

export type Place = { path: string; query: URLSearchParams };

/** Where the page is. */
export function usePlace(): Place {
  const text = useSyncExternalStore(subscribe, () => location.pathname + location.search);
  return useMemo(() => {
    const url = new URL(text, location.origin);
    return { path: url.pathname.replace(/(.)\/+$/, '$1'), query: url.searchParams };
  }, [text]);
}

/** A link within the console: modified clicks do what the browser does. */
export function Link({ href, onClick, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(href);
  };
  return <a href={href} onClick={follow} {...rest} />;
}

/** True from the first navigation on: the first page leaves the focus where the browser puts it. */
export const Navigated = createContext(false);

/** A page's only h1. Screen readers hear it, and the keyboard goes on from it, after each navigation. */
export function PageTitle({ title, children }: { title: string; children?: React.ReactNode }) {
  const navigated = useContext(Navigated);
  useEffect(() => {
    document.title = `${title} · OA Sync`;
    if (navigated) document.querySelector<HTMLElement>('h1')?.focus();
  }, [title, navigated]);
  return <h1 tabIndex={-1}>{children ?? title}</h1>;
}
