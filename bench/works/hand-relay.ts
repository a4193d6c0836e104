import type { ConfirmChannel } from 'amqplib';
import type { HandDatabase } from './hand-database';
import { PipelinedPublisher } from './pipelined-publisher';

const BATCH = 500;

/** The relay that everybody writes: claim a batch, publish it, wait for its confirms, settle it. */
export class HandRelay {
  private readonly publisher: PipelinedPublisher;

  constructor(
    private readonly database: Pick<HandDatabase, 'claim' | 'settle'>,
    channel: ConfirmChannel,
    exchange: string,
  ) {
    this.publisher = new PipelinedPublisher(channel, exchange, BATCH);
  }

  /** @returns how many events it has published; 0 when there is nothing to do */
  async relayBatch(): Promise<number> {
    const rows = await this.database.claim(BATCH);
    if (rows.length === 0) return 0;
    for (const { id, type, payload } of rows) await this.publisher.publish(type, id, payload);
    await this.publisher.confirmed();
    await this.database.settle(rows.map(({ id }) => id));
    return rows.length;
  }
}
