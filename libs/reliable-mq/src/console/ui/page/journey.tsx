import type { JSX } from 'preact';
import type { JourneyAnswer } from '../../api';
import { LongText } from '../part/long-text';
import { ProblemBox } from '../part/problem';
import { EventBadge, JourneyLink, Loading, named, Panel, Reason } from '../part/small';
import { Table } from '../part/table';
import { TimeLine } from '../part/time-line';
import { useConsole } from '../state/console';
import { journeyOf, type Journey, type JourneyNode, type Step } from '../state/journey';
import { hrefOf } from '../state/route';
import { useLoad } from '../state/use-load';
import { useWords, type Words } from '../text/words';

/** What is not at its end yet is looked at again. */
const EVERY_MS = 5_000;

/** One order: from record to each consumer's end, across services. */
export function JourneyPage(): JSX.Element {
  const { t } = useWords();
  const { client, route } = useConsole();
  const of = route.params.of ?? '';
  if (of === '') return <p>{t.journey.ask}</p>;
  return <JourneyOf key={of} of={of} ask={(signal) => client.get<JourneyAnswer>('journey', { of }, signal)} />;
}

interface Props {
  readonly of: string;
  readonly ask: (signal: AbortSignal) => Promise<JourneyAnswer>;
}

function JourneyOf({ of, ask }: Props): JSX.Element {
  const { t } = useWords();
  const { data, problem, isLoading, reload } = useLoad(of, ask, EVERY_MS);
  const journey = data && journeyOf(data);
  return (
    <>
      <p class="lead">
        <LongText value={of} most={100} />
      </p>
      <ProblemBox problem={problem} onRetry={reload} />
      {isLoading && <Loading />}
      {data?.unread.map(({ source, problem: why }) => (
        <p key={source} class="problem">
          {t.journey.unread(source)} <LongText value={why} />
        </p>
      ))}
      {data && !journey && <p>{t.journey.nothing}</p>}
      {data?.isCut && <p class="note">{t.journey.cut}</p>}
      {journey && (
        <>
          <Panel title={t.journey.line}>
            <TimeLine journey={journey} />
          </Panel>
          {journey.nodes.map((node) => (
            <NodePanel key={node.eventId} node={node} journey={journey} />
          ))}
        </>
      )}
    </>
  );
}

function NodePanel({ node, journey }: { readonly node: JourneyNode; readonly journey: Journey }): JSX.Element {
  const words = useWords();
  const { t, f } = words;
  const { event, eventId, type, cause, steps, missing } = node;
  return (
    <section class="panel" aria-label={t.journey.steps(type)}>
      <h2>
        {type} {event && <EventBadge status={event.status} />}
      </h2>
      <p class="quiet">
        <span class="id">{eventId}</span>
        {cause && <> · {t.journey.causedBy(cause.type)}</>}
        {!event && <> · {t.journey.otherService}</>}
        {event && event.key !== null && (
          <>
            {' '}
            · {t.events.key} <JourneyLink of={event.key} />
          </>
        )}
        {event && (
          <>
            {' '}
            ·{' '}
            <a
              href={hrefOf('event', { id: eventId, source: event.source })}
              aria-label={`${t.journey.open}: ${type} ${eventId}`}
            >
              {t.journey.open}
            </a>
          </>
        )}
      </p>
      <Table
        caption={t.journey.steps(type)}
        rows={steps}
        keyOf={(step) => `${step.kind} ${step.where} ${step.at} ${step.attempt ?? ''}`}
        columns={[
          {
            title: t.event.at,
            cell: ({ at }) => (
              <>
                <time dateTime={at}>{f.dateTime(at)}</time>{' '}
                <span class="quiet">+{f.duration(Math.max(0, Date.parse(at) - Date.parse(journey.from)))}</span>
              </>
            ),
          },
          { title: t.journey.where, isName: true, cell: ({ where }) => where },
          { title: t.journey.step, cell: (step) => <span class={`step ${step.tone}`}>{told(step, words)}</span> },
          {
            title: t.events.reason,
            isWide: true,
            cell: ({ reason, thrownAt }) => <Reason text={reason} where={thrownAt} />,
          },
        ]}
      />
      {missing.map((consumer) => (
        <p key={consumer} class="note">
          <strong>{consumer}</strong>: {t.journey.missing}
        </p>
      ))}
    </section>
  );
}

function told({ kind, attempt = 0, status = '' }: Step, { t }: Words): string {
  switch (kind) {
    case 'recorded':
    case 'published':
    case 'received':
    case 'compensated':
    case 'archived':
    case 'waits':
      return t.journey[kind];
    case 'publishFailed':
      return t.journey.publishFailed(attempt);
    case 'attemptFailed':
      return t.journey.attemptFailed(attempt);
    case 'reported':
      return t.journey.reported(named(t.outcome, status));
    case 'ended':
      return t.journey.ended(named({ ...t.handlingStatus, ...t.eventStatus }, status));
  }
}
