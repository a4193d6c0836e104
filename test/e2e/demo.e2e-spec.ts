import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { queryOnce } from '../../tools/servers/query-once';
import { mariadbUrl, postgresUrl } from '../support/database';
import { eventually } from '../support/eventually';
import { startApp } from '../support/processes';

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function demo(...args: readonly string[]): Promise<Ended> {
  try {
    const command = ['-r', '@swc-node/register', 'demo/main.ts', ...args];
    return { code: 0, ...(await promisify(execFile)(process.execPath, command, { timeout: 90_000 })) };
  } catch (error) {
    return error as Ended;
  }
}

async function demoDatabases(): Promise<string[]> {
  const rows = [
    ...(await queryOnce<{ name: string }>(postgresUrl(), 'SELECT datname AS name FROM pg_database')),
    ...(await queryOnce<{ name: string }>(mariadbUrl(), 'SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA')),
  ];
  return rows.map(({ name }) => name).filter((name) => name.startsWith('rmqdemo'));
}

describe('npm run demo', () => {
  it.each([
    ['memory', 'existing'],
    ['rabbitmq', 'existing'],
    ['rabbitmq', 'mariadb'],
  ])(
    'tells its story with %s on a database that is %s, agrees with its own audit and leaves nothing behind',
    async (broker, database) => {
      const { code, stdout, stderr } = await demo(
        '--orders',
        '24',
        '--json',
        '--broker',
        broker,
        '--database',
        database,
      );
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      const result = JSON.parse(stdout) as Record<string, unknown>;
      expect(result).toEqual({
        orders: 24,
        confirmed: expect.any(Number) as number,
        failed: expect.any(Number) as number,
        lost: 0,
        duplicated: 0,
        broker,
        database,
        seconds: expect.any(Number) as number,
      });
      expect((result.confirmed as number) + (result.failed as number)).toBe(24);
      expect(result.failed).toBeGreaterThanOrEqual(2); // a lamp, and the haunted mirror
      expect(stderr.split('\n').filter((line) => line.length > 80)).toEqual([]);
      await expect(demoDatabases()).resolves.toEqual([]);
    },
  );

  it('lets the failing consumer fail in its own handler, for a reason of one line, and says what to try next', async () => {
    const { code, stdout } = await demo('--orders', '2', '--broker', 'memory');
    expect(code).toBe(0);
    expect(stdout).toMatch(/inventory fails: the shelf is haunted; again in 300 ms$/m);
    expect(stdout).toMatch(/^What to try next$/m);
    expect(stdout).toContain('npm run demo -- --keep');
  });

  it.each([
    ['SIGINT', 'existing'],
    ['SIGTERM', 'embedded'],
  ] as const)(
    'with --keep both services stay until %s; then nothing of them is left (%s)',
    async (signal, database) => {
      const args = ['--orders', '2', '--keep', '--broker', 'memory', '--database', database];
      const ready = { line: /What your orders do is told here/ };
      const app = await startApp({ script: 'demo/main.ts', args, ready, readyWithinMs: 90_000 });
      const orders = `${urlIn(app.log(), /order +(http:\S+)/)}/orders`;
      const databaseUrl = urlIn(app.log(), /order .*psql '(\S+)'/);

      const placed = await post(orders, { sku: 'mug', quantity: 1 });
      await eventually(async () => {
        const response = await fetch(`${orders}/${placed.id}`, { headers: { connection: 'close' } });
        return ((await response.json()) as { status: string }).status === 'CONFIRMED';
      });

      await expect(app.stop(signal)).resolves.toEqual({ code: 0, signal: null });
      await expect(fetch(orders)).rejects.toThrow();
      await expect(new Client({ connectionString: databaseUrl }).connect()).rejects.toThrow();
    },
  );

  it('removes what it has made when it is interrupted in the midst of its story', async () => {
    const ready = { line: /One order, step by step/ };
    const app = await startApp({ script: 'demo/main.ts', args: ['--broker', 'memory'], ready, readyWithinMs: 90_000 });

    await expect(app.stop('SIGINT')).resolves.toEqual({ code: 130, signal: null });
    const left = (await demoDatabases()).filter((name) => name.includes(`_${app.pid}_`));
    expect(left).toEqual([]);
  });

  it.each([
    [['--orders', '0'], '--orders needs a whole number from 1 to 100000, got "0".'],
    [['--orders', 'ten'], '--orders needs a whole number from 1 to 100000, got "ten".'],
    [['--orders'], '--orders needs a whole number from 1 to 100000, got nothing.'],
    [['--broker=kafka'], '--broker needs rabbitmq or memory, got "kafka".'],
    [['--fast'], 'Unknown argument "--fast".'],
  ])('refuses %j with 2', async (args, message) => {
    const { code, stdout, stderr } = await demo(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
  });
});

function urlIn(text: string, pattern: RegExp): string {
  const [, url] = pattern.exec(text) ?? [];
  if (url === undefined) throw new Error(`There is no ${String(pattern)} in:\n${text}`);
  return url;
}

async function post(url: string, body: object): Promise<{ readonly id: string }> {
  const headers = { 'content-type': 'application/json', connection: 'close' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  return (await response.json()) as { id: string };
}
