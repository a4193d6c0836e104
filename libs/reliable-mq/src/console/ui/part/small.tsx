import type { ComponentChildren, JSX } from 'preact';
import { hrefOf } from '../state/route';
import { toneOf, type Tone } from '../state/journey';
import { clipped, visible } from '../text/visible';
import { useWords } from '../text/words';
import { LongText } from './long-text';

/** A moment: how long ago, and on the clock for who points at it or hears it. */
export function Moment({ at }: { readonly at: string | null | undefined }): JSX.Element {
  const { f } = useWords();
  if (at === null || at === undefined) return <span class="quiet">–</span>;
  return (
    <time dateTime={at} title={`${f.dateTime(at)} (${at})`}>
      {f.relative(at, Date.now())}
      <span class="unseen"> ({f.dateTime(at)})</span>
    </time>
  );
}

/** A moment on the clock, and how long ago. */
export function FullMoment({ at }: { readonly at: string | null | undefined }): JSX.Element {
  const { f } = useWords();
  if (at === null || at === undefined) return <span class="quiet">–</span>;
  return (
    <time dateTime={at}>
      {f.dateTime(at)} <span class="quiet">({f.relative(at, Date.now())})</span>
    </time>
  );
}

export function Badge({ tone, children }: { readonly tone: Tone; readonly children: ComponentChildren }): JSX.Element {
  return <span class={`badge ${tone}`}>{children}</span>;
}

export function EventBadge({ status }: { readonly status: string }): JSX.Element {
  const { t } = useWords();
  return <Badge tone={toneOf(status)}>{named(t.eventStatus, status)}</Badge>;
}

export function HandlingBadge({ status }: { readonly status: string }): JSX.Element {
  const { t } = useWords();
  return <Badge tone={toneOf(status)}>{named(t.handlingStatus, status)}</Badge>;
}

/** A word of the server in the reader's language, or as it is. */
export function named(names: Readonly<Record<string, string>>, word: string): string {
  return Object.hasOwn(names, word) ? (names[word] ?? word) : word;
}

/** @param where the application threw, where that is known */
export function Reason({
  text,
  where,
}: {
  readonly text: string | null | undefined;
  readonly where?: string | null | undefined;
}): JSX.Element {
  if (text === null || text === undefined || text === '') return <span class="quiet">–</span>;
  return (
    <>
      <LongText value={text} most={160} />
      {where && (
        <>
          {' '}
          <small class="quiet">{visible(where)}</small>
        </>
      )}
    </>
  );
}

const KEY_SHOWN = 60;
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A key or an id that leads to its journey. Cut when it is long: a button to show all has no place in a link. */
export function JourneyLink({ of }: { readonly of: string | null }): JSX.Element {
  if (of === null) return <span class="quiet">–</span>;
  const start = clipped(of, KEY_SHOWN);
  return (
    <a href={hrefOf('journey', { of })} class={ID.test(of) ? 'id' : 'key'} title={start && visible(of)}>
      <bdi>{start === undefined ? visible(of) : `${visible(start)}…`}</bdi>
    </a>
  );
}

export function EventLink({ id, source }: { readonly id: string; readonly source: string }): JSX.Element {
  return (
    <a href={hrefOf('event', { id, source })} class="id">
      {id}
    </a>
  );
}

export function Loading(): JSX.Element {
  const { t } = useWords();
  return (
    <p class="quiet" role="status">
      {t.loading}
    </p>
  );
}

export function Panel({
  title,
  children,
}: {
  readonly title: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <section class="panel" aria-label={title}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}
