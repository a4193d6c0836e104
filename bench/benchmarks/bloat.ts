import { Client } from 'pg';
import { type Benchmark, type Figure, figureOf } from '../benchmark';
import { libraryTables } from '../seed';
import { ratiosOf, spreadOf } from '../stats';
import type { BloatConfig } from '../works/bloat';

const EVENTS = 2_000_000;
const STRETCH = 100_000;
const PER_TRANSACTION = 10;

/** @param isHeld whether beside a transaction that holds vacuum back */
function bloatBenchmark(name: string, isHeld: boolean): Benchmark {
  return {
    name,
    isFull: true,
    work: `${EVENTS.toLocaleString('en')} events recorded, published, consumed and pruned${isHeld ? ', beside a transaction that holds vacuum back' : ''}`,
    baseline: `the first ${STRETCH.toLocaleString('en')}`,
    run: async ({ lab, say }) => {
      const service = lab.name();
      const databaseUrl = await lab.database(service, [...libraryTables()]);
      const holder = isHeld ? await holdSnapshot(databaseUrl) : undefined;
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
      await lab.dropDatabase(service);
      const [first, last] = [figureOf('first')(result), figureOf('last')(result)];
      const figure: Figure = {
        name: isHeld ? 'bloat, beside an open transaction' : 'bloat',
        unit: 'per s',
        ours: spreadOf([last]),
        baseline: spreadOf([first]),
        ratio: ratiosOf([last], [first]),
        target: { atLeast: 0.8 },
        rssMb: { ours: result.rssMb },
      };
      const sizes = Object.entries(result.figures ?? {})
        .filter(([key]) => key.endsWith('MB'))
        .map(([key, value]) => `${key.replace(' MB', '')} ${Math.round(value)} MB`);
      const stretches = (result.notes?.['stretches'] as readonly number[]).join(', ');
      const note = `${figure.name}: ${sizes.join(', ')}; events/s by stretch: ${stretches}`;
      say(note);
      return { figures: [figure], failures: [], notes: [note] };
    },
  };
}

export const bloat = bloatBenchmark('bloat', false);
export const bloatHeld = bloatBenchmark('bloat-held', true);

/** A transaction that has read something and does not end: nothing that dies from now on is vacuumed. */
async function holdSnapshot(databaseUrl: string): Promise<Client> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await client.query('SELECT 1');
  return client;
}
