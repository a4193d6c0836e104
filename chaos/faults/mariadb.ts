import { pause } from '../clock';
import { APPS } from '../instance';
import { alone, holding, TABLES, takeAllConnections } from './database-sessions';
import type { FaultKind } from './fault';

const DEFAULTS = 'lock_wait_timeout = DEFAULT, GLOBAL innodb_lock_wait_timeout = DEFAULT';

export const MARIADB_FAULTS: readonly FaultKind[] = [
  {
    name: 'MariaDB killed and started again',
    family: 'mariadb',
    lane: 'database',
    seconds: 6,
    inject: async ({ landscape }, random) => {
      const ms = random.integer(0, 4_000);
      await landscape.server.kill();
      await pause(ms);
      await landscape.server.start();
      return `down for ${ms} ms more than a start takes`;
    },
  },
  {
    name: 'all database sessions terminated',
    family: 'mariadb',
    lane: 'database',
    seconds: 1,
    inject: async ({ landscape }) => `${await landscape.server.terminateSessions()} sessions`,
  },
  {
    name: 'a session idle in its transaction for minutes',
    family: 'mariadb',
    lane: 'idle transaction',
    seconds: 70,
    inject: async ({ landscape, options }, random) => {
      const app = random.pick(APPS);
      const seconds = options.outageSeconds >= 30 ? random.integer(60, 120) : 10;
      // It has read, and holds back what would be purged.
      const statements = ['SELECT count(*) FROM reliable_mq_outbox', 'CREATE TEMPORARY TABLE held (i int)'];
      const ended = await holding(landscape, app, statements, seconds * 1_000);
      return `${app}, ${ended ? 'until it was ended by another fault' : `${seconds} s`}`;
    },
  },
  {
    name: 'tables and rows locked: statements run into their lock timeout',
    family: 'mariadb',
    lane: 'database',
    seconds: 6,
    inject: async ({ landscape }, random) => {
      const app = random.pick(APPS);
      const [table, rowsOf] = random.shuffled(TABLES[app]);
      // Sessions take it over when they begin.
      await alone(landscape, app, ['SET GLOBAL lock_wait_timeout = 1, GLOBAL innodb_lock_wait_timeout = 1']);
      await landscape.server.terminateSessions();
      await pause(500);
      await Promise.all([
        holding(landscape, app, [`LOCK TABLES ${table} WRITE`], 4_000),
        holding(landscape, app, [`SELECT 1 FROM ${rowsOf} LIMIT 1000 FOR UPDATE`], 4_000),
      ]);
      await alone(landscape, app, [`SET GLOBAL ${DEFAULTS}`]);
      await landscape.server.terminateSessions();
      return `${table}, rows of ${rowsOf}`;
    },
  },
  {
    name: 'tables locked: every connection of the pool waits',
    family: 'mariadb',
    lane: 'database',
    seconds: 7,
    inject: async ({ landscape }, random) => {
      const app = random.pick(APPS);
      const ms = random.integer(4_000, 8_000);
      const tables = TABLES[app].map((table) => `${table} WRITE`).join(', ');
      await holding(landscape, app, [`LOCK TABLES ${tables}`], ms);
      return `${app} for ${ms} ms`;
    },
  },
  {
    name: 'failover: the old sessions stay and take no writes, new ones do',
    family: 'mariadb',
    lane: 'database',
    seconds: 9,
    inject: async ({ landscape }, random) => {
      const ms = random.integer(4_000, 10_000);
      // Sessions take it over when they begin, and keep it.
      await alone(landscape, 'order', ['SET GLOBAL tx_read_only = ON']);
      await landscape.server.terminateSessions();
      await pause(1_000);
      await alone(landscape, 'order', ['SET GLOBAL tx_read_only = OFF']);
      await pause(ms);
      return `old sessions for ${ms} ms`;
    },
  },
  {
    name: 'the server takes no more connections',
    family: 'mariadb',
    lane: 'database',
    seconds: 6,
    inject: async ({ landscape }, random) => {
      const ms = random.integer(3_000, 6_000);
      await landscape.server.terminateSessions();
      const taken = await takeAllConnections(landscape);
      await pause(ms);
      await Promise.all(taken.map((session) => session.end()));
      return `${taken.length} taken for ${ms} ms`;
    },
  },
];
