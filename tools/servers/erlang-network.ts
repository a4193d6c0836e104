import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { createOwnedFolder, type OwnedFolder } from './owned-folder';
import { freePort } from './ports';
import { signal, untilGone } from './process-table';
import type { RabbitmqScripts } from './rabbitmq-scripts';
import { startServerProcess, untilReady, type ServerProcess } from './server-process';

const READY_WITHIN_MS = 10_000;
/** Where `rabbitmqctl` listens while it runs; RabbitMQ's own range is in the midst of the outgoing ports. */
const CTL_PORTS = { RABBITMQ_CTL_DIST_PORT_MIN: '32000', RABBITMQ_CTL_DIST_PORT_MAX: '32700' };

/** What the Erlang nodes of one cluster share: a cookie, and a name server of their own (epmd) on 127.0.0.1. */
export interface ErlangNetwork {
  readonly scripts: RabbitmqScripts;
  /** The environment for its nodes and for `rabbitmqctl`. */
  readonly env: NodeJS.ProcessEnv;
  dispose(): Promise<void>;
}

/** The network outlives its nodes: dispose it after them. It ends with this process as they do. */
export async function startErlangNetwork(scripts: RabbitmqScripts): Promise<ErlangNetwork> {
  const folder = createOwnedFolder();
  try {
    // Erlang refuses a cookie that others may read.
    writeFileSync(join(folder.path, '.erlang.cookie'), randomBytes(16).toString('hex'), { mode: 0o400 });
    const port = await freePort();
    const epmd = await startNameServer(port, folder);
    return {
      scripts,
      env: {
        PATH: process.env.PATH,
        HOME: folder.path,
        LANG: 'C.UTF-8',
        ERL_EPMD_PORT: String(port),
        ERL_EPMD_ADDRESS: '127.0.0.1',
        ERL_FLAGS: '-kernel inet_dist_use_interface {127,0,0,1}',
        ...CTL_PORTS,
      },
      dispose: async () => {
        signal(epmd.pid, 'SIGKILL');
        await untilGone([epmd.pid]);
        folder.remove();
      },
    };
  } catch (error) {
    folder.remove();
    throw error;
  }
}

/** In the foreground: a daemon that the first node starts by itself would stay for ever. */
async function startNameServer(port: number, folder: OwnedFolder): Promise<ServerProcess> {
  const logFile = join(folder.path, 'epmd.log');
  const server = await startServerProcess(locateEpmd(), ['-port', String(port), '-address', '127.0.0.1'], {
    env: { PATH: process.env.PATH },
    folder: folder.path,
    logFile,
  });
  folder.cleanUpWith([`KILL ${server.pid}`]);
  await untilReady('epmd', server, () => accepts(port), { logFile, deadlineMs: READY_WITHIN_MS, intervalMs: 10 });
  return server;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function locateEpmd(): string {
  const onPath = (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'epmd'))
    .find((file) => existsSync(file));
  if (onPath) return onPath;
  const root = execFileSync(
    'erl',
    ['-noinput', '-boot', 'start_clean', '-eval', 'io:put_chars(code:root_dir()), halt().'],
    {
      encoding: 'utf8',
    },
  );
  const runtime = readdirSync(root).find((name) => name.startsWith('erts-'));
  return join(root, runtime ?? '', 'bin', 'epmd');
}
