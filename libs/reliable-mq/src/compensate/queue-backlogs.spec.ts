import type { ClaimedEvent } from '../outbox/outbox.store';
import { QueueBacklogs } from './queue-backlogs';

const event = (consumers: readonly string[], outcomes: ClaimedEvent['outcomes'] = {}): ClaimedEvent =>
  ({ type: 'order.created', consumers, outcomes }) as ClaimedEvent;

describe('QueueBacklogs', () => {
  function backlogs(counts: Readonly<Record<string, number>>): {
    readonly all: QueueBacklogs;
    readonly asked: string[];
  } {
    const asked: string[] = [];
    const all = new QueueBacklogs({
      messagesWaiting: async (queue) => {
        asked.push(queue);
        return counts[queue] ?? 'no-queue';
      },
    });
    return { all, asked };
  }

  it('puts each message that waits to one event, and asks the broker once', async () => {
    const { all, asked } = backlogs({ 'stock.order.created': 2 });
    const held = { queue: 'stock.order.created', messages: 2 };
    await expect(all.mayHold(event(['stock']))).resolves.toEqual(held);
    await expect(all.mayHold(event(['stock']))).resolves.toEqual(held);
    await expect(all.mayHold(event(['stock']))).resolves.toBeUndefined();
    expect(asked).toEqual(['stock.order.created']);
  });

  it('knows nothing of an empty queue, of none, and of events without declared consumers', async () => {
    const { all } = backlogs({ 'stock.order.created': 0 });
    await expect(all.mayHold(event(['stock']))).resolves.toBeUndefined();
    await expect(all.mayHold(event(['mail']))).resolves.toBeUndefined();
    await expect(all.mayHold(event([]))).resolves.toBeUndefined();
  });

  it('needs every queue whose consumer has not handled the event to hold it', async () => {
    const { all } = backlogs({ 'stock.order.created': 5, 'mail.order.created': 1 });
    const both = event(['stock', 'mail']);
    await expect(all.mayHold(both)).resolves.toEqual({ queue: 'stock.order.created', messages: 5 });
    await expect(all.mayHold(both)).resolves.toBeUndefined();
    const handled = { mail: { outcome: 'handled', reason: null, at: '' } } as const;
    await expect(all.mayHold(event(['stock', 'mail'], handled))).resolves.toMatchObject({
      queue: 'stock.order.created',
    });
  });
});
