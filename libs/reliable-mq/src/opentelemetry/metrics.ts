import type { Counter, Histogram, Meter } from '@opentelemetry/api';
import type { Around, Handling, HandlingEnd } from '../event/around';
import type { Hooks } from '../event/hooks';
import { DURATION_BUCKETS, type Labels, METRIC } from './names';

/** Events that are looked at until they are published; what is beyond them is not measured. */
const MAX_EVENTS = 20_000;

/** Counts and measures at the steps of an event's way. */
export class Metrics {
  private readonly counters = new Map<keyof typeof METRIC, Counter<Labels & Record<string, string>>>();
  private readonly sendDuration: Histogram;
  private readonly processDuration: Histogram;
  private readonly publishLag: Histogram;
  private readonly committedAtMs = new Stopwatch();
  private readonly publishingAtMs = new Stopwatch();

  constructor(private readonly meter: Meter) {
    this.sendDuration = this.histogram('sendDuration');
    this.processDuration = this.histogram('processDuration');
    this.publishLag = this.histogram('publishLag');
  }

  readonly around: Pick<Around, 'handle'> = {
    handle: ({ type, consumer }: Handling, run: () => Promise<HandlingEnd>): void => {
      const startedAtMs = performance.now();
      run().then(
        ({ outcome }) => {
          // What decided nothing is run again, or is another delivery's.
          if (outcome !== 'undecided')
            this.processDuration.record(secondsSince(startedAtMs), { type, consumer, outcome });
        },
        () => undefined,
      );
    },
  };

  readonly hooks: Partial<Hooks> = {
    committed: (events) => {
      for (const { eventId } of events) this.committedAtMs.start(eventId);
    },
    publishing: ({ eventId }) => this.publishingAtMs.start(eventId),
    confirmed: ({ eventId, type, outcome }) => {
      this.count('sent', { type, outcome });
      const seconds = this.publishingAtMs.stop(eventId);
      if (seconds !== undefined) this.sendDuration.record(seconds, { type, outcome });
      const lag = this.committedAtMs.stop(eventId);
      if (lag !== undefined && outcome === 'routed') this.publishLag.record(lag, { type });
    },
    // The compensation task publishes it: how late, the oldest that is due says.
    deferred: ({ eventId }) => void this.committedAtMs.stop(eventId),
    received: ({ type, consumer }) => this.count('consumed', { type, consumer }),
    parked: ({ consumer }) => this.count('parked', { consumer }),
    dead: ({ type }) => this.count('dead', { type }),
    lateOutcome: ({ consumer, outcome }) => this.count('lateOutcomes', { consumer, outcome }),
    settleLost: () => this.count('settlesLost', {}),
    compensated: ({ type }) => this.count('compensations', { type, outcome: 'compensated' }),
    compensationFailed: ({ type }) => this.count('compensations', { type, outcome: 'failed' }),
  };

  private count(metric: keyof typeof METRIC, labels: Labels): void {
    let counter = this.counters.get(metric);
    if (!counter) {
      const { name, ...options } = METRIC[metric];
      counter = this.meter.createCounter(name, options);
      this.counters.set(metric, counter);
    }
    counter.add(1, { ...labels });
  }

  private histogram(metric: 'sendDuration' | 'processDuration' | 'publishLag'): Histogram {
    const { name, ...options } = METRIC[metric];
    return this.meter.createHistogram(name, {
      ...options,
      advice: { explicitBucketBoundaries: [...DURATION_BUCKETS] },
    });
  }
}

/** How long each event takes from one step to another. */
class Stopwatch {
  private readonly startedAtMs = new Map<string, number>();

  start(eventId: string): void {
    if (this.startedAtMs.size < MAX_EVENTS) this.startedAtMs.set(eventId, performance.now());
  }

  /** @returns seconds; undefined when it was not started */
  stop(eventId: string): number | undefined {
    const startedAtMs = this.startedAtMs.get(eventId);
    this.startedAtMs.delete(eventId);
    return startedAtMs === undefined ? undefined : secondsSince(startedAtMs);
  }
}

function secondsSince(startedAtMs: number): number {
  return (performance.now() - startedAtMs) / 1000;
}
