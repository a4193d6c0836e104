import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { FailureGroup, FailuresAnswer, Side } from '../../api';
import { OperationDialog, type PlannedOperation } from '../part/operation-dialog';
import { ProblemBox } from '../part/problem';
import { JourneyLink, Loading, Moment, Reason } from '../part/small';
import { SourcePicker } from '../part/source-picker';
import { Table, type Column } from '../part/table';
import { mayAct, sourceOf, useConsole } from '../state/console';
import { hrefOf } from '../state/route';
import { useLoad } from '../state/use-load';
import { useWords } from '../text/words';

const OPERATIONS = { events: ['redrive', 'archive'], handlings: ['retry'] } as const;

/** What failed for one reason, as one line. */
export function FailuresPage(): JSX.Element {
  const { t, f } = useWords();
  const state = useConsole();
  const { client, route } = state;
  const source = sourceOf(state);
  const side: Side = route.params.side === 'handlings' ? 'handlings' : 'events';
  const [planned, setPlanned] = useState<PlannedOperation>();
  const { data, problem, isLoading, reload } = useLoad(hrefOf('failures', { source, side }), (signal) =>
    client.get<FailuresAnswer>('failures', { source, side }, signal),
  );

  const columns: readonly Column<FailureGroup>[] = [
    { title: t.failures.count, isNumber: true, cell: ({ count }) => f.number(count) },
    {
      title: t.failures.group,
      isWide: true,
      cell: ({ text, where, example }) => (
        <>
          <strong>
            <Reason text={text} where={where} />
          </strong>
          <br />
          {example.reason !== null && example.reason !== text && (
            <>
              <span class="quiet">
                <Reason text={example.reason} />
              </span>
              <br />
            </>
          )}
          <small class="quiet">
            {t.failures.example} <JourneyLink of={example.eventId} />
          </small>
        </>
      ),
    },
    { title: t.failures.types, isName: true, cell: ({ types }) => types.join(', ') },
    { title: t.failures.firstSeen, cell: ({ firstSeen }) => <Moment at={firstSeen} /> },
    { title: t.failures.lastSeen, cell: ({ lastSeen }) => <Moment at={lastSeen} /> },
    {
      title: t.event.actions,
      cell: ({ fingerprint, text }) => (
        <span class="buttons">
          <a
            class="button"
            href={hrefOf(side, { source, fingerprint, ...(side === 'events' && { status: 'dead' }) })}
            aria-label={`${t.failures.showAll}: ${text.slice(0, 80)}`}
          >
            {t.failures.showAll}
          </a>
          {mayAct(state, source) &&
            OPERATIONS[side].map((operation) => (
              <button
                key={operation}
                type="button"
                aria-label={`${t.act[operation]}: ${text.slice(0, 80)}`}
                onClick={() => setPlanned({ operation, target: { source, filter: { fingerprint } } })}
              >
                {t.act[operation]} …
              </button>
            ))}
        </span>
      ),
    },
  ];

  return (
    <>
      <SourcePicker />
      <nav class="tabs" aria-label={t.failures.side}>
        <a href={hrefOf('failures', { source })} aria-current={side === 'events' ? 'true' : undefined}>
          {t.failures.sideEvents}
        </a>
        <a
          href={hrefOf('failures', { source, side: 'handlings' })}
          aria-current={side === 'handlings' ? 'true' : undefined}
        >
          {t.failures.sideHandlings}
        </a>
      </nav>
      <ProblemBox problem={problem} onRetry={reload} />
      {isLoading && <Loading />}
      {data?.isCut && <p class="note">{t.failures.cut}</p>}
      {data &&
        (data.groups.length === 0 ? (
          <p class="calm">{t.failures.calm}</p>
        ) : (
          <Table
            caption={t.pages.failures}
            columns={columns}
            rows={data.groups}
            keyOf={({ fingerprint }) => fingerprint}
          />
        ))}
      {planned && <OperationDialog {...planned} onClose={() => setPlanned(undefined)} onStarted={reload} />}
    </>
  );
}
