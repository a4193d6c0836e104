import { eventually } from '../support/eventually';
import { Landscape } from './support/landscape';
import { OrderService } from './support/order-service';

describe('When a receipt is lost', () => {
  it('the event is chased, its consumer recognises the duplicate and reports again', async () => {
    const landscape = await Landscape.create();
    try {
      await landscape.declareStockQueue();
      const shop = await landscape.shop();
      await shop.get(OrderService).place();
      await eventually(async () => expect(await landscape.messageCount(landscape.queue)).toBe(1));
      await landscape.close(shop);

      const duplicates: string[] = [];
      await landscape.stock({ hooks: { duplicate: ({ eventId }) => duplicates.push(eventId) } });
      await eventually(async () => expect(await landscape.messageCount(landscape.receiptQueue)).toBe(1));
      await landscape.purge(landscape.receiptQueue);
      expect(await landscape.row()).toMatchObject({ status: 'published', outcomes: {} });

      await landscape.shop({ receipts: { chaseAfterMs: 60_000 } });
      // Due now, and then not again for so long that the one copy has time to be answered.
      await landscape.database.makeDue('outbox');
      await landscape.untilConsumed(1);
      expect(duplicates).toHaveLength(1);
    } finally {
      await landscape.dispose();
    }
  });
});
