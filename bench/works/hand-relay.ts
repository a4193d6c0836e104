import type { ConfirmChannel } from 'amqplib';
import type { Client } from 'pg';
import { PipelinedPublisher } from './pipelined-publisher';

const BATCH = 500;
const CLAIM = {
  name: 'claim',
  text: `UPDATE outbox AS o SET due_at = now() + interval '30 seconds'
    FROM (SELECT id FROM outbox WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED) AS due
    WHERE o.id = due.id RETURNING o.id, o.type, o.payload::text AS payload`,
};
const SETTLE = { name: 'settle', text: 'UPDATE outbox SET due_at = NULL WHERE id = ANY($1)' };

interface Row {
  readonly id: string;
  readonly type: string;
  readonly payload: string;
}

/** The relay that everybody writes: claim a batch, publish it, wait for its confirms, settle it. */
export class HandRelay {
  private readonly publisher: PipelinedPublisher;

  constructor(
    private readonly database: Client,
    channel: ConfirmChannel,
    exchange: string,
  ) {
    this.publisher = new PipelinedPublisher(channel, exchange, BATCH);
  }

  /** @returns how many events it has published; 0 when there is nothing to do */
  async relayBatch(): Promise<number> {
    const { rows } = await this.database.query<Row>({ ...CLAIM, values: [BATCH] });
    if (rows.length === 0) return 0;
    for (const { id, type, payload } of rows) await this.publisher.publish(type, id, payload);
    await this.publisher.confirmed();
    await this.database.query({ ...SETTLE, values: [rows.map(({ id }) => id)] });
    return rows.length;
  }
}
