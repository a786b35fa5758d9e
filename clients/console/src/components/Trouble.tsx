// What is shown when something was asked for and did not come: in plain words, with a way on, and with what was known
// before marked by its age.
import { ApiError, explain } from '../api/http';
import { ago } from '../lib/format';
import { useNow, type Polled } from '../lib/poller';
import { Banner } from './parts';

/** Nothing is there yet and it failed. */
export function Failed({ error, retry, what }: { error: unknown; retry?: () => void; what: string }) {
  const { title, todo } = explain(error);
  return (
    <Banner tone="bad" title={title} live actions={retry && <button type="button" onClick={retry}>Try again</button>}>
      <p>{what} could not be loaded. {todo}</p>
    </Banner>
  );
}

/** Above data that could not be refreshed: why, how old it is, and when it is asked for again. */
export function Staleness<T>({ polled, retry, everyMs }: { polled: Polled<T>; retry: () => void; everyMs: number }) {
  const now = useNow();
  if (polled.data === undefined) return null;
  const age = Math.max(0, now - polled.dataAt);
  if (polled.error === undefined) {
    // A slow answer is no error, but old figures are not to pass for new ones.
    return age > everyMs * 5 + 5000 ? <Banner tone="warn" title="Waiting for the server"><p>These figures are from {ago(age)}.</p></Banner> : null;
  }
  const { title, todo } = explain(polled.error);
  const lost = polled.error instanceof ApiError && polled.error.passing;
  const wait = Math.ceil((polled.retryAt - now) / 1000);
  return (
    <Banner tone={lost ? 'warn' : 'bad'} title={title} actions={<button type="button" onClick={retry}>Try again</button>}>
      <p>{todo} <span className="stale-age">These figures are from {ago(age)}.</span>{wait > 0 && <span aria-hidden="true"> Next try in {wait} s.</span>}</p>
    </Banner>
  );
}
