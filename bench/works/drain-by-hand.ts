import { connect } from 'amqplib';
import { Client } from 'pg';
import type { Stage, WorkOutcome } from '../work';
import type { DrainConfig } from './drain-ours';
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

/** The loop that everybody writes: claim a batch, publish it, wait for its confirms, settle it, then the next. */
export default async function work(config: DrainConfig, stage: Stage): Promise<WorkOutcome> {
  const { amqpUrl, databaseUrl, service } = config;
  const connection = await connect(amqpUrl);
  const publisher = new PipelinedPublisher(await connection.createConfirmChannel(), service, BATCH);
  const database = new Client({ connectionString: databaseUrl });
  await database.connect();
  stage.begin();
  let count = 0;
  for (;;) {
    const { rows } = await database.query<Row>({ ...CLAIM, values: [BATCH] });
    if (rows.length === 0) break;
    for (const { id, type, payload } of rows) await publisher.publish(type, id, payload);
    await publisher.confirmed();
    await database.query({ ...SETTLE, values: [rows.map(({ id }) => id)] });
    count += rows.length;
  }
  stage.end();
  await database.end();
  await connection.close();
  return { count };
}
