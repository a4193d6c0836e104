import { execFile, spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { serverVersion } from './find-rabbitmq';
import { createOwnedFolder, type OwnedFolder } from './owned-folder';
import { freePort } from './ports';
import { RabbitmqNode } from './rabbitmq-node';

const DEFAULT_IMAGE = 'rabbitmq:4-management';
const PULL_WITHIN_MS = 600_000;
const READY_WITHIN_MS = 90_000;
const HANDSHAKE_WITHIN_MS = 2_000;
const DOCKER_INFO_WITHIN_MS = 5_000;

/** Whether the `docker` command is there and its daemon answers. */
export function dockerAnswers(): boolean {
  return spawnSync('docker', ['info'], { stdio: 'ignore', timeout: DOCKER_INFO_WITHIN_MS }).status === 0;
}

/** A node in a container, published on 127.0.0.1. The container goes with its owner. */
export class DockerRabbitmqNode extends RabbitmqNode {
  readonly nodeName = 'rabbit@localhost';
  private readonly folder: OwnedFolder = createOwnedFolder();
  /** A container's name that no other run has. */
  private readonly container = basename(this.folder.path);
  private boundPort = 0;
  private reportedVersion = '';
  private disposed = false;

  constructor(
    private readonly plugins: readonly string[],
    private readonly image: string = DEFAULT_IMAGE,
  ) {
    super();
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

  /** As the host sees it; 0 means not running. In Docker's virtual machine (macOS) it is no process of the host. */
  get pid(): number | undefined {
    const { status, stdout } = spawnSync('docker', ['inspect', '--format', '{{.State.Pid}}', this.container], {
      encoding: 'utf8',
    });
    return status === 0 ? Number(stdout) || undefined : undefined;
  }

  log(): string {
    const { stdout, stderr } = spawnSync('docker', ['logs', this.container], {
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    return `${stdout}${stderr}`;
  }

  async start(): Promise<void> {
    if (this.disposed)
      throw new Error('This RabbitMQ was disposed, its data is gone. Start another one with startRabbitmq().');
    if (this.pid !== undefined) return;
    if (this.boundPort === 0) {
      this.boundPort = await freePort();
      this.folder.cleanUpWith([`container ${this.container}`]);
      await docker(
        [
          'run',
          '--detach',
          '--name',
          this.container,
          '--hostname',
          'localhost',
          '--publish',
          `127.0.0.1:${this.boundPort}:5672`,
          '--env',
          `RABBITMQ_NODENAME=${this.nodeName}`,
          this.image,
        ],
        PULL_WITHIN_MS,
      );
    } else {
      await docker(['start', this.container]);
    }
    await this.untilAnswers();
    if (this.plugins.length > 0) await docker(['exec', this.container, 'rabbitmq-plugins', 'enable', ...this.plugins]);
  }

  async stop(): Promise<void> {
    if (this.pid !== undefined) await docker(['stop', '--time', '30', this.container]);
  }

  async kill(): Promise<void> {
    if (this.pid !== undefined) await docker(['kill', this.container]);
  }

  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    try {
      if (this.boundPort !== 0) await docker(['rm', '--force', '--volumes', this.container]);
    } finally {
      this.folder.remove();
    }
  }

  ctl(...args: string[]): Promise<string> {
    return docker(['exec', this.container, 'rabbitmqctl', ...args]);
  }

  private async untilAnswers(): Promise<void> {
    const end = Date.now() + READY_WITHIN_MS;
    for (;;) {
      try {
        this.reportedVersion = `RabbitMQ ${await serverVersion(this.url, HANDSHAKE_WITHIN_MS)}`;
        return;
      } catch (error) {
        if (this.pid === undefined || Date.now() > end) {
          throw new Error(`RabbitMQ in Docker is not ready. The end of its log:\n${this.log().slice(-3_000)}`, {
            cause: error,
          });
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }
}

async function docker(args: readonly string[], timeoutMs = 120_000): Promise<string> {
  const { stdout } = await promisify(execFile)('docker', [...args], { timeout: timeoutMs });
  return stdout;
}
