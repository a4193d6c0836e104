import type { DataSource } from 'typeorm';

/** A DataSource's connections now. */
export interface PoolState {
  readonly open: number;
  readonly idle: number;
  /** Callers who wait for one. */
  readonly waiting: number;
}

interface PgPool {
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
}

interface Mysql2Pool {
  readonly _allConnections: { readonly length: number };
  readonly _freeConnections: { readonly length: number };
  readonly _connectionQueue: { readonly length: number };
}

export function poolOf(dataSource: DataSource): PoolState {
  const { master, pool } = dataSource.driver as unknown as { readonly master?: PgPool; readonly pool?: Mysql2Pool };
  if (master) return { open: master.totalCount, idle: master.idleCount, waiting: master.waitingCount };
  if (!pool) throw new Error('this DataSource has no pool');
  const { _allConnections: all, _freeConnections: free, _connectionQueue: queue } = pool;
  return { open: all.length, idle: free.length, waiting: queue.length };
}
