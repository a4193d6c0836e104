import type { DataSource } from 'typeorm';

/** A pool of `pg`; TypeORM's one for writing is the driver's `master`. */
interface ConnectionPool {
  readonly options?: { readonly max?: number };
  readonly waitingCount?: number;
}

/** @returns how many connections the DataSource may have open at once, when that is known */
export function poolSizeOf(dataSource: DataSource): number | undefined {
  return poolOf(dataSource)?.options?.max;
}

/** @returns how many callers wait for a connection of the DataSource at this moment */
export function callersWaitingFor(dataSource: DataSource): number {
  return poolOf(dataSource)?.waitingCount ?? 0;
}

function poolOf(dataSource: DataSource): ConnectionPool | undefined {
  return (dataSource.driver as unknown as { readonly master?: ConnectionPool }).master;
}
