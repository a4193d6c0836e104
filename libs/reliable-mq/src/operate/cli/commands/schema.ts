import { DATABASE_NAMES, schemaScript } from '../../../database/databases';
import type { Command } from '../command';

export const SCHEMA: Command = {
  name: 'schema',
  summary: 'print the SQL of the tables; needs no database',
  options: [
    {
      name: 'schema',
      value: 'NAME',
      help: "schema of the tables, which must exist (default: the first one in the connection's search_path)",
    },
    {
      name: 'prefix',
      value: 'PREFIX',
      help: 'what the names of the tables begin with: entityPrefix of the DataSource (default: nothing)',
    },
    { name: 'database', value: 'KIND', choices: DATABASE_NAMES, help: `default: ${DATABASE_NAMES[0] ?? ''}` },
  ],
  details: `
Prints the SQL that creates the tables of nestjs-reliable-mq and brings older ones up to date. Indexes of large tables are built
beside the application that runs. Running it again goes on where it was interrupted, or changes nothing.

Without ON_ERROR_STOP, psql exits 0 although a statement failed and nothing was created:
  npx nestjs-reliable-mq schema | psql -v ON_ERROR_STOP=1 "postgres://user@localhost:5432/app"`,
  run: (given) => {
    const kind = given.text('database');
    const database = DATABASE_NAMES.find((name) => name === kind);
    const script = schemaScript(given.text('schema'), { prefix: given.text('prefix'), database, online: true });
    return { json: { script }, text: script };
  },
};
