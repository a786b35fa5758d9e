// A topic's documents as they are now: pages of its snapshot.
import { useCallback, useEffect, useMemo, useState } from 'react';
import { snapshotPage } from '../api/admin';
import { ApiError } from '../api/http';
import type { StoredDocument } from '../api/types';
import { Banner, Empty, Loading } from '../components/parts';
import { Failed } from '../components/Trouble';
import { WindowedTable, type Column } from '../components/WindowedTable';
import { count } from '../lib/format';
import { briefJson } from '../lib/json';
import { usePhone } from '../lib/media';
import { useOperator } from '../operator';

const pageSize = 500;

type Loaded = { documents: StoredDocument[]; next: string | null; watermark: string; loading: boolean; loaded: boolean; error: unknown };
const nothing: Loaded = { documents: [], next: null, watermark: '', loading: false, loaded: false, error: undefined };
const keyOf = (document: StoredDocument) => document.doc_key;

export function Documents({ topic, docKey, onChoose }: { topic: string; docKey: string | null; onChoose: (key: string) => void }) {
  const { api } = useOperator();
  const [state, setState] = useState(nothing);
  const phone = usePhone();

  const load = useCallback(async (from: string | null) => {
    setState((old) => ({ ...(from === null ? nothing : old), loading: true, error: undefined }));
    try {
      const page = await snapshotPage(await api.token([topic], 60), topic, { page_token: from, limit: pageSize });
      setState((old) => ({ documents: from === null ? page.documents : [...old.documents, ...page.documents], next: page.next_page_token, watermark: String(page.watermark), loading: false, loaded: true, error: undefined }));
    } catch (error) {
      setState((old) => ({ ...old, loading: false, error }));
    }
  }, [api, topic]);
  useEffect(() => void load(null), [load]);

  const choose = useCallback((document: StoredDocument) => onChoose(document.doc_key), [onChoose]);
  const columns = useMemo((): Column<StoredDocument>[] => [
    { id: 'key', header: 'Document', className: 'mono', cell: (document) => <>{phone && <span className="two">{document.doc_key}</span>}{phone ? <span className="two">{briefJson(document.payload, 80)}</span> : document.doc_key}</> },
    { id: 'version', header: 'Version', className: 'number', cell: (document) => count(document.doc_version) },
    { id: 'payload', header: 'Payload', className: 'mono wide', cell: (document) => briefJson(document.payload) },
  ], [phone]);

  const { error } = state;
  if (error instanceof ApiError && error.status === 409) {
    return <Empty title="This topic has no source of documents"><p>It is a log of events: what was published to it is in the events, and nowhere as documents.</p></Empty>;
  }
  if (!state.loaded) {
    if (error === undefined) return <Loading what="documents" />;
    if (error instanceof ApiError && error.status === 422) {
      return <Banner tone="bad" live title="No token can be made for this topic with this key"><p>Documents are read with a sync token; the key’s entry in the service keys file needs a scope that covers the topic.</p></Banner>;
    }
    return <Failed error={error} retry={() => void load(null)} what="The documents" />;
  }
  return (
    <div className="stack">
      <div className="toolbar">
        <p className="quiet">{count(state.documents.length)} documents as of watermark {count(state.watermark)}{state.next === null ? '' : ', there are more'}</p>
        <button type="button" className="push" onClick={() => void load(null)} disabled={state.loading}>Load anew</button>
      </div>
      {error !== undefined && <Failed error={error} retry={() => void load(error instanceof ApiError && error.status === 410 ? null : state.next)} what="The next page" />}
      <WindowedTable label="Documents" layout="documents" columns={columns} rows={state.documents} rowKey={keyOf} rowHeight={phone ? 52 : 36} onOpen={choose} openKey={docKey}
        empty={<Empty title="No documents"><p>The topic is there, and nothing is in it now.</p></Empty>} />
      {state.next !== null && <div className="pager"><button type="button" onClick={() => void load(state.next)} disabled={state.loading}>{state.loading ? 'Loading…' : 'Load more'}</button></div>}
    </div>
  );
}
