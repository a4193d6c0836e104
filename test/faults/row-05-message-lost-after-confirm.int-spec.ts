import { eventually } from '../support/eventually';
import { Landscape } from './support/landscape';
import { OrderService } from './support/order-service';

describe('When a message is lost after the broker has confirmed it', () => {
  let landscape: Landscape;

  beforeEach(async () => {
    landscape = await Landscape.create();
    await landscape.declareStockQueue();
  });
  afterEach(() => landscape.dispose());

  it.each([
    ['its queue is purged', () => landscape.purge(landscape.queue)],
    ['its queue is deleted', () => landscape.deleteQueue(landscape.queue)],
  ])('(%s) no receipt comes, and the event is chased and published again', async (_what, lose) => {
    const shop = await landscape.shop({ receipts: { chaseAfterMs: 1500 } });
    await shop.get(OrderService).place();
    await eventually(async () => expect(await landscape.row()).toMatchObject({ status: 'published', attempts: 1 }));
    await lose();
    await landscape.stock();
    await landscape.untilConsumed(1);
    expect((await landscape.row()).attempts).toBeGreaterThan(1);
  });

  it('a queue that is gone for good makes the event pending again, with the reason', async () => {
    const shop = await landscape.shop({ receipts: { chaseAfterMs: 100 } });
    await shop.get(OrderService).place();
    await eventually(async () => expect(await landscape.row()).toMatchObject({ status: 'published' }));
    await landscape.deleteQueue(landscape.queue);
    await eventually(async () => {
      expect(await landscape.row()).toMatchObject({
        status: 'pending',
        reason: expect.stringContaining('no queue is bound') as string,
      });
    });
  });
});
