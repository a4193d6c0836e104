import { freePort } from '../../tools/servers/ports';
import { describeEachDatabase } from '../support/each-database';
import { type App } from '../support/processes';
import { TwoServices } from './two-services';

const AT_ONCE = 12;

describeEachDatabase(
  'services whose processes come and go',
  (database) => {
    let services: TwoServices;
    let order: App;
    let inventory: App;

    beforeAll(async () => {
      services = await TwoServices.prepare(database);
      [order, inventory] = await Promise.all([services.start('order'), services.start('inventory')]);
    });

    afterAll(() => services.dispose());

    /** Places orders, some of them at the same time, and calls back once, when half of them are placed. */
    async function placeMany(sku: string, count: number, halfway: () => Promise<void>): Promise<void> {
      const numbers = Array.from({ length: count }, (_, index) => index).values();
      let placed = 0;
      let interruption: Promise<void> | undefined;
      const placeNext = async (): Promise<void> => {
        for (const index of numbers) {
          await services.place(sku, 1 + (index % 3));
          placed += 1;
          if (placed >= count / 2) interruption ??= halfway();
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, placeNext));
      await interruption;
    }

    it('ends with 0 after SIGTERM with work in hand, and the next process goes on with it', async () => {
      await services.stock('shirt', 400);
      let status: unknown;
      await placeMany('shirt', 120, async () => {
        status = await inventory.stop('SIGTERM', 15_000);
      });
      expect(status).toEqual({ code: 0, signal: null });
      inventory = await services.start('inventory');
      await services.quiet();
      await expect(services.audit()).resolves.toMatchObject({ confirmed: 120, failed: 0, lost: 0, duplicated: 0 });
    });

    it('loses and doubles nothing when the consumer is killed in the middle of its work', async () => {
      await services.stock('poster', 100);
      await placeMany('poster', 120, async () => {
        await inventory.kill('SIGKILL');
      });
      inventory = await services.start('inventory');
      await services.quiet();
      const verdict = await services.audit();
      expect(verdict).toMatchObject({ lost: 0, duplicated: 0, findings: [] });
      expect(verdict.balances).toContainEqual(
        expect.objectContaining({ sku: 'poster', available: expect.closeTo(1, -1) as number }),
      );
    });

    it('loses and doubles nothing when the producer is killed after it accepted orders', async () => {
      await services.stock('mug', 1_000);
      await Promise.all(Array.from({ length: 60 }, () => services.place('mug', 1)));
      await order.kill('SIGKILL');
      order = await services.start('order');
      await services.quiet();
      await expect(services.audit()).resolves.toMatchObject({ lost: 0, duplicated: 0, findings: [] });
    });

    it('shares the work between two instances', async () => {
      await services.stock('rug', 200);
      await services.start('inventory', await freePort());
      await placeMany('rug', 60, () => Promise.resolve());
      await services.quiet();
      await expect(services.audit()).resolves.toMatchObject({ lost: 0, duplicated: 0, findings: [] });
    });
  },
  'on demand',
);

describeEachDatabase(
  'services that start',
  (database) => {
    let services: TwoServices;

    beforeAll(async () => {
      services = await TwoServices.prepare(database);
    });

    afterAll(() => services.dispose());

    it('start without the broker, two at once on an empty database, and begin to work when it is there', async () => {
      await services.proxy.cut();
      await Promise.all([
        services.start('order'),
        services.start('order', await freePort()),
        services.start('inventory'),
        services.start('inventory', await freePort()),
      ]);
      await expect(services.get('inventory', '/health')).resolves.toMatchObject({ code: 503 });
      await services.stock('mug', 3);
      const id = await services.place('mug', 1);
      await services.proxy.restore();
      await expect(services.decided(id)).resolves.toMatchObject({ status: 'CONFIRMED' });
    });
  },
  'on demand',
);
