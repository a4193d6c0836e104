import type { QueryRunner } from 'typeorm';

/** TypeORM's own type, which only `typeorm/driver/types/…` exports: bundlers do not find that path. */
export type IsolationLevel = NonNullable<Parameters<QueryRunner['startTransaction']>[0]>;

/** Those of the databases that have a store here. */
export const ISOLATION_LEVELS = [
  'READ UNCOMMITTED',
  'READ COMMITTED',
  'REPEATABLE READ',
  'SERIALIZABLE',
] as const satisfies readonly IsolationLevel[];
