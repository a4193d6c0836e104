import type { QueryRunner } from 'typeorm';
import { groupStatements } from './grouped-statements';

/** A query runner of TypeORM's that has its connection, as far as statements go. @returns it, and what its connection is given */
function connectedRunner(): { readonly queryRunner: QueryRunner; readonly sent: string[] } {
  const sent: string[] = [];
  const client = {
    query: (text: string): Promise<unknown> => {
      sent.push(text);
      return Promise.resolve({ rows: [] });
    },
    getTransactionStatus: () => 'T',
    readyForQuery: true,
  };
  const queryRunner = {
    isReleased: false,
    dataSource: { logger: { logQuery: () => undefined } },
    connect: () => Promise.resolve(client),
    query: async (text: string): Promise<unknown> => {
      const connection = (await queryRunner.connect()) as unknown as typeof client;
      return connection.query(text);
    },
  };
  return { queryRunner: queryRunner as unknown as QueryRunner, sent };
}

describe('groupStatements', () => {
  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8])(
    'keeps the order of two first statements that are begun %i ticks one after the other',
    async (ticks) => {
      const { queryRunner, sent } = connectedRunner();
      groupStatements(queryRunner);
      await queryRunner.query('START TRANSACTION');
      const first = queryRunner.query('SELECT first');
      for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
      await queryRunner.query('SELECT second');
      await first;
      expect(sent).toEqual(['START TRANSACTION', 'SELECT first', 'SELECT second']);
    },
  );
});
