import type { BatchObservableCallback, Meter } from '@opentelemetry/api';
import type { Transport } from '../broker/transport';
import type { ReliableMqStatistics } from '../database/operations.store';
import type { StoreSet } from '../database/stores';
import { GAUGE } from './names';

/**
 * What is to be done, read from the tables whenever metrics are collected: one statement for each DataSource, from the partial indexes.
 * While a database is away its gauges are missing, and the others are there.
 * @returns ends it
 */
export function observeGauges(
  meter: Meter,
  sets: readonly StoreSet[],
  transport: Pick<Transport, 'status'>,
): () => void {
  const { brokerAvailable, ...ofTables } = GAUGE;
  const broker = meter.createObservableGauge(brokerAvailable.name, brokerAvailable);
  const tables = Object.entries(ofTables).map(([key, metric]) => {
    const gauge = meter.createObservableGauge(metric.name, metric);
    return { gauge, read: READINGS[key as keyof typeof ofTables] };
  });
  const instruments = [broker, ...tables.map(({ gauge }) => gauge)];
  const observe: BatchObservableCallback = async (result) => {
    result.observe(broker, transport.status().available ? 1 : 0);
    const found = await Promise.allSettled(sets.map(({ operations }) => operations.statistics()));
    const statistics = found.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    if (statistics.length === 0) return;
    for (const { gauge, read } of tables) result.observe(gauge, read(statistics));
  };
  meter.addBatchObservableCallback(observe, instruments);
  return () => meter.removeBatchObservableCallback(observe, instruments);
}

type All = readonly ReliableMqStatistics[];

const sum =
  (of: (statistics: ReliableMqStatistics) => number) =>
  (all: All): number =>
    all.reduce((total, each) => total + of(each), 0);
const oldestSeconds =
  (ofMs: (statistics: ReliableMqStatistics) => number) =>
  (all: All): number =>
    Math.max(...all.map(ofMs)) / 1000;

const READINGS: Readonly<Record<Exclude<keyof typeof GAUGE, 'brokerAvailable'>, (all: All) => number>> = {
  pending: sum(({ outbox }) => outbox.pending),
  unconsumed: sum(({ outbox }) => outbox.published),
  needPerson: sum(({ outbox }) => outbox.needPerson),
  outboxOldestDue: oldestSeconds(({ outbox }) => outbox.oldestOverdueMs),
  inboxFailed: sum(({ inbox }) => inbox.failed),
  inboxDead: sum(({ inbox }) => inbox.dead),
  inboxOldestDue: oldestSeconds(({ inbox }) => inbox.oldestOverdueMs),
};
