import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { postgresUrl } from '../support/database';

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
  const client = new Client({ connectionString: postgresUrl() });
  await client.connect();
  const { rows } = await client.query<{ datname: string }>(
    `SELECT datname FROM pg_database WHERE datname LIKE 'rmqdemo%'`,
  );
  await client.end();
  return rows.map(({ datname }) => datname);
}

describe('npm run demo', () => {
  it.each(['memory', 'rabbitmq'])(
    'tells its story with %s, agrees with its own audit and leaves nothing behind',
    async (broker) => {
      const { code, stdout, stderr } = await demo('--orders', '24', '--json', '--broker', broker);
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      const result = JSON.parse(stdout) as Record<string, unknown>;
      expect(result).toEqual({
        orders: 24,
        confirmed: expect.any(Number) as number,
        failed: expect.any(Number) as number,
        lost: 0,
        duplicated: 0,
        broker,
        database: 'existing',
        seconds: expect.any(Number) as number,
      });
      expect((result.confirmed as number) + (result.failed as number)).toBe(24);
      expect(result.failed).toBeGreaterThanOrEqual(2); // a lamp, and the haunted mirror
      expect(stderr.split('\n').filter((line) => line.length > 80)).toEqual([]);
      await expect(demoDatabases()).resolves.toEqual([]);
    },
  );

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
