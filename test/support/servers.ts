import { findMariadb } from '../../tools/servers/find-mariadb';
import { findPostgres } from '../../tools/servers/find-postgres';
import { findRabbitmq } from '../../tools/servers/find-rabbitmq';
import { canProvideMariadb, provideMariadb } from '../../tools/servers/provide-mariadb';
import { maskedUrl } from '../../tools/servers/masked-url';
import { startPostgres, type PostgresServer } from '../../tools/servers/postgres';
import { startRabbitmq, type RabbitmqNode } from '../../tools/servers/rabbitmq';

export interface ProvidedServers {
  readonly postgresUrl: string;
  readonly rabbitmqUrl: string;
  /** Undefined when none answers and none is installed: only the suites that run on it need it. */
  readonly mariadbUrl: string | undefined;
  /** One line per server: which one it is. */
  readonly report: readonly string[];
}

// Setup and teardown run in one process, but Jest loads each of them as a module graph of its own.
const shared = globalThis as typeof globalThis & {
  reliableMqServers?: {
    postgres?: PostgresServer;
    mariadb?: Awaited<ReturnType<typeof provideMariadb>>;
    rabbitmq?: RabbitmqNode;
  };
};

/** Takes the servers that answer and starts the missing ones. */
export async function provideServers(): Promise<ProvidedServers> {
  const started = (shared.reliableMqServers ??= {});
  try {
    const [postgres, mariadb, rabbitmq] = await Promise.all([
      findPostgres().then(async (found) => {
        if (found) return { url: found, line: `PostgreSQL: found at ${maskedUrl(found)}` };
        const server = (started.postgres = await startPostgres());
        return { url: server.url(), line: `PostgreSQL: ${server.version}, private, at ${server.url()}` };
      }),
      findMariadb().then(async (found) => {
        if (found) return { url: found, line: `MariaDB: found at ${maskedUrl(found)}` };
        if (!canProvideMariadb())
          return { url: undefined, line: 'MariaDB: none, no mariadbd is installed, and no Docker answers' };
        const server = (started.mariadb = await provideMariadb());
        return { url: server.url(), line: `MariaDB: ${server.version}, private, at ${server.url()}` };
      }),
      findRabbitmq().then(async (found) => {
        if (found) return { url: found, line: `RabbitMQ: found at ${maskedUrl(found)}` };
        const node = (started.rabbitmq = await startRabbitmq());
        return { url: node.url, line: `RabbitMQ: ${node.version}, private, at ${maskedUrl(node.url)}` };
      }),
    ]);
    return {
      postgresUrl: postgres.url,
      mariadbUrl: mariadb.url,
      rabbitmqUrl: rabbitmq.url,
      report: [postgres.line, mariadb.line, rabbitmq.line],
    };
  } catch (error) {
    await disposeServers();
    throw error;
  }
}

/** Which of the servers were started here, and are thrown away with everything in them. */
export function providedServers(): { privatePostgres: boolean; privateMariadb: boolean; privateRabbitmq: boolean } {
  const started = shared.reliableMqServers;
  return {
    privatePostgres: started?.postgres !== undefined,
    privateMariadb: started?.mariadb !== undefined,
    privateRabbitmq: started?.rabbitmq !== undefined,
  };
}

export async function disposeServers(): Promise<void> {
  const started = shared.reliableMqServers ?? {};
  shared.reliableMqServers = {};
  await Promise.all([started.postgres?.dispose(), started.mariadb?.dispose(), started.rabbitmq?.dispose()]);
}
