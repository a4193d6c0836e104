import { Logger } from '@nestjs/common';
import { HookRunner } from '../event/hook-runner';
import type { OutgoingMessage } from '../broker/transport';
import { decodeReceipts, type WireReceipt } from './receipt-codec';
import { ReceiptSender } from './receipt-sender';

const QUEUE = 'order.receipts.quorum';

function receipt(eventId: string, reason: string | null = null): WireReceipt {
  return { eventId, source: 'default', consumer: 'stock', outcome: 'handled', reason, retryAfterMs: null, redrives: 0 };
}

/** A valid event id with this number in it. */
function idOf(number: number): string {
  return `01900000-0000-7000-8000-${String(number).padStart(12, '0')}`;
}

describe('ReceiptSender', () => {
  let broker: { takes: boolean };
  let taken: OutgoingMessage[];
  let refusals: number;
  let warned: string[];
  let sender: ReceiptSender;

  const received = (queue = QUEUE): string[] =>
    taken
      .filter(({ target }) => 'queue' in target && target.queue === queue)
      .flatMap(({ body }) => decodeReceipts(body).receipts.map(({ eventId }) => eventId));

  beforeEach(() => {
    jest.useFakeTimers();
    broker = { takes: true };
    taken = [];
    refusals = 0;
    warned = [];
    Logger.overrideLogger({
      log: () => undefined,
      error: () => undefined,
      warn: (line: string) => void warned.push(line),
    });
    const transport = {
      status: () => ({ available: broker.takes, reason: 'blocked by the broker: low on memory' }),
      send: (message: OutgoingMessage) => {
        if (broker.takes) taken.push(message);
        else refusals += 1;
        return broker.takes;
      },
    };
    sender = new ReceiptSender('stock', 20, transport, new HookRunner([]));
  });
  afterEach(() => {
    sender.stop();
    Logger.overrideLogger(false);
    jest.useRealTimers();
  });

  it('sends the receipts of a moment together, those of one queue in one message', () => {
    for (let number = 0; number < 3; number += 1) sender.add(QUEUE, receipt(idOf(number)));
    sender.add('other', receipt(idOf(3)));
    expect(taken).toEqual([]);
    jest.advanceTimersByTime(20);
    expect(taken).toHaveLength(2);
    expect(received()).toEqual([0, 1, 2].map(idOf));
    expect(received('other')).toEqual([idOf(3)]);
  });

  it('does not wait when there are enough for a message', () => {
    for (let number = 0; number < 500; number += 1) sender.add(QUEUE, receipt(idOf(number)));
    expect(received()).toHaveLength(500);
  });

  it('keeps what the broker does not take, and sends it when it does, in the order it came', () => {
    broker.takes = false;
    for (let number = 0; number < 1200; number += 1) sender.add(QUEUE, receipt(idOf(number)));
    jest.advanceTimersByTime(60_000);
    expect(taken).toEqual([]);
    broker.takes = true;
    sender.add(QUEUE, receipt(idOf(1200)));
    jest.advanceTimersByTime(1000);
    expect(received()).toEqual(Array.from({ length: 1201 }, (_, number) => idOf(number)));
  });

  it('says so once, and makes no message that is not taken but one at a time', () => {
    broker.takes = false;
    for (let second = 0; second < 60; second += 1) {
      for (let number = 0; number < 100; number += 1) sender.add(QUEUE, receipt(idOf(second * 100 + number)));
      jest.advanceTimersByTime(1000);
    }
    expect(warned).toHaveLength(1);
    expect(warned[0]).toContain('low on memory');
    expect(refusals).toBeLessThanOrEqual(62);
  });

  it.each([
    ['number', null, 250_000],
    ['bytes', 'x'.repeat(1000), 30_000],
  ])('keeps no more than so many, by %s: the oldest are dropped, which is said once', (_, reason, count) => {
    broker.takes = false;
    for (let number = 0; number < count; number += 1) sender.add(QUEUE, receipt(idOf(number), reason));
    expect(warned.filter((line) => line.startsWith('Receipts are dropped'))).toHaveLength(1);
    broker.takes = true;
    jest.advanceTimersByTime(1000);
    const ids = received();
    expect(ids.length).toBeLessThanOrEqual(100_000);
    expect(ids.length).toBeGreaterThan(10_000);
    expect(ids.at(-1)).toBe(idOf(count - 1));
    expect(ids[0]).toBe(idOf(count - ids.length));
  });

  it('leaves out a queue whose name no broker takes, so that it holds up no other', () => {
    sender.add('x'.repeat(256), receipt(idOf(1)));
    sender.add(QUEUE, receipt(idOf(2)));
    jest.advanceTimersByTime(20);
    expect(taken).toHaveLength(1);
  });

  it('tries once more when it is stopped, says what is left, and sets no timer any more', () => {
    broker.takes = false;
    sender.add(QUEUE, receipt(idOf(1)));
    expect(sender.stop()).toEqual({ sent: 0, unsent: 1 });
    expect(jest.getTimerCount()).toBe(0);
    broker.takes = true;
    sender.add(QUEUE, receipt(idOf(2)));
    expect(received()).toEqual([idOf(1), idOf(2)]);
    expect(sender.stop()).toEqual({ sent: 0, unsent: 0 });
  });
});
