import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { Client } from 'pg';
import { eventually } from '../../test/support/eventually';
import { postgresUrl } from '../../test/support/database';
import { isFree } from './ports';
import { findPostgres, startPostgres, type PostgresServer } from './postgres';
import { childrenOf, isAlive } from './process-table';

describe.each(['any', 'embedded'] as const)('startPostgres with %s binaries', (source) => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({ source, settings: { work_mem: '5MB' } });
  });
  afterAll(() => server.dispose());

  async function query(sql: string, database?: string): Promise<unknown[]> {
    const client = new Client({ connectionString: server.url(database) });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows.map((row) => Object.values(row)[0]);
    } finally {
      await client.end();
    }
  }

  it('runs with the given settings, in UTF-8, and says what it is', async () => {
    expect(await query('SHOW work_mem')).toEqual(['5MB']);
    expect(await query('SHOW server_encoding')).toEqual(['UTF8']);
    expect(server.version).toMatch(/^PostgreSQL \d+/);
    expect(await findPostgres({ PGURL: server.url() })).toBe(server.url());
  });

  it('keeps what was committed when it is killed, on the same port', async () => {
    const url = await server.createDatabase('kept');
    expect(await server.createDatabase('kept')).toBe(url);
    await query('CREATE TABLE fact AS SELECT 1 AS one', 'kept');
    const { port, pid = 0 } = server;
    const backends = childrenOf(pid);
    await server.kill();
    await server.kill();
    expect([pid, ...backends].filter(isAlive)).toEqual([]);
    expect(server.pid).toBeUndefined();
    await server.start();
    await server.start();
    expect(server.port).toBe(port);
    expect(await query('SELECT one FROM fact', 'kept')).toEqual([1]);
    expect(server.log()).toContain('automatic recovery in progress');
  });

  it('stops in order and starts again', async () => {
    await server.stop();
    await server.stop();
    expect(await isFree(server.port)).toBe(true);
    await server.start();
    expect(server.log().split('automatic recovery in progress')).toHaveLength(2);
  });

  it('cuts all clients', async () => {
    const client = new Client({ connectionString: server.url() });
    const errors: Error[] = [];
    client.on('error', (error) => errors.push(error));
    await client.connect();
    expect(await server.terminateBackends()).toBe(1);
    await eventually(() => errors.length > 0);
    await client.end().catch(() => undefined);
  });

  it('leaves nothing behind when disposed, not even after a kill', async () => {
    const { pid = 0, dataDir } = server;
    await server.kill();
    await server.dispose();
    await server.dispose();
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(dirname(dataDir))).toBe(false);
    await expect(server.start()).rejects.toThrow('disposed');
  });
});

describe('findPostgres', () => {
  it('takes the server that the environment names', async () => {
    expect(await findPostgres({ TEST_POSTGRES_URL: postgresUrl() })).toBe(postgresUrl());
  });

  it('does not replace a named one that does not answer, and does not print its password', async () => {
    const failure = await findPostgres({ PGURL: 'postgres://me:secret@127.0.0.1:1/x' }).catch(String);
    expect(failure).toMatch(/^Error: PGURL=postgres:\/\/me:\*\*\*@127.0.0.1:1\/x cannot be used: .*unset it/);
  });
});
