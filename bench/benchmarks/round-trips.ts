import { startProxy } from '../../tools/servers/tcp-proxy';
import { type Benchmark, figureOf } from '../benchmark';
import { spreadOf } from '../stats';
import type { WorkResult } from '../work';
import { ORDERS_TABLE } from '../works/hand-outbox';
import type { RoundTripsConfig } from '../works/round-trips';

/** Of the network, in each direction. */
const LATENCY_MS = 0.5;
const TRANSACTIONS = 500;

export const roundTrips: Benchmark = {
  name: 'round-trips',
  work: `${TRANSACTIONS} times a decorated method, one after the other, its database behind ${LATENCY_MS} ms of network each way`,
  baseline: 'the same method in a transaction without an event',
  run: async ({ lab, options, say }) => {
    const proxy = await startProxy({
      target: { host: new URL(lab.postgres.url()).hostname, port: Number(new URL(lab.postgres.url()).port) },
    });
    proxy.latency(LATENCY_MS);
    const results: WorkResult[] = [];
    try {
      for (let turn = 1; turn <= options.runs; turn += 1) {
        const name = lab.name();
        const databaseUrl = await lab.database(name, [ORDERS_TABLE]);
        const sink = await lab.declareSink(name);
        await lab.settle();
        const result = await lab.run('round-trips', {
          databaseUrl: proxy.url(databaseUrl),
          amqpUrl: lab.rabbitmq.url,
          service: name,
          transactions: TRANSACTIONS,
        } satisfies RoundTripsConfig);
        say(`turn ${turn}: ${figureOf('more')(result).toFixed(2)} round trips more`);
        results.push(result);
        await lab.deleteQueues(sink);
        await lab.dropDatabase(name);
      }
    } finally {
      await proxy.close();
    }
    const figure = (name: string, unit: string, target?: { readonly atMost: number }) => ({
      name: `round trips, ${name}`,
      unit,
      ours: spreadOf(results.map(figureOf(name))),
      ...(target && { target }),
    });
    return {
      figures: [figure('more', 'statements', { atMost: 1 }), figure('time', 'ms more'), figure('trip', 'ms')],
      failures: [],
      notes: [
        'round trips: more: statements of a decorated method beyond those of the same transaction without an event; time: what that takes at the median; trip: one empty statement',
      ],
    };
  },
};
