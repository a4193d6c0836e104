import type { ClaimedEvent } from '../outbox/outbox.store';
import type { Transport } from '../broker/transport';
import { QueueBacklogs } from './queue-backlogs';

const event = (consumers: readonly string[], outcomes: ClaimedEvent['outcomes'] = {}): ClaimedEvent =>
  ({ type: 'order.created', consumers, outcomes }) as ClaimedEvent;

describe('QueueBacklogs', () => {
  /** Queues with so many messages; the broker does not answer what is asked of one that is `silent`. */
  function backlogs(
    counts: Readonly<Record<string, number | 'silent'>>,
    mayAsk: (asked: readonly string[]) => boolean = () => true,
  ): {
    readonly all: QueueBacklogs;
    readonly asked: string[];
  } {
    const asked: string[] = [];
    const queueState: Transport['queueState'] = async (queue) => {
      asked.push(queue);
      const count = counts[queue] ?? 'no-queue';
      if (count === 'silent') return undefined;
      return count === 'no-queue' ? count : { messages: count, consumers: 1 };
    };
    return { all: new QueueBacklogs({ queueState }, () => mayAsk(asked)), asked };
  }

  it('puts each message that waits to one event, and asks the broker once', async () => {
    const { all, asked } = backlogs({ 'stock.order.created': 2 });
    const held = { queue: 'stock.order.created', messages: 2, consumers: 1 };
    await expect(all.mayHold(event(['stock']))).resolves.toEqual(held);
    await expect(all.mayHold(event(['stock']))).resolves.toEqual(held);
    await expect(all.mayHold(event(['stock']))).resolves.toBeUndefined();
    expect(asked).toEqual(['stock.order.created']);
  });

  it('counts what was dead-lettered from a queue while nobody consumes it, and then only', async () => {
    const asked: string[] = [];
    const states = {
      'stock.order.created': { messages: 0, consumers: 0 },
      'stock.parked': { messages: 2, consumers: 0 },
      'mail.order.created': { messages: 0, consumers: 1 },
      'mail.parked': { messages: 2, consumers: 0 },
    };
    const queueState = async (queue: string) => {
      asked.push(queue);
      return states[queue as keyof typeof states];
    };
    const all = new QueueBacklogs({ queueState }, () => true);
    const held = { queue: 'stock.order.created', messages: 2, consumers: 0 };
    await expect(all.mayHold(event(['stock']))).resolves.toEqual(held);
    await expect(all.mayHold(event(['stock']))).resolves.toEqual(held);
    await expect(all.mayHold(event(['stock']))).resolves.toBeUndefined();
    await expect(all.mayHold(event(['mail']))).resolves.toBeUndefined();
    expect(asked).toEqual(['stock.order.created', 'stock.parked', 'mail.order.created']);
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
    await expect(all.mayHold(both)).resolves.toEqual({ queue: 'stock.order.created', messages: 5, consumers: 1 });
    await expect(all.mayHold(both)).resolves.toBeUndefined();
    const handled = { mail: { outcome: 'handled', reason: null, at: '' } } as const;
    await expect(all.mayHold(event(['stock', 'mail'], handled))).resolves.toMatchObject({
      queue: 'stock.order.created',
    });
  });

  it('asks nothing more after three questions that were not answered, and goes on with what it knows', async () => {
    const { all, asked } = backlogs({
      'stock.order.created': 2,
      'mail.order.created': 'silent',
      'billing.order.created': 'silent',
      'audit.order.created': 'silent',
      'sales.order.created': 2,
    });
    await expect(all.mayHold(event(['stock']))).resolves.toMatchObject({ messages: 2 });
    for (const consumer of ['mail', 'mail', 'billing', 'audit', 'sales'])
      await expect(all.mayHold(event([consumer]))).resolves.toBe('not-known');
    await expect(all.mayHold(event(['stock']))).resolves.toMatchObject({ messages: 2 });
    expect(asked).toEqual(['stock', 'mail', 'billing', 'audit'].map((consumer) => `${consumer}.order.created`));
  });

  it('asks nothing that it may not ask any more', async () => {
    const { all, asked } = backlogs({ 'stock.order.created': 2, 'mail.order.created': 2 }, ({ length }) => length < 1);
    await expect(all.mayHold(event(['stock', 'mail']))).resolves.toBe('not-known');
    await expect(all.mayHold(event(['stock']))).resolves.toMatchObject({ messages: 2 });
    expect(asked).toEqual(['stock.order.created']);
  });

  describe('where to publish', () => {
    const published = (consumers: readonly string[], more: Partial<ClaimedEvent> = {}): ClaimedEvent => ({
      ...event(consumers),
      publishedAgoMs: 60_000,
      redrives: 0,
      ...more,
    });
    const stock = { queue: 'stock.order.created' };
    const mail = { queue: 'mail.order.created' };

    it('leaves out a queue that may hold the event while another consumer has none', async () => {
      const { all, asked } = backlogs({ 'stock.order.created': 1 });
      await expect(all.targets(published(['stock', 'mail']))).resolves.toEqual([mail]);
      await expect(all.targets(published(['stock', 'mail']))).resolves.toEqual([stock, mail]);
      expect(asked).toEqual(['stock.order.created', 'mail.order.created']);
    });

    it('leaves out none when each consumer has its queue', async () => {
      const { all } = backlogs({ 'stock.order.created': 5, 'mail.order.created': 0 });
      await expect(all.targets(published(['stock', 'mail']))).resolves.toEqual([stock, mail]);
    });

    it('leaves out none, and asks once of each queue, when the broker does not answer', async () => {
      const { all, asked } = backlogs({ 'stock.order.created': 'silent', 'mail.order.created': 'silent' });
      await expect(all.targets(published(['stock', 'mail']))).resolves.toEqual([stock, mail]);
      await expect(all.targets(published(['mail', 'stock']))).resolves.toEqual([mail, stock]);
      expect(asked).toEqual(['stock.order.created', 'mail.order.created']);
    });

    it('goes to everybody when the event was never published or a person has sent it again, and asks nothing', async () => {
      const { all, asked } = backlogs({ 'stock.order.created': 5 });
      const never = published(['stock', 'mail'], { publishedAgoMs: null });
      await expect(all.targets(never)).resolves.toEqual([{ routingKey: 'order.created' }]);
      await expect(all.targets(published(['stock', 'mail'], { redrives: 1 }))).resolves.toEqual([stock, mail]);
      await expect(all.targets(published([]))).resolves.toEqual([{ routingKey: 'order.created' }]);
      await expect(all.targets(published(['mail']))).resolves.toEqual([mail]);
      expect(asked).toEqual([]);
    });
  });
});
