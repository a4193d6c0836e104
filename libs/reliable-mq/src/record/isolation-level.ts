import type { QueryRunner } from 'typeorm';

/** TypeORM's own type, which only `typeorm/driver/types/…` exports: bundlers do not find that path. */
export type IsolationLevel = NonNullable<Parameters<QueryRunner['startTransaction']>[0]>;
