import { InFlight, type InFlightMessage } from './in-flight';

describe('InFlight', () => {
  const sent = (messageId: string, extra: Partial<InFlightMessage> = {}): InFlightMessage => ({
    exchange: 'ex',
    routingKey: 'key',
    messageId,
    bytes: 10,
    sentAt: 0,
    done: () => undefined,
    ...extra,
  });

  function filled(...ids: string[]): InFlight {
    const inFlight = new InFlight();
    for (const id of ids) inFlight.add(sent(id));
    return inFlight;
  }

  function take(inFlight: InFlight, tag: number, multiple: boolean): string[] {
    const taken: string[] = [];
    inFlight.take(tag, multiple, ({ messageId }) => taken.push(messageId));
    return taken;
  }

  it('counts tags as the broker does: from 1, per channel', () => {
    const inFlight = filled('a', 'b');
    expect(take(inFlight, 1, false)).toEqual(['a']);
    inFlight.takeAll();
    inFlight.add(sent('first of the next channel'));
    expect(take(inFlight, 1, false)).toEqual(['first of the next channel']);
  });

  it('takes single confirms in any order, and each once', () => {
    const inFlight = filled('a', 'b', 'c');
    expect(take(inFlight, 2, false)).toEqual(['b']);
    expect(take(inFlight, 2, false)).toEqual([]);
    expect(take(inFlight, 3, true)).toEqual(['a', 'c']);
    expect(inFlight.held).toEqual({ count: 0, bytes: 0 });
  });

  it('leaves alone what is published while a multiple confirm is taken', () => {
    const inFlight = filled('a', 'b');
    const taken: string[] = [];
    inFlight.take(2, true, ({ messageId }) => {
      taken.push(messageId);
      inFlight.add(sent('later'));
    });
    expect(taken).toEqual(['a', 'b']);
    expect(inFlight.size).toBe(2);
  });

  it('marks the returned message by id and target, the oldest first', () => {
    const inFlight = new InFlight();
    const messages = [sent('id', { routingKey: 'other' }), sent('id'), sent('id'), sent('else')];
    for (const message of messages) inFlight.add(message);

    inFlight.markReturned('ex', 'key', 'id');
    expect(messages.map(({ returned }) => returned ?? false)).toEqual([false, true, false, false]);
    inFlight.markReturned('ex', 'key', 'id');
    expect(messages.map(({ returned }) => returned ?? false)).toEqual([false, true, true, false]);
    inFlight.markReturned('ex', 'key', undefined);
    expect(messages.map(({ returned }) => returned ?? false)).toEqual([false, true, true, false]);
  });

  it('goes on counting what was given up, until its confirm comes after all', () => {
    const inFlight = new InFlight();
    inFlight.add(sent('old', { sentAt: 100 }));
    inFlight.add(sent('new', { sentAt: 200 }));

    expect(inFlight.abandon(150).map(({ messageId }) => messageId)).toEqual(['old']);
    expect(inFlight.oldest?.messageId).toBe('new');
    expect(inFlight.held).toEqual({ count: 2, bytes: 20 });

    expect(take(inFlight, 1, false)).toEqual([]);
    expect(inFlight.held).toEqual({ count: 1, bytes: 10 });
    inFlight.abandon(300);
    expect(take(inFlight, 2, true)).toEqual([]);
    expect(inFlight.held).toEqual({ count: 0, bytes: 0 });
  });
});
