import { execFile } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { packLibrary } from '../../tools/pack/pack-library';
import { createOwnedFolder } from '../../tools/servers/owned-folder';
import { createTestDatabase, type TestDatabase } from '../support/database';

const APPLICATION = join(__dirname, 'fresh-app/main.ts');

/** Compiling and installing take 15 s of an idle machine, and much longer on a busy one. */
const INSTALL_WITHIN_MS = 300_000;

/** Stricter than most applications, and than the workspace. */
const COMPILER_OPTIONS = {
  target: 'es2022',
  lib: ['es2023'],
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  // The package's types must be sound by themselves.
  skipLibCheck: false,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  outDir: 'dist',
};

/** What the application of the README installs beside the package, in the versions of the workspace: npm has them in its cache. */
const APPLICATION_PACKAGES = [
  '@nestjs/common',
  '@nestjs/core',
  '@nestjs/schedule',
  '@nestjs/typeorm',
  '@types/node',
  'class-transformer',
  'class-validator',
  'pg',
  'reflect-metadata',
  'rxjs',
  'typeorm',
  'typescript',
];

interface Manifest {
  readonly version: string;
  readonly scripts?: unknown;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

interface Output {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

describe('the package, installed from its tarball into an application of its own', () => {
  const folder = createOwnedFolder();
  const app = folder.path;
  const installed = join(app, 'node_modules/nestjs-reliable-mq');
  let database: TestDatabase;
  let compiled: Output;

  beforeAll(async () => {
    database = await createTestDatabase();
    const tarball = packLibrary(join(app, 'pack'));
    const versions = APPLICATION_PACKAGES.map((name) => [name, readManifest(`node_modules/${name}`).version]);
    const dependencies = { ...Object.fromEntries(versions), 'nestjs-reliable-mq': `file:${tarball}` };
    writeFileSync(join(app, 'package.json'), JSON.stringify({ name: 'fresh-app', private: true, dependencies }));
    writeFileSync(
      join(app, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: COMPILER_OPTIONS, include: ['main.ts'] }),
    );
    copyFileSync(APPLICATION, join(app, 'main.ts'));
    const install = [
      'install',
      '--prefer-offline',
      '--ignore-scripts',
      '--strict-peer-deps',
      '--no-audit',
      '--no-fund',
    ];
    await run('npm', install);
    compiled = await tsc('--module', 'commonjs', '--moduleResolution', 'node10');
  }, INSTALL_WITHIN_MS);

  afterAll(async () => {
    folder.remove();
    await database.drop();
  });

  it('has types that are sound by themselves in a strict application', () => {
    expect(compiled).toMatchObject({ stdout: '', code: 0 });
  });

  it('has types that an application finds by the package’s exports as well', async () => {
    const result = await tsc('--noEmit', '--module', 'preserve', '--moduleResolution', 'bundler');

    expect(result).toMatchObject({ stdout: '', code: 0 });
  });

  it('prints a script that may run twice, with tables that the application accepts as they are', async () => {
    const script = await cli('schema');
    await execute(script.stdout);
    await execute(script.stdout);

    const { stdout } = await run(process.execPath, ['dist/main.js'], { DATABASE_URL: database.url });

    expect(JSON.parse(stdout)).toEqual({
      status: 'CONFIRMED in attempt 1',
      event: 'consumed',
      healthy: true,
      reasons: [],
    });
  });

  it('makes its tables in the schema that the command line was given', async () => {
    await execute('CREATE SCHEMA "Odd name"');
    const script = await cli('schema', '--schema', 'Odd name');
    await execute(script.stdout);
    await execute(script.stdout);

    const tables = await execute<{ tablename: string }>(
      `SELECT tablename FROM pg_tables WHERE schemaname = 'Odd name' ORDER BY tablename`,
    );
    expect(tables.map(({ tablename }) => tablename)).toEqual([
      'reliable_mq_inbox',
      'reliable_mq_outbox',
      'reliable_mq_schema',
    ]);
  });

  it('refuses a command that it does not know, and prints nothing that psql would run', async () => {
    await expect(cli('shema')).resolves.toMatchObject({
      stdout: '',
      stderr: expect.stringContaining('unknown command "shema"; did you mean "schema"?'),
      code: 2,
    });
  });

  it('requires nothing but what it declares, and runs nothing when it is installed', () => {
    const { scripts, dependencies, peerDependencies } = readManifest(installed);
    const declared = new Set([...Object.keys(dependencies), ...Object.keys(peerDependencies)]);
    const required = readdirSync(join(installed, 'dist'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.js'))
      .flatMap((file) => packagesRequiredBy(readFileSync(join(installed, 'dist', file), 'utf8')));

    expect(required).toContain('typeorm');
    expect([...new Set(required)].filter((name) => !declared.has(name))).toEqual([]);
    expect(scripts).toBeUndefined();
  });

  it('carries its licence, its changelog and its readme', () => {
    expect(readdirSync(installed)).toEqual(expect.arrayContaining(['CHANGELOG.md', 'LICENSE', 'README.md']));
  });

  function cli(...args: string[]): Promise<Output> {
    return tryRun(join(app, 'node_modules/.bin/nestjs-reliable-mq'), args);
  }

  function tsc(...args: string[]): Promise<Output> {
    return tryRun(process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.', ...args]);
  }

  async function run(program: string, args: readonly string[], env: Record<string, string> = {}): Promise<Output> {
    const result = await tryRun(program, args, env);
    if (result.code === 0) return result;
    throw new Error(`${program} ${args.join(' ')} ended with ${result.code}:\n${result.stdout}${result.stderr}`);
  }

  async function tryRun(program: string, args: readonly string[], env: Record<string, string> = {}): Promise<Output> {
    try {
      const { stdout, stderr } = await promisify(execFile)(program, args, {
        cwd: app,
        env: { ...process.env, ...env },
      });
      return { stdout, stderr, code: 0 };
    } catch (error) {
      if (typeof (error as Output).code !== 'number') throw error;
      const { stdout, stderr, code } = error as Output;
      return { stdout, stderr, code };
    }
  }

  async function execute<Row>(sql: string): Promise<Row[]> {
    const client = new Client({ connectionString: database.url });
    await client.connect();
    try {
      return (await client.query(sql)).rows as Row[];
    } finally {
      await client.end();
    }
  }
});

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
}

/** Names of the packages that compiled code requires; its own files and Node's modules are none. */
function packagesRequiredBy(code: string): string[] {
  const requests = [...code.matchAll(/\brequire\("([^"]+)"\)/g)].map(([, request = '']) => request);
  return requests
    .filter((request) => !request.startsWith('.') && !isBuiltin(request))
    .map((request) => request.split('/', request.startsWith('@') ? 2 : 1).join('/'));
}
