import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import type { Now } from '../../api';
import type { Tone } from '../state/journey';
import { useConsole } from '../state/console';
import { go, hrefOf, type PageName } from '../state/route';
import { LANGUAGE_NAMES, type Language } from '../text/language';
import { useWords } from '../text/words';

const LINKED: readonly PageName[] = ['now', 'events', 'handlings', 'failures', 'journey', 'consumers', 'runs', 'audit'];

const TONES: Readonly<Record<Now['health']['status'], Tone>> = { up: 'good', degraded: 'warn', down: 'bad' };

interface Props {
  /** Undefined: the service has not said, or does not answer. */
  readonly health: Now['health']['status'] | undefined;
  readonly onLanguage: (language: Language) => void;
  readonly children: ComponentChildren;
}

/** What stands around every page. */
export function Frame({ health, onLanguage, children }: Props): JSX.Element {
  const { t } = useWords();
  const { session, route } = useConsole();
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.querySelector<HTMLElement>('main h1')?.focus();
        }}
      >
        {t.skip}
      </a>
      <header class="top">
        <a class="brand" href={hrefOf('now')}>
          <span class={`dot ${health ? TONES[health] : 'wait'}`} aria-hidden="true" />
          {session.service} <small>{t.health[health ?? 'unknown']}</small>
        </a>
        <Search key={route.params.of ?? ''} />
        <LanguageSwitch onLanguage={onLanguage} />
      </header>
      <nav class="side" aria-label={t.navigation}>
        <ul>
          {LINKED.map((page) => (
            <li key={page}>
              <a href={hrefOf(page)} aria-current={page === pageShown(route.page) ? 'page' : undefined}>
                {t.pages[page]}
              </a>
            </li>
          ))}
        </ul>
        <p class="quiet">
          {session.actor}
          {session.role === 'read' && <small> · {t.readOnly}</small>}
          <br />
          <small>nestjs-reliable-mq {session.version}</small>
        </p>
      </nav>
      <main id="main">
        <Title />
        {children}
      </main>
    </>
  );
}

/** An event is looked at from among the events. */
function pageShown(page: PageName): PageName {
  return page === 'event' ? 'events' : page;
}

/** Takes the focus when another page is shown: a screen reader says where one is, and Tab goes on from there. */
function Title(): JSX.Element {
  const { t } = useWords();
  const { route, session } = useConsole();
  const title = useRef<HTMLHeadingElement>(null);
  const shown = useRef(route.page);
  const text = t.pages[route.page];
  useEffect(() => {
    document.title = `${text} · ${session.service}`;
  }, [text, session.service]);
  useEffect(() => {
    if (shown.current === route.page) return;
    shown.current = route.page;
    title.current?.focus();
    scrollTo(0, 0);
  }, [route.page]);
  return (
    <h1 ref={title} tabIndex={-1}>
      {text}
    </h1>
  );
}

function Search(): JSX.Element {
  const { t } = useWords();
  const { route } = useConsole();
  const id = useId();
  return (
    <form
      class="search"
      role="search"
      aria-label={t.search}
      onSubmit={(event) => {
        event.preventDefault();
        const of = new FormData(event.currentTarget).get('of');
        if (typeof of === 'string' && of.trim() !== '') go('journey', { of: of.trim() });
      }}
    >
      <label for={id} class="unseen">
        {t.search}
      </label>
      <input
        id={id}
        name="of"
        type="search"
        placeholder={t.searchHint}
        defaultValue={route.params.of ?? ''}
        maxLength={200}
        spellcheck={false}
        autocomplete="off"
      />
      <button type="submit">{t.searchButton}</button>
    </form>
  );
}

function LanguageSwitch({ onLanguage }: { readonly onLanguage: (language: Language) => void }): JSX.Element {
  const { t, language } = useWords();
  return (
    <label class="language">
      <span class="unseen">{t.language}</span>
      <select value={language} onChange={(event) => onLanguage(event.currentTarget.value as Language)}>
        {Object.entries(LANGUAGE_NAMES).map(([value, name]) => (
          <option key={value} value={value} lang={value}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
