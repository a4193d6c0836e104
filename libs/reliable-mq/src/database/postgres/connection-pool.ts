import type { DataSource } from 'typeorm';

/** A connection of `pg`. */
export interface PostgresClient {
  on(event: 'error', listener: () => void): void;
  connect(): Promise<void>;
  query(sql: string, parameters: readonly unknown[]): Promise<{ readonly rows: unknown[] }>;
  end(): Promise<void>;
  readonly connection?: { readonly stream: { destroy(): void } };
}

/** A pool of `pg`; TypeORM's one for writing is the driver's `master`. */
export interface ConnectionPool {
  readonly Client: new (options: unknown) => PostgresClient;
  readonly options: { readonly max?: number };
  readonly waitingCount: number;
  readonly idleCount: number;
  on(event: 'release', listener: (error: unknown, client: PostgresClient) => void): void;
}

/** @returns undefined before the DataSource is initialized */
export function poolOf(dataSource: DataSource): Partial<ConnectionPool> | undefined {
  return (dataSource.driver as unknown as { readonly master?: ConnectionPool }).master;
}

/** @returns how many connections the DataSource may have open at once, when that is known */
export function poolSizeOf(dataSource: DataSource): number | undefined {
  return poolOf(dataSource)?.options?.max;
}

/** @returns how many callers wait for a connection of the DataSource at this moment */
export function callersWaitingFor(dataSource: DataSource): number {
  return poolOf(dataSource)?.waitingCount ?? 0;
}
