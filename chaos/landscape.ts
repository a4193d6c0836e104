import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createOwnedFolder, type OwnedFolder } from '../tools/servers/owned-folder';
import { freePort } from '../tools/servers/ports';
import { type RabbitmqNode, startRabbitmq, startRabbitmqCluster } from '../tools/servers/rabbitmq';
import { startProxy, type TcpProxy } from '../tools/servers/tcp-proxy';
import { pause, waitUntil } from './clock';
import { type CompiledApps, compileApps } from './compile-apps';
import { type ChaosDatabase, DATABASES, type DatabaseServer, type Queries, type Session } from './database';
import { type AppName, APPS, Instance } from './instance';
import type { ChaosOptions } from './options';
import { CannotStartError, chosenPorts } from './prerequisites';

const READY_WITHIN_MS = 60_000;
/** How long the harness's own statements wait for a database that is being broken. */
const DATABASE_WITHIN_MS = 60_000;

/**
 * Repairs within seconds what takes a minute by default, so that many faults fit into a run, and quiet comes soon after the last.
 * The chase must still double, and not begin at once: consumers that had fallen behind got more copies than they could absorb.
 */
const TIMINGS = {
  publish: { leaseMs: 4_000, confirmTimeoutMs: 2_000, maxAttempts: 500, backoff: { initialMs: 300, maxMs: 30_000 } },
  receipts: { chaseAfterMs: 12_000 },
  consume: {
    prefetch: 10,
    timeoutMs: 3_000,
    maxAttempts: 8,
    backoff: { initialMs: 300, maxMs: 3_000 },
    maxMessageBytes: 65_536,
  },
  compensation: { intervalMs: 1_000, timeoutMs: 4_000, backoff: { initialMs: 300, maxMs: 3_000 } },
  retention: { pruneIntervalMs: 3_000 },
  shutdown: { drainMs: 3_000 },
};

/** What an app's answers are confirmed by has no way back (apps/contracts/no-way-back.ts): random kills must not end it. */
const STARTS: Readonly<Record<AppName, number>> = { order: 20, inventory: 3 };

/** The network of one instance: faults may hit it alone. */
export interface InstanceNetwork {
  readonly broker: readonly TcpProxy[];
  readonly database: TcpProxy;
}

/** Servers, databases, networks and processes: everything that a fault can break. */
export class Landscape {
  readonly instances: Instance[] = [];
  readonly networks = new Map<Instance, InstanceNetwork>();
  private readonly pools = new Map<AppName, Queries>();

  constructor(
    readonly folder: string,
    readonly database: ChaosDatabase,
    readonly server: DatabaseServer,
    readonly nodes: readonly RabbitmqNode[],
    private readonly owned: OwnedFolder,
    private readonly closers: (() => Promise<void> | void)[],
  ) {}

  of(app: AppName): readonly Instance[] {
    return this.instances.filter((instance) => instance.app === app);
  }

  network(instance: Instance): InstanceNetwork {
    const network = this.networks.get(instance);
    if (!network) throw new Error(`${instance.name} has no network.`);
    return network;
  }

  /** A node that runs; the harness talks to it directly. */
  node(): RabbitmqNode {
    const running = this.nodes.find(({ pid }) => pid !== undefined) ?? this.nodes[0];
    if (!running) throw new Error('There is no RabbitMQ.');
    return running;
  }

  /** Runs a statement past the proxies, again and again while the database is being broken. */
  async query<Row extends object>(app: AppName, sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    const end = Date.now() + DATABASE_WITHIN_MS;
    for (;;) {
      try {
        return await this.pool(app).query<Row>(sql, parameters);
      } catch (error) {
        if (Date.now() > end) throw error;
        await pause(200);
      }
    }
  }

  /** A session of its own, past the proxies. */
  session(app: AppName): Promise<Session> {
    return this.database.session(this.server.url(this.databaseName(app)));
  }

  async untilHealthy(withinMs = READY_WITHIN_MS): Promise<boolean> {
    return waitUntil(async () => (await this.unhealthy()).length === 0, withinMs, 200);
  }

  async unhealthy(): Promise<readonly Instance[]> {
    const answers = await Promise.all(this.instances.map((instance) => instance.healthy()));
    return this.instances.filter((_, index) => !answers[index]);
  }

  /** @internal what to end when the harness dies */
  rememberPids(): void {
    const pids = this.instances.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
    this.owned.cleanUpWith(pids.map((pid) => `KILL ${pid}` as const));
  }

  databaseName(app: AppName): string {
    return `chaos_${app}`;
  }

  async close(): Promise<void> {
    for (const pool of this.pools.values()) await pool.end();
    await Promise.all(this.instances.map((instance) => instance.end()));
    for (const close of this.closers.reverse()) await close();
    this.owned.remove();
  }

  private pool(app: AppName): Queries {
    const existing = this.pools.get(app);
    if (existing) return existing;
    const pool = this.database.pool(this.server.url(this.databaseName(app)));
    this.pools.set(app, pool);
    return pool;
  }
}

/**
 * Starts everything: servers on private ports and folders, one proxy per instance and server, and the apps.
 *
 * @param logFolder logs and traces go there; it stays
 */
export async function startLandscape(
  options: ChaosOptions,
  logFolder: string,
  say: (text: string) => void,
): Promise<Landscape> {
  const ports = chosenPorts(options) ?? (await freePorts(options.instances * APPS.length));
  const owned = createOwnedFolder();
  const closers: (() => Promise<void> | void)[] = [];
  mkdirSync(logFolder, { recursive: true });
  let landscape: Landscape | undefined;
  try {
    const compiled = compileApps();
    closers.push(() => compiled.remove());
    say(`starting ${DATABASES[options.database].name} and RabbitMQ${options.cluster ? ' (three nodes)' : ''}`);
    const [server, nodes] = await startServers(options, closers);
    landscape = new Landscape(logFolder, DATABASES[options.database], server, nodes, owned, closers);
    closers.push(() => keepServerLogs(logFolder, options.database, server, nodes));
    for (const app of APPS) await server.createDatabase(landscape.databaseName(app));
    say(`starting ${options.instances} of each app`);
    for (const app of APPS) {
      for (let number = 1; number <= options.instances; number += 1)
        await addInstance(landscape, app, number, ports.shift() ?? 0, compiled, closers);
    }
    for (const instance of landscape.instances) instance.start();
    if (!(await landscape.untilHealthy())) {
      const names = (await landscape.unhealthy()).map(({ logFile }) => logFile);
      throw new CannotStartError(
        `These apps are not healthy ${READY_WITHIN_MS / 1_000} s after their start; see ${names.join(', ')}`,
      );
    }
    await landscape.node().syncQueueRegistry();
    return landscape;
  } catch (error) {
    if (landscape) await landscape.close();
    else {
      for (const close of closers.reverse()) await close();
      owned.remove();
    }
    throw error;
  }
}

async function startServers(
  { cluster, database }: ChaosOptions,
  closers: (() => Promise<void> | void)[],
): Promise<[DatabaseServer, readonly RabbitmqNode[]]> {
  const started = await Promise.allSettled([
    DATABASES[database].start(),
    cluster ? startRabbitmqCluster(3) : startRabbitmq(),
  ]);
  const [server, rabbitmq] = started;
  if (server.status === 'fulfilled') closers.push(() => server.value.dispose());
  if (rabbitmq.status === 'fulfilled') closers.push(() => rabbitmq.value.dispose());
  if (server.status === 'rejected') throw cannotStart(server.reason);
  if (rabbitmq.status === 'rejected') throw cannotStart(rabbitmq.reason);
  return [server.value, 'nodes' in rabbitmq.value ? rabbitmq.value.nodes : [rabbitmq.value]];
}

function cannotStart(reason: unknown): CannotStartError {
  return new CannotStartError(reason instanceof Error ? reason.message : String(reason), { cause: reason });
}

async function addInstance(
  landscape: Landscape,
  app: AppName,
  number: number,
  port: number,
  compiled: CompiledApps,
  closers: (() => Promise<void> | void)[],
): Promise<void> {
  const { server, nodes } = landscape;
  const broker = await Promise.all(nodes.map((node) => startProxy({ target: { host: '127.0.0.1', port: node.port } })));
  const database = await startProxy({ target: { host: '127.0.0.1', port: server.port } });
  for (const proxy of [...broker, database]) closers.push(() => proxy.close());
  const urls = nodes.map((node, index) => broker[index]?.url(node.url) ?? '');
  // Each begins with another node, as behind a load balancer.
  const rotated = urls.map((_, index) => urls[(index + number) % urls.length] ?? '');
  const settings = {
    ...TIMINGS,
    rabbitmq: { uri: rotated, heartbeatSeconds: 2, reconnectMs: 300 },
    consume: { ...TIMINGS.consume, maxUnfinishedStarts: STARTS[app] },
  };
  const databaseUrl = new URL(database.url(server.url(landscape.databaseName(app))));
  if (landscape.database.kind === 'postgres') databaseUrl.searchParams.set('application_name', `${app}-${number}`);
  const instance = new Instance({
    app,
    number,
    script: compiled[app],
    port,
    folder: landscape.folder,
    env: {
      [`${app.toUpperCase()}_DATABASE_URL`]: databaseUrl.href,
      [`${app.toUpperCase()}_PORT`]: String(port),
      RELIABLE_MQ_OPTIONS: JSON.stringify(settings),
      NODE_ENV: 'production',
    },
    onPids: () => landscape.rememberPids(),
  });
  landscape.instances.push(instance);
  landscape.networks.set(instance, { broker, database });
}

async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}

function keepServerLogs(folder: string, name: string, server: DatabaseServer, nodes: readonly RabbitmqNode[]): void {
  writeFileSync(join(folder, `${name}.log`), server.log());
  for (const node of nodes) writeFileSync(join(folder, `${node.nodeName}.log`), node.log());
}

/** When nothing was started, there are no logs to keep. */
export function removeIfEmpty(folder: string): void {
  if (readdirSync(folder).length === 0) removeFolder(folder);
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}
