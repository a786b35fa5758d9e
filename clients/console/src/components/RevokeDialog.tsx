// Ending a session: what is revoked is said exactly, with whom else it meets, before it is done.
import { useEffect, useState, type FormEvent } from 'react';
import { explain } from '../api/http';
import type { Revocation, RevokeReason, SessionPage, SessionRow } from '../api/types';
import { plural } from '../lib/format';
import { useOperator } from '../operator';
import { Dialog } from './Dialog';
import { Banner } from './parts';

/** `ids`: the connected sessions that it met; `at`: when it was done, by this machine's clock. */
export type Outcome = { title: string; text: string; ids: string[]; at: number };

const reasons: [RevokeReason, string][] = [
  ['admin_revoked', 'An operator ended it'], ['security_policy', 'A security policy asks for it'], ['token_replay', 'Its token was used by somebody else'],
  ['device_replaced', 'The device was replaced'], ['user_requested', 'The user asked for it'],
];

type Choice = { kind: 'session_ids' | 'device_ids' | 'jtis'; id: string; name: string; hint: string };

function choicesOf(row: SessionRow): Choice[] {
  return [
    ...(row.session_id ? [{ kind: 'session_ids' as const, id: row.session_id, name: 'The login session', hint: 'Every token of it is refused from now on: the user has to log in again.' }] : []),
    ...(row.device_id ? [{ kind: 'device_ids' as const, id: row.device_id, name: 'The device', hint: 'Every token of it is refused from now on.' }] : []),
    ...(row.token_id ? [{ kind: 'jtis' as const, id: row.token_id, name: 'Only this token', hint: 'The application may give it another one at once.' }] : []),
  ];
}

const matches = (choice: Choice, row: SessionRow) =>
  (choice.kind === 'session_ids' ? row.session_id : choice.kind === 'device_ids' ? row.device_id : row.token_id) === choice.id;

export function RevokeDialog({ session, limit, onClose, onDone }: { session: SessionRow; limit: number; onClose: () => void; onDone: (outcome: Outcome) => void }) {
  const { api } = useOperator();
  const choices = choicesOf(session);
  const [kind, setKind] = useState(choices[0]?.kind);
  const [reason, setReason] = useState<RevokeReason>('admin_revoked');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const choice = choices.find((one) => one.kind === kind);
  // Whom it meets is asked anew, of all sessions: the page's list may be of one topic's subscribers only.
  const [all, setAll] = useState<SessionPage>();
  const [unknown, setUnknown] = useState(false);
  useEffect(() => {
    const ended = new AbortController();
    api.sessions({ limit }, ended.signal).then(setAll, () => ended.signal.aborted || setUnknown(true));
    return () => ended.abort();
  }, [api, limit]);
  const met = choice ? (all?.sessions ?? []).filter((row) => matches(choice, row)) : [];
  const ids = met.length > 0 ? met.map((row) => row.id) : [session.id];
  const problem = error === undefined ? undefined : explain(error);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!choice) return;
    setBusy(true);
    setError(undefined);
    try {
      const what: Revocation = { [choice.kind]: [choice.id], reason };
      const { revoked } = await api.revoke(what);
      onDone({ ids, at: Date.now(), title: `Revoked: ${choice.name.toLowerCase()} of ${session.subject}`,
        text: `The database has ${plural(revoked, 'revocation')} (${reason.replaceAll('_', ' ')}); every server that follows it refuses it now.` });
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };

  return (
    <Dialog title={`End the session of ${session.subject}?`} onClose={onClose}>
      {choices.length === 0 ? <div className="stack"><p>Its token names no session, no device and no token id, so there is nothing to revoke it by.</p><div className="actions"><button type="button" onClick={onClose}>Close</button></div></div>
        : <form onSubmit={submit}>
          <fieldset><legend>What to revoke</legend>{choices.map((one) =>
            <label key={one.kind} className="choice"><input type="radio" name="what" value={one.kind} checked={kind === one.kind} onChange={() => setKind(one.kind)} />
              <span>{one.name} <code>{one.id}</code><span className="quiet">{one.hint}</span></span></label>)}</fieldset>
          <div className="field"><label htmlFor="reason">Reason, which the client is told</label>
            <select id="reason" value={reason} onChange={(event) => setReason(event.target.value as RevokeReason)}>{reasons.map(([code, text]) => <option key={code} value={code}>{text}</option>)}</select></div>
          <p>{unknown ? 'How many sessions this ends is not known: the server did not say.' : all === undefined ? 'Asking how many sessions this ends…'
            : <strong>This ends {all.truncated ? 'at least ' : ''}{plural(ids.length, 'connected session')}.</strong>} It can not be taken back here.</p>
          {problem && <Banner tone="bad" live title={problem.title}><p>Nothing was revoked. {problem.todo}</p></Banner>}
          <div className="actions"><button type="submit" className="danger" disabled={busy}>{busy ? 'Revoking…' : 'Revoke'}</button><button type="button" onClick={onClose}>Cancel</button></div>
        </form>}
    </Dialog>
  );
}
