import type { Stage, WorkOutcome } from '../work';
import { type Place, startApp, UNCHASED } from './app';
import { liveMemoryMb } from './live-memory';

export interface DrainConfig extends Place {
  readonly count: number;
  /** Of the compensation task, in milliseconds. @default the library's */
  readonly intervalMs?: number;
  /** The backlog comes later; the parent says when it is gone. */
  readonly waitsForBacklog?: boolean;
}

/** Publishes a backlog that the compensation task finds. */
export default async function work(config: DrainConfig, stage: Stage): Promise<WorkOutcome> {
  let began = false;
  let settled = 0;
  let done: () => void = () => undefined;
  const drained = new Promise<void>((resolve) => (done = resolve));
  const app = await startApp({
    ...config,
    poolSize: 10,
    reliableMq: {
      ...UNCHASED,
      ...(config.intervalMs !== undefined && { compensation: { intervalMs: config.intervalMs } }),
    },
    hooks: {
      jobBatch: ({ job }) => {
        if (job !== 'publish' || began) return;
        began = true;
        stage.begin();
      },
      settled: ({ count }) => {
        settled += count;
        if (settled >= config.count && !config.waitsForBacklog) done();
      },
    },
  });
  stage.ready();
  await Promise.race([drained, stage.stopped]);
  stage.end();
  const figures = { liveMemoryMb: liveMemoryMb() };
  await app.close();
  return { count: settled, figures };
}
