import { Inject, Injectable, Optional } from '@nestjs/common';
import { DatabaseDeadlineError } from '../database/port';
import { within } from '../wait/deadline';
import { describeError } from '../event/errors';
import { Stores } from '../database/stores';
import { TRANSPORT, type Transport } from '../broker/transport';
import { ConsumerGroup } from '../consume/consumer-group';
import { RemovedHandlers } from '../consume/removed-handlers';
import { ReceiptIntake } from '../receipt/receipt-intake';
import { ChaseReceiptsJob } from '../repair/chase-receipts.job';
import { Lifecycle } from './lifecycle';

const CHECK_DEADLINE_MS = 3000;

export interface HealthReport {
  readonly healthy: boolean;
  /**
   * - `up`: nothing is wrong
   * - `degraded`: business goes on, but events wait, because the broker is away or nobody consumes a queue
   * - `down`: a database is away or can't be used, or the application is not started or stops
   */
  readonly status: 'up' | 'degraded' | 'down';
  /** What is wrong, each for people; empty when healthy. */
  readonly reasons: readonly string[];
  /** Queues of this service that people have paused, if there are any: nothing of them is taken or retried. No reason to take the instance away. */
  readonly paused?: readonly string[];
}

/** Whether this application can do its part: for a readiness endpoint. */
@Injectable()
export class ReliableMqHealth {
  constructor(
    private readonly stores: Stores,
    @Inject(TRANSPORT) private readonly transport: Transport,
    private readonly lifecycle: Lifecycle,
    @Optional() @Inject(ReceiptIntake) private readonly receipts?: ReceiptIntake,
    @Optional() @Inject(ChaseReceiptsJob) private readonly chase?: ChaseReceiptsJob,
    @Optional() @Inject(ConsumerGroup) private readonly consumers?: ConsumerGroup,
    @Optional() @Inject(RemovedHandlers) private readonly removed?: RemovedHandlers,
  ) {}

  /** Ask every database, and the transport for its status. Takes at most 3 seconds. */
  async check(): Promise<HealthReport> {
    const grave: string[] = [];
    const reasons: string[] = [];
    const { phase } = this.lifecycle;
    if (phase !== 'running') grave.push(`the application is ${phase}`);
    const { available, reason } = this.transport.status();
    // While available, the reason says what else is wrong: a queue that isn't consumed.
    if (!available || reason !== undefined) reasons.push(`broker: ${reason ?? 'not available'}`);
    reasons.push(...this.known(available));
    await Promise.all(
      this.stores.all.map(async ({ name, database }) => {
        try {
          await within(
            CHECK_DEADLINE_MS,
            database.ping(CHECK_DEADLINE_MS),
            () => new DatabaseDeadlineError(`no answer within ${CHECK_DEADLINE_MS} ms`),
          );
          grave.push(...database.problems().map((problem) => `database "${name}": ${problem}`));
        } catch (error) {
          grave.push(`database "${name}": ${describeError(error, 200)}`);
        }
      }),
    );
    const paused = this.consumers?.pausedQueues ?? [];
    const also = paused.length > 0 ? { paused } : {};
    if (grave.length > 0) return { healthy: false, status: 'down', reasons: [...grave, ...reasons], ...also };
    return { healthy: reasons.length === 0, status: reasons.length === 0 ? 'up' : 'degraded', reasons, ...also };
  }

  /** What others have found on their way; nobody is asked. */
  private *known(isBrokerThere: boolean): Generator<string> {
    if (isBrokerThere && this.receipts?.isAway) yield this.receipts.problem ?? '';
    for (const queue of this.chase?.unattendedQueues ?? [])
      yield `nobody consumes queue "${queue}", which events of this service wait for`;
    yield* this.consumers?.problems ?? [];
    yield* this.removed?.problems ?? [];
  }
}
