// Media queries as values that React follows.
import { useMemo, useSyncExternalStore } from 'react';

export function useMedia(query: string): boolean {
  const [subscribe, snapshot] = useMemo(() => {
    const list = matchMedia(query);
    return [(listener: () => void) => {
      list.addEventListener('change', listener);
      return () => list.removeEventListener('change', listener);
    }, () => list.matches] as const;
  }, [query]);
  return useSyncExternalStore(subscribe, snapshot);
}

/** Whether there is only a phone's width. The same width stands in the style sheets. */
export const usePhone = (): boolean => useMedia('(max-width: 639px)');
export const useDark = (): boolean => useMedia('(prefers-color-scheme: dark)');
