import type { AppliedReceipt } from '../outbox/outbox.store';
import type { WireReceipt } from './receipt-codec';
import { UndeclaredConsumers } from './undeclared-consumers';

describe('UndeclaredConsumers', () => {
  const said: Record<string, unknown>[] = [];
  let undeclared: UndeclaredConsumers;

  beforeEach(() => {
    said.length = 0;
    undeclared = new UndeclaredConsumers((details) => said.push(details));
  });

  function report(consumer: string, applied: Partial<AppliedReceipt> = {}): void {
    const receipt: WireReceipt = {
      eventId: 'an event',
      source: 'default',
      consumer,
      outcome: 'handled',
      reason: null,
      retryAfterMs: null,
      redrives: 0,
    };
    undeclared.add(
      {
        eventId: 'an event',
        type: 'order.created',
        statusBefore: 'published',
        status: 'published',
        reason: null,
        changed: [consumer],
        declared: ['inventroy'],
        ...applied,
      },
      [{ ...receipt, eventId: 'another', outcome: 'dead' }, receipt],
    );
  }

  it('are told with what they reported, what was declared, and what to do', () => {
    report('inventory');

    expect(said).toEqual([
      {
        eventId: 'an event',
        type: 'order.created',
        consumer: 'inventory',
        outcome: 'handled',
        declared: ['inventroy'],
        advice:
          '"inventroy" is declared; did you mean "inventory"? Then correct consumers of @ReliableEvent({ type: \'order.created\' }). ' +
          'Events that are recorded already keep the wrong name, and will be given up and compensated: correct their column consumers in ' +
          'reliable_mq_outbox, and take this consumer out of their column outcomes, so that it is asked again.',
      },
    ]);
  });

  it('whose name is like none of the declared may be meant to stand beside them', () => {
    report('audit');

    expect(said).toMatchObject([
      {
        consumer: 'audit',
        advice:
          'If the event must be handled by "audit", add it to consumers of @ReliableEvent({ type: \'order.created\' }). If not, all is well.',
      },
    ]);
  });

  it('are told once per event type and consumer', () => {
    for (const [consumer, type] of [
      ['inventory', 'order.created'],
      ['inventory', 'order.created'],
      ['inventory', 'order.paid'],
      ['audit', 'order.created'],
    ] as const)
      report(consumer, { type });

    expect(said.map(({ consumer, type }) => [consumer, type])).toEqual([
      ['inventory', 'order.created'],
      ['inventory', 'order.paid'],
      ['audit', 'order.created'],
    ]);
  });

  it('are told no more when very many names have come', () => {
    for (let index = 0; index < 1500; index += 1) report(`stranger-${index}`);

    expect(said).toHaveLength(1000);
  });

  it.each<[string, Partial<AppliedReceipt>]>([
    ['everybody who reported is declared', { declared: undefined }],
    ['every declared consumer has handled the event', { status: 'consumed' }],
    ['it said nothing new', { changed: [] }],
  ])('are not told when %s', (_what, applied) => {
    report('inventory', applied);

    expect(said).toEqual([]);
  });
});
