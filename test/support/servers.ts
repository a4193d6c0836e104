import { findPostgres } from '../../tools/servers/find-postgres';
import { findRabbitmq } from '../../tools/servers/find-rabbitmq';
import { maskedUrl } from '../../tools/servers/masked-url';
import { startPostgres, type PostgresServer } from '../../tools/servers/postgres';
import { startRabbitmq, type RabbitmqNode } from '../../tools/servers/rabbitmq';

export interface ProvidedServers {
  readonly postgresUrl: string;
  readonly rabbitmqUrl: string;
  /** One line per server: which one it is. */
  readonly report: readonly string[];
}

// Setup and teardown run in one process, but Jest loads each of them as a module graph of its own.
const shared = globalThis as typeof globalThis & {
  reliableMqServers?: { postgres?: PostgresServer; rabbitmq?: RabbitmqNode };
};

/** Takes the servers that answer and starts the missing ones. */
export async function provideServers(): Promise<ProvidedServers> {
  const started = (shared.reliableMqServers ??= {});
  try {
    const [postgres, rabbitmq] = await Promise.all([
      findPostgres().then(async (found) => {
        if (found) return { url: found, line: `PostgreSQL: found at ${maskedUrl(found)}` };
        const server = (started.postgres = await startPostgres());
        return { url: server.url(), line: `PostgreSQL: ${server.version}, private, at ${server.url()}` };
      }),
      findRabbitmq().then(async (found) => {
        if (found) return { url: found, line: `RabbitMQ: found at ${maskedUrl(found)}` };
        const node = (started.rabbitmq = await startRabbitmq());
        return { url: node.url, line: `RabbitMQ: ${node.version}, private, at ${maskedUrl(node.url)}` };
      }),
    ]);
    return { postgresUrl: postgres.url, rabbitmqUrl: rabbitmq.url, report: [postgres.line, rabbitmq.line] };
  } catch (error) {
    await disposeServers();
    throw error;
  }
}

/** Which of the servers were started here, and are thrown away with everything in them. */
export function providedServers(): { privatePostgres: boolean; privateRabbitmq: boolean } {
  const started = shared.reliableMqServers;
  return { privatePostgres: started?.postgres !== undefined, privateRabbitmq: started?.rabbitmq !== undefined };
}

export async function disposeServers(): Promise<void> {
  const started = shared.reliableMqServers ?? {};
  shared.reliableMqServers = {};
  await Promise.all([started.postgres?.dispose(), started.rabbitmq?.dispose()]);
}
