import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type DockerMariadb, startDockerMariadb } from '../servers/docker-mariadb';
import { dockerAnswers } from '../servers/docker-rabbitmq-node';
import { mariadbOfDebian, mayUseDebian, rabbitmqOfDebian } from './debian-release';
import { nodeFromNpm, pathWith, postgresFromNpm } from './npm-binaries';
import type { Suite } from './options';
import { nameOf } from './plan';
import { runCommand } from './run-command';
import { type JestResults, resultsBySuite, type SuiteResult } from './suite-results';
import {
  type Axis,
  MARIADB,
  MYSQL,
  NODE_FLAGS_FOR_NEST_12,
  RABBITMQ,
  type ServerSource,
  type Versions,
} from './versions';
import { workspaceWith } from './workspace-copy';

export interface RowResult {
  readonly name: string;
  readonly asked: Versions;
  /** What ran, in full, e.g. `24.21.0`. */
  readonly ran: Partial<Record<Axis, string>>;
  readonly suites: Partial<Record<Suite, SuiteResult>>;
  /** Why nothing ran. */
  readonly problem?: string;
  readonly seconds: number;
}

export interface Surroundings {
  /** Of the workspace. */
  readonly root: string;
  /** Where what is fetched stays. */
  readonly cache: string;
  readonly say: (text: string) => void;
}

/** Brings what the row needs and runs the suites on it. What cannot be had is a problem of the row, not of the others. */
export async function runRow(asked: Versions, suites: readonly Suite[], around: Surroundings): Promise<RowResult> {
  const began = Date.now();
  const name = nameOf(asked);
  const end = (rest: Pick<RowResult, 'ran' | 'suites' | 'problem'>): RowResult => ({
    name,
    asked,
    ...rest,
    seconds: Math.round((Date.now() - began) / 1_000),
  });
  const servers: DockerMariadb[] = [];
  try {
    around.say(`${name}: fetching what is missing`);
    const env = await environmentFor(asked, around.cache, servers);
    const folder = await workspaceWith(asked, around.root, around.cache);
    around.say(`${name}: running ${suites.join(', ')}`);
    const nodeFlags = asked.nest === '12' ? NODE_FLAGS_FOR_NEST_12 : [];
    const { results, output } = await runJest(folder, suites, { nodeFlags, env, cache: around.cache });
    const said = [output, ...servers.map(({ version }) => `MariaDB: ${version}`)].join('\n');
    const ran = versionsOf(folder, said, await nodeVersion(env));
    for (const [axis, version] of Object.entries(asked) as [Axis, string][]) {
      if (!`${ran[axis] ?? ''}.`.startsWith(`${version}.`))
        return end({ ran, suites: {}, problem: `asked for ${axis} ${version}, but ${ran[axis] ?? 'none'} ran` });
    }
    return end({ ran, suites: resultsBySuite(results, folder) });
  } catch (error) {
    return end({ ran: {}, suites: {}, problem: error instanceof Error ? error.message : String(error) });
  } finally {
    await Promise.all(servers.map((server) => server.dispose()));
  }
}

/**
 * The suites' private servers are started from what comes first on the PATH, and so is Node.
 * @param servers those that are started for the whole row
 */
async function environmentFor(asked: Versions, cache: string, servers: DockerMariadb[]): Promise<NodeJS.ProcessEnv> {
  const { node, postgres, rabbitmq, mariadb, mysql } = asked;
  const folders: string[] = [];
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    TEST_POSTGRES_URL: 'private',
    TEST_RABBITMQ_URL: 'private',
    TEST_MYSQL_URL: 'private',
  };
  const inDocker = async (image: string): Promise<void> => {
    const server = await startDockerMariadb(image);
    servers.push(server);
    env.TEST_MYSQL_URL = server.url();
  };
  if (node !== undefined) folders.push(await nodeFromNpm(node, cache));
  if (postgres !== undefined) folders.push(await postgresFromNpm(postgres, cache));
  if (rabbitmq !== undefined) {
    const place = placeOf(`RabbitMQ ${rabbitmq}`, RABBITMQ[rabbitmq]);
    if (place.debian !== undefined) folders.push((await rabbitmqOfDebian(place.debian, cache)).folder);
    else env.TEST_RABBITMQ_IMAGE = place.image;
  }
  if (mariadb !== undefined) {
    const place = placeOf(`MariaDB ${mariadb}`, MARIADB[mariadb]);
    if (place.debian !== undefined) folders.push((await mariadbOfDebian(place.debian, cache)).folder);
    else await inDocker(place.image);
  }
  if (mysql !== undefined) await inDocker(placeOf(`MySQL ${mysql}`, MYSQL[mysql]).image);
  return { ...env, PATH: pathWith(folders) };
}

/** @throws Error when it can be had nowhere */
function placeOf(name: string, source: ServerSource | undefined): ServerSource {
  const { debian, image } = source ?? { image: '' };
  if (debian !== undefined && mayUseDebian()) return { debian, image };
  if (dockerAnswers()) return { image };
  const other = debian === undefined ? '' : `, or run this as root on Debian, whose release ${debian} has it`;
  throw new Error(`There is no ${name} to be had here: start Docker${other}.`);
}

interface JestSurroundings {
  readonly nodeFlags: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** For the file with its results. */
  readonly cache: string;
}

async function runJest(
  folder: string,
  suites: readonly Suite[],
  { nodeFlags, env, cache }: JestSurroundings,
): Promise<{ readonly results: JestResults; readonly output: string }> {
  mkdirSync(cache, { recursive: true });
  const file = join(cache, `results-${process.pid}.json`);
  const paths = suites.map((suite) => `/test/${suite}/`);
  const args = [
    ...nodeFlags,
    'node_modules/jest/bin/jest.js',
    '--json',
    `--outputFile=${file}`,
    '--testPathPatterns',
    ...paths,
  ];
  const child = spawn('node', args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  try {
    return { results: JSON.parse(readFileSync(file, 'utf8')) as JestResults, output };
  } catch (error) {
    throw new Error(`Jest ended without results:\n${output.trim().slice(-3_000)}`, { cause: error });
  } finally {
    rmSync(file, { force: true });
  }
}

/** What the packages in the folder, and the lines of the suites' global setup, say that they are. */
function versionsOf(folder: string, output: string, node: string): Partial<Record<Axis, string>> {
  const postgres = /^PostgreSQL: PostgreSQL (\S+),/m.exec(output)?.[1];
  const rabbitmq = /^RabbitMQ: RabbitMQ (\S+),/m.exec(output)?.[1];
  const [, product, version = ''] = /^MariaDB: (MariaDB|MySQL) ([^\s,]+)/m.exec(output) ?? [];
  return {
    node,
    nest: installedVersion(folder, '@nestjs/core'),
    typeorm: installedVersion(folder, 'typeorm'),
    ...(rabbitmq !== undefined && { rabbitmq }),
    ...(postgres !== undefined && { postgres }),
    ...(product === 'MariaDB' && { mariadb: version }),
    ...(product === 'MySQL' && { mysql: version }),
  };
}

function installedVersion(folder: string, name: string): string {
  const manifest = readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8');
  return (JSON.parse(manifest) as { readonly version: string }).version;
}

async function nodeVersion(env: NodeJS.ProcessEnv): Promise<string> {
  return (await runCommand('node', ['--version'], { env })).trim().slice(1);
}
