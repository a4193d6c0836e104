import type { DataSource } from 'typeorm';
import { learnAboutConnections } from './learn-about-connections';
import { keepsStatementsPrepared } from './prepared-statements';

describe('what is learnt about connections', () => {
  const dataSource = (connection: object, serverPid: number): DataSource =>
    ({
      createQueryRunner: () => ({
        connect: () => Promise.resolve(connection),
        query: () => Promise.resolve({ records: [{ pid: serverPid, idle_limit_ms: '0' }] }),
        release: () => Promise.resolve(),
      }),
    }) as unknown as DataSource;

  it.each([
    ['the connection leads to the server process that it names', { processID: 7 }, 7, true],
    ['a pooler names a process of its own', { processID: 7 }, 8, false],
    ['the connection names none', {}, 7, false],
  ])('statements stay prepared only where a server stays: %s', async (_case, connection, serverPid, expected) => {
    const source = dataSource(connection, serverPid);
    expect(keepsStatementsPrepared(source)).toBe(false);
    await learnAboutConnections(source);
    expect(keepsStatementsPrepared(source)).toBe(expected);
  });
});
