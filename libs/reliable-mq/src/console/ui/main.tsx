import { render, type JSX } from 'preact';
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks';
import type { Now, Session } from '../api';
import { AuditPage } from './page/audit';
import { ConsumersPage } from './page/consumers';
import { EventPage } from './page/event';
import { EventsPage } from './page/events';
import { FailuresPage } from './page/failures';
import { HandlingsPage } from './page/handlings';
import { JourneyPage } from './page/journey';
import { NowPage } from './page/now';
import { RunsPage } from './page/runs';
import { Frame } from './part/frame';
import { Notice, type Announced } from './part/notice';
import { ProblemBox } from './part/problem';
import { Loading } from './part/small';
import { createClient, type Client } from './state/client';
import { ConsoleContext, type Console } from './state/console';
import { NO_HISTORY, withAnswer, type History } from './state/rates';
import { parseRoute, type PageName, type Route } from './state/route';
import { useLoad } from './state/use-load';
import { chosenLanguage, keepLanguage, type Language } from './text/language';
import { wordsOf, WordsContext } from './text/words';

const NOW_EVERY_MS = 5_000;
const SESSION_AGAIN_MS = 60_000;

const PAGES: Readonly<Record<Exclude<PageName, 'now'>, () => JSX.Element>> = {
  events: EventsPage,
  event: EventPage,
  handlings: HandlingsPage,
  journey: JourneyPage,
  failures: FailuresPage,
  consumers: ConsumersPage,
  audit: AuditPage,
  runs: RunsPage,
};

function App({ base }: { readonly base: string }): JSX.Element {
  const [language, setLanguage] = useState(chosenLanguage);
  const [csrf] = useState<{ token?: string }>({});
  const client = useMemo(
    () =>
      createClient(
        base,
        () => csrf.token,
        (...args) => fetch(...args),
      ),
    [base, csrf],
  );
  const session = useLoad('session', (signal) => client.get<Session>('session', {}, signal), SESSION_AGAIN_MS);
  if (session.data) csrf.token = session.data.csrf;

  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const onLanguage = useCallback((chosen: Language) => {
    keepLanguage(chosen);
    setLanguage(chosen);
  }, []);

  return (
    <WordsContext.Provider value={wordsOf(language)}>
      {session.data ? (
        <Pages client={client} session={session.data} onLanguage={onLanguage} />
      ) : (
        <main>
          <h1>nestjs-reliable-mq</h1>
          <ProblemBox problem={session.problem} onRetry={session.reload} />
          {session.isLoading && <Loading />}
        </main>
      )}
    </WordsContext.Provider>
  );
}

interface PagesProps {
  readonly client: Client;
  readonly session: Session;
  readonly onLanguage: (language: Language) => void;
}

function Pages({ client, session, onLanguage }: PagesProps): JSX.Element {
  const route = useRoute();
  const [announced, setAnnounced] = useState<Announced>();
  const [history, setHistory] = useState<History>(NO_HISTORY);
  const now = useLoad('now', (signal) => client.get<Now>('now', {}, signal), NOW_EVERY_MS);
  useEffect(() => {
    const answer = now.data;
    if (answer) setHistory((before) => withAnswer(before, answer));
  }, [now.data]);

  const announce = useCallback<Console['announce']>((text, link) => setAnnounced({ text, link }), []);
  const state = useMemo<Console>(() => ({ client, session, route, announce }), [client, session, route, announce]);
  const Page = route.page === 'now' ? undefined : PAGES[route.page];
  return (
    <ConsoleContext.Provider value={state}>
      <Frame health={now.problem ? undefined : now.data?.health.status} onLanguage={onLanguage}>
        {Page ? <Page /> : <NowPage history={history} problem={now.problem} reload={now.reload} />}
      </Frame>
      <Notice announced={announced} onClose={() => setAnnounced(undefined)} />
    </ConsoleContext.Provider>
  );
}

function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const onChange = (): void => setHash(location.hash);
    addEventListener('hashchange', onChange);
    // It may have changed between the first drawing and now.
    onChange();
    return () => removeEventListener('hashchange', onChange);
  }, []);
  return useMemo(() => parseRoute(hash), [hash]);
}

const root = document.getElementById('console');
// The API lies beside the script, wherever the application has mounted the console.
const script = document.querySelector<HTMLScriptElement>('script[src]');
if (root) render(<App base={new URL('api/', script?.src ?? location.href).href} />, root);
