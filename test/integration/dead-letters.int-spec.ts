import { EventOperations, MemoryBroker, RejectEvent } from 'nestjs-reliable-mq';
import { deferred } from '../support/deferred';
import { eventually } from '../support/eventually';
import { Consuming, SERVICE } from './consume-harness';

const QUEUE = `${SERVICE}.note.taken`;
const PARKED = `${SERVICE}.parked`;
const DAY_MS = 24 * 60 * 60 * 1000;

describe('what the broker dead-letters from an event queue', () => {
  let broker: MemoryBroker;
  let consuming: Consuming;
  const told: unknown[] = [];

  beforeEach(() => {
    broker = new MemoryBroker();
    told.length = 0;
  });
  afterEach(() => consuming.dispose());

  async function start(): Promise<void> {
    const hooks = { deadLettered: (message: unknown) => told.push(message) };
    consuming = await Consuming.start({ broker, reliableMq: { hooks } });
  }

  /** As the broker puts it there, of a message that died some time ago. */
  function dies(messageId: string, death: { readonly queue?: string; readonly agoMs?: number } = {}): void {
    const seconds = Math.floor((Date.now() - (death.agoMs ?? 0)) / 1000);
    const time = { '!': 'timestamp', value: seconds };
    const headers = { 'x-death': [{ reason: 'expired', queue: death.queue ?? QUEUE, time }] };
    broker.publish(
      { queue: PARKED },
      {
        body: Buffer.from(JSON.stringify({ text: messageId })),
        properties: { messageId, type: 'note.taken', headers },
      },
    );
  }

  function declareParked(): void {
    broker.declare({ name: PARKED, kind: 'parking', bindings: [] });
  }

  it('is handled once, whether or not another copy has been handled, and the producer is told', async () => {
    await start();
    const release = deferred();
    consuming.script.onEvent = () => release.promise;
    const ids = Array.from({ length: 30 }, (_, index) => consuming.send(`note ${index}`, { fromProducer: true }));
    await eventually(() => expect(consuming.script.calls.length).toBeGreaterThan(0));
    const died = broker.deadLetter(QUEUE, 'delivery_limit');
    expect(died).toBeGreaterThan(0);
    release.resolve(undefined);
    for (const id of ids) await consuming.settled(id, 'handled');
    for (const id of ids) await eventually(() => expect(consuming.receipts(id)).toHaveLength(1));
    await eventually(() => expect(told).toHaveLength(died));
    expect(told[0]).toMatchObject({ queue: QUEUE, consumer: SERVICE, reason: 'delivery_limit' });

    const [again] = ids;
    dies(again as string);
    await eventually(() => expect(told).toHaveLength(died + 1));
    expect(consuming.callsOf(again as string)).toHaveLength(1);
  });

  it('is retried from the inbox, where no policy of the broker reaches it', async () => {
    await start();
    consuming.script.onEvent = (_, { attempt }) => {
      if (attempt < 3) throw new Error('not yet');
    };
    dies('note');
    await expect(consuming.settled('note', 'handled')).resolves.toMatchObject({ attempts: 3 });
  });

  it('ends as its handler says', async () => {
    await start();
    consuming.script.onEvent = () => {
      throw new RejectEvent('no such note');
    };
    dies('note');
    await expect(consuming.settled('note', 'rejected')).resolves.toMatchObject({ reason: 'no such note' });
    await expect(
      consuming.app.get(EventOperations).listInbox({ eventId: 'note', status: 'rejected' }),
    ).resolves.toHaveLength(1);
  });

  it('stays where it is when it is so old that it may have been handled and forgotten, and when nobody here handles it', async () => {
    declareParked();
    dies('old', { agoMs: 13 * DAY_MS });
    dies('new', { agoMs: 12 * DAY_MS });
    dies('of another', { queue: `${SERVICE}.note.burnt` });
    broker.publish({ queue: PARKED }, { properties: { messageId: 'by hand' } });
    await start();
    await consuming.settled('new', 'handled');
    await eventually(() =>
      expect(
        broker
          .messages(PARKED)
          .map(({ properties }) => properties['messageId'])
          .sort(),
      ).toEqual(['by hand', 'of another', 'old']),
    );
    expect(told).toHaveLength(1);
  });
});
