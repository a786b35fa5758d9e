// The connection's state, always in sight, and the switch of the lane.
import { useEffect, useState } from 'react';
import { Dialog } from '../components/Dialog';
import { Ago, Banner, Facts, Status, type Tone } from '../components/parts';
import { plural, time } from '../lib/format';
import { useMedia } from '../lib/media';
import { syncStatus } from '../lib/status';
import type { CodexSession, CodexView, Mode } from './session';

const modes: [Mode, string, string][] = [
  ['off', 'Off', 'The earlier source is shown: asked again and again over HTTP.'],
  ['shadow', 'Shadow', 'The earlier source is shown; OA Sync runs beside it, and the two are compared.'],
  ['on', 'On', 'OA Sync is shown. The earlier source is not even loaded.'],
];

function wordOf(view: CodexView): [Tone, string] {
  if (!view.online && view.status !== 'live') return ['warn', 'No network'];
  if (view.wants !== null && view.wants.why !== 'expired' && view.status !== 'live') return ['warn', 'Needs a token'];
  if (view.mode === 'off') return view.earlier.error !== null ? ['warn', 'Not answered'] : view.earlier.at === null ? ['busy', 'Asking'] : ['ok', 'Asked every 5 s'];
  return syncStatus(view.status);
}

export function Connection({ view, session }: { view: CodexView; session: CodexSession }) {
  const [tone, word] = wordOf(view);
  const [about, setAbout] = useState(false);
  const said = useCalm(word);
  const at = view.mode === 'off' || view.mode === 'shadow' ? view.earlier.at : view.currentAsOf;
  const live = view.mode === 'on' && view.status === 'live';
  return (
    <section className="connection" aria-label="Connection">
      <Status tone={tone}>{word}</Status>
      <span className="current" data-current={at ?? ''}>
        {live ? <>current{view.lag > 0 ? `, ${plural(view.lag, 'event')} to come` : ''}</> : at !== null ? <>as of {time(at)}, <Ago at={at} /></> : view.lastChange !== null ? <>changed <Ago at={view.lastChange} /></> : 'nothing received yet'}
      </span>
      <span className="hidden" role="status">{`Connection: ${said}`}</span>
      <fieldset className="lane push"><legend>OA Sync</legend><div className="segments">
        {modes.map(([mode, name, hint]) => <label key={mode} title={hint}><input type="radio" name="lane" value={mode} checked={view.mode === mode} onChange={() => session.setMode(mode)} />{name}</label>)}
      </div></fieldset>
      <button type="button" className="plain details" onClick={() => setAbout(true)}>Details</button>
      {about && <About view={view} session={session} close={() => setAbout(false)} />}
    </section>
  );
}

/** A word that is said only once it has stood for a second: reconnecting twice in a row is one message. */
function useCalm(word: string): string {
  const [said, setSaid] = useState(word);
  useEffect(() => {
    const timer = setTimeout(() => setSaid(word), 1000);
    return () => clearTimeout(timer);
  }, [word]);
  return said;
}

function About({ view, session, close }: { view: CodexView; session: CodexSession; close: () => void }) {
  const [cleared, setCleared] = useState<string | null>(null);
  const [failed, setFailed] = useState<string | null>(null);
  const stored = useStored(session, view, cleared);
  const [install, prompt] = useInstall();
  const standalone = useMedia('(display-mode: standalone)');
  const offline = 'serviceWorker' in navigator && navigator.serviceWorker.controller !== null;
  return (
    <Dialog title="Connection and storage" onClose={close}>
      <div className="stack">
        <Facts facts={[
          ['Lane', modes.find(([mode]) => mode === view.mode)![2]],
          ['OA Sync', syncStatus(view.status)[1]], ['Behind the head', view.mode === 'off' ? '–' : plural(view.lag, 'event')],
          ...(view.mode === 'shadow' ? [['Comparison', view.comparison] as [string, string]] : []),
          ['Earlier source', view.earlier.loaded ? (view.earlier.at !== null ? `loaded, answered at ${time(view.earlier.at)}` : 'loaded') : 'not loaded'],
          ['Token', view.source === undefined ? 'none' : view.source === 'pasted' ? 'pasted, in memory only' : view.source === 'url' ? 'from the application, in memory only' : 'made with the operator’s key, in memory only'],
          ['On this device', `${stored === null ? 'not known' : stored === 0 ? 'nothing' : `${plural(stored, 'document')}, in IndexedDB`}${view.mode === 'off' ? '; the earlier source stores nothing' : ''}`],
          ['Without a network', offline ? 'the page starts, with what is stored' : 'the page can not start: this browser keeps no copy of it (it needs https or localhost)'],
          ['Installed', standalone ? 'yes' : 'no: this is a page in the browser'],
        ]} />
        {cleared !== null && <Banner tone="ok" live title={cleared} />}
        {failed !== null && <Banner tone="bad" live title="What is stored could not be deleted"><p>The token is forgotten. {failed}</p></Banner>}
        <div className="actions">
          {install && <button type="button" onClick={prompt}>Install as an app</button>}
          <button type="button" onClick={() => session.forgetToken()} disabled={view.source === undefined}>Forget the token</button>
          <button type="button" onClick={() => void session.forgetStored().then(() => setCleared('The token, and what was stored on this device, are gone'), (error: Error) => setFailed(error.message))}>Forget the token and what is stored</button>
          <button type="button" className="primary" onClick={close}>Close</button>
        </div>
      </div>
    </Dialog>
  );
}

/** How many documents are stored on this device: counted again when what is shown has changed. null: not known. */
function useStored(session: CodexSession, view: CodexView, cleared: string | null): number | null {
  const [stored, setStored] = useState<number | null>(null);
  const shown = view.runs.length + view.workers.length;
  useEffect(() => {
    let over = false;
    // A change is stored a moment after it is shown.
    const look = () => void session.countStored().then((n) => over || setStored(n), () => over || setStored(null));
    look();
    const timer = setInterval(look, 3000);
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [session, shown, cleared]);
  return stored;
}

type InstallPrompt = Event & { prompt(): Promise<unknown> };
let offered: InstallPrompt | null = null;
const offers = new Set<() => void>();
addEventListener('beforeinstallprompt', (event) => {
  event.preventDefault();
  offered = event as InstallPrompt;
  offers.forEach((tell) => tell());
});

/** Whether the browser offers to install the page, and how to take the offer. */
function useInstall(): [boolean, () => void] {
  const [there, setThere] = useState(offered !== null);
  useEffect(() => {
    const tell = () => setThere(offered !== null);
    offers.add(tell);
    return () => void offers.delete(tell);
  }, []);
  return [there, () => {
    void offered?.prompt();
    offered = null;
    setThere(false);
  }];
}
