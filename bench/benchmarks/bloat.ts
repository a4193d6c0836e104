import { Client } from 'pg';
import { type Benchmark, type Figure, figureOf } from '../benchmark';
import { libraryTables } from '../seed';
import { ratiosOf, spreadOf } from '../stats';
import type { BloatConfig } from '../works/bloat';

const EVENTS = 2_000_000;
const STRETCH = 100_000;
const PER_TRANSACTION = 10;

export const bloat: Benchmark = {
  name: 'bloat',
  isFull: true,
  work: `${EVENTS.toLocaleString('en')} events recorded, published, consumed and pruned; once beside a transaction that holds vacuum back`,
  baseline: `the first ${STRETCH.toLocaleString('en')}`,
  run: async ({ lab, say }) => {
    const figures: Figure[] = [];
    const notes: string[] = [];
    for (const beside of [false, true]) {
      const service = lab.name();
      const databaseUrl = await lab.database(service, [...libraryTables()]);
      const holder = beside ? await holdSnapshot(databaseUrl) : undefined;
      const config: BloatConfig = {
        databaseUrl,
        amqpUrl: lab.rabbitmq.url,
        service,
        events: EVENTS,
        perTransaction: PER_TRANSACTION,
        stretch: STRETCH,
      };
      const result = await lab.run('bloat', config);
      await holder?.end();
      const name = beside ? 'bloat, beside an open transaction' : 'bloat';
      const [first, last] = [figureOf('first')(result), figureOf('last')(result)];
      figures.push({
        name,
        unit: 'per s',
        ours: spreadOf([last]),
        baseline: spreadOf([first]),
        ratio: ratiosOf([last], [first]),
        target: { atLeast: 0.8 },
        rssMb: { ours: result.rssMb },
      });
      const sizes = Object.entries(result.figures ?? {})
        .filter(([key]) => key.endsWith('MB'))
        .map(([key, value]) => `${key.replace(' MB', '')} ${Math.round(value)} MB`);
      notes.push(
        `${name}: ${sizes.join(', ')}; events/s by stretch: ${(result.notes?.['stretches'] as number[]).join(', ')}`,
      );
      say(notes.at(-1) ?? '');
      await lab.dropDatabase(service);
    }
    return { figures, failures: [], notes };
  },
};

/** A transaction that has read something and does not end: nothing that dies from now on is vacuumed. */
async function holdSnapshot(databaseUrl: string): Promise<Client> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await client.query('SELECT 1');
  return client;
}
