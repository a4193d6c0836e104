import { ReliableMqHealth } from 'nestjs-reliable-mq';
import { startProxy, type TcpProxy } from '../../tools/servers/tcp-proxy';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { Consuming } from './consume-harness';

describe('the health of an application', () => {
  let database: TestDatabase;
  let proxy: TcpProxy;
  let consuming: Consuming;

  beforeAll(async () => {
    database = await createTestDatabase();
    const target = new URL(database.url);
    proxy = await startProxy({ target: { host: target.hostname, port: Number(target.port || 5432) } });
    consuming = await Consuming.start({ database, dataSource: { url: proxy.url(database.url) } });
  });
  afterAll(async () => {
    await proxy.restore();
    await consuming.dispose();
    await proxy.close();
    await database.drop();
  });

  const check = () => consuming.app.get(ReliableMqHealth).check();

  it('is good when database and broker answer', async () => {
    await expect(check()).resolves.toEqual({ healthy: true, status: 'up', reasons: [] });
  });

  it('says that the broker is away', async () => {
    consuming.broker.goOffline('lunch');
    await expect(check()).resolves.toEqual({
      healthy: false,
      status: 'degraded',
      reasons: [expect.stringMatching(/^broker: .*lunch/) as string],
    });
    consuming.broker.goOnline();
    await expect(check()).resolves.toMatchObject({ healthy: true });
  });

  it('says that the database is away, and does not show its password', async () => {
    await proxy.cut();
    const report = await eventually(async () => {
      const found = await check();
      expect(found).toMatchObject({ healthy: false, status: 'down' });
      return found;
    });
    expect(report.reasons).toEqual([
      expect.stringMatching(/^database "default": .*(ECONNREFUSED|terminated|reset)/i) as string,
    ]);
    await proxy.restore();
    await eventually(async () => expect(await check()).toMatchObject({ healthy: true }));
  });

  it('answers although the database does not', async () => {
    proxy.blackhole(true);
    const { healthy, reasons } = await check();
    expect(healthy).toBe(false);
    expect(reasons).toEqual([expect.stringContaining('no answer within 3000 ms') as string]);
    proxy.blackhole(false);
    proxy.dropAll();
    await eventually(async () => expect(await check()).toMatchObject({ healthy: true }), { deadlineMs: 20_000 });
  });
});
