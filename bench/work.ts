/** What a measured process is asked to do: the default export of a file in `works/`. */
export type Work<Config> = (config: Config, stage: Stage) => Promise<WorkOutcome>;

export interface WorkOutcome {
  /** Events, transactions, messages: whatever was done between `begin` and `end`. */
  readonly count: number;
  /** Figures of the work's own, by name. */
  readonly figures?: Readonly<Record<string, number>>;
  /** Text for people or further checks, by name. */
  readonly notes?: Readonly<Record<string, unknown>>;
}

/** What a work tells about its course. */
export interface Stage {
  /** Set up; the parent may go on with what waits for it. */
  ready(): void;
  /** Resolves when the parent says that it is enough. */
  readonly stopped: Promise<void>;
  /**
   * The measured part begins. Without it: at the call of the work.
   *
   * @param rssEveryMs how often memory is read; a process that is to do nothing must not be kept busy by that
   */
  begin(rssEveryMs?: number): void;
  /** The measured part ends. Without it: when the work returns. */
  end(): void;
}

export interface WorkResult extends WorkOutcome {
  readonly seconds: number;
  /** Of this process alone, in the measured part. */
  readonly cpuMs: number;
  /** Highest resident memory in the measured part, in megabytes. */
  readonly rssMb: number;
  /** Of the servers, in the measured part; undefined where the system does not tell. */
  readonly serversCpuMs?: ServersCpu | undefined;
}

/** Milliseconds of processor time. */
export interface ServersCpu {
  readonly database: number;
  readonly rabbitmq: number;
}

export type ToChild = { readonly work: string; readonly config: unknown } | 'stop';
export type FromChild =
  'ready' | 'begun' | 'ended' | { readonly result: Omit<WorkResult, 'serversCpuMs'> } | { readonly error: string };
