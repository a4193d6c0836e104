import { startProxy } from '../../tools/servers/tcp-proxy';
import { deferred } from '../support/deferred';
import { createTestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { Consuming } from './consume-harness';

describe('a connection to the database that is dead and looks open', () => {
  it('delays what was delivered, costs no attempt, and is replaced', async () => {
    const database = await createTestDatabase();
    const target = new URL(database.url);
    const proxy = await startProxy({ target: { host: target.hostname, port: Number(target.port || 5432) } });
    const consuming = await Consuming.start({
      database,
      dataSource: { url: proxy.url(database.url) },
      poolSize: 3,
      reliableMq: { consume: { timeoutMs: 400, prefetch: 3 } },
    });
    try {
      const [entered, goOn] = [deferred(), deferred()];
      consuming.script.onEvent = async ({ text }, { manager }) => {
        if (text !== 'in progress') return;
        entered.resolve();
        await goOn.promise;
        await manager.query('SELECT 1');
      };
      const inProgress = consuming.send('in progress');
      await entered.promise;
      proxy.blackhole(true);
      goOn.resolve();
      const others = ['one', 'two', 'three'].map((text) => consuming.send(text));
      await eventually(() => expect(proxy.swallowedBytes).toBeGreaterThan(0));
      proxy.blackhole(false);

      for (const id of [inProgress, ...others]) {
        const row = await eventually(
          async () => {
            const [found] = await consuming.inbox(id);
            expect(found).toMatchObject({ status: 'handled' });
            return found;
          },
          { deadlineMs: 60_000 },
        );
        expect(row?.attempts).toBeLessThanOrEqual(2);
        await expect(consuming.notes(id)).resolves.toHaveLength(1);
      }
      await eventually(() => expect(consuming.waiting()).toBe(0));
    } finally {
      await consuming.dispose();
      await proxy.close();
      await database.drop();
    }
  }, 120_000);
});
