import { dropLeftoverDatabases, postgresUrl } from './database';
import { deleteLeftoverQueues, rabbitmqUrl } from './rabbitmq';
import { disposeServers, providedServers } from './servers';

/** Once per run of Jest, after the last integration or e2e spec. */
export default async function globalTeardown(): Promise<void> {
  try {
    const { privatePostgres, privateMariadb, privateRabbitmq } = providedServers();
    if (!privatePostgres) await dropLeftoverDatabases(postgresUrl());
    if (!privateMariadb && process.env.TEST_MYSQL_URL) await dropLeftoverDatabases(process.env.TEST_MYSQL_URL);
    if (!privateRabbitmq) await deleteLeftoverQueues(rabbitmqUrl());
  } finally {
    await disposeServers();
  }
}
