import type { PublishedMessage } from './refusal';
import { Suspicions } from './suspicions';

const message = (messageId: string, overrides: Partial<PublishedMessage> = {}): PublishedMessage => ({
  exchange: 'shop',
  routingKey: 'order.placed',
  messageId,
  bytes: 100,
  ...overrides,
});

const TOPIC =
  "ACCESS_REFUSED - write access to topic 'secret.made' in exchange 'shop' in vhost '/' refused for user 'limited'";
const EXCHANGE = "ACCESS_REFUSED - access to exchange 'amq.default' in vhost '/' refused for user 'limited'";
const SIZE = 'PRECONDITION_FAILED - message size 500 is larger than configured max size 400';

describe('Suspicions', () => {
  it('blame a topic, and nobody else', () => {
    const suspicions = new Suspicions();
    const [guilty, other] = [message('1', { routingKey: 'secret.made' }), message('2')];
    const outcomeOf = suspicions.blame(TOPIC, [other, guilty], 0);

    expect(outcomeOf(guilty)).toEqual({ status: 'refused', reason: TOPIC });
    expect(outcomeOf(other)).toMatchObject({ status: 'unavailable', reason: expect.stringContaining(TOPIC) });
    expect(suspicions.ways(other, 0)).toBe('with others');
    expect(suspicions.ways(message('3', { routingKey: 'secret.made', exchange: 'another' }), 0)).toBe('with others');
  });

  it('believe a refusal for a while, longer each time, then try one alone, and end when it is taken', () => {
    const suspicions = new Suspicions();
    const next = message('2', { routingKey: 'secret.made' });
    suspicions.blame(TOPIC, [message('1', { routingKey: 'secret.made' })], 0);
    expect(suspicions.ways(next, 700)).toEqual({ status: 'refused', reason: TOPIC });
    expect(suspicions.ways(next, 1_000)).toBe('alone');

    suspicions.blame(TOPIC, [next], 1_000);
    expect(suspicions.ways(next, 2_500)).toEqual({ status: 'refused', reason: TOPIC });
    expect(suspicions.ways(next, 3_000)).toBe('alone');

    for (let time = 0; time < 20; time += 1) suspicions.blame(TOPIC, [next], 10_000);
    expect(suspicions.ways(next, 70_000)).toBe('alone');

    expect(suspicions.reasons).toEqual([TOPIC]);
    expect(suspicions.acquit(next)).toBe(true);
    expect(suspicions.any).toBe(false);
    expect(suspicions.ways(next, 70_000)).toBe('with others');
  });

  it('blame what is too large, by the size that is named', () => {
    const suspicions = new Suspicions();
    const [large, larger, small] = [
      message('1', { bytes: 401 }),
      message('2', { bytes: 500 }),
      message('3', { bytes: 400 }),
    ];
    const outcomeOf = suspicions.blame(SIZE, [large, larger, small], 0);
    expect([large, larger, small].map((each) => outcomeOf(each).status)).toEqual(['refused', 'refused', 'unavailable']);
  });

  it('refuse nobody for an exchange that may not be written to', () => {
    const suspicions = new Suspicions();
    const [straight, other] = [message('1', { exchange: '' }), message('2')];
    const outcomeOf = suspicions.blame(EXCHANGE, [straight, other], 0);
    expect([outcomeOf(straight).status, outcomeOf(other).status]).toEqual(['unavailable', 'unavailable']);
    expect(suspicions.ways(message('3', { exchange: '' }), 0)).toEqual({ status: 'unavailable', reason: EXCHANGE });
    expect(suspicions.ways(other, 0)).toBe('with others');
  });

  it.each(['words that nobody has seen yet', TOPIC, SIZE])(
    'suspect all that were in flight when the words fit none of them (%s), until each is taken alone',
    (text) => {
      const suspicions = new Suspicions();
      const [first, second] = [message('1'), message('2')];
      const outcomeOf = suspicions.blame(text, [first, second], 0);
      expect([outcomeOf(first).status, outcomeOf(second).status]).toEqual(['unavailable', 'unavailable']);
      expect([suspicions.ways(first, 0), suspicions.ways(second, 0)]).toEqual(['alone', 'alone']);
      expect(suspicions.ways(message('3'), 0)).toBe('with others');

      suspicions.acquit(first);
      expect(suspicions.blame(text, [second], 0)(second)).toEqual({ status: 'refused', reason: text });
      expect([suspicions.ways(first, 0), suspicions.ways(second, 0)]).toEqual(['with others', 'alone']);
    },
  );

  it('hold a bounded number of suspects', () => {
    const suspicions = new Suspicions();
    const many = Array.from({ length: 20_000 }, (_, index) => message(String(index)));
    suspicions.blame('?', many, 0);
    expect(many.filter((each) => suspicions.ways(each, 0) === 'alone')).toHaveLength(10_000);
  });
});
