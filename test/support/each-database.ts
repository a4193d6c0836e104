import type { DatabaseName } from './database';

const ALL: readonly DatabaseName[] = ['postgres', 'mariadb'];

/** Those of TEST_DATABASES, separated by commas, or all. */
const DATABASES = ALL.filter((name) => (process.env.TEST_DATABASES ?? ALL.join()).split(',').includes(name));

/**
 * A suite that holds on every database. What it starts and creates is given the `database`. One that is about a single database says
 * so in its name, and is a plain `describe`.
 */
export function describeEachDatabase(name: string, suite: (database: DatabaseName) => void): void {
  describe.each(DATABASES)(`${name} (%s)`, suite);
}
