import { randomUUID } from 'node:crypto';
import { type MariadbServer, startMariadb } from '../../tools/servers/mariadb';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { deferred } from '../support/deferred';
import { eventually } from '../support/eventually';
import { HEADER } from '../support/wire-headers';
import { Consuming, type SentMessage, SERVICE } from './consume-harness';
import { noteWritten, Recording } from './record-harness';

const PACKET_BYTES = 1024 * 1024;
/** More than the server takes, and less than the options allow. */
const LARGE = 'x'.repeat(2 * PACKET_BYTES);
const PARKED = `${SERVICE}.parked`;
const TOO_LARGE = /takes a statement of \d+ bytes, and the server takes 1048576 \(max_allowed_packet\)/;

interface Properties {
  readonly messageId: string;
  readonly headers: Readonly<Record<string, string>>;
}

function propertiesOf(message: { readonly properties: object } | undefined): Properties {
  return message?.properties as Properties;
}

describe('a server of MariaDB with a small max_allowed_packet', () => {
  let server: MariadbServer;

  beforeAll(async () => {
    server = await startMariadb({ settings: { 'max-allowed-packet': String(PACKET_BYTES) } });
  }, 120_000);
  afterAll(() => server.dispose(), 60_000);

  it('has a payload refused before the insert, and the transaction rolled back', async () => {
    const database = await createTestDatabase(server.url());
    const recording = await Recording.start({
      database,
      reliableMq: { record: { maxPayloadBytes: 8 * PACKET_BYTES } } as never,
    });
    try {
      const refused = await recording.refusalOf(noteWritten(LARGE));
      expect(refused).toMatchObject({
        name: 'StatementTooLargeError',
        message: expect.stringMatching(TOO_LARGE) as string,
      });
      await recording.record(noteWritten('a'));
      expect(await recording.published()).toEqual(['a']);
    } finally {
      await recording.dispose();
      await database.drop();
    }
  });

  describe('and a message that its inbox cannot hold', () => {
    let database: TestDatabase;
    let consuming: Consuming;
    const parkedHooks: unknown[] = [];

    beforeEach(async () => {
      database = await createTestDatabase(server.url());
      consuming = await start();
    });
    afterEach(async () => {
      await consuming.dispose();
      await database.drop();
    });

    const start = (broker?: Consuming['broker']): Promise<Consuming> =>
      Consuming.start({
        database,
        ...(broker && { broker }),
        reliableMq: {
          consume: { prefetch: 1, maxMessageBytes: 8 * PACKET_BYTES },
          shutdown: { drainMs: 100 },
          hooks: { parked: (message) => parkedHooks.push(message) },
        },
      });

    /** What the handler takes of it is short. */
    const sendLarge = (sent: SentMessage = {}): string =>
      consuming.send('large', {
        body: Buffer.from(JSON.stringify({ text: 'large', padding: LARGE })),
        fromProducer: true,
        ...sent,
      });

    /** It is in the parking queue, with all its bytes, and was acknowledged; the only slot is free for the next one. */
    async function expectParked(id: string, reason: RegExp): Promise<void> {
      const [message, ...others] = await eventually(() => {
        const messages = consuming.broker.messages(PARKED);
        expect(messages).toHaveLength(1);
        return messages;
      });
      expect(others).toEqual([]);
      expect(JSON.parse(message?.body.toString() ?? '')).toEqual({ text: 'large', padding: LARGE });
      const { messageId, headers } = propertiesOf(message);
      expect(messageId).toBe(id);
      expect(headers[HEADER.reason]).toMatch(reason);
      expect(headers[HEADER.reason]).toMatch(TOO_LARGE);
      await eventually(() => expect(consuming.receipts(id).map(({ outcome }) => outcome)).toEqual(['rejected']));
      await eventually(() => expect(consuming.waiting()).toBe(0));
      expect(await consuming.inbox(id)).toEqual([]);
      await consuming.settled(consuming.send('next'), 'handled');
    }

    it('is handled all the same: a handled row has no bytes', async () => {
      const id = sendLarge();
      await consuming.settled(id, 'handled');
      expect(consuming.broker.messages(PARKED)).toEqual([]);
    });

    it('is parked by the broker when its handler fails, and handled when it is moved back', async () => {
      consuming.script.onEvent = ({ text }) => {
        if (text === 'large') throw new Error('out of order');
      };
      const id = sendLarge();
      await expectParked(id, /^Error: out of order; the inbox cannot hold it: /);
      expect(parkedHooks.at(-1)).toMatchObject({ messageId: id });

      consuming.script.onEvent = () => undefined;
      const [copy] = consuming.broker.messages(PARKED);
      consuming.broker.purge(PARKED);
      sendLarge({ messageId: id, headers: propertiesOf(copy).headers });
      await consuming.settled(id, 'handled');
      expect(await consuming.notes(id)).toHaveLength(1);
    });

    it('is parked by the broker when no handler can take it', async () => {
      sendLarge({ body: Buffer.from(`{"text":"${LARGE}`) });
      await eventually(() => expect(consuming.broker.messages(PARKED)).toHaveLength(1));
      await eventually(() => expect(consuming.waiting()).toBe(0));
      await consuming.settled(consuming.send('next'), 'handled');
    });

    it('is parked by the broker when it was delivered before: its process may have died of it', async () => {
      const first = consuming;
      first.script.onEvent = () => new Promise(() => undefined);
      const id = sendLarge();
      await eventually(() => expect(first.script.calls).toHaveLength(1));
      consuming = await start(first.broker);
      await first.app.close();
      await expectParked(id, /inbox cannot hold it/);
      expect(consuming.callsOf(id)).toEqual([]);
    });

    it('is known when it was handled before, and delivered again', async () => {
      const handled = deferred();
      const first = consuming;
      const id = randomUUID();
      await first.settled(sendLarge({ messageId: id }), 'handled');
      first.script.onEvent = () => handled.promise;
      // In the only slot: what comes behind it is delivered again when its process has ended.
      first.send('slow');
      await eventually(() => expect(first.script.calls).toHaveLength(2));
      sendLarge({ messageId: id });
      await first.settled(id, 'handled');
      handled.resolve();
      await eventually(() => expect(first.receipts(id).map(({ outcome }) => outcome)).toEqual(['handled', 'handled']));
      expect(first.broker.messages(PARKED)).toEqual([]);
    });

    it('stays with the broker until its parking queue takes it', async () => {
      consuming.script.onEvent = ({ text }) => {
        if (text === 'large') throw new Error('out of order');
      };
      consuming.broker.deleteQueue(PARKED);
      const id = sendLarge();
      await eventually(() => expect(consuming.callsOf(id)).toHaveLength(1));
      consuming.broker.declare({ name: PARKED, kind: 'parking', bindings: [] });
      await expectParked(id, /out of order/);
      expect(consuming.callsOf(id)).toHaveLength(1);
    });
  });
});
