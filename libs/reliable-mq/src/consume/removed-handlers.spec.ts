import { Logger } from '@nestjs/common';
import type { QueueState } from '../broker/transport';
import type { InboxKind, OperationsStore } from '../database/operations.store';
import type { Stores } from '../database/stores';
import type { HandlerRegistry, QueueHandlers } from './handler-registry';
import { RemovedHandlers } from './removed-handlers';

const MINUTE_MS = 60_000;

function kind(type: string, unfinished: number, overdueMs = 0): InboxKind {
  return { consumer: 'stock', type, unfinished, overdueMs };
}

describe('RemovedHandlers', () => {
  let kinds: InboxKind[];
  let queues: Record<string, QueueState>;
  let isAway: boolean;
  let warnings: string[];
  let removed: RemovedHandlers;

  beforeEach(() => {
    kinds = [kind('order.created', 3), kind('order.gone', 2)];
    queues = {};
    isAway = false;
    warnings = [];
    Logger.overrideLogger({
      log: (text: string) => warnings.push(text),
      warn: (text: string) => warnings.push(text),
      error: () => undefined,
    });
    const operations: Pick<OperationsStore, 'inboxKinds'> = {
      inboxKinds: async () => {
        if (isAway) throw new Error('away');
        return kinds;
      },
    };
    const handlers: Pick<HandlerRegistry, 'find'> = {
      find: (_consumer, type) => (type === 'order.created' ? ({} as QueueHandlers) : undefined),
    };
    removed = new RemovedHandlers({ all: [{ operations }] } as unknown as Stores, handlers as HandlerRegistry, {
      queueState: async (queue) => (queue in queues ? queues[queue] : 'no-queue'),
    });
  });
  afterEach(() => {
    Logger.overrideLogger(false);
  });

  it('tells once what waits for no handler, until nothing does', async () => {
    queues['stock.order.gone'] = { messages: 5, consumers: 0 };
    await removed.look();
    await removed.look();
    expect(removed.problems).toEqual([
      'queue "stock.order.gone": 2 rows of the inbox and 5 messages wait for a handler that this release does not have',
    ]);
    expect(warnings).toEqual([
      expect.stringMatching(/^Rows or messages wait .*\{"queue":"stock\.order\.gone","rows":2,"messages":5\}$/),
    ]);
    kinds = [kind('order.gone', 0)];
    queues = {};
    await removed.look();
    expect(removed.problems).toEqual([]);
    expect(warnings.at(-1)).toMatch(/^Nothing waits any more/);
  });

  it('leaves a newer release beside it alone, whose handlers take their rows and messages', async () => {
    kinds = [];
    await removed.look();
    kinds = [kind('order.new', 4, 100)];
    queues['stock.order.new'] = { messages: 9, consumers: 1 };
    await removed.look();
    expect(removed.problems).toEqual([]);
    kinds = [kind('order.new', 4, MINUTE_MS + 1)];
    await removed.look();
    expect(removed.problems).toHaveLength(1);
  });

  it('keeps what it knows while the database or the broker does not say', async () => {
    queues['stock.order.gone'] = { messages: 5, consumers: 0 };
    await removed.look();
    const known = removed.problems;
    queues['stock.order.gone'] = undefined;
    await removed.look();
    isAway = true;
    await removed.look();
    expect(removed.problems).toEqual(known);
  });
});
