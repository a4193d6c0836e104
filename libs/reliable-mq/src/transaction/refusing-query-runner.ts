import type { QueryRunner } from 'typeorm';

const REFUSED: readonly (string | symbol)[] = [
  'connect',
  'query',
  'stream',
  'startTransaction',
  'commitTransaction',
  'rollbackTransaction',
];

/**
 * Stands for the query runner of a transaction that has ended, so that whoever is still in it is told so by the promise of what they
 * run. The query runner itself would say that it was released, and without one they would get a connection of their own.
 */
export function refusingQueryRunner(queryRunner: QueryRunner, error: Error): QueryRunner {
  return new Proxy(queryRunner, {
    get: (target, property, receiver): unknown => {
      if (REFUSED.includes(property)) return () => Promise.reject(error);
      if (property === 'isReleased') return false;
      if (property === 'isTransactionActive') return true;
      return Reflect.get(target, property, receiver);
    },
  });
}
