import type { StoreSet } from '../database/stores';
import type { Handler } from './handler';
import { HandlerRegistry } from './handler-registry';

class Something {}

const STORES = { name: 'default' } as StoreSet;

function handler(consumer: string, type: string, version = 1, prefetch = 10, stores = STORES): Handler {
  return {
    consumer,
    eventType: { type, version, eventClass: Something, consumers: [], confirm: true, giveUp: {} },
    stores,
    label: `${consumer}#${type}@${version}`,
    prefetch,
    timeoutMs: 1_000,
    maxAttempts: 1,
    backoff: { initialMs: 1, maxMs: 1, jitter: 0 },
    batch: undefined,
    invoke: () => Promise.resolve(),
  };
}

describe('HandlerRegistry', () => {
  it('gives each consumer and type one queue, for all versions, with the largest prefetch', () => {
    const registry = new HandlerRegistry();
    const handlers = [handler('a', 'x'), handler('a', 'x', 2, 50), handler('a', 'y'), handler('b', 'x')];
    for (const each of handlers) expect(registry.add(each)).toBeUndefined();
    expect(registry.all().map(({ queue, prefetch }) => [queue, prefetch])).toEqual([
      ['a.x', 50],
      ['a.y', 10],
      ['b.x', 10],
    ]);
    expect([...(registry.find('a', 'x')?.byVersion.keys() ?? [])]).toEqual([1, 2]);
    expect(registry.find('c', 'x')).toBeUndefined();
  });

  it('refuses a second handler for the same consumer, type and version', () => {
    const registry = new HandlerRegistry();
    const first = handler('a', 'x');
    registry.add(first);
    expect(registry.add(handler('a', 'x'))).toBe(first);
  });

  it('refuses two consumers whose queues would have one name', () => {
    const registry = new HandlerRegistry();
    const first = handler('a.b', 'c');
    registry.add(first);
    expect(registry.add(handler('a', 'b.c'))).toBe(first);
    expect(registry.find('a.b', 'c')?.consumer).toBe('a.b');
  });

  it('refuses a second DataSource for one queue', () => {
    const registry = new HandlerRegistry();
    const first = handler('a', 'x');
    const archive = { name: 'archive' } as StoreSet;
    registry.add(first);
    expect(registry.add(handler('a', 'x', 2, 10, archive))).toBe(first);
    expect([...(registry.find('a', 'x')?.byVersion.keys() ?? [])]).toEqual([1]);
    expect(registry.add(handler('a', 'y', 2, 10, archive))).toBeUndefined();
  });
});
