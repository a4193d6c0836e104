import type { QueueState, Transport } from '../broker/transport';
import { createLog } from '../log/log';
import { Outage } from '../log/outage';

/** Queues that events wait for and that nobody consumes, as the chase has found them: told once each, and known to the health check. */
export class UnattendedQueues {
  private readonly log = createLog();
  private readonly outages = new Map<string, Outage>();

  constructor(private readonly transport: Pick<Transport, 'queueState'>) {}

  /** By name, in order. */
  get names(): readonly string[] {
    return [...this.outages.keys()].sort();
  }

  /**
   * A run of the chase has ended. Queues that it did not ask about again are asked about now: their events may have ended otherwise.
   * @param asked what the broker said during the run
   * @param mayAsk asked before each question to the broker
   */
  async update(asked: ReadonlyMap<string, QueueState>, mayAsk: () => boolean): Promise<void> {
    const answers = new Map(asked);
    for (const queue of this.outages.keys()) {
      if (answers.has(queue) || !mayAsk()) continue;
      const state = await this.transport.queueState(queue);
      answers.set(queue, state);
      if (state === undefined) break;
    }
    for (const [queue, state] of answers) this.take(queue, state);
  }

  private take(queue: string, state: QueueState): void {
    if (typeof state === 'object' && state.consumers === 0 && (state.messages > 0 || this.outages.has(queue))) {
      const outage =
        this.outages.get(queue) ??
        new Outage(this.log, {
          begins:
            'Nobody consumes a queue that events wait for: start its consumer, or see why it does not take messages',
          ends: 'A queue that nobody consumed is consumed again',
        });
      this.outages.set(queue, outage);
      outage.met({ queue, messages: state.messages });
    } else if (state !== undefined) {
      this.outages.get(queue)?.over({ queue });
      this.outages.delete(queue);
    }
  }
}
