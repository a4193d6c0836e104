import type { JSX } from 'preact';
import type { AuditEntry, AuditPage as AuditAnswer } from '../../api';
import { LongText } from '../part/long-text';
import { Pager } from '../part/pager';
import { ProblemBox } from '../part/problem';
import { FullMoment, Loading, named, Reason } from '../part/small';
import { SourcePicker } from '../part/source-picker';
import { Table } from '../part/table';
import { sourceOf, useConsole } from '../state/console';
import { hrefOf } from '../state/route';
import { useLoad } from '../state/use-load';
import { useWords } from '../text/words';

/** Who changed what, and why. */
export function AuditPage(): JSX.Element {
  const { t, f } = useWords();
  const state = useConsole();
  const { client, route } = state;
  const query = { source: sourceOf(state), before: route.params.before };
  const { data, problem, isLoading, reload } = useLoad(hrefOf('audit', query), (signal) =>
    client.get<AuditAnswer>('audit', query.before === undefined ? { source: query.source } : query, signal),
  );
  const records = data?.records ?? [];
  const operations = { ...t.act.title, pause: t.consumers.pause, resume: t.consumers.resume };
  return (
    <>
      <SourcePicker />
      <ProblemBox problem={problem} onRetry={reload} />
      {isLoading && <Loading />}
      {data && records.length === 0 && <p class="quiet">{t.nothing}</p>}
      {records.length > 0 && (
        <Table
          caption={t.pages.audit}
          rows={records}
          keyOf={({ id }) => id}
          columns={[
            { title: t.audit.at, cell: ({ at }) => <FullMoment at={at} /> },
            { title: t.audit.by, cell: ({ by }) => <LongText value={by} most={60} /> },
            { title: t.audit.what, cell: ({ operation }) => named(operations, operation) },
            { title: t.audit.count, isNumber: true, cell: ({ count }) => f.number(count) },
            { title: t.audit.why, isWide: true, cell: ({ why }) => <Reason text={why} /> },
            { title: t.audit.which, isWide: true, cell: (record) => <Which record={record} /> },
          ]}
        />
      )}
      {data && <Pager next={data.next} count={records.length} />}
    </>
  );
}

function Which({ record: { filter, items, runId } }: { readonly record: AuditEntry }): JSX.Element {
  const { t } = useWords();
  return (
    <>
      {filter && (
        <p>
          {t.audit.filter}: <LongText value={JSON.stringify(filter)} most={120} />
        </p>
      )}
      {items.length > 0 && (
        <details>
          <summary>{t.audit.ids(items.length)}</summary>
          <LongText
            value={items.map((item) => (typeof item === 'string' ? item : JSON.stringify(item))).join('\n')}
            most={2_000}
            isCode
          />
        </details>
      )}
      <small class="quiet">
        {t.audit.run} {runId}
      </small>
    </>
  );
}
