import type { QueueHandlers } from '../consume/handler-registry';
import type { StoreSet } from '../database/stores';
import type { Log } from '../log/log';
import type { ResolvedOptions } from '../options/resolved-options';

/** Connections that publishing, receipts and jobs take beside the handlers. */
const OWN_CONNECTIONS = 5;
/** What a statement takes beside a payload or a message, in bytes: its text, headers and properties. */
const BESIDE_BYTES = 64 * 1024;

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

/**
 * What a database with a limit for statements does not take cannot be recorded, and a message that it cannot store is parked by the broker when its
 * first attempt fails.
 */
export function warnOfSmallStatements(
  { name, database: { statementLimit: limit } }: StoreSet,
  { record, consume }: Pick<ResolvedOptions, 'record' | 'consume'>,
  { records, consumes }: { readonly records: boolean; readonly consumes: boolean },
  logger: Pick<Log, 'warn'>,
): void {
  if (limit === undefined) return;
  const needed = {
    // A quote of the payload takes two bytes.
    'record.maxPayloadBytes': records ? 2 * record.maxPayloadBytes + BESIDE_BYTES : 0,
    'consume.maxMessageBytes': consumes ? consume.maxMessageBytes + BESIDE_BYTES : 0,
  };
  for (const [option, neededBytes] of Object.entries(needed)) {
    if (neededBytes <= limit.bytes) continue;
    logger.warn('The database takes no statement as large as an option allows: raise its limit, or lower the option', {
      dataSource: name,
      option,
      neededBytes,
      limitBytes: limit.bytes,
      statement: limit.raiseTo(neededBytes),
    });
  }
}
