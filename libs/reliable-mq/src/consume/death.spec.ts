import { latestDeath } from './death';

describe('latestDeath', () => {
  const time = { '!': 'timestamp', value: 1_700_000_000 };

  it('reads the latest of what the broker has written', () => {
    const latest = {
      count: 1,
      reason: 'expired',
      queue: 'stock.order.created',
      time,
      exchange: 'reliable-mq',
      'routing-keys': ['order.created'],
      'original-expiration': '500',
    };
    expect(latestDeath({ 'x-death': [latest, { ...latest, queue: 'another' }] })).toEqual({
      queue: 'stock.order.created',
      reason: 'expired',
      atMs: 1_700_000_000_000,
      routingKey: 'order.created',
      expiration: '500',
    });
  });

  it('does without what is missing or of another form', () => {
    const unknown = { atMs: undefined, routingKey: undefined, expiration: undefined };
    for (const more of [{}, { time: 7, 'routing-keys': 'a', 'original-expiration': 5 }, { 'routing-keys': [7] }])
      expect(latestDeath({ 'x-death': [{ reason: 'maxlen', queue: 'q', ...more }] })).toEqual({
        queue: 'q',
        reason: 'maxlen',
        ...unknown,
      });
  });

  it.each([undefined, null, 'x', {}, [], ['x'], [null], [{}], [{ queue: 'q' }], [{ queue: 7, reason: 'expired' }]])(
    'takes nothing else for a death: %j',
    (deaths) => expect(latestDeath({ 'x-death': deaths })).toBeUndefined(),
  );
});
