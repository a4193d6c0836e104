import type { Log, LogDetails } from './log';

/** What is said when something stops working, and when it works again. */
export interface OutageTexts {
  readonly begins: string;
  readonly ends: string;
}

/**
 * Something that does not work for a while: said once when it begins, however often it is met meanwhile, and once when it is over,
 * with how long it took.
 */
export class Outage {
  private sinceMs: number | undefined;
  private lastMetMs = 0;
  private count = 0;

  constructor(
    private readonly log: Log,
    private readonly texts: OutageTexts,
  ) {}

  get lasts(): boolean {
    return this.sinceMs !== undefined;
  }

  /** It has been met, `count` more times. */
  met(details: LogDetails, count = 1): void {
    this.count += count;
    this.lastMetMs = performance.now();
    if (this.sinceMs !== undefined) return;
    this.sinceMs = this.lastMetMs;
    this.log.warn(this.texts.begins, details);
  }

  /** It works: says so if it did not before. */
  over(details: LogDetails = {}): void {
    if (this.sinceMs === undefined) return;
    const seconds = Math.round((performance.now() - this.sinceMs) / 1000);
    this.log.log(this.texts.ends, { ...details, seconds, times: this.count });
    this.sinceMs = undefined;
    this.count = 0;
  }

  /** It works now, and is over unless it was met within so many milliseconds: something that comes and goes is one outage. */
  overIfQuiet(quietMs: number, details: LogDetails = {}): void {
    if (this.sinceMs !== undefined && performance.now() - this.lastMetMs > quietMs) this.over(details);
  }
}
