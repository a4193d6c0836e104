import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import { transformFileSync } from '@swc/core';
import { Client } from 'pg';
import ts from 'typescript';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { FreshApplication, readManifest, type ApplicationType, type Output } from './fresh-application';

/** Compiling and installing take 15 s of an idle machine, and much longer on a busy one. */
const INSTALL_WITHIN_MS = 300_000;

const DONE = { status: 'CONFIRMED in attempt 1', event: 'consumed', healthy: true, reasons: [] };

/** Its packages are ES modules: TypeScript's `node16` lets CommonJS have none of them, whatever Node does. */
const isNestOfModules = readManifest('node_modules/@nestjs/core').type === 'module';

/** What TypeScript calls the ways in which an application finds its packages. */
const RESOLUTIONS: readonly { readonly type: ApplicationType; readonly options: readonly string[] }[] = [
  { type: 'commonjs', options: ['--module', 'commonjs', '--moduleResolution', 'node10'] },
  { type: 'commonjs', options: ['--module', isNestOfModules ? 'node20' : 'node16'] },
  { type: 'module', options: ['--module', 'node16'] },
  { type: 'module', options: ['--module', 'preserve', '--moduleResolution', 'bundler'] },
];

describe('the package, installed from its tarball into an application of its own', () => {
  let app: FreshApplication;
  let database: TestDatabase;
  const compiled = new Map<ApplicationType, Output>();

  beforeAll(async () => {
    database = await createTestDatabase();
    app = new FreshApplication();
    await app.install();
    const script = await app.cli('schema');
    await runScript(script.stdout);
    await runScript(script.stdout);
    // The package's types must be sound by themselves.
    for (const type of ['commonjs', 'module'] as const)
      compiled.set(type, await app.tsc(type, '--module', 'nodenext', '--skipLibCheck', 'false'));
  }, INSTALL_WITHIN_MS);

  afterAll(async () => {
    app.remove();
    await database.drop();
  });

  it('leaves npm nothing to complain of', async () => {
    await expect(app.tryRun('npm', ['ls', '--all'])).resolves.toMatchObject({ code: 0, stderr: '' });
  });

  it.each(['commonjs', 'module'] as const)('has types that are sound by themselves in a strict %s', (type) => {
    expect(compiled.get(type)).toMatchObject({ stdout: '', code: 0 });
  });

  it.each(RESOLUTIONS)('has types that a $type finds with $options', async ({ type, options }) => {
    await expect(app.tsc(type, '--noEmit', '--skipLibCheck', ...options)).resolves.toMatchObject({
      stdout: '',
      code: 0,
    });
  });

  it('has types of the right kind at every entry, and an export map that publishing tools find right', async () => {
    const attw = await app.tryRun(process.execPath, [packageBin('@arethetypeswrong/cli', 'attw'), app.tarball]);
    expect(attw).toMatchObject({ stdout: expect.stringContaining('No problems found'), code: 0 });
    const publint = await app.tryRun(process.execPath, [packageBin('publint'), 'run', '--strict', app.tarball]);
    expect(publint).toMatchObject({ stdout: expect.stringContaining('All good'), code: 0 });
  });

  it.each(['commonjs', 'module'] as const)('runs in a %s, on the tables that its script has made', async (type) => {
    expect(await start(`${type}/dist/main.js`)).toEqual(DONE);
  });

  it('runs in an application that SWC has compiled', async () => {
    const { code } = transformFileSync(app.path('commonjs/main.ts'), {
      swcrc: false,
      module: { type: 'commonjs' },
      jsc: {
        target: 'es2022',
        parser: { syntax: 'typescript', decorators: true },
        transform: { legacyDecorator: true, decoratorMetadata: true },
      },
    });
    app.write('commonjs/swc.js', code);

    expect(await start('commonjs/swc.js')).toEqual(DONE);
  });

  it('runs in an application that is compiled as it is loaded', async () => {
    expect(
      await start('node_modules/tsx/dist/cli.mjs', '--tsconfig', 'module/tsconfig.json', 'module/main.ts'),
    ).toEqual(DONE);
  });

  it('is there once, whether it is imported or required', async () => {
    app.write(
      'module/both.mjs',
      `import { createRequire } from 'node:module';
       import * as imported from 'nestjs-reliable-mq';
       const required = createRequire(import.meta.url)('nestjs-reliable-mq');
       console.log(JSON.stringify(Object.keys(imported).filter((name) => imported[name] !== required[name])));`,
    );
    expect(await start('module/both.mjs')).toEqual([]);
  });

  it('knows what another copy of it has decorated, which some tools make', async () => {
    const main = readFileSync(app.path('module/dist/main.js'), 'utf8');
    const decorators = ['Compensate', 'ReliableEvent', 'ReliableEventHandler'];
    app.write(
      'module/dist/two-copies.js',
      main.replace(
        /import (\{[^}]*\}) from 'nestjs-reliable-mq';/,
        `import { createRequire } from 'node:module';
         import * as api from 'nestjs-reliable-mq';
         const copy = createRequire(import.meta.url)('../../node_modules/nestjs-reliable-mq/dist/cjs/index.js');
         const $1 = { ...api, ${decorators.map((name) => `${name}: copy.${name}`).join(', ')} };`,
      ),
    );
    expect(await start('module/dist/two-copies.js')).toEqual(DONE);
  });

  it('exports the same from the copy for tools that know CommonJS only', async () => {
    const names = `console.log(JSON.stringify(Object.keys(api).sort()))`;
    app.write('module/names.mjs', `import * as api from 'nestjs-reliable-mq'; ${names}`);
    app.write(
      'commonjs/names.js',
      `const api = require('../node_modules/nestjs-reliable-mq/dist/cjs/index.js'); ${names}`,
    );
    expect(await start('commonjs/names.js')).toEqual(await start('module/names.mjs'));
  });

  it('carries the source that its stack traces and types lead to', () => {
    const maps = filesOf('dist').filter((file) => file.endsWith('.map'));
    const lost = maps.flatMap((map) => {
      const { sources } = JSON.parse(readFileSync(map, 'utf8')) as { readonly sources: readonly string[] };
      return sources.map((source) => join(dirname(map), source)).filter((source) => !existsSync(source));
    });
    expect(maps.length).toBeGreaterThan(100);
    expect(lost).toEqual([]);
  });

  it('makes its tables in the schema that the command line was given', async () => {
    await execute('CREATE SCHEMA "Odd name"');
    const script = await app.cli('schema', '--schema', 'Odd name');
    await runScript(script.stdout);
    await runScript(script.stdout);

    const tables = await execute<{ tablename: string }>(
      `SELECT tablename FROM pg_tables WHERE schemaname = 'Odd name' ORDER BY tablename`,
    );
    expect(tables.map(({ tablename }) => tablename)).toEqual([
      'reliable_mq_audit',
      'reliable_mq_inbox',
      'reliable_mq_outbox',
      'reliable_mq_owner',
      'reliable_mq_paused',
      'reliable_mq_schema',
    ]);
  });

  it('asks a database without an application, and exits as scripts want it', async () => {
    const of = ['--database', database.url, '--schema', 'public'];
    await expect(app.cli('migrate', ...of)).resolves.toMatchObject({ code: 0, stderr: '' });
    await expect(app.cli('status', ...of, '--max-dead', '0')).resolves.toMatchObject({ code: 0, stderr: '' });
    const doctor = await app.cli('doctor', ...of, '--json');
    expect(doctor.stderr).toBe('');
    expect(JSON.parse(doctor.stdout)).toMatchObject({ findings: expect.any(Array) as unknown[] });
    const found = await app.cli('find', 'order 7', ...of, '--json');
    expect(found).toMatchObject({ code: 1, stderr: '' });
    expect(JSON.parse(found.stdout)).toEqual({ events: [], handlings: [], isCut: false });
  });

  it('refuses a command that it does not know, and prints nothing that psql would run', async () => {
    await expect(app.cli('shema')).resolves.toMatchObject({
      stdout: '',
      stderr: expect.stringContaining('unknown command "shema"; did you mean "schema"?'),
      code: 2,
    });
  });

  it('loads nothing but what it declares, and runs nothing when it is installed', () => {
    const { scripts, dependencies, peerDependencies } = readManifest(app.installed);
    const declared = new Set([...Object.keys(dependencies), ...Object.keys(peerDependencies)]);
    const loaded = filesOf('dist')
      .filter((file) => file.endsWith('.js') || file.endsWith('.d.ts'))
      .flatMap((file) => packagesLoadedBy(readFileSync(file, 'utf8')));

    expect(loaded).toContain('typeorm');
    expect([...new Set(loaded)].filter((name) => !declared.has(name))).toEqual([]);
    expect(scripts).toBeUndefined();
  });

  describe('with the packages that its optional entries are for', () => {
    beforeAll(() => app.installOptional(), INSTALL_WITHIN_MS);

    it('leaves npm nothing to complain of', async () => {
      await expect(app.tryRun('npm', ['ls', '--all'])).resolves.toMatchObject({ code: 0, stderr: '' });
    });

    it.each(RESOLUTIONS)('has types of its entries that a $type finds with $options', async ({ type, options }) => {
      await expect(app.tscObserved(type, '--noEmit', '--skipLibCheck', ...options)).resolves.toMatchObject({
        stdout: '',
        code: 0,
      });
    });

    it.each(['commonjs', 'module'] as const)('runs in a %s, with one copy of what its entries share', async (type) => {
      await expect(app.tscObserved(type, '--module', 'nodenext')).resolves.toMatchObject({ stdout: '', code: 0 });
      expect(await start(`${type}/dist/observed.js`)).toEqual({ status: 'up' });
    });
  });

  it('carries its licence, its changelog and its readme', () => {
    expect(readdirSync(app.installed)).toEqual(expect.arrayContaining(['CHANGELOG.md', 'LICENSE', 'README.md']));
  });

  function filesOf(folder: string): string[] {
    return readdirSync(join(app.installed, folder), { recursive: true, encoding: 'utf8' }).map((file) =>
      join(app.installed, folder, file),
    );
  }

  /** @returns the one line of JSON that the program prints */
  async function start(...args: string[]): Promise<unknown> {
    const { stdout } = await app.run(process.execPath, args, { DATABASE_URL: database.url });
    return JSON.parse(stdout.slice(stdout.search(/^[[{]/m)));
  }

  /** As psql does, one by one: some of the statements must stand in no transaction. */
  async function runScript(script: string): Promise<void> {
    await connected(async (client) => {
      for (const statement of statementsOf(script)) await client.query(statement);
    });
  }

  async function execute<Row>(sql: string): Promise<Row[]> {
    return connected(async (client) => (await client.query(sql)).rows as Row[]);
  }

  async function connected<Result>(work: (client: Client) => Promise<Result>): Promise<Result> {
    const client = new Client({ connectionString: database.url });
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }
});

/** Each ends with a semicolon that stands in no text, whether in quotes or between dollar signs. */
function statementsOf(script: string): readonly string[] {
  const withoutComments = script.replace(/^\s*--.*$/gm, '');
  return withoutComments.match(/(?:\$(\w*)\$[\s\S]*?\$\1\$|'(?:[^']|'')*'|[^;$'])+;/g) ?? [];
}

/** A command of a development dependency, as a file for Node. */
function packageBin(name: string, command = name): string {
  const folder = join(process.cwd(), 'node_modules', name);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    readonly bin: string | Readonly<Record<string, string>>;
  };
  return join(folder, typeof bin === 'string' ? bin : (bin[command] ?? ''));
}

/** Names of the packages that compiled code, or its types, load; its own files and Node's modules are none. */
function packagesLoadedBy(code: string): string[] {
  return ts
    .preProcessFile(code, true, true)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((request) => !request.startsWith('.') && !isBuiltin(request))
    .map((request) => request.split('/', request.startsWith('@') ? 2 : 1).join('/'));
}
