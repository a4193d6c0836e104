import { deferred, ids, publication, publications, scripted, settleDown } from './scripted-publishing.fixture';

describe('Publisher, where something fails,', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('goes on after a transport that threw, whose events have lost no attempt', async () => {
    const script = scripted();
    script.transport.failure = new Error('write after end');
    const failed = publications(2, { attempt: 3 });
    script.publisher.offer(failed);
    await script.publisher.idle();
    expect(script.outbox.settled).toMatchObject(
      failed.map(({ id }) => ({ id, result: 'postponed', reason: 'the transport failed: Error: write after end' })),
    );
    script.transport.failure = undefined;
    const next = publications(2);
    script.publisher.offer(next);
    expect(script.transport.messageIds).toEqual(ids(next));
  });

  it('gives events back whose transport cannot even say how it is', async () => {
    const script = scripted();
    script.transport.status = () => {
      throw new Error('no status');
    };
    const events = publications(2);
    script.publisher.offer(events);
    await script.publisher.submit(publications(1));
    await script.publisher.idle();
    expect(deferred(script)).toHaveLength(3);
    expect(script.outbox.settled).toMatchObject([{ reason: 'the transport failed: Error: no status' }, {}, {}]);
  });

  it('counts an attempt of the one event whose message cannot be made, and of no other', async () => {
    const script = scripted();
    const bad = publication({ headers: new Proxy({}, { ownKeys: () => fail('its headers') }) });
    const [before, after] = [publication(), publication()];
    script.publisher.offer([before, bad, after]);
    expect(script.transport.messageIds).toEqual(ids([before, after]));
    script.transport.answer(2);
    await script.publisher.idle();
    expect(script.outbox.settled).toHaveLength(3);
    expect(script.outbox.settled).toContainEqual(expect.objectContaining({ id: before.id, result: 'published' }));
    expect(script.outbox.settled).toContainEqual(expect.objectContaining({ id: after.id, result: 'published' }));
    expect(script.outbox.settled).toContainEqual(
      expect.objectContaining({
        id: bad.id,
        result: 'retry',
        reason: 'the message cannot be made: Error: its headers',
      }),
    );
  });

  it('waits for each target when the transport takes one and fails at the other', async () => {
    const script = scripted();
    const take = script.transport.publish.bind(script.transport);
    script.transport.publish = (message, done) => {
      if ('queue' in message.target && message.target.queue === 'b') throw new Error('write after end');
      take(message, done);
    };
    script.publisher.offer([publication({ targets: [{ queue: 'a' }, { queue: 'b' }] })]);
    await settleDown();
    expect(script.outbox.settled).toEqual([]);
    script.transport.answer(1);
    await script.publisher.idle();
    expect(script.outbox.settled).toMatchObject([{ result: 'postponed' }]);
  });

  it.each(['publishing', 'sent', 'confirmed', 'settling', 'settled'] as const)(
    'goes on when the hook "%s" throws',
    async (hook) => {
      const script = scripted({}, { [hook]: () => fail('a hook') });
      const events = publications(3);
      script.publisher.offer(events);
      script.transport.answer(3);
      await script.publisher.idle();
      expect(ids(script.outbox.settled)).toEqual(ids(events));
    },
  );

  it('writes the outcomes of others when the database refuses one', async () => {
    const script = scripted();
    const events = publications(9);
    script.outbox.refused = new Set(ids(events.slice(4, 5)));
    script.publisher.offer(events);
    script.transport.answer(9);
    await script.publisher.idle();
    expect(ids(script.outbox.settled).sort()).toEqual(ids([...events.slice(0, 4), ...events.slice(5)]).sort());
  });
});

function fail(what: string): never {
  throw new Error(what);
}
