// Asks for what the page needs to connect: a token, or where to get one.
import { useId, useState, type FormEvent } from 'react';
import { Banner } from '../components/parts';
import { plural } from '../lib/format';
import { useSession } from '../operator';
import type { CodexSession } from './session';
import { urlTrouble, tokenFromUrl, type Want } from './tokens';

type Way = 'pasted' | 'url' | 'operator';

const titles: Record<Want['why'], string> = { none_yet: 'Enter a token to connect', expired: 'The token ends soon', refused: 'The token is no longer good', failed: 'No new token could be had' };

export function TokenForm({ session, wants, shown }: { session: CodexSession; wants: Want; shown: number }) {
  const { operator } = useSession();
  const [chosen, setWay] = useState<Way>(session.lastWay ?? (operator ? 'operator' : 'pasted'));
  // The operator's key may have been forgotten.
  const way = chosen === 'operator' && !operator ? 'pasted' : chosen;
  const [token, setToken] = useState('');
  const [url, setUrl] = useState('/api/token');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const id = useId();
  // With something to show, that comes first, and the form when it is asked for.
  const [open, setOpen] = useState(shown === 0);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setError(undefined);
    if (way === 'pasted') {
      const text = token.trim().replace(/^Bearer\s+/i, '');
      if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)) return setError('This is no token: a token has three parts with dots between them.');
      setToken('');
      session.use({ kind: 'pasted', token: text });
    } else if (way === 'url') {
      setBusy(true);
      try {
        session.use({ kind: 'url', url, first: await tokenFromUrl(url) });
      } catch (failure) {
        setError(urlTrouble(url, failure));
      } finally {
        setBusy(false);
      }
    } else if (operator) session.use({ kind: 'operator', api: operator.api });
  };

  if (!open && shown > 0 && wants.why === 'none_yet') {
    return <Banner tone="info" title="Not connected" actions={<button type="button" className="primary" onClick={() => setOpen(true)}>Enter a token</button>}>
      <p>The page shows what it has: {plural(shown, 'document')}.</p></Banner>;
  }
  return (
    <form className="card token-form" onSubmit={(event) => void submit(event)} autoComplete="off" aria-label="Token">
      <div><h2>{titles[wants.why]}</h2>
        <p>{wants.text}{shown > 0 && ` Until then the page shows what it has: ${plural(shown, 'document')}.`}</p></div>
      <fieldset><legend>Where the token comes from</legend>
        <label className="choice"><input type="radio" name={`${id}way`} checked={way === 'pasted'} onChange={() => setWay('pasted')} />A token that I paste</label>
        <label className="choice"><input type="radio" name={`${id}way`} checked={way === 'url'} onChange={() => setWay('url')} />The application, which gives me one when I am logged in</label>
        {operator && <label className="choice"><input type="radio" name={`${id}way`} checked={way === 'operator'} onChange={() => setWay('operator')} />The service key of the operators’ pages</label>}
      </fieldset>
      {way === 'pasted' && <div className="field"><label htmlFor={`${id}token`}>Sync token</label>
        <input id={`${id}token`} type="password" value={token} onChange={(event) => setToken(event.target.value)} autoComplete="off" autoCapitalize="off" spellCheck={false} required />
        <p className="quiet">It stays in this page’s memory. It can not be renewed: when it ends, the page asks for another.</p></div>}
      {way === 'url' && <div className="field"><label htmlFor={`${id}url`}>Address that gives a token</label>
        <input id={`${id}url`} type="text" inputMode="url" value={url} onChange={(event) => setUrl(event.target.value)} autoComplete="off" autoCapitalize="off" spellCheck={false} required />
        <p className="quiet">Asked with your cookies, again before each token ends. It has to be behind the address of this page.</p></div>}
      {error !== undefined && <Banner tone="bad" live title="That did not work"><p>{error}</p></Banner>}
      <div className="actions"><button type="submit" className="primary" disabled={busy}>{busy ? 'Asking…' : 'Connect'}</button></div>
    </form>
  );
}
