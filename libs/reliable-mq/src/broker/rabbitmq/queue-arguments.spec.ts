import { DELIVERY_LIMIT, queueArguments } from './queue-arguments';

// These are stored in brokers: RabbitMQ refuses a declaration with other arguments, so a change breaks every installation.
describe('queueArguments', () => {
  it.each([
    [
      'events',
      'quorum',
      'parking',
      {
        'x-queue-type': 'quorum',
        'x-overflow': 'reject-publish',
        'x-delivery-limit': DELIVERY_LIMIT,
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': 'parking',
        'x-dead-letter-strategy': 'at-least-once',
      },
    ],
    [
      'events',
      'classic',
      'parking',
      {
        'x-queue-type': 'classic',
        'x-overflow': 'reject-publish',
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': 'parking',
      },
    ],
    [
      'parking',
      'quorum',
      undefined,
      { 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish', 'x-delivery-limit': DELIVERY_LIMIT },
    ],
    ['parking', 'classic', undefined, { 'x-queue-type': 'classic', 'x-overflow': 'reject-publish' }],
    [
      'receipts',
      'quorum',
      undefined,
      {
        'x-queue-type': 'quorum',
        'x-delivery-limit': DELIVERY_LIMIT,
        'x-max-length-bytes': 134_217_728,
        'x-overflow': 'drop-head',
      },
    ],
    [
      'receipts',
      'classic',
      undefined,
      { 'x-queue-type': 'classic', 'x-max-length-bytes': 134_217_728, 'x-overflow': 'drop-head' },
    ],
  ] as const)('%s, %s, parking queue %s', (kind, queueType, parkingQueue, expected) => {
    expect(queueArguments(kind, { queueType, singleActiveConsumer: false }, parkingQueue)).toEqual(expected);
  });

  it.each(['events', 'parking', 'receipts'] as const)('a single active consumer concerns event queues (%s)', (kind) => {
    const all = queueArguments(kind, { queueType: 'quorum', singleActiveConsumer: true });
    expect(all['x-single-active-consumer']).toBe(kind === 'events' ? true : undefined);
  });
});
