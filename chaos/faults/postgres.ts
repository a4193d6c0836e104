import { pause } from '../clock';
import { APPS } from '../instance';
import { alone, holding, TABLES, takeAllConnections } from './database-sessions';
import type { FaultKind } from './fault';

export const POSTGRES_FAULTS: readonly FaultKind[] = [
  {
    name: 'PostgreSQL killed and started again',
    family: 'postgres',
    lane: 'database',
    seconds: 5,
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
    family: 'postgres',
    lane: 'database',
    seconds: 1,
    inject: async ({ landscape }) => `${await landscape.server.terminateSessions()} sessions`,
  },
  {
    name: 'a session idle in its transaction for minutes',
    family: 'postgres',
    lane: 'idle transaction',
    seconds: 70,
    inject: async ({ landscape, options }, random) => {
      const app = random.pick(APPS);
      const seconds = options.outageSeconds >= 30 ? random.integer(60, 120) : 10;
      // It reads and writes, and holds back whatever vacuum would clean up.
      const ended = await holding(
        landscape,
        app,
        ['SELECT count(*) FROM reliable_mq_outbox', 'CREATE TEMPORARY TABLE held (i int)'],
        seconds * 1_000,
      );
      return `${app}, ${ended ? 'until it was ended by another fault' : `${seconds} s`}`;
    },
  },
  {
    name: 'tables locked: statements run into their lock timeout',
    family: 'postgres',
    lane: 'database',
    seconds: 6,
    inject: async ({ landscape }, random) => {
      const app = random.pick(APPS);
      const tables = random.shuffled(TABLES[app]).slice(0, 2);
      const database = landscape.databaseName(app);
      // Sessions take it over when they begin.
      await landscape.query(app, `ALTER DATABASE ${database} SET lock_timeout = '300ms'`);
      await landscape.server.terminateSessions();
      await pause(500);
      await holding(
        landscape,
        app,
        tables.map((table) => `LOCK TABLE ${table} IN EXCLUSIVE MODE`),
        4_000,
      );
      await landscape.query(app, `ALTER DATABASE ${database} RESET lock_timeout`);
      await landscape.server.terminateSessions();
      return tables.join(', ');
    },
  },
  {
    name: 'tables locked: every connection of the pool waits',
    family: 'postgres',
    lane: 'database',
    seconds: 7,
    inject: async ({ landscape }, random) => {
      const app = random.pick(APPS);
      const ms = random.integer(4_000, 8_000);
      await holding(
        landscape,
        app,
        TABLES[app].map((table) => `LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`),
        ms,
      );
      return `${app} for ${ms} ms`;
    },
  },
  {
    name: 'failover: the old sessions stay and take no writes, new ones do',
    family: 'postgres',
    lane: 'database',
    seconds: 9,
    inject: async ({ landscape }, random) => {
      const ms = random.integer(4_000, 10_000);
      for (const app of APPS)
        await alone(landscape, app, [
          `ALTER DATABASE ${landscape.databaseName(app)} SET default_transaction_read_only = off`,
        ]);
      // Who is connected takes this over with the reload; who comes later has the database's own setting.
      await alone(landscape, 'order', [
        'ALTER SYSTEM SET default_transaction_read_only = on',
        'SELECT pg_reload_conf()',
      ]);
      await pause(ms);
      await alone(landscape, 'order', ['ALTER SYSTEM RESET default_transaction_read_only', 'SELECT pg_reload_conf()']);
      for (const app of APPS)
        await alone(landscape, app, [
          `ALTER DATABASE ${landscape.databaseName(app)} RESET default_transaction_read_only`,
        ]);
      return `for ${ms} ms`;
    },
  },
  {
    name: 'the server takes no more connections',
    family: 'postgres',
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
