import type { ComponentChildren, JSX } from 'preact';
import type { Attempt, EventDetail, Reported } from '../../api';
import { EventActions } from '../part/event-actions';
import { LongText } from '../part/long-text';
import { ProblemBox } from '../part/problem';
import { Badge, EventBadge, FullMoment, JourneyLink, Loading, named, Panel, Reason } from '../part/small';
import { Table } from '../part/table';
import { mayAct, sourceOf, useConsole } from '../state/console';
import { toneOf } from '../state/journey';
import { hrefOf } from '../state/route';
import { useLoad } from '../state/use-load';
import { useWords } from '../text/words';

const PAYLOAD_SHOWN = 4_000;
/** What was asked for goes on after the answer. */
const EVERY_MS = 5_000;

/** Everything that is known of one event in one database. */
export function EventPage(): JSX.Element {
  const state = useConsole();
  const { client, route } = state;
  const id = route.params.id ?? '';
  const source = sourceOf(state);
  const { data, problem, isLoading, reload } = useLoad(
    hrefOf('event', { id, source }),
    (signal) => client.get<EventDetail>(`events/${encodeURIComponent(id)}`, { source }, signal),
    EVERY_MS,
  );
  return (
    <>
      <ProblemBox problem={problem} onRetry={reload} />
      {isLoading && <Loading />}
      {data && <Detail event={data} acts={mayAct(state, data.source)} onChanged={reload} />}
    </>
  );
}

interface DetailProps {
  readonly event: EventDetail;
  readonly acts: boolean;
  readonly onChanged: () => void;
}

function Detail({ event, acts, onChanged }: DetailProps): JSX.Element {
  const { t, f } = useWords();
  return (
    <>
      <p class="lead">
        <EventBadge status={event.status} /> <strong>{event.type}</strong> <span class="quiet">v{event.version}</span>{' '}
        <span class="id">{event.id}</span>
      </p>
      {event.reason !== null && (
        <p>
          <Reason text={event.reason} />
        </p>
      )}
      <p class="buttons">
        <a class="button primary" href={hrefOf('journey', { of: event.id })}>
          {t.event.journey}
        </a>
        {acts && <EventActions event={event} onChanged={onChanged} />}
      </p>
      <Panel title={t.event.facts}>
        <dl class="facts">
          <Fact name={t.source}>{event.source}</Fact>
          <Fact name={t.events.key}>
            <JourneyLink of={event.key} />
          </Fact>
          <Fact name={t.events.consumers}>{event.consumers.join(', ') || t.none}</Fact>
          <Fact name={t.events.recorded}>
            <FullMoment at={event.createdAt} />
          </Fact>
          <Fact name={t.event.publishedAt}>
            <FullMoment at={event.publishedAt} />
          </Fact>
          <Fact name={t.events.ended}>
            <FullMoment at={event.endedAt} />
          </Fact>
          <Fact name={t.events.due}>
            <FullMoment at={event.dueAt} />
          </Fact>
          <Fact name={t.events.attempts}>{f.number(event.attempts)}</Fact>
          <Fact name={t.events.redrives}>{f.number(event.redrives)}</Fact>
          <Fact name={t.event.compensationAttempts}>{f.number(event.compensationAttempts)}</Fact>
          <Fact name={t.event.compensatedAt}>
            <FullMoment at={event.compensatedAt} />
          </Fact>
          <Fact name={t.event.archivedAt}>
            <FullMoment at={event.archivedAt} />
          </Fact>
          <Fact name={t.event.causedBy}>
            <JourneyLink of={event.causationId} />
          </Fact>
          <Fact name={t.event.caused}>
            <a href={hrefOf('events', { source: event.source, causationId: event.id })}>{t.failures.showAll}</a>
          </Fact>
        </dl>
      </Panel>
      <Panel title={t.event.payload}>
        {event.isRedacted && <p class="note">{t.event.redacted}</p>}
        {event.isCut ? (
          <p class="note">{t.event.cut}</p>
        ) : (
          <LongText value={pretty(event.payload)} most={PAYLOAD_SHOWN} isCode />
        )}
      </Panel>
      <Panel title={t.event.headers}>
        <LongText value={pretty(event.headers)} most={PAYLOAD_SHOWN} isCode />
      </Panel>
      <Panel title={t.event.outcomes}>
        {event.outcomes.length === 0 ? (
          <p class="quiet">{t.event.noOutcomes}</p>
        ) : (
          <Outcomes outcomes={event.outcomes} />
        )}
      </Panel>
      <Panel title={t.event.history}>
        {event.history.length === 0 ? <p class="quiet">{t.event.noHistory}</p> : <Attempts history={event.history} />}
      </Panel>
    </>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Outcomes({ outcomes }: { readonly outcomes: readonly Reported[] }): JSX.Element {
  const { t } = useWords();
  return (
    <Table
      caption={t.event.outcomes}
      rows={outcomes}
      keyOf={({ consumer, at, outcome }) => `${consumer} ${at} ${outcome}`}
      columns={[
        { title: t.events.consumer, cell: ({ consumer }) => consumer },
        {
          title: t.event.outcome,
          cell: ({ outcome }) => <Badge tone={toneOf(outcome)}>{named(t.outcome, outcome)}</Badge>,
        },
        { title: t.event.at, cell: ({ at }) => <FullMoment at={at} /> },
        { title: t.events.reason, isWide: true, cell: ({ reason, where }) => <Reason text={reason} where={where} /> },
      ]}
    />
  );
}

function Attempts({ history }: { readonly history: readonly Attempt[] }): JSX.Element {
  const { t, f } = useWords();
  return (
    <Table
      caption={t.event.history}
      rows={history}
      keyOf={({ attempt, at }) => `${attempt} ${at}`}
      columns={[
        { title: t.event.attempt, isNumber: true, cell: ({ attempt }) => f.number(attempt) },
        { title: t.event.at, cell: ({ at }) => <FullMoment at={at} /> },
        { title: t.events.reason, isWide: true, cell: ({ reason, where }) => <Reason text={reason} where={where} /> },
      ]}
    />
  );
}

function pretty(value: unknown): string {
  return JSON.stringify(value, null, 2) ?? 'undefined';
}
