import { Injectable } from '@nestjs/common';
import { IsString } from 'class-validator';
import {
  type EventContext,
  EventRecorder,
  MemoryBroker,
  ReliableEvent,
  ReliableEventHandler,
  ReliableMqHealth,
} from 'nestjs-reliable-mq';
import { type PostgresServer, startStandby } from '../../tools/servers/postgres';
import { startProxy, type TcpProxy } from '../../tools/servers/tcp-proxy';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { usePrivateServers } from '../support/private-servers';
import { QUICK, type ReliableApp, startReliableApp } from '../support/reliable-app';

@ReliableEvent({ type: 'parcel.sent', consumers: ['desk'] })
class ParcelSent {
  @IsString() text!: string;
}

@Injectable()
class Desk {
  @ReliableEventHandler(ParcelSent)
  async take({ text }: ParcelSent, { manager, eventId }: EventContext): Promise<void> {
    await manager.query('INSERT INTO effect VALUES ($1, $2)', [eventId, text]);
  }
}

const servers = usePrivateServers();
const WITHIN_MS = 60_000;

describe("a consumer's database that fails over while the old primary stays up and takes no writes", () => {
  let old: PostgresServer;
  let standby: PostgresServer;
  let proxy: TcpProxy;
  let stable: TestDatabase;
  let moving: TestDatabase;
  let producer: ReliableApp;
  let consumer: ReliableApp;

  beforeAll(async () => {
    old = await servers.postgres();
    standby = await startStandby(old);
    proxy = await startProxy({ target: { host: '127.0.0.1', port: old.port } });
    stable = await createTestDatabase();
    moving = await createTestDatabase(old.url());
    const shared = { ...QUICK, transport: new MemoryBroker() };
    consumer = await startReliableApp({
      url: proxy.url(moving.url),
      providers: [Desk],
      reliableMq: { ...shared, service: 'desk', producer: false },
    });
    producer = await startReliableApp({ url: stable.url, reliableMq: { ...shared, service: 'post', consumer: false } });
    await consumer.query('CREATE TABLE effect (event_id text, text text)');
  }, 2 * WITHIN_MS);

  afterAll(async () => {
    await producer.close();
    await consumer.close();
    await proxy.close();
    await standby.dispose();
    await stable.drop();
  }, WITHIN_MS);

  async function send(count: number): Promise<void> {
    const events = producer.get(EventRecorder);
    await Promise.all(
      Array.from({ length: count }, (_, n) =>
        events.transaction(() => events.record(Object.assign(new ParcelSent(), { text: `${n}` }))),
      ),
    );
  }

  const consumed = (count: number): Promise<void> =>
    eventually(async () =>
      expect(await producer.query('SELECT status, count(*)::int AS count FROM reliable_mq_outbox GROUP BY 1')).toEqual([
        { status: 'consumed', count },
      ]),
    );

  it(
    'gives up the connections to it, says so meanwhile, and handles each event once on the new one, without a lost attempt',
    async () => {
      const health = consumer.get(ReliableMqHealth);
      await send(30);
      await consumed(30);
      const [{ now }] = (await consumer.query<{ now: string }>('SELECT pg_current_wal_flush_lsn()::text AS now')) as [
        { now: string },
      ];
      await eventually(async () => {
        const replayed = 'SELECT FROM pg_stat_replication WHERE replay_lsn >= $1::pg_lsn';
        expect(await consumer.query(replayed, [now])).toHaveLength(1);
      });

      await old.becomeReadOnly();
      await send(30);
      await eventually(async () =>
        expect((await health.check()).reasons).toEqual([expect.stringContaining('takes no writes')]),
      );
      await standby.promote();
      proxy.leadTo({ host: '127.0.0.1', port: standby.port });
      await send(30);
      await consumed(90);
      await eventually(async () => expect(await health.check()).toEqual({ healthy: true, status: 'up', reasons: [] }));

      // The application's own pool leads to the new primary only.
      const servers = await Promise.all(
        Array.from({ length: 12 }, () =>
          consumer.query<{ port: number }>('SELECT inet_server_port() AS port, pg_sleep(0.1)'),
        ),
      );
      expect(new Set(servers.map(([row]) => row?.port))).toEqual(new Set([standby.port]));
      expect(
        await consumer.query('SELECT count(*)::int AS count, count(DISTINCT event_id)::int AS events FROM effect'),
      ).toEqual([{ count: 90, events: 90 }]);
      expect(await consumer.query('SELECT DISTINCT status, attempts, history FROM reliable_mq_inbox')).toEqual([
        { status: 'handled', attempts: 1, history: [] },
      ]);
    },
    3 * WITHIN_MS,
  );
});
