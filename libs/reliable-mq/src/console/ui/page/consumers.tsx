import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Queue, QueuesAnswer } from '../../api';
import { ProblemBox } from '../part/problem';
import { QueueDialog } from '../part/queue-dialog';
import { Badge, Loading, Moment, Panel, Reason } from '../part/small';
import { Table, type Column } from '../part/table';
import { mayAct, useConsole } from '../state/console';
import { hrefOf } from '../state/route';
import { useLoad } from '../state/use-load';
import { useWords } from '../text/words';

const EVERY_MS = 5_000;
/** The inbox stops counting here. */
const CAP = 1_000;

export function ConsumersPage(): JSX.Element {
  const { t } = useWords();
  const { client } = useConsole();
  const [chosen, setChosen] = useState<Queue>();
  const { data, problem, isLoading, reload } = useLoad(
    'queues',
    (signal) => client.get<QueuesAnswer>('queues', {}, signal),
    EVERY_MS,
  );
  const queues = data?.queues ?? [];
  const own = queues.filter(({ isOwn }) => isOwn);
  const others = queues.filter(({ isOwn }) => !isOwn);
  return (
    <>
      <ProblemBox problem={problem} onRetry={reload} />
      {isLoading && <Loading />}
      {data && queues.length === 0 && <p class="quiet">{t.nothing}</p>}
      {own.length > 0 && (
        <Panel title={t.consumers.own}>
          <Queues title={t.consumers.own} queues={own} onChoose={setChosen} />
        </Panel>
      )}
      {others.length > 0 && (
        <Panel title={t.consumers.others}>
          <Queues title={t.consumers.others} queues={others} onChoose={setChosen} />
        </Panel>
      )}
      {chosen && <QueueDialog queue={chosen} onClose={() => setChosen(undefined)} onDone={reload} />}
    </>
  );
}

interface QueuesProps {
  readonly title: string;
  readonly queues: readonly Queue[];
  readonly onChoose: (queue: Queue) => void;
}

function Queues({ title, queues, onChoose }: QueuesProps): JSX.Element {
  const { t, f } = useWords();
  const state = useConsole();
  const count = (value: number | undefined): string => (value === undefined ? '–' : f.number(value));
  const columns: readonly Column<Queue>[] = [
    {
      title: t.consumers.queue,
      isWide: true,
      cell: ({ name, consumer, type }) => (
        <>
          {name}
          <br />
          <span class="quiet">
            {consumer} · {type}
          </span>
        </>
      ),
    },
    { title: t.consumers.waiting, isNumber: true, cell: ({ messages }) => count(messages) },
    { title: t.consumers.taking, isNumber: true, cell: ({ consumers }) => count(consumers) },
    {
      title: t.consumers.unfinished,
      isNumber: true,
      cell: ({ unfinished, source, consumer, type }) =>
        unfinished === undefined ? (
          '–'
        ) : (
          <a
            href={hrefOf('handlings', { source, consumer, type })}
            aria-label={`${t.consumers.unfinished}: ${f.capped(unfinished, CAP)}, ${consumer} ${type}`}
          >
            {f.capped(unfinished, CAP)}
          </a>
        ),
    },
    {
      title: t.consumers.overdue,
      isNumber: true,
      cell: ({ overdueMs }) => (overdueMs === undefined || overdueMs <= 0 ? '–' : f.duration(overdueMs)),
    },
    { title: t.consumers.state, isWide: true, cell: (queue) => <State queue={queue} /> },
    {
      title: t.event.actions,
      cell: (queue) =>
        queue.source !== undefined && queue.isOwn && mayAct(state, queue.source) ? (
          <button
            type="button"
            aria-label={`${queue.paused ? t.consumers.resume : t.consumers.pause}: ${queue.name}`}
            onClick={() => onChoose(queue)}
          >
            {queue.paused ? t.consumers.resume : t.consumers.pause} …
          </button>
        ) : null,
    },
  ];
  return <Table caption={title} columns={columns} rows={queues} keyOf={({ name }) => name} />;
}

function State({ queue: { paused, problem, consumers } }: { readonly queue: Queue }): JSX.Element {
  const { t } = useWords();
  if (paused) {
    return (
      <>
        <Badge tone="warn">{t.consumers.paused}</Badge> <Moment at={paused.since} /> {t.consumers.pausedBy(paused.by)}
        {paused.why !== null && (
          <>
            {' '}
            · <Reason text={paused.why} />
          </>
        )}
      </>
    );
  }
  if (problem !== undefined) return <Reason text={problem} />;
  return consumers === 0 ? (
    <Badge tone="bad">{t.consumers.nobody}</Badge>
  ) : (
    <Badge tone="good">{t.consumers.running}</Badge>
  );
}
