import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';
import type { MariadbBinaries } from './mariadb-binaries';
import type { OwnedFolder } from './owned-folder';
import { freePort } from './ports';
import { signal, untilGone } from './process-table';
import { readLog, type ServerProcess, startServerProcess, untilReady } from './server-process';
import type { RunAs } from './unprivileged-user';

const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 30_000;
const PORT_ATTEMPTS = 5;

/** A private server. Every method may be called twice. It does not outlive its process, nor does its folder. */
export class MariadbServer {
  readonly dataDir: string;
  private readonly logFile: string;
  private server: ServerProcess | undefined;
  private boundPort = 0;
  private disposed = false;

  constructor(
    private readonly folder: OwnedFolder,
    private readonly user: RunAs,
    private readonly binaries: MariadbBinaries,
    private readonly settings: Readonly<Record<string, string>>,
  ) {
    this.dataDir = join(folder.path, 'data');
    this.logFile = join(folder.path, 'mariadb.log');
  }

  /** E.g. "MariaDB 10.11.6". */
  get version(): string {
    return this.binaries.version;
  }

  /** The same over every restart. */
  get port(): number {
    return this.boundPort;
  }

  /** Undefined while it is down. */
  get pid(): number | undefined {
    return this.running()?.pid;
  }

  url(database = 'mysql'): string {
    return `mysql://root@127.0.0.1:${this.boundPort}/${encodeURIComponent(database)}`;
  }

  log(): string {
    return readLog(this.logFile);
  }

  /** Starts it, or starts it again on the same data and port. Resolves when it accepts connections. */
  async start(): Promise<void> {
    if (this.disposed)
      throw new Error('This MariaDB was disposed, its data is gone. Start another one with startMariadb().');
    if (this.running()) return;
    if (this.boundPort !== 0) return this.launch(this.boundPort);
    if (!existsSync(join(this.dataDir, 'mysql'))) this.initialise();
    for (let attempt = 1; this.boundPort === 0; attempt += 1) {
      const port = await freePort();
      try {
        await this.launch(port);
        this.boundPort = port;
      } catch (error) {
        const taken = error instanceof Error && /Can't start server: Bind|Address already in use/i.test(error.message);
        if (!taken || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  }

  /** Ends the sessions, and what was committed is on the disk. */
  async stop(): Promise<void> {
    const server = this.running();
    if (!server) return;
    signal(server.pid, 'SIGTERM');
    await untilGone([server.pid], STOP_WITHIN_MS);
    this.forget();
  }

  /** Ends it at once with SIGKILL: nobody can say goodbye, as when the power goes. */
  async kill(): Promise<void> {
    const server = this.running();
    if (!server) return;
    signal(server.pid, 'SIGKILL');
    await untilGone([server.pid], STOP_WITHIN_MS);
    this.forget();
  }

  /** Stops it and removes its folder. */
  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    try {
      await this.kill();
    } finally {
      this.folder.remove();
    }
  }

  /** @returns the url of the database, which may exist already */
  async createDatabase(name: string): Promise<string> {
    await this.withConnection((admin) =>
      admin.query(`CREATE DATABASE IF NOT EXISTS \`${name.replaceAll('`', '``')}\` CHARACTER SET utf8mb4`),
    );
    return this.url(name);
  }

  /** Lets new sessions take no writes, or take them again: those that are open stay as they are. */
  async letNewSessionsWrite(allowed: boolean): Promise<void> {
    await this.withConnection((admin) => admin.query(`SET GLOBAL tx_read_only = ${allowed ? 'OFF' : 'ON'}`));
  }

  /**
   * Cuts the connections of all clients from the server's side.
   *
   * @returns how many
   */
  async terminateSessions(): Promise<number> {
    return this.withConnection(async (admin) => {
      const [rows] = await admin.query<RowDataPacket[]>(
        `SELECT ID AS id FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND USER <> 'system user'`,
      );
      // One that has ended meanwhile cannot be killed.
      for (const { id } of rows as unknown as { id: number }[]) await admin.query(`KILL ${id}`).catch(() => undefined);
      return rows.length;
    });
  }

  private async withConnection<T>(work: (admin: Connection) => Promise<T>): Promise<T> {
    const admin = await createConnection({ uri: this.url() });
    try {
      return await work(admin);
    } finally {
      await admin.end();
    }
  }

  private initialise(): void {
    mkdirSync(this.dataDir, { mode: 0o700, recursive: true });
    if (this.user.uid !== undefined && this.user.gid !== undefined)
      chownSync(this.dataDir, this.user.uid, this.user.gid);
    const args = [
      '--no-defaults',
      `--datadir=${this.dataDir}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      // Also where a slim machine cannot look up its own name: the user below is given by its address.
      '--force',
    ];
    const { status, stdout, stderr, error } = spawnSync(this.binaries.install, args, {
      ...this.user,
      cwd: this.dataDir,
      env: this.environment(),
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`mariadb-install-db failed: ${error?.message ?? `${stdout}${stderr}`.trim()}`);
    // Whatever names the machine gives to its own address.
    writeFileSync(
      this.initFile,
      "CREATE USER IF NOT EXISTS 'root'@'127.0.0.1';\nGRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n",
    );
  }

  private get initFile(): string {
    return join(this.folder.path, 'init.sql');
  }

  private async launch(port: number): Promise<void> {
    const settings = Object.entries(this.settings).map(([name, value]) => `--${name}=${value}`);
    const server = await startServerProcess(
      this.binaries.server,
      [
        '--no-defaults',
        `--datadir=${this.dataDir}`,
        `--port=${port}`,
        '--bind-address=127.0.0.1',
        `--socket=${join(this.dataDir, 'socket')}`,
        `--pid-file=${join(this.dataDir, 'pid')}`,
        `--init-file=${this.initFile}`,
        '--skip-name-resolve',
        '--default-time-zone=+00:00',
        ...settings,
      ],
      { ...this.user, env: this.environment(), folder: this.folder.path, cwd: this.dataDir, logFile: this.logFile },
    );
    this.folder.cleanUpWith([`KILL ${server.pid}`]);
    this.server = server;
    await untilReady('MariaDB', server, () => answers(port), {
      logFile: this.logFile,
      deadlineMs: READY_WITHIN_MS,
      intervalMs: 50,
    }).catch(async (error: unknown) => {
      await this.kill();
      throw error;
    });
  }

  private running(): ServerProcess | undefined {
    return this.server?.ended() === undefined ? this.server : undefined;
  }

  private forget(): void {
    this.server = undefined;
    this.folder.cleanUpWith([]);
  }

  /** Settings of the developer must not reach the server. */
  private environment(): NodeJS.ProcessEnv {
    return { PATH: process.env.PATH, TZ: 'UTC', LC_ALL: 'C' };
  }
}

async function answers(port: number): Promise<boolean> {
  try {
    const connection = await createConnection({ host: '127.0.0.1', port, user: 'root', connectTimeout: 1000 });
    await connection.end();
    return true;
  } catch {
    return false;
  }
}
