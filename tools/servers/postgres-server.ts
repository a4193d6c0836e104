import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import type { OwnedFolder } from './owned-folder';
import { freePort } from './ports';
import type { PostgresBinaries } from './postgres-binaries';
import { childrenOf, signal, untilGone } from './process-table';
import { readLog, startServerProcess, untilReady, type ServerProcess } from './server-process';
import type { RunAs } from './unprivileged-user';

const READY_WITHIN_MS = 30_000;
const STOP_WITHIN_MS = 15_000;
const PORT_ATTEMPTS = 5;

/** A private server. Every method may be called twice. It does not outlive its process, nor does its folder. */
export class PostgresServer {
  readonly dataDir: string;
  private readonly logFile: string;
  private server: ServerProcess | undefined;
  private boundPort = 0;
  private disposed = false;

  constructor(
    private readonly folder: OwnedFolder,
    private readonly user: RunAs,
    private readonly binaries: PostgresBinaries,
    private readonly settings: Readonly<Record<string, string>>,
  ) {
    this.dataDir = join(folder.path, 'data');
    this.logFile = join(folder.path, 'postgres.log');
  }

  /** E.g. "PostgreSQL 18.4". */
  get version(): string {
    return this.binaries.version;
  }

  /** The same over every restart. */
  get port(): number {
    return this.boundPort;
  }

  /** The postmaster; undefined while it is down. */
  get pid(): number | undefined {
    return this.running()?.pid;
  }

  url(database = 'postgres'): string {
    return `postgres://postgres@127.0.0.1:${this.boundPort}/${encodeURIComponent(database)}`;
  }

  log(): string {
    return readLog(this.logFile);
  }

  /** Starts it, or starts it again on the same data and port. Resolves when it accepts connections. */
  async start(): Promise<void> {
    if (this.disposed)
      throw new Error('This PostgreSQL was disposed, its data is gone. Start another one with startPostgres().');
    if (this.running()) return;
    if (this.boundPort !== 0) return this.launch(this.boundPort);
    if (!existsSync(join(this.dataDir, 'PG_VERSION'))) this.initialise();
    for (let attempt = 1; this.boundPort === 0; attempt += 1) {
      const port = await freePort();
      try {
        await this.launch(port);
        this.boundPort = port;
      } catch (error) {
        const taken = error instanceof Error && /could not bind|Address already in use/i.test(error.message);
        if (!taken || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  }

  /** `fast` ends the sessions and writes a checkpoint; `immediate` ends without one, the next start recovers. */
  async stop(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    const server = this.running();
    if (!server) return;
    signal(server.pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await server.untilReaped(STOP_WITHIN_MS);
    this.forget();
  }

  /** Ends the postmaster and every backend at once with SIGKILL: nobody can say goodbye, as when the power goes. */
  async kill(): Promise<void> {
    const server = this.running();
    if (!server) return;
    signal(server.pid, 'SIGSTOP'); // no new backend while they are listed
    const all = [...childrenOf(server.pid), server.pid];
    for (const pid of all) signal(pid, 'SIGKILL');
    await untilGone(all, STOP_WITHIN_MS);
    await server.untilReaped(STOP_WITHIN_MS);
    this.forget();
  }

  /** A hot standby that follows this server, made of a copy of its data: this one is down meanwhile. */
  async startStandby(folder: OwnedFolder): Promise<PostgresServer> {
    const primary = `host=127.0.0.1 port=${this.boundPort} user=postgres`;
    const standby = new PostgresServer(folder, this.user, this.binaries, {
      ...this.settings,
      primary_conninfo: primary,
    });
    await this.stop();
    const { status, stderr } = spawnSync('cp', ['-a', this.dataDir, standby.dataDir], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`The data could not be copied: ${stderr}`);
    writeFileSync(join(standby.dataDir, 'standby.signal'), '');
    await this.start();
    await standby.start();
    return standby;
  }

  /** Makes a standby a primary. Resolves when it takes writes. */
  async promote(): Promise<void> {
    await this.withClient((client) => client.query('SELECT pg_promote()'));
  }

  /** Lets the server take no writes any more, also in sessions that are open, from their next transaction on. */
  async becomeReadOnly(): Promise<void> {
    await this.withClient(async (client) => {
      await client.query('ALTER SYSTEM SET default_transaction_read_only = on');
      await client.query('SELECT pg_reload_conf()');
    });
  }

  /** Stops it and removes its folder. */
  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    try {
      await this.stop('immediate').catch(() => this.kill());
      this.releaseSharedMemory();
    } finally {
      this.folder.remove();
    }
  }

  /** @returns the url of the database, which may exist already */
  async createDatabase(name: string): Promise<string> {
    await this.withClient(async (client) => {
      const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
      if (found.rowCount === 0)
        await client.query(`CREATE DATABASE "${name.replaceAll('"', '""')}" TEMPLATE template0`);
    });
    return this.url(name);
  }

  /**
   * Cuts the connections of all clients from the server's side.
   *
   * @returns how many
   */
  async terminateBackends(): Promise<number> {
    return this.withClient(async (client) => {
      const cut = await client.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
      );
      return cut.rowCount ?? 0;
    });
  }

  private async withClient<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const client = new Client({ connectionString: this.url() });
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }

  private initialise(): void {
    mkdirSync(this.dataDir, { mode: 0o700, recursive: true });
    if (this.user.uid !== undefined && this.user.gid !== undefined)
      chownSync(this.dataDir, this.user.uid, this.user.gid);
    const args = ['-D', this.dataDir, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
    const { status, stdout, stderr, error } = spawnSync(join(this.binaries.folder, 'initdb'), args, {
      ...this.user,
      cwd: this.dataDir,
      env: this.environment(),
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`initdb failed: ${error?.message ?? `${stdout}${stderr}`.trim()}`);
  }

  private async launch(port: number): Promise<void> {
    const settings = Object.entries(this.settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const server = await startServerProcess(
      join(this.binaries.folder, 'postgres'),
      ['-D', this.dataDir, '-p', String(port), ...settings],
      {
        ...this.user,
        env: this.environment(),
        folder: this.folder.path,
        cwd: this.dataDir,
        logFile: this.logFile,
      },
    );
    // SIGQUIT is an immediate shutdown: the postmaster takes its backends along.
    this.folder.cleanUpWith([`QUIT ${server.pid}`]);
    this.server = server;
    await untilReady('PostgreSQL', server, () => this.saysReady(server.pid), {
      logFile: this.logFile,
      deadlineMs: READY_WITHIN_MS,
      intervalMs: 10,
    }).catch(async (error: unknown) => {
      await this.kill();
      throw error;
    });
  }

  /** The eighth line of postmaster.pid is the status that `pg_ctl --wait` reads; the first tells an old file from ours. */
  private saysReady(pid: number): boolean {
    const lines = this.lockFile();
    return lines[0] === String(pid) && lines[7]?.trim() === 'ready';
  }

  private lockFile(): string[] {
    try {
      return readFileSync(join(this.dataDir, 'postmaster.pid'), 'utf8').split('\n');
    } catch {
      return [];
    }
  }

  /** After kill() the lock file stays, with the id of a few bytes of System V memory that the next start would have freed. */
  private releaseSharedMemory(): void {
    const [, id] = (this.lockFile()[6] ?? '').trim().split(/\s+/);
    if (id) spawnSync('ipcrm', ['-m', id], { stdio: 'ignore' });
  }

  private running(): ServerProcess | undefined {
    return this.server?.ended() === undefined ? this.server : undefined;
  }

  private forget(): void {
    this.server = undefined;
    this.folder.cleanUpWith([]);
  }

  /** PGDATA, PGPORT and the like of the developer must not reach the server. */
  private environment(): NodeJS.ProcessEnv {
    return { PATH: process.env.PATH, TZ: 'UTC', LC_ALL: 'C' };
  }
}
