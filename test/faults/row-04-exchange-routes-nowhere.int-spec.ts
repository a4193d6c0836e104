import { eventually } from '../support/eventually';
import { Landscape } from './support/landscape';
import { OrderService } from './support/order-service';

describe('When the exchange routes an event nowhere', () => {
  let landscape: Landscape;

  beforeEach(async () => {
    landscape = await Landscape.create();
  });
  afterEach(() => landscape.dispose());

  it('it stays pending with the reason and backoff, and is published when a queue is bound', async () => {
    const shop = await landscape.shop();
    await shop.get(OrderService).place();
    const reason = `no queue is bound for "order.placed" on exchange "${landscape.exchange}"`;
    await eventually(async () => {
      const row = await landscape.row();
      expect(row).toMatchObject({ status: 'pending', reason, published_at: null, due_at: expect.any(Date) as Date });
      expect(row.history.slice(0, 2)).toMatchObject([
        { attempt: 1, reason },
        { attempt: 2, reason },
      ]);
    });
    await landscape.stock();
    await landscape.untilConsumed(1);
    expect(await landscape.row()).toMatchObject({ reason: null });
  });

  it('its binding is removed while everything runs: the consumer puts it back', async () => {
    const shop = await landscape.shop();
    const stock = await landscape.stock();
    await landscape.onChannel((channel) => channel.unbindQueue(landscape.queue, landscape.exchange, 'order.placed'));
    await shop.get(OrderService).place();
    await eventually(async () => expect((await landscape.row()).history).not.toEqual([]));
    await landscape.close(stock);
    await landscape.stock();
    await landscape.untilConsumed(1);
  });
});
