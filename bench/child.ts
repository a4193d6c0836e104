import 'reflect-metadata';
import { performance } from 'node:perf_hooks';
import type { FromChild, Stage, ToChild, Work, WorkResult } from './work';

const RSS_EVERY_MS = 50;

/** Measures what happens between `begin` and `end`. */
class Meter implements Stage {
  readonly stopped: Promise<void>;
  stop: () => void = () => undefined;
  private from = performance.now();
  private to: number | undefined;
  private cpuFrom = process.cpuUsage();
  private cpuMs = 0;
  private rss = process.memoryUsage.rss();
  private sampler = this.sampleEvery(RSS_EVERY_MS);

  constructor() {
    this.stopped = new Promise((resolve) => (this.stop = resolve));
  }

  ready(): void {
    tell('ready');
  }

  begin(rssEveryMs = RSS_EVERY_MS): void {
    clearInterval(this.sampler);
    this.sampler = this.sampleEvery(rssEveryMs);
    this.rss = process.memoryUsage.rss();
    this.cpuFrom = process.cpuUsage();
    this.from = performance.now();
    tell('begun');
  }

  end(): void {
    if (this.to !== undefined) return;
    this.to = performance.now();
    tell('ended');
    const { user, system } = process.cpuUsage(this.cpuFrom);
    this.cpuMs = (user + system) / 1_000;
    this.sample();
    clearInterval(this.sampler);
  }

  result(): Pick<WorkResult, 'seconds' | 'cpuMs' | 'rssMb'> {
    this.end();
    const seconds = ((this.to ?? this.from) - this.from) / 1_000;
    return { seconds, cpuMs: this.cpuMs, rssMb: this.rss / 2 ** 20 };
  }

  private sampleEvery(ms: number): NodeJS.Timeout {
    return setInterval(() => this.sample(), ms).unref();
  }

  private sample(): void {
    this.rss = Math.max(this.rss, process.memoryUsage.rss());
  }
}

function tell(message: FromChild): void {
  process.send?.(message);
}

const meter = new Meter();
process.on('disconnect', () => process.exit(1));
process.on('message', (message: ToChild) => {
  if (message === 'stop') meter.stop();
  else void run(message.work, message.config);
});

async function run(file: string, config: unknown): Promise<void> {
  try {
    const { default: work } = (await import(file)) as { default: Work<unknown> };
    const outcome = await work(config, meter);
    process.send?.({ result: { ...outcome, ...meter.result() } } satisfies FromChild, () => process.exit(0));
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.send?.({ error: text } satisfies FromChild, () => process.exit(1));
  }
}
