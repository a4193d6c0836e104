import type { QueryRunner } from 'typeorm';

const CONNECTION = Symbol('ReliableMq.Connection');

/**
 * The driver's connection of a query runner; no promise when it has been asked for before. TypeORM gives out a promise each time, and each costs
 * whoever follows asynchronous calls.
 */
export function connectionOf<Connection extends object>(queryRunner: QueryRunner): Connection | Promise<Connection> {
  const runner = queryRunner as QueryRunner & { [CONNECTION]?: Connection };
  return (
    runner[CONNECTION] ??
    (queryRunner.connect() as Promise<Connection>).then((connection) => (runner[CONNECTION] = connection))
  );
}
