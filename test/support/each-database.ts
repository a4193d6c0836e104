import type { DatabaseName } from './database';

const ALL: readonly DatabaseName[] = ['postgres', 'mariadb'];

/** Those of TEST_DATABASES, separated by commas, which then run everything. */
const CHOSEN = process.env.TEST_DATABASES?.split(',');
const EVERYTHING = process.env.TEST_EVERY_DATABASE === '1';

/**
 * A suite that holds on every database. What it starts and creates is given the `database`. One that is about a single database says
 * so in its name, and is a plain `describe`.
 *
 * @param when `on demand` for suites that take long, or whose subject is not the database: PostgreSQL runs them always, the others with
 * TEST_EVERY_DATABASE=1
 */
export function describeEachDatabase(
  name: string,
  suite: (database: DatabaseName) => void,
  when: 'always' | 'on demand' = 'always',
): void {
  const usual = when === 'always' || EVERYTHING ? ALL : ALL.slice(0, 1);
  const databases = CHOSEN ? ALL.filter((database) => CHOSEN.includes(database)) : usual;
  describe.each(databases)(`${name} (%s)`, suite);
}
