import type { JSX } from 'preact';
import type { QueuesAnswer } from '../../api';
import { Chart } from '../part/chart';
import { LongText } from '../part/long-text';
import { ProblemBox } from '../part/problem';
import { Loading, Panel } from '../part/small';
import { attentionOf, type Attention } from '../state/attention';
import type { ConsoleProblem } from '../state/client';
import { useConsole } from '../state/console';
import type { History, Sample } from '../state/rates';
import { useLoad } from '../state/use-load';
import { visible } from '../text/visible';
import { useWords, type Words } from '../text/words';
import { Counts } from './now-counts';

/** Asking the broker for every queue is dearer than asking the databases. */
const QUEUES_EVERY_MS = 15_000;

/** Somebody wanted it so, or the producer has been told and compensates. */
const MILD: readonly Attention['kind'][] = ['paused', 'inboxRejected'];

interface Props {
  readonly history: History;
  readonly problem: ConsoleProblem | undefined;
  readonly reload: () => void;
}

/** What needs a person first, then how much flows, then what is where. */
export function NowPage({ history, problem, reload }: Props): JSX.Element {
  const { t, f } = useWords();
  const { client } = useConsole();
  const queues = useLoad('queues', (signal) => client.get<QueuesAnswer>('queues', {}, signal), QUEUES_EVERY_MS);
  const { samples, last } = history;
  const found = attentionOf(last, queues.data?.queues);
  const series = (value: (sample: Sample) => number | undefined): readonly (number | undefined)[] => samples.map(value);
  return (
    <>
      <ProblemBox problem={problem} onRetry={reload} />
      {problem && last && <p role="status">{t.now.stale}</p>}
      {!last && !problem && <Loading />}
      {last && (
        <>
          <Panel title={t.now.attention}>
            {found.length === 0 ? <p class="calm">{t.now.calm}</p> : <AttentionList found={found} />}
          </Panel>
          <Panel title={t.now.rates}>
            <p class="quiet">{t.now.ratesHint}</p>
            <div class="charts">
              <Chart title={t.now.recorded} values={series(({ rates }) => rates?.recorded)} tell={f.rate} />
              <Chart title={t.now.published} values={series(({ rates }) => rates?.published)} tell={f.rate} />
              <Chart title={t.now.consumed} values={series(({ rates }) => rates?.consumed)} tell={f.rate} />
              <Chart title={t.now.handled} values={series(({ rates }) => rates?.handled)} tell={f.rate} />
              <Chart
                title={t.now.failing}
                values={series(({ rates }) => rates?.handlingFailed)}
                tell={f.rate}
                tone="bad"
              />
              <Chart title={t.now.died} values={series(({ rates }) => rates?.dead)} tell={f.rate} tone="bad" />
              <Chart title={t.now.pendingNow} values={series(({ pending }) => pending)} tell={f.number} tone="lag" />
              <Chart
                title={t.now.lagOut}
                values={series(({ outboxLagMs }) => outboxLagMs)}
                tell={f.duration}
                tone="lag"
              />
              <Chart title={t.now.lagIn} values={series(({ inboxLagMs }) => inboxLagMs)} tell={f.duration} tone="lag" />
            </div>
          </Panel>
          <Panel title={t.now.counts}>
            <Counts sources={last.sources} />
          </Panel>
        </>
      )}
    </>
  );
}

function AttentionList({ found }: { readonly found: readonly Attention[] }): JSX.Element {
  const words = useWords();
  return (
    <ul class="attention">
      {found.map((one) => (
        <li
          key={JSON.stringify([one.kind, one.source, one.queue, one.said])}
          class={MILD.includes(one.kind) ? 'warn' : 'bad'}
        >
          <span>
            <strong>{sentenceOf(one, words)}</strong>
            {one.source !== undefined && <span class="quiet"> · {one.source}</span>}
            {one.said !== undefined && ':'}
            {one.said !== undefined && (
              <>
                {' '}
                <LongText value={one.said} />
              </>
            )}
          </span>
          {one.href !== undefined && (
            <a
              class="button"
              href={one.href}
              aria-label={`${words.t.now.act}: ${sentenceOf(one, words)}${one.said === undefined ? '' : `: ${visible(one.said).slice(0, 80)}`}`}
            >
              {words.t.now.act}
            </a>
          )}
        </li>
      ))}
    </ul>
  );
}

function sentenceOf({ kind, count = 0, cap = Infinity, ms = 0, queue = '' }: Attention, { t, f }: Words): string {
  const many = f.capped(count, cap);
  switch (kind) {
    case 'health':
      return t.now.health;
    case 'sourceProblem':
      return t.now.sourceProblem;
    case 'nobody':
      return t.now.nobody(queue);
    case 'queueProblem':
      return t.now.queueProblem(queue);
    case 'paused':
      return t.now.paused(queue);
    case 'needPerson':
      return t.now.needPerson(many, count === 1);
    case 'inboxDead':
      return t.now.inboxDead(many, count === 1);
    case 'inboxRejected':
      return t.now.inboxRejected(many, count === 1);
    case 'overdue':
      return t.now.overdue(f.duration(ms));
    case 'inboxOverdue':
      return t.now.inboxOverdue(f.duration(ms));
  }
}
