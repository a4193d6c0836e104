import { type MariadbServer, startMariadb } from '../../tools/servers/mariadb';
import { startPostgres, type PostgresOptions, type PostgresServer } from '../../tools/servers/postgres';
import {
  startRabbitmq,
  startRabbitmqCluster,
  type RabbitmqCluster,
  type RabbitmqNode,
} from '../../tools/servers/rabbitmq';

/** Starting one takes a second for PostgreSQL, and five to ten for RabbitMQ. */
const START_WITHIN_MS = 120_000;

/** Servers that a fault test may break. Each starts when it is first asked for, and is shared within the file. */
export interface PrivateServers {
  postgres(): Promise<PostgresServer>;
  mariadb(): Promise<MariadbServer>;
  rabbitmq(): Promise<RabbitmqNode>;
  /** Three nodes. */
  cluster(): Promise<RabbitmqCluster>;
}

/**
 * Call it at the top level of a spec: it disposes the servers after the file's last test.
 *
 * @param options for PostgreSQL
 */
export function usePrivateServers(options: PostgresOptions = {}): PrivateServers {
  const postgres = lazy(() => startPostgres(options));
  const mariadb = lazy(() => startMariadb());
  const rabbitmq = lazy(() => startRabbitmq());
  const cluster = lazy(() => startRabbitmqCluster(3));
  afterAll(async () => {
    await Promise.all([postgres, mariadb, rabbitmq, cluster].map((server) => server.dispose()));
  }, START_WITHIN_MS);
  return { postgres: postgres.get, mariadb: mariadb.get, rabbitmq: rabbitmq.get, cluster: cluster.get };
}

interface Lazy<T> {
  get(): Promise<T>;
  dispose(): Promise<void>;
}

function lazy<T extends { dispose(): Promise<void> }>(start: () => Promise<T>): Lazy<T> {
  let starting: Promise<T> | undefined;
  return {
    get: () => (starting ??= start()),
    dispose: async () => {
      // A start that failed has failed the test that asked for it, and cleaned up behind itself.
      const server = await starting?.catch(() => undefined);
      await server?.dispose();
    },
  };
}
