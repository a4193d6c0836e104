import { Inject, Injectable } from '@nestjs/common';
import { TRANSPORT, type Transport } from '../broker/transport';
import type { InboxKind } from '../database/operations.store';
import { Stores } from '../database/stores';
import { consumerQueue } from '../event/queue-names';
import { createLog } from '../log/log';
import { Outage } from '../log/outage';
import { HandlerRegistry } from './handler-registry';

/** Rows that have been due for so long, in milliseconds, are nobody's: a newer release that is being deployed beside this one takes its own. */
const NOBODYS_AFTER_MS = 60_000;

interface Waiting {
  readonly rows: number;
  readonly messages: number;
}

/**
 * What waits for a handler that an earlier release had and this one does not have: rows of the inbox, which no job claims, and messages in
 * its queue, which nobody consumes. Told once for each queue, and known to the health check until it is gone.
 */
@Injectable()
export class RemovedHandlers {
  private readonly log = createLog();
  private readonly waiting = new Map<string, Waiting>();
  private readonly outages = new Map<string, Outage>();
  private hasLooked = false;

  constructor(
    private readonly stores: Stores,
    private readonly handlers: HandlerRegistry,
    @Inject(TRANSPORT) private readonly transport: Pick<Transport, 'queueState'>,
  ) {}

  /** What the last look has found, each as a sentence. */
  get problems(): readonly string[] {
    return [...this.waiting].map(
      ([queue, { rows, messages }]) =>
        `queue "${queue}": ${rows} rows of the inbox and ${messages} messages wait for a handler that this release does not have`,
    );
  }

  /** A few index probes, and a question to the broker for each queue without a handler. Never rejects: the next look tells. */
  async look(): Promise<void> {
    for (const { operations } of this.stores.all) {
      const kinds = await operations.inboxKinds().catch(() => undefined);
      if (!kinds) return;
      for (const kind of kinds) await this.lookAt(kind);
    }
    this.hasLooked = true;
  }

  private async lookAt({ consumer, type, unfinished, overdueMs }: InboxKind): Promise<void> {
    const queue = consumerQueue(consumer, type);
    if (this.handlers.find(consumer, type)) {
      this.take(queue, { rows: 0, messages: 0 });
      return;
    }
    const state = await this.transport.queueState(queue);
    let messages = this.waiting.get(queue)?.messages ?? 0;
    if (state !== undefined) messages = state !== 'no-queue' && state.consumers === 0 ? state.messages : 0;
    const areNobodys = !this.hasLooked || this.waiting.has(queue) || overdueMs > NOBODYS_AFTER_MS;
    this.take(queue, { rows: areNobodys ? unfinished : 0, messages });
  }

  private take(queue: string, waiting: Waiting): void {
    const outage = this.outages.get(queue) ?? new Outage(this.log, TEXTS);
    this.outages.set(queue, outage);
    if (waiting.rows > 0 || waiting.messages > 0) {
      this.waiting.set(queue, waiting);
      outage.met({ queue, ...waiting });
    } else {
      this.waiting.delete(queue);
      outage.over({ queue });
    }
  }
}

const TEXTS = {
  begins:
    'Rows or messages wait for a handler that this release does not have: deploy the handler again; how to remove one is in ' +
    'docs/production.md, "Removing a handler"',
  ends: 'Nothing waits any more for a handler that this release does not have',
};
