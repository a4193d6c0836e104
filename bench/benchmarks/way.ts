import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Benchmark, figureOf } from '../benchmark';
import { spreadOf } from '../stats';

const SOURCE = join(__dirname, '../../libs/reliable-mq/src');

export const way: Benchmark = {
  name: 'way',
  work: 'files, functions and calls of the library that one event runs through, from record to consumed; its lines of source',
  baseline: 'none: counted once, so that it can be seen to grow',
  run: async ({ lab }) => {
    const service = lab.name();
    const databaseUrl = await lab.database(service, []);
    const result = await lab.run('way', { databaseUrl, amqpUrl: lab.rabbitmq.url, service });
    const queues = (await lab.rabbitmq.listQueues()).map(({ name }) => name);
    await lab.deleteQueues(...queues.filter((name) => name.startsWith(`${service}.`)));
    await lab.dropDatabase(service);
    const count = (name: string, value: number, atMost?: number) => ({
      name: `way, ${name}`,
      unit: '',
      ours: spreadOf([value]),
      ...(atMost !== undefined && { target: { atMost } }),
    });
    return {
      figures: [
        count('files of one event', figureOf('files')(result), 40),
        count('functions', figureOf('functions')(result)),
        count('calls', figureOf('calls')(result), 350),
        count('lines of source', sourceLines(), 12_000),
      ],
      failures: [],
      notes: [],
    };
  },
};

/** Of the library, without specs and their fixtures. */
function sourceLines(): number {
  return readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/\.(spec|fixture)\.ts$/.test(file))
    .map((file) => readFileSync(join(SOURCE, file), 'utf8').split('\n').length - 1)
    .reduce((sum, lines) => sum + lines, 0);
}
