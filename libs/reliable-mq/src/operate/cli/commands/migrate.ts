import { createStoreSet } from '../../../database/stores';
import { maskUri } from '../../../log/mask-uri';
import type { Command } from '../command';
import { dataSourceOf, DATABASE_OPTION, TABLE_OPTIONS } from '../open-tables';

export const MIGRATE: Command = {
  name: 'migrate',
  summary: 'create the tables, and bring older ones up to date; for pipelines',
  options: [DATABASE_OPTION, ...TABLE_OPTIONS],
  details: `
Applies what is missing. Several may run at once: one works, the others wait. Indexes of large tables are built beside the
application that runs. Run it again after it was interrupted: it goes on from there. It changes nothing when all is there.

  DATABASE_URL=postgres://owner@localhost:5432/app nestjs-reliable-mq migrate`,
  run: async (given, { env }) => {
    const url = given.text('database') ?? env['DATABASE_URL'];
    const dataSource = dataSourceOf(url, given);
    const { database } = createStoreSet('default', dataSource);
    try {
      await dataSource.initialize();
      await database.open('migrate');
      const problems = database.problems();
      return {
        json: { database: database.kind, migrated: true, problems },
        text: `The tables in ${maskUri(url ?? '')} are up to date.\n${problems.map((problem) => `  ${problem}\n`).join('')}`,
        exitCode: problems.length > 0 ? 1 : 0,
      };
    } finally {
      if (dataSource.isInitialized) await dataSource.destroy();
    }
  },
};
