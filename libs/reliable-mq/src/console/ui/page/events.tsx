import type { JSX } from 'preact';
import type { EventPage, EventSummary } from '../../api';
import { BulkBar } from '../part/bulk-bar';
import { choiceColumn } from '../part/choice-column';
import { Filters } from '../part/filters';
import { Pager } from '../part/pager';
import { ProblemBox } from '../part/problem';
import { EventBadge, EventLink, JourneyLink, Loading, Moment, Reason } from '../part/small';
import { SourcePicker } from '../part/source-picker';
import { Table, type Column } from '../part/table';
import { bulkOfEvents, operationsOnEvent } from '../state/bulk';
import { mayAct, sourceOf, useConsole } from '../state/console';
import { go, hrefOf } from '../state/route';
import { useChoice } from '../state/use-choice';
import { useLoad } from '../state/use-load';
import { useWords } from '../text/words';

const idOf = ({ id }: EventSummary): string => id;

export function EventsPage(): JSX.Element {
  const { t, f } = useWords();
  const state = useConsole();
  const { client, route } = state;
  const source = sourceOf(state);
  const query = { ...route.params, source };
  const { data, problem, isLoading, reload } = useLoad(hrefOf('events', query), (signal) =>
    client.get<EventPage>('events', query, signal),
  );
  const events = data?.events ?? [];
  const choice = useChoice(events, idOf);
  const acts = mayAct(state, source);
  const common = ['redrive', 'archive', 'discard'] as const;

  const columns: readonly Column<EventSummary>[] = [
    ...(acts ? [choiceColumn(choice, idOf, t)] : []),
    { title: t.events.status, cell: ({ status }) => <EventBadge status={status} /> },
    {
      title: t.events.type,
      isName: true,
      cell: (event) => (
        <>
          {event.type} <span class="quiet">v{event.version}</span>
          <br />
          <EventLink {...event} />
        </>
      ),
    },
    { title: t.events.key, cell: ({ key }) => <JourneyLink of={key} /> },
    { title: t.events.recorded, cell: ({ createdAt }) => <Moment at={createdAt} /> },
    {
      title: t.events.ended,
      cell: ({ endedAt, dueAt }) => (endedAt === null ? <Due at={dueAt} /> : <Moment at={endedAt} />),
    },
    {
      title: t.events.attempts,
      isNumber: true,
      cell: ({ attempts, redrives }) => (
        <>
          {f.number(attempts)}
          {redrives > 0 && (
            <span class="quiet" title={t.events.redrives}>
              {' '}
              +{f.number(redrives)}
              <span class="unseen"> {t.events.redrives}</span>
            </span>
          )}
        </>
      ),
    },
    { title: t.events.reason, isWide: true, cell: ({ reason }) => <Reason text={reason} /> },
  ];

  return (
    <>
      <SourcePicker />
      <Filters
        fields={[
          { name: 'status', label: t.events.status, choices: t.eventStatus },
          { name: 'type', label: t.events.type },
          { name: 'key', label: t.events.key },
          { name: 'id', label: t.events.id },
          { name: 'olderThan', label: t.events.olderThan, choices: t.events.ages },
          { name: 'causationId', label: t.events.causationId },
          { name: 'fingerprint', label: t.events.fingerprint },
          { name: 'needPerson', label: t.events.needPerson, isFlag: true },
          { name: 'overdue', label: t.events.overdue, isFlag: true },
          { name: 'archived', label: t.events.archived, isFlag: true },
        ]}
        onApply={({ id }) => {
          if (id === undefined || id === '') return false;
          go('event', { id, source });
          return true;
        }}
      />
      {acts && (
        <BulkBar
          source={source}
          bulk={bulkOfEvents(route.params)}
          chosen={choice.rows.length > 0 ? { ids: choice.rows.map(idOf) } : undefined}
          chosenCount={choice.rows.length}
          chosenOperations={common.filter((one) =>
            choice.rows.every((event) => operationsOnEvent(event).includes(one)),
          )}
          onStarted={() => {
            choice.clear();
            reload();
          }}
        />
      )}
      <ProblemBox problem={problem} onRetry={reload} />
      {isLoading && <Loading />}
      {data &&
        (events.length === 0 ? (
          <p class="quiet">{t.nothing}</p>
        ) : (
          <Table caption={t.pages.events} columns={columns} rows={events} keyOf={idOf} />
        ))}
      {data && <Pager next={data.next} count={events.length} />}
    </>
  );
}

function Due({ at }: { readonly at: string | null }): JSX.Element {
  const { t } = useWords();
  return (
    <span class="quiet">
      {t.events.due} <Moment at={at} />
    </span>
  );
}
