import { randomUUID } from 'node:crypto';
import { MemoryBroker, ReliableMqHealth } from 'nestjs-reliable-mq';
import { startProxy } from '../../tools/servers/tcp-proxy';
import { deferred } from '../support/deferred';
import { HEADER } from '../support/wire-headers';
import { createTestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { QUICK, TestApp } from '../support/test-app';
import { Consuming, Effect, NoteHandler, Script, SERVICE } from './consume-harness';

describe('an application that closes', () => {
  it('lets the handlers that run finish, takes nothing more, and reports what they did', async () => {
    const broker = new MemoryBroker();
    const database = await createTestDatabase();
    const closing = await Consuming.start({ broker, database, reliableMq: { consume: { prefetch: 2 } } });
    const mayEnd = deferred();
    closing.script.onEvent = () => mayEnd.promise;
    const ids = ['one', 'two', 'three'].map((text) => closing.send(text, { fromProducer: true }));
    await eventually(() => expect(closing.script.calls.length).toBe(2));

    const closed = closing.dispose();
    mayEnd.resolve();
    await closed;

    expect(closing.script.calls.length).toBe(2);
    expect(broker.messages(`${SERVICE}.note.taken`)).toHaveLength(1);
    for (const id of ids.slice(0, 2)) {
      await eventually(() => expect(closing.receipts(id)).toMatchObject([{ outcome: 'handled' }]));
    }
    const next = await Consuming.start({ broker, database });
    await next.settled(ids[2] ?? '', 'handled');
    for (const id of ids) await expect(next.notes(id)).resolves.toHaveLength(1);
    await next.dispose();
    await database.drop();
  });

  it('lets retries that run finish, too', async () => {
    const database = await createTestDatabase();
    const closing = await Consuming.start({ database });
    const mayEnd = deferred();
    closing.script.onEvent = async (_, { attempt }) => {
      if (attempt === 1) throw new Error('once');
      await mayEnd.promise;
    };
    const id = closing.send('retried', { fromProducer: true });
    await eventually(() => expect(closing.callsOf(id).length).toBe(2));

    const closed = closing.dispose();
    mayEnd.resolve();
    await closed;

    await eventually(() => expect(closing.receipts(id).at(-1)).toMatchObject({ outcome: 'handled' }));
    const next = await Consuming.start({ database });
    await expect(next.inbox(id)).resolves.toMatchObject([{ status: 'handled', attempts: 2 }]);
    await next.dispose();
    await database.drop();
  });

  it('cuts off what does not end: rolled back, not counted, and due at once', async () => {
    const broker = new MemoryBroker();
    const database = await createTestDatabase();
    const closing = await Consuming.start({ broker, database, reliableMq: { shutdown: { drainMs: 100 } } });
    const signals: AbortSignal[] = [];
    closing.script.onEvent = ({ text }, { attempt, signal }) => {
      if (text === 'second' && attempt === 1) throw new Error('once');
      signals.push(signal);
      return new Promise(() => undefined);
    };
    const ids = [closing.send('first'), closing.send('second')];
    await eventually(() => expect(signals).toHaveLength(2));

    await closing.dispose();

    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    const next = await Consuming.start({ broker, database });
    for (const id of ids) await next.settled(id, 'handled');
    await expect(next.inbox(ids[0])).resolves.toMatchObject([{ attempts: 1, history: [] }]);
    await expect(next.inbox(ids[1])).resolves.toMatchObject([{ attempts: 2, history: [{ attempt: 1 }] }]);
    await next.dispose();
    await database.drop();
  });

  it('closes although its database does not answer, and gives its messages back', async () => {
    const broker = new MemoryBroker();
    const database = await createTestDatabase();
    const target = new URL(database.url);
    const proxy = await startProxy({ target: { host: target.hostname, port: Number(target.port || 5432) } });
    const closing = await Consuming.start({
      broker,
      database,
      dataSource: { url: proxy.url(database.url) },
      reliableMq: { shutdown: { drainMs: 200 }, consume: { timeoutMs: 200 } },
    });
    await proxy.cut();
    const ids = ['one', 'two', 'three'].map((text) => closing.send(text));
    await eventually(() => expect(closing.waiting()).toBe(0));

    await closing.dispose();

    expect(broker.messages(`${SERVICE}.note.taken`)).toHaveLength(3);
    await proxy.close();
    const next = await Consuming.start({ broker, database });
    for (const id of ids) await next.settled(id, 'handled');
    await next.dispose();
    await database.drop();
  });

  it('may be closed twice, and at once after its start', async () => {
    const consuming = await Consuming.start();
    await Promise.all([consuming.app.close(), consuming.app.close()]);
    await consuming.app.database.drop();
    expect((await consuming.app.get(ReliableMqHealth).check()).healthy).toBe(false);
  });

  it('hands the receipts that still wait to RabbitMQ before it disconnects', async () => {
    const app = await TestApp.start({
      broker: 'rabbitmq',
      entities: [Effect],
      providers: [Script, NoteHandler],
      reliableMq: { ...QUICK, receipts: { coalesceMs: 60_000 } },
    });
    const { rabbitmq } = app;
    const channel = await rabbitmq.channel();
    const receipts = `${rabbitmq.prefix}receipts`;
    await channel.assertQueue(receipts, { exclusive: true });
    const ids = Array.from({ length: 20 }, () => randomUUID());
    for (const messageId of ids) {
      channel.publish(rabbitmq.exchange, 'note.taken', Buffer.from('{"text":"x"}'), {
        messageId,
        type: 'note.taken',
        replyTo: receipts,
        headers: { [HEADER.version]: 1, [HEADER.source]: 'default' },
      });
    }
    await eventually(() => expect(app.get(Script).calls.length).toBe(20));

    await app.close();

    const reported: unknown[] = [];
    await eventually(async () => {
      const message = await channel.get(receipts, { noAck: true });
      if (message) {
        const body = JSON.parse(message.content.toString()) as { receipts: { eventId: string }[] };
        reported.push(...body.receipts.map(({ eventId }) => eventId));
      }
      expect([...reported].sort()).toEqual([...ids].sort());
    });
    await app.dispose();
  });
});
