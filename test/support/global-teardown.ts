import { dropLeftoverDatabases, postgresUrl } from './database';
import { deleteLeftoverQueues, rabbitmqUrl } from './rabbitmq';
import { disposeServers, providedServers } from './servers';

/** Once per run of Jest, after the last integration or e2e spec. */
export default async function globalTeardown(): Promise<void> {
  try {
    const { privatePostgres, privateRabbitmq } = providedServers();
    if (!privatePostgres) await dropLeftoverDatabases(postgresUrl());
    if (!privateRabbitmq) await deleteLeftoverQueues(rabbitmqUrl());
  } finally {
    await disposeServers();
  }
}
