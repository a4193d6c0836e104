import type { JSX } from 'preact';
import type { Handling, HandlingPage } from '../../api';
import { BulkBar } from '../part/bulk-bar';
import { choiceColumn } from '../part/choice-column';
import { Filters } from '../part/filters';
import { Pager } from '../part/pager';
import { ProblemBox } from '../part/problem';
import { HandlingBadge, JourneyLink, Loading, Moment, Reason } from '../part/small';
import { SourcePicker } from '../part/source-picker';
import { Table, type Column } from '../part/table';
import { bulkOfHandlings, operationsOnHandling } from '../state/bulk';
import { mayAct, sourceOf, useConsole } from '../state/console';
import { hrefOf } from '../state/route';
import { useChoice } from '../state/use-choice';
import { useLoad } from '../state/use-load';
import { useWords } from '../text/words';

const keyOf = ({ eventId, consumer, type }: Handling): string => `${eventId} ${consumer} ${type}`;

/** The inbox: what consumers did with what they received. */
export function HandlingsPage(): JSX.Element {
  const { t, f } = useWords();
  const state = useConsole();
  const { client, route } = state;
  const source = sourceOf(state);
  const query = { ...route.params, source };
  const { data, problem, isLoading, reload } = useLoad(hrefOf('handlings', query), (signal) =>
    client.get<HandlingPage>('handlings', query, signal),
  );
  const handlings = data?.handlings ?? [];
  const choice = useChoice(handlings, keyOf);
  const acts = mayAct(state, source);
  const canRetry = choice.rows.every((handling) => operationsOnHandling(handling).length > 0);

  const columns: readonly Column<Handling>[] = [
    ...(acts ? [choiceColumn(choice, ({ eventId }) => eventId, t)] : []),
    { title: t.events.status, cell: ({ status }) => <HandlingBadge status={status} /> },
    {
      title: t.events.consumer,
      isName: true,
      cell: ({ consumer, type, version, eventId }) => (
        <>
          {consumer}{' '}
          <span class="quiet">
            · {type} v{version}
          </span>
          <br />
          <JourneyLink of={eventId} />
        </>
      ),
    },
    { title: t.events.key, cell: ({ key }) => <JourneyLink of={key} /> },
    { title: t.events.received, cell: ({ receivedAt }) => <Moment at={receivedAt} /> },
    { title: t.events.ended, cell: ({ endedAt }) => <Moment at={endedAt} /> },
    { title: t.events.attempts, isNumber: true, cell: ({ attempts }) => f.number(attempts) },
    { title: t.events.reason, isWide: true, cell: ({ reason }) => <Reason text={reason} /> },
  ];

  return (
    <>
      <SourcePicker />
      <Filters
        fields={[
          { name: 'status', label: t.events.status, choices: t.handlingStatus },
          { name: 'consumer', label: t.events.consumer },
          { name: 'type', label: t.events.type },
          { name: 'key', label: t.events.key },
          { name: 'eventId', label: t.events.id },
          { name: 'fingerprint', label: t.events.fingerprint },
        ]}
      />
      {acts && (
        <BulkBar
          source={source}
          bulk={bulkOfHandlings(route.params)}
          chosen={
            choice.rows.length > 0
              ? { keys: choice.rows.map(({ eventId, consumer, type }) => ({ eventId, consumer, type })) }
              : undefined
          }
          chosenCount={choice.rows.length}
          chosenOperations={canRetry ? ['retry'] : []}
          onStarted={() => {
            choice.clear();
            reload();
          }}
        />
      )}
      <ProblemBox problem={problem} onRetry={reload} />
      {isLoading && <Loading />}
      {data &&
        (handlings.length === 0 ? (
          <p class="quiet">{t.nothing}</p>
        ) : (
          <Table caption={t.pages.handlings} columns={columns} rows={handlings} keyOf={keyOf} />
        ))}
      {data && <Pager next={data.next} count={handlings.length} />}
    </>
  );
}
