// The operator's key, in this page's memory only, and what every operators' page shares: the overview, polled once.
import { createContext, useCallback, useContext, useId, useMemo, useState, useSyncExternalStore, type FormEvent, type ReactNode } from 'react';
import { AdminApi } from './api/admin';
import { ApiError, explain } from './api/http';
import type { Overview } from './api/types';
import { Banner } from './components/parts';
import { Poller, type Polled } from './lib/poller';
import { SeriesStore } from './lib/series';
import { Link, PageTitle } from './router';

export const overviewEveryMs = 2000;

export type Operator = { api: AdminApi; overview: Poller<Overview>; series: SeriesStore };

type Session = { operator: Operator | undefined; signIn: (key: string) => Promise<void>; forget: () => void };
const SessionContext = createContext<Session>({ operator: undefined, signIn: async () => {}, forget: () => {} });

export function OperatorProvider({ children }: { children: ReactNode }) {
  const [operator, setOperator] = useState<Operator>();
  const signIn = useCallback(async (key: string) => {
    const api = new AdminApi(key);
    // The first overview is the proof that the key is good.
    const first = await api.overview();
    const series = new SeriesStore();
    series.add(first);
    setOperator({ api, series, overview: new Poller((signal) => api.overview(signal), overviewEveryMs, (sample) => series.add(sample)) });
  }, []);
  // Whoever else holds the interface (the Codex page, a poll that is under way) can do no more with it either.
  const forget = useCallback(() => {
    operator?.api.end();
    setOperator(undefined);
  }, [operator]);
  const value = useMemo(() => ({ operator, signIn, forget }), [operator, signIn, forget]);
  return <SessionContext.Provider value={value}>{children}</SessionContext.Provider>;
}

export const useSession = (): Session => useContext(SessionContext);

/** The operator; only below OperatorGate. */
export function useOperator(): Operator {
  const { operator } = useSession();
  if (!operator) throw new Error('useOperator: this page is not below OperatorGate');
  return operator;
}

export function useOverview(): Polled<Overview> & { refresh: () => void } {
  const { overview } = useOperator();
  return { ...useSyncExternalStore(overview.subscribe, overview.getSnapshot), refresh: overview.refresh };
}

/** Shows its children to who has entered a key, and the form to others. */
export function OperatorGate({ title, children }: { title: string; children: ReactNode }) {
  const { operator } = useSession();
  return operator ? children : <KeyForm title={title} />;
}

function KeyForm({ title }: { title: string }) {
  const { signIn } = useSession();
  const [key, setKey] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const id = useId();
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await signIn(key.trim());
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  const problem = error === undefined ? undefined : explain(error);
  const elsewhere = error instanceof ApiError && error.trouble === 'not_found';
  return (
    <div className="gate">
      <PageTitle title={title} />
      <form className="card" onSubmit={submit} autoComplete="off">
        <h2>Enter a service key</h2>
        <p>The operators’ pages ask the server with a key from its service keys file (<code>--service-keys</code>) whose <code>may</code> has <code>observe</code>.</p>
        <label htmlFor={id}>Service key</label>
        <input id={id} type="password" value={key} onChange={(event) => setKey(event.target.value)} autoComplete="off" autoCapitalize="off" spellCheck={false}
          aria-describedby={`${id}-hint`} {...(problem ? { 'aria-invalid': true } : {})} required />
        <p id={`${id}-hint`} className="quiet">It stays in this page’s memory and is stored nowhere: a reload asks for it again.</p>
        {problem && <Banner tone="bad" live title={problem.title}><p>{problem.todo}</p></Banner>}
        <div className="actions">
          <button type="submit" className="primary" disabled={busy || key.trim() === ''}>{busy ? 'Asking the server…' : 'Open the console'}</button>
        </div>
      </form>
      <p className="quiet">{elsewhere ? 'This seems to be the public listener. ' : ''}Runs and workers, for users with a sync token: <Link href="/codex">the Codex page</Link>.</p>
    </div>
  );
}
