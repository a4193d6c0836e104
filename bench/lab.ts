import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { connect } from 'amqplib';
import { Client } from 'pg';
import { type PostgresServer, startPostgres } from '../tools/servers/postgres';
import { type RabbitmqNode, startRabbitmq } from '../tools/servers/rabbitmq';
import { treeCpuMs } from './processor-time';
import type { FromChild, ServersCpu, ToChild, WorkResult } from './work';

/**
 * What production pays for: every commit reaches the disk. Memory and log as a small server of one's own would have them, so
 * that checkpoints do not fall into one measurement and not into the next.
 */
const POSTGRES_SETTINGS = {
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  shared_buffers: '1GB',
  max_wal_size: '8GB',
  checkpoint_timeout: '30min',
};

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
  /** Databases that are copied, by the statements that made them. */
  private readonly originals = new Map<string, string>();
  private readonly children = new Set<ChildProcess>();

  private constructor(
    readonly postgres: PostgresServer,
    readonly rabbitmq: RabbitmqNode,
    private readonly profileFolder: string | undefined,
    /** Node for the measured processes. */
    readonly node: string,
  ) {}

  static async open(profileFolder: string | undefined, node: string): Promise<Lab> {
    const [postgres, rabbitmq] = await Promise.allSettled([
      startPostgres({ settings: POSTGRES_SETTINGS }),
      startRabbitmq(),
    ]);
    if (postgres.status === 'fulfilled' && rabbitmq.status === 'fulfilled')
      return new Lab(postgres.value, rabbitmq.value, profileFolder, node);
    if (postgres.status === 'fulfilled') await postgres.value.dispose();
    if (rabbitmq.status === 'fulfilled') await rabbitmq.value.dispose();
    throw postgres.status === 'rejected' ? postgres.reason : (rabbitmq as PromiseRejectedResult).reason;
  }

  async close(): Promise<void> {
    for (const child of this.children) child.kill('SIGKILL');
    await Promise.all([this.postgres.dispose(), this.rabbitmq.dispose()]);
  }

  /** A name that nobody has used on these servers yet. */
  name(): string {
    this.names += 1;
    return `bench${this.names}`;
  }

  /** A new database with these statements run in it, and a table of rows to vacuum looked after. */
  async database(name: string, statements: readonly string[]): Promise<string> {
    const url = await this.postgres.createDatabase(name);
    await this.sql(url, statements);
    return url;
  }

  /** The same where many are made by the same statements: these are run once, and what they made is copied. */
  async copiedDatabase(name: string, statements: readonly string[]): Promise<string> {
    const key = statements.join('\n');
    let original = this.originals.get(key);
    if (original === undefined) {
      original = `${name}_original`;
      await this.database(original, statements);
      this.originals.set(key, original);
    }
    await this.sql(this.postgres.url(), [`CREATE DATABASE "${name}" TEMPLATE "${original}"`]);
    return this.postgres.url(name);
  }

  async dropDatabase(name: string): Promise<void> {
    await this.sql(this.postgres.url(), [`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`]);
  }

  /** @returns the rows of the last statement */
  async sql<Row>(url: string, statements: readonly string[]): Promise<Row[]> {
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      let rows: Row[] = [];
      for (const statement of statements) rows = (await client.query(statement)).rows as Row[];
      return rows;
    } finally {
      await client.end();
    }
  }

  /** Whatever was written before is on the disk: it is not paid for by what is measured next. */
  async settle(): Promise<void> {
    await this.sql(this.postgres.url(), ['CHECKPOINT']);
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
    const postgres = treeCpuMs(this.postgres.pid);
    const rabbitmq = treeCpuMs(this.rabbitmq.pid);
    return postgres === undefined || rabbitmq === undefined ? undefined : { postgres, rabbitmq };
  }
}

function difference(now: ServersCpu | undefined, before: ServersCpu | undefined): ServersCpu | undefined {
  return now && before && { postgres: now.postgres - before.postgres, rabbitmq: now.rabbitmq - before.rabbitmq };
}
