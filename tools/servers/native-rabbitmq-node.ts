import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ErlangNetwork } from './erlang-network';
import { serverVersion } from './find-rabbitmq';
import { createOwnedFolder, type OwnedFolder } from './owned-folder';
import { freePort } from './ports';
import { signal, treeOf, untilGone } from './process-table';
import { RabbitmqNode } from './rabbitmq-node';
import { readLog, startServerProcess, untilReady, type ServerProcess } from './server-process';

const READY_WITHIN_MS = 90_000;
const STOP_WITHIN_MS = 30_000;
const CTL_WITHIN_MS = 60_000;
const HANDSHAKE_WITHIN_MS = 2_000;
const PORT_ATTEMPTS = 5;

export interface NativeNodeOptions {
  readonly network: ErlangNetwork;
  /** The part of the node's name before the `@`. */
  readonly name: string;
  readonly plugins: readonly string[];
  /** Lines of rabbitmq.conf, by key. */
  readonly config: Readonly<Record<string, string>>;
  /** E.g. to end a network that only this node uses. */
  readonly afterDispose?: () => Promise<void>;
}

/** A node that runs from installed scripts, beside and apart from the system's own. */
export class NativeRabbitmqNode extends RabbitmqNode {
  readonly nodeName: string;
  private readonly folder: OwnedFolder;
  private readonly logFile: string;
  private readonly pidFile: string;
  private server: ServerProcess | undefined;
  private boundPort = 0;
  private distributionPort = 0;
  private reportedVersion = '';
  private disposed = false;

  constructor(private readonly options: NativeNodeOptions) {
    super();
    this.nodeName = `${options.name}@127.0.0.1`;
    this.folder = createOwnedFolder();
    this.logFile = join(this.folder.path, 'rabbitmq.log');
    this.pidFile = join(this.folder.path, 'pid');
    this.writeConfiguration();
  }

  get port(): number {
    return this.boundPort;
  }

  get url(): string {
    return `amqp://guest:guest@127.0.0.1:${this.boundPort}`;
  }

  get version(): string {
    return this.reportedVersion;
  }

  get pid(): number | undefined {
    return this.running() ? this.machinePid() : undefined;
  }

  log(): string {
    return readLog(this.logFile);
  }

  async start(): Promise<void> {
    if (this.disposed)
      throw new Error('This RabbitMQ was disposed, its data is gone. Start another one with startRabbitmq().');
    if (this.running()) return;
    const restart = this.boundPort !== 0;
    for (let attempt = 1; ; attempt += 1) {
      if (!restart) [this.boundPort, this.distributionPort] = [await freePort(), await freePort()];
      try {
        await this.launch();
        return;
      } catch (error) {
        const taken = error instanceof Error && /eaddrinuse|already in use/i.test(error.message);
        if (restart || !taken || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  }

  async stop(): Promise<void> {
    const server = this.running();
    if (!server) return;
    const all = [server.pid, ...this.machineAndHelpers()];
    signal(server.pid, 'SIGTERM');
    await untilGone(all, STOP_WITHIN_MS);
    this.forget();
  }

  async kill(): Promise<void> {
    const server = this.running();
    if (!server) return;
    const all = [server.pid, ...this.machineAndHelpers()];
    signal(-server.pid, 'SIGKILL');
    await untilGone(all, STOP_WITHIN_MS);
    this.forget();
  }

  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    try {
      await this.kill();
    } finally {
      this.folder.remove();
      await this.options.afterDispose?.();
    }
  }

  async ctl(...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(this.options.network.scripts.ctl, ['--node', this.nodeName, ...args], {
      env: this.environment(),
      cwd: this.folder.path,
      timeout: CTL_WITHIN_MS,
    });
    return stdout;
  }

  private async launch(): Promise<void> {
    rmSync(this.pidFile, { force: true });
    const server = await startServerProcess(this.options.network.scripts.server, [], {
      env: this.environment(),
      folder: this.folder.path,
      logFile: this.logFile,
    });
    this.folder.cleanUpWith([`KILL ${-server.pid}`]);
    this.server = server;
    await untilReady(`RabbitMQ node ${this.nodeName}`, server, () => this.answers(), {
      logFile: this.logFile,
      deadlineMs: READY_WITHIN_MS,
      intervalMs: 50,
    }).catch(async (error: unknown) => {
      await this.kill();
      throw error;
    });
  }

  private async answers(): Promise<boolean> {
    if (this.machinePid() === undefined) return false;
    const version = await serverVersion(this.url, HANDSHAKE_WITHIN_MS).catch(() => undefined);
    if (version === undefined) return false;
    this.reportedVersion = `RabbitMQ ${version}`;
    return true;
  }

  /** The script stays as the parent of the Erlang machine, which writes its own pid. */
  private machinePid(): number | undefined {
    try {
      return Number(readFileSync(this.pidFile, 'utf8')) || undefined;
    } catch {
      return undefined;
    }
  }

  private machineAndHelpers(): number[] {
    const machine = this.machinePid();
    return machine === undefined ? [] : treeOf(machine);
  }

  private running(): ServerProcess | undefined {
    return this.server?.ended() === undefined ? this.server : undefined;
  }

  private forget(): void {
    this.server = undefined;
    this.folder.cleanUpWith([]);
  }

  private writeConfiguration(): void {
    const inFolder = (name: string): string => join(this.folder.path, name);
    mkdirSync(inFolder('data'));
    const lines = { 'disk_free_limit.absolute': '10MB', ...this.options.config };
    writeFileSync(
      inFolder('rabbitmq.conf'),
      Object.entries(lines)
        .map(([key, value]) => `${key} = ${value}\n`)
        .join(''),
    );
    writeFileSync(inFolder('advanced.config'), '[].\n');
    writeFileSync(inFolder('enabled_plugins'), `[${this.options.plugins.join(',')}].\n`);
    writeFileSync(inFolder('rabbitmq-env.conf'), '');
  }

  /** Nothing of the system's node: Debian's /etc/rabbitmq/rabbitmq-env.conf alone would rename this one. */
  private environment(): NodeJS.ProcessEnv {
    const { path } = this.folder;
    return {
      ...this.options.network.env,
      RABBITMQ_NODENAME: this.nodeName,
      // A long name may hold an address: nothing depends on how this machine resolves `localhost`.
      RABBITMQ_USE_LONGNAME: 'true',
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_NODE_PORT: String(this.boundPort),
      RABBITMQ_DIST_PORT: String(this.distributionPort),
      RABBITMQ_CONF_ENV_FILE: join(path, 'rabbitmq-env.conf'),
      RABBITMQ_CONFIG_FILE: join(path, 'rabbitmq.conf'),
      RABBITMQ_CONFIG_FILES: join(path, 'conf.d'),
      RABBITMQ_ADVANCED_CONFIG_FILE: join(path, 'advanced.config'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(path, 'enabled_plugins'),
      RABBITMQ_MNESIA_BASE: path,
      RABBITMQ_MNESIA_DIR: join(path, 'data'),
      RABBITMQ_LOG_BASE: path,
      RABBITMQ_LOGS: '-',
      RABBITMQ_PID_FILE: this.pidFile,
    };
  }
}
