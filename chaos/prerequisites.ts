import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, resolve } from 'node:path';
import { dockerAnswers } from '../tools/servers/docker-rabbitmq-node';
import { installPackage, mayInstall } from '../tools/servers/install-package';
import { createOwnedFolder } from '../tools/servers/owned-folder';
import { isFree } from '../tools/servers/ports';
import { locateMariadb } from '../tools/servers/mariadb-binaries';
import { locatePostgres } from '../tools/servers/postgres-binaries';
import { locateRabbitmq } from '../tools/servers/rabbitmq-scripts';
import { unprivilegedUser } from '../tools/servers/unprivileged-user';
import type { DatabaseKind } from './database';
import { APPS } from './instance';
import type { ChaosOptions } from './options';

/** Something that the harness needs is missing, taken, or does not start. The message says what, and what to do. */
export class CannotStartError extends Error {}

type Wanted = Pick<ChaosOptions, 'basePort' | 'instances' | 'cluster' | 'database' | 'reportFile'>;

/** What a run finds on its machine. */
export interface Machine {
  /** @throws Error when none run here */
  locateDatabase(database: DatabaseKind): void;
  hasRabbitmq(): boolean;
  hasDocker(): boolean;
  mayInstall(): boolean;
  /** @throws Error when it failed */
  installRabbitmq(): Promise<void>;
  canListen(port: number): Promise<boolean>;
}

const OWN_SERVERS =
  'The harness kills its servers, so it starts its own: one that runs already (TEST_POSTGRES_URL, TEST_MYSQL_URL, AMQP_URL) is no substitute.';
const INSTALL_RABBITMQ =
  'Install it (Debian, Ubuntu: sudo apt-get install rabbitmq-server; macOS: brew install rabbitmq; Fedora: sudo dnf install rabbitmq-server)';

/**
 * Whether a run can start, asked before anything is. RabbitMQ is installed where that is allowed and no other is at hand, but
 * not for a run whose options are of no use.
 *
 * @throws CannotStartError with every option that is of no use here, or else with every server that is missing
 */
export async function checkPrerequisites(wanted: Wanted, machine: Machine = THIS_MACHINE): Promise<void> {
  refuseFor([reportProblem(wanted.reportFile), await portProblem(wanted, machine)]);
  refuseFor(await serverProblems(wanted, machine));
}

function refuseFor(problems: readonly (string | undefined)[]): void {
  const real = problems.filter((problem) => problem !== undefined);
  if (real.length > 0) throw new CannotStartError(real.join('\n'));
}

/** Where the apps listen; undefined: on any free ports. */
export function chosenPorts({ basePort, instances }: Pick<Wanted, 'basePort' | 'instances'>): number[] | undefined {
  if (basePort === undefined) return undefined;
  return Array.from({ length: instances * APPS.length }, (_, index) => basePort + index);
}

async function portProblem(wanted: Wanted, machine: Machine): Promise<string | undefined> {
  const ports = chosenPorts(wanted) ?? [];
  const taken: number[] = [];
  for (const port of ports) if (!(await machine.canListen(port))) taken.push(port);
  if (taken.length === 0) return undefined;
  return (
    `Something listens already on port ${taken.join(', ')}, and the apps would listen on ${ports.at(0)} to ${ports.at(-1)}: ` +
    'choose another --base-port, or leave it out.'
  );
}

/** A run takes minutes: its report must not be lost at the end of it. */
function reportProblem(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  const folder = dirname(resolve(file));
  if (!existsSync(folder)) return `--report ${file}: there is no folder ${folder}.`;
  if (existsSync(file) && statSync(file).isDirectory()) return `--report ${file}: that is a folder.`;
  try {
    accessSync(existsSync(file) ? file : folder, constants.W_OK);
    return undefined;
  } catch (error) {
    return `--report ${file}: it cannot be written: ${messageOf(error)}.`;
  }
}

async function serverProblems({ cluster, database }: Wanted, machine: Machine): Promise<string[]> {
  const problems: string[] = [];
  try {
    machine.locateDatabase(database);
  } catch (error) {
    problems.push(messageOf(error));
  }
  const rabbitmq = await rabbitmqProblem(cluster, machine);
  if (rabbitmq !== undefined) problems.push(rabbitmq);
  return problems.length > 0 ? [...problems, OWN_SERVERS] : [];
}

async function rabbitmqProblem(cluster: boolean, machine: Machine): Promise<string | undefined> {
  if (machine.hasRabbitmq()) return undefined;
  const hasDocker = machine.hasDocker();
  if (hasDocker && !cluster) return undefined;
  if (!machine.mayInstall())
    return hasDocker
      ? `There is no rabbitmq-server, and Docker does not do for --cluster. ${INSTALL_RABBITMQ}, or leave out --cluster.`
      : `There is no RabbitMQ: no rabbitmq-server is here, and no Docker answers. ${INSTALL_RABBITMQ}, or start Docker.`;
  try {
    await machine.installRabbitmq();
    return undefined;
  } catch (error) {
    return `${messageOf(error).trimEnd()}\n${INSTALL_RABBITMQ}, or start Docker.`;
  }
}

const THIS_MACHINE: Machine = {
  locateDatabase: (database) => {
    if (database === 'mariadb') {
      locateMariadb();
      return;
    }
    const folder = createOwnedFolder();
    try {
      locatePostgres('any', unprivilegedUser(), folder.path);
    } finally {
      folder.remove();
    }
  },
  hasRabbitmq: () => locateRabbitmq() !== undefined,
  hasDocker: dockerAnswers,
  mayInstall,
  installRabbitmq: () => installPackage('rabbitmq-server'),
  canListen: async (port) => (await isFree(port)) && (await canListenEverywhere(port)),
};

/** As the apps do, on all interfaces: isFree asks for 127.0.0.1 alone. */
function canListenEverywhere(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen({ port, exclusive: true }, () => server.close(() => done(true)));
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
