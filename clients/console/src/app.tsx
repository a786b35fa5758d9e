// The frame: navigation, the page that the path names, and what is said when a page fails.
import { Component, lazy, Suspense, useEffect, useRef, useState, type ReactNode } from 'react';
import { Status, Loading, Banner } from './components/parts';
import { OperatorGate, OperatorProvider, useOverview, useSession } from './operator';
import { Link, Navigated, PageTitle, usePlace } from './router';

const Overview = lazy(() => import('./pages/Overview'));
const Topics = lazy(() => import('./pages/Topics'));
const Topic = lazy(() => import('./pages/Topic'));
const Sessions = lazy(() => import('./pages/Sessions'));
const Health = lazy(() => import('./pages/Health'));
const Codex = lazy(() => import('./pages/Codex'));

const pages: Record<string, { title: string; page: ReactNode; operators: boolean }> = {
  '/': { title: 'Overview', page: <Overview />, operators: true },
  '/topics': { title: 'Topics', page: <Topics />, operators: true },
  '/topic': { title: 'Topic', page: <Topic />, operators: true },
  '/sessions': { title: 'Sessions', page: <Sessions />, operators: true },
  '/health': { title: 'Health', page: <Health />, operators: true },
  '/codex': { title: 'Codex', page: <Codex />, operators: false },
};

const places = [['/', 'Overview'], ['/topics', 'Topics'], ['/sessions', 'Sessions'], ['/health', 'Health'], ['/codex', 'Codex']] as const;

export function App() {
  const place = usePlace();
  const navigated = useNavigated(place.path);
  const known = pages[place.path];
  return (
    <OperatorProvider>
      <Navigated.Provider value={navigated}>
        <a className="skip" href="#main">Skip to the page</a>
        <Header path={place.path} />
        <main id="main" tabIndex={-1} className={place.path === '/codex' ? 'codex-page' : undefined}>
          <Boundary key={place.path}>
            <Suspense fallback={<Loading what="the page" />}>
              {known === undefined ? <NotFound path={place.path} />
                : known.operators ? <OperatorGate title={known.title}>{known.page}</OperatorGate> : known.page}
            </Suspense>
          </Boundary>
        </main>
      </Navigated.Provider>
    </OperatorProvider>
  );
}

/** True once the path has changed. */
function useNavigated(path: string): boolean {
  const first = useRef(path);
  const [navigated, setNavigated] = useState(false);
  useEffect(() => {
    if (path === first.current && !navigated) return;
    setNavigated(true);
    scrollTo(0, 0);
  }, [path]);
  return navigated || path !== first.current;
}

function Header({ path }: { path: string }) {
  const { operator, forget } = useSession();
  const here = path === '/topic' ? '/topics' : path;
  return (
    <header className="top">
      <Link href="/" className="brand"><img src="/icons/icon.svg" alt="" width="24" height="24" />OA Sync</Link>
      <nav aria-label="Pages">
        <ul>{places.map(([href, name]) => <li key={href}><Link href={href} {...(here === href ? { 'aria-current': 'page' as const } : {})}>{name}</Link></li>)}</ul>
      </nav>
      {operator && <div className="who"><HealthWord /><button type="button" className="plain" onClick={forget}>Forget the key</button></div>}
    </header>
  );
}

/** The state of the server in a word, on every operators' page. */
function HealthWord() {
  const { data, error } = useOverview();
  if (error !== undefined) return <Status tone="warn">No answer</Status>;
  if (!data) return <Status tone="idle">Asking</Status>;
  const critical = data.health.problems.some((problem) => problem.severity === 'critical');
  return data.health.status !== 'ready' || critical ? <Status tone="bad">{data.health.status === 'ready' ? 'Trouble' : 'Not ready'}</Status>
    : data.health.problems.length > 0 ? <Status tone="warn">Warnings</Status> : <Status tone="ok">Ready</Status>;
}

function NotFound({ path }: { path: string }) {
  return (
    <>
      <PageTitle title="No such page" />
      <p>There is no page <code>{path}</code>. The pages are in the navigation above.</p>
    </>
  );
}

/** Shows what broke a page, instead of an empty one; another page works on. */
class Boundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: undefined };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (this.state.error === undefined) return this.props.children;
    return (
      <>
        <h1>This page failed</h1>
        <Banner tone="bad" live title="Something went wrong in the page" actions={<button type="button" onClick={() => location.reload()}>Load again</button>}>
          <p>{this.state.error instanceof Error ? this.state.error.message : String(this.state.error)}</p>
        </Banner>
      </>
    );
  }
}
