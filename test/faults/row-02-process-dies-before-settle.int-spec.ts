import { describeEachDatabase } from '../support/each-database';
import { eventually } from '../support/eventually';
import { Landscape } from './support/landscape';

describeEachDatabase('When a process dies after it has published and before it has settled', (database) => {
  let landscape: Landscape;

  beforeEach(async () => {
    landscape = await Landscape.on(database);
    await landscape.declareStockQueue();
  });
  afterEach(() => landscape.dispose());

  it.each([
    ['before the confirm', 'sent'],
    ['after the confirm', 'confirmed'],
    ['before the outcome is written', 'settling'],
  ] as const)('(%s) the event is published again, and the inbox absorbs the duplicate', async (_when, at) => {
    const dead = await landscape.shopProcess({ at });
    expect(await dead.exited).toMatchObject({ signal: 'SIGKILL' });
    // A message that was handed to the socket in the moment of death may or may not have left.
    const published = at === 'sent' ? await landscape.messageCount(landscape.queue) : 1;
    expect(await landscape.messageCount(landscape.queue)).toBe(published);

    await landscape.shop({ receipts: { chaseAfterMs: 60_000 } });
    await eventually(async () => {
      expect(await landscape.row()).toMatchObject({ status: 'published', attempts: 1 });
      expect(await landscape.messageCount(landscape.queue)).toBe(published + 1);
    });

    const duplicates: string[] = [];
    await landscape.stock({ hooks: { duplicate: ({ eventId }) => duplicates.push(eventId) } });
    await landscape.untilConsumed(1);
    await eventually(async () => expect(await landscape.messageCount(landscape.queue)).toBe(0));
    expect(duplicates).toHaveLength(published);
  });

  it('the outcome that was written just before is not undone', async () => {
    const dead = await landscape.shopProcess({ at: 'settled' });
    expect(await dead.exited).toMatchObject({ signal: 'SIGKILL' });
    const batches: number[] = [];
    await landscape.shop({ hooks: { jobBatch: ({ count }) => batches.push(count) } });
    expect(await landscape.row()).toMatchObject({ status: 'published', attempts: 1 });
    await landscape.stock();
    await landscape.untilConsumed(1);
    expect(batches).toEqual([]);
  });
});
