import { getDataSourceToken } from '@nestjs/typeorm';
import type { FactoryProvider } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { createStoreSet, Stores } from '../database/stores';
import { InvalidSetupError } from '../event/errors';

/** The stores of the DataSources that the application has by these names. */
export function provideStores(names: readonly string[]): FactoryProvider<Stores> {
  return {
    provide: Stores,
    useFactory: (...dataSources: (DataSource | undefined)[]) => createStores(names, dataSources),
    inject: names.map((name) => ({ token: getDataSourceToken(name), optional: true })),
  };
}

function createStores(names: readonly string[], dataSources: readonly (DataSource | undefined)[]): Stores {
  const missing = names.filter((_, index) => !dataSources[index]);
  if (missing.length > 0) {
    throw new InvalidSetupError(
      missing.map((name) =>
        name === 'default'
          ? "There is no TypeORM DataSource. Install @nestjs/typeorm and import TypeOrmModule.forRoot({ type: 'postgres', url: '…' }), or type 'mysql' or 'mariadb', in the root module, before ReliableMqModule."
          : `There is no TypeORM DataSource named "${name}". Import TypeOrmModule.forRoot({ name: '${name}', type: '…', … }), or take it out of dataSources.`,
      ),
    );
  }
  return new Stores(names.map((name, index) => createStoreSet(name, dataSources[index] as DataSource)));
}
