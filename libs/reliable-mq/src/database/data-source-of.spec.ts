import { type DataSource, EntityManager, type QueryRunner } from 'typeorm';
import { dataSourceOf } from './data-source-of';

const DATA_SOURCE = { options: { type: 'postgres' } } as unknown as DataSource;

describe('dataSourceOf', () => {
  it('knows the name that TypeORM 1 has for it', () => {
    expect(dataSourceOf({ dataSource: DATA_SOURCE } as QueryRunner)).toBe(DATA_SOURCE);
  });

  it('knows the name that TypeORM 0.3 has for it', () => {
    expect(dataSourceOf({ connection: DATA_SOURCE } as unknown as QueryRunner)).toBe(DATA_SOURCE);
  });

  it('is right about the TypeORM that is installed', () => {
    expect(dataSourceOf(new EntityManager(DATA_SOURCE))).toBe(DATA_SOURCE);
  });

  it('does not touch the old name where there is the new one', () => {
    const owner = {
      dataSource: DATA_SOURCE,
      get connection(): DataSource {
        throw new Error('deprecated');
      },
    };
    expect(dataSourceOf(owner as unknown as QueryRunner)).toBe(DATA_SOURCE);
  });
});
