import type { QueueHandlers } from '../consume/handler-registry';
import type { StoreSet } from '../database/stores';
import type { Log } from '../log/log';

/** Connections that publishing, receipts and jobs take beside the handlers. */
const OWN_CONNECTIONS = 5;

/**
 * Each message in hand holds a connection while its handler runs. When the handlers can hold all of a pool, one that asks for a
 * second connection waits for the others, and they for it, until their timeouts; and so does every other query of the application.
 */
export function warnOfSmallPool(
  { name, dataSource, database }: StoreSet,
  queues: readonly QueueHandlers[],
  logger: Pick<Log, 'warn'>,
): void {
  const own = queues.filter(({ stores }) => stores.dataSource === dataSource);
  const { poolSize } = database;
  const sum = own.reduce((total, { runsAtOnce }) => total + runsAtOnce, 0);
  const needed = sum + OWN_CONNECTIONS;
  if (own.length === 0 || poolSize === undefined || poolSize >= needed) return;
  logger.warn(
    'The connection pool is too small for the handlers: raise poolSize of the DataSource, or lower prefetch',
    {
      dataSource: name,
      poolSize,
      needed,
      handlersAtOnce: Object.fromEntries(own.map(({ queue, runsAtOnce }) => [queue, runsAtOnce])),
    },
  );
}
