import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { connect } from 'amqplib';
import type { PostgresServer } from '../tools/servers/postgres';
import { type RabbitmqNode, startRabbitmq } from '../tools/servers/rabbitmq';
import type { BenchDatabase, Seed } from './databases/bench-database';
import { MariadbForBench } from './databases/mariadb';
import { PostgresForBench } from './databases/postgres';
import type { DatabaseKind } from './options';
import { treeCpuMs } from './processor-time';
import type { FromChild, ServersCpu, ToChild, WorkResult } from './work';

/** A process that works. */
export interface Running {
  /** Resolves when it has set itself up. */
  readonly ready: Promise<void>;
  /** Resolves when its measured part has ended. */
  readonly ended: Promise<void>;
  readonly result: Promise<WorkResult>;
  stop(): void;
}

/** Servers of one's own, and processes that are measured on them. */
export class Lab {
  private names = 0;
  private readonly children = new Set<ChildProcess>();

  private constructor(
    readonly server: BenchDatabase,
    readonly rabbitmq: RabbitmqNode,
    private readonly profileFolder: string | undefined,
    /** Node for the measured processes. */
    readonly node: string,
  ) {}

  static async open(kind: DatabaseKind, profileFolder: string | undefined, node: string): Promise<Lab> {
    const [server, rabbitmq] = await Promise.allSettled([
      kind === 'postgres' ? PostgresForBench.start() : MariadbForBench.start(),
      startRabbitmq(),
    ]);
    if (server.status === 'fulfilled' && rabbitmq.status === 'fulfilled')
      return new Lab(server.value, rabbitmq.value, profileFolder, node);
    if (server.status === 'fulfilled') await server.value.dispose();
    if (rabbitmq.status === 'fulfilled') await rabbitmq.value.dispose();
    throw server.status === 'rejected' ? server.reason : (rabbitmq as PromiseRejectedResult).reason;
  }

  async close(): Promise<void> {
    for (const child of this.children) child.kill('SIGKILL');
    await Promise.all([this.server.dispose(), this.rabbitmq.dispose()]);
  }

  /** Of benchmarks that run on no other. */
  get postgres(): PostgresServer {
    if (!(this.server instanceof PostgresForBench)) throw new Error('this benchmark is one of PostgreSQL');
    return this.server.server;
  }

  get seed(): Seed {
    return this.server.seed;
  }

  /** A name that nobody has used on these servers yet. */
  name(): string {
    this.names += 1;
    return `bench${this.names}`;
  }

  /** See `BenchDatabase.create`. */
  database(name: string, statements: readonly string[]): Promise<string> {
    return this.server.create(name, statements);
  }

  /** See `BenchDatabase.copy`. */
  copiedDatabase(name: string, statements: readonly string[]): Promise<string> {
    return this.server.copy(name, statements);
  }

  dropDatabase(name: string): Promise<void> {
    return this.server.drop(name);
  }

  sql<Row>(url: string, statements: readonly string[]): Promise<Row[]> {
    return this.server.sql(url, statements);
  }

  settle(): Promise<void> {
    return this.server.settle();
  }

  /** A durable topic exchange and a quorum queue that gets everything that is published to it. */
  async declareSink(exchange: string): Promise<string> {
    const queue = `${exchange}.sink`;
    await this.onChannel(async (channel) => {
      await channel.assertExchange(exchange, 'topic', { durable: true });
      await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
      await channel.bindQueue(queue, exchange, '#');
    });
    return queue;
  }

  async deleteQueues(...queues: string[]): Promise<void> {
    await this.onChannel(async (channel) => {
      for (const queue of queues) await channel.deleteQueue(queue);
    });
  }

  async messageCount(queue: string): Promise<number> {
    return this.onChannel(async (channel) => (await channel.checkQueue(queue)).messageCount);
  }

  async onChannel<T>(
    work: (channel: Awaited<ReturnType<Awaited<ReturnType<typeof connect>>['createConfirmChannel']>>) => Promise<T>,
  ): Promise<T> {
    const connection = await connect(this.rabbitmq.url);
    connection.on('error', () => undefined);
    try {
      return await work(await connection.createConfirmChannel());
    } finally {
      await connection.close();
    }
  }

  /** One measurement in a process of its own. @param work file in `works/` @param flags for that process's Node */
  async run(work: string, config: unknown, flags: readonly string[] = []): Promise<WorkResult> {
    return this.start(work, config, flags).result;
  }

  start(work: string, config: unknown, flags: readonly string[] = []): Running {
    const profile = this.profileFolder
      ? ['--cpu-prof', '--cpu-prof-dir', this.profileFolder, '--cpu-prof-name', `${work}-${Date.now()}.cpuprofile`]
      : [];
    const child = fork(join(__dirname, 'child.ts'), [], {
      cwd: join(__dirname, '..'),
      execPath: this.node,
      execArgv: ['-r', '@swc-node/register', ...flags, ...profile],
      env: { ...process.env, NODE_ENV: 'production' },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.children.add(child);
    let setUp: () => void = () => undefined;
    // Without `begin` the work began at its call.
    let begun = this.serversCpu();
    let used: ServersCpu | undefined;
    const ready = new Promise<void>((resolve) => (setUp = resolve));
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const result = new Promise<WorkResult>((resolve, reject) => {
      child.on('message', (message: FromChild) => {
        if (message === 'ready') setUp();
        else if (message === 'begun') begun = this.serversCpu();
        else if (message === 'ended') {
          used = difference(this.serversCpu(), begun);
          end();
        } else if ('result' in message) resolve({ ...message.result, serversCpuMs: used });
        else reject(new Error(`${work} failed: ${message.error}`));
      });
      child.once('exit', (code, signal) => {
        this.children.delete(child);
        reject(new Error(`${work} ended with ${signal ?? code} before it had a result`));
      });
    });
    const isReady = Promise.race([ready, result.then(() => undefined)]);
    // Who only waits for the result learns of a failure from that.
    isReady.catch(() => undefined);
    child.send({ work: join(__dirname, 'works', work), config } satisfies ToChild);
    const stop = (): void => {
      if (child.connected) child.send('stop');
    };
    return { ready: isReady, ended, result, stop };
  }

  private serversCpu(): ServersCpu | undefined {
    const database = treeCpuMs(this.server.pid);
    const rabbitmq = treeCpuMs(this.rabbitmq.pid);
    return database === undefined || rabbitmq === undefined ? undefined : { database, rabbitmq };
  }
}

function difference(now: ServersCpu | undefined, before: ServersCpu | undefined): ServersCpu | undefined {
  return now && before && { database: now.database - before.database, rabbitmq: now.rabbitmq - before.rabbitmq };
}
