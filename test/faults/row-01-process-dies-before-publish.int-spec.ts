import { describeEachDatabase } from '../support/each-database';
import { Landscape } from './support/landscape';

describeEachDatabase('When a process dies after its commit and before it has published', (database) => {
  let landscape: Landscape;

  beforeEach(async () => {
    landscape = await Landscape.on(database);
  });
  afterEach(() => landscape.dispose());

  it.each(['committed', 'publishing'] as const)(
    '(%s) another instance publishes when the lease has run out',
    async (at) => {
      await landscape.stock();
      const shop = await landscape.shopProcess({ at });
      expect(await shop.exited).toMatchObject({ signal: 'SIGKILL' });
      expect(await landscape.row()).toMatchObject({ status: 'pending', published_at: null });
      expect(await landscape.effects()).toEqual([]);

      await landscape.shop();
      await landscape.untilConsumed(1);
      expect(await landscape.row()).toMatchObject({ attempts: 1 });
    },
  );

  it('nothing is left of an order whose process died before the commit', async () => {
    await landscape.stock();
    const shop = await landscape.shopProcess({ at: 'recorded' });
    expect(await shop.exited).toMatchObject({ signal: 'SIGKILL' });
    await landscape.shop();
    expect(await landscape.rows()).toEqual([]);
    expect(await landscape.query('SELECT 1 FROM placed_order')).toEqual([]);
  });
});
