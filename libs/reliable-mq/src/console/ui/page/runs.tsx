import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Run, RunsAnswer } from '../../api';
import { ProblemBox } from '../part/problem';
import { Badge, Loading, Moment, named, Reason } from '../part/small';
import { Table, type Column } from '../part/table';
import type { ConsoleProblem } from '../state/client';
import { mayAct, useConsole } from '../state/console';
import type { Tone } from '../state/journey';
import { asProblem, useLoad } from '../state/use-load';
import { useWords } from '../text/words';

const EVERY_MS = 2_000;

const TONES: Readonly<Record<Run['state'], Tone>> = { running: 'wait', done: 'good', stopped: 'warn', failed: 'bad' };

/** Operations that go on after they were asked for. */
export function RunsPage(): JSX.Element {
  const { t, f } = useWords();
  const state = useConsole();
  const { client, announce } = state;
  const [refused, setRefused] = useState<ConsoleProblem>();
  const { data, problem, isLoading, reload } = useLoad(
    'runs',
    (signal) => client.get<RunsAnswer>('runs', {}, signal),
    EVERY_MS,
  );
  const runs = data?.runs ?? [];

  const stop = async ({ runId, operation }: Run): Promise<void> => {
    setRefused(undefined);
    try {
      await client.post<Run>(`runs/${encodeURIComponent(runId)}/stop`);
      announce(t.runs.stopping(t.act.title[operation]));
    } catch (error) {
      setRefused(asProblem(error));
    }
    reload();
  };

  const columns: readonly Column<Run>[] = [
    { title: t.audit.what, cell: ({ operation }) => named(t.act.title, operation) },
    { title: t.source, cell: ({ source }) => source },
    { title: t.audit.by, cell: ({ by }) => <Reason text={by} /> },
    { title: t.runs.started, cell: ({ startedAt }) => <Moment at={startedAt} /> },
    {
      title: t.runs.progress,
      isWide: true,
      cell: ({ done, matched, runId }) => (
        <>
          <progress max={Math.max(1, matched)} value={done} aria-label={`${t.runs.progress} ${runId}`} />{' '}
          {t.runs.doneOf(f.number(done), f.number(matched))}
        </>
      ),
    },
    {
      title: t.runs.state,
      cell: ({ state: now, problem: why }) => (
        <>
          <Badge tone={TONES[now]}>{t.runs.states[now]}</Badge>
          {why !== undefined && <Reason text={why} />}
        </>
      ),
    },
    {
      title: t.event.actions,
      cell: (run) =>
        run.state === 'running' && mayAct(state, run.source) ? (
          <button type="button" aria-label={`${t.runs.stop}: ${run.runId}`} onClick={() => void stop(run)}>
            {t.runs.stop}
          </button>
        ) : null,
    },
  ];

  return (
    <>
      <p class="quiet">{t.runs.hint}</p>
      <ProblemBox problem={refused ?? problem} onRetry={reload} />
      {isLoading && <Loading />}
      {data && runs.length === 0 && <p class="quiet">{t.runs.calm}</p>}
      {runs.length > 0 && <Table caption={t.pages.runs} columns={columns} rows={runs} keyOf={({ runId }) => runId} />}
    </>
  );
}
