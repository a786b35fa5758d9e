// What was chosen in a list: beside it where there is room, over it where there is not.
import type { ReactNode } from 'react';
import { useMedia } from '../lib/media';
import { Dialog } from './Dialog';

/** The same width stands in pages.css (.side.with). */
const beside = '(min-width: 1000px)';

export function DetailPane({ title, close, children }: { title: string; close: () => void; children: ReactNode }) {
  const wide = useMedia(beside);
  if (!wide) return <Dialog title={title} onClose={close}><div className="stack">{children}<div className="actions"><button type="button" onClick={close}>Close</button></div></div></Dialog>;
  return <section className="detail" aria-label={title}><header><h2>{title}</h2><button type="button" className="plain" onClick={close}>Close</button></header>{children}</section>;
}
