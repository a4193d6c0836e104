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
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { type PostgresServer, startStandby } from '../../tools/servers/postgres';
import { startProxy, type TcpProxy } from '../../tools/servers/tcp-proxy';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { usePrivateServers } from '../support/private-servers';
import { QUICK, TestApp } from '../support/test-app';

@Entity()
class Parcel {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column('varchar') eventId!: string;
  @Column('varchar') text!: string;
}

@ReliableEvent({ type: 'parcel.sent', consumers: ['desk'] })
class ParcelSent {
  @IsString() text!: string;
}

@Injectable()
class Desk {
  @ReliableEventHandler(ParcelSent)
  async take({ text }: ParcelSent, { manager, eventId }: EventContext): Promise<void> {
    await manager.insert(Parcel, { eventId, text });
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
  let producer: TestApp;
  let consumer: TestApp;

  beforeAll(async () => {
    old = await servers.postgres();
    standby = await startStandby(old);
    proxy = await startProxy({ target: { host: '127.0.0.1', port: old.port } });
    stable = await createTestDatabase();
    moving = await createTestDatabase(old.url());
    const broker = new MemoryBroker();
    consumer = await TestApp.start({
      database: moving,
      dataSource: { url: proxy.url(moving.url) },
      broker,
      entities: [Parcel],
      providers: [Desk],
      reliableMq: { ...QUICK, service: 'desk', producer: false },
    });
    producer = await TestApp.start({
      database: stable,
      broker,
      reliableMq: { ...QUICK, service: 'post', consumer: false },
    });
  }, 2 * WITHIN_MS);

  afterAll(async () => {
    await producer.close();
    await consumer.close();
    await proxy.close();
    await standby.dispose();
    // Its server takes no writes any more, and is thrown away.
    await moving.drop().catch(() => undefined);
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
      expect(await producer.query('SELECT status, count(*) AS count FROM reliable_mq_outbox GROUP BY status')).toEqual([
        { status: 'consumed', count },
      ]),
    );

  it(
    'gives up the connections to it, says so meanwhile, and handles each event once on the new one, without a lost attempt',
    async () => {
      const health = consumer.get(ReliableMqHealth);
      await send(30);
      await consumed(30);
      const [{ now }] = (await moving.query<{ now: string }>('SELECT pg_current_wal_flush_lsn()::text AS now')) as [
        { now: string },
      ];
      await eventually(async () => {
        const replayed = 'SELECT FROM pg_stat_replication WHERE replay_lsn >= $1::pg_lsn';
        expect(await moving.query(replayed, [now])).toHaveLength(1);
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
          consumer.dataSource.query<{ port: number }[]>('SELECT inet_server_port() AS port, pg_sleep(0.1)'),
        ),
      );
      expect(new Set(servers.map(([row]) => row?.port))).toEqual(new Set([standby.port]));
      expect(
        await consumer.dataSource.query<unknown>(
          'SELECT count(*)::int AS count, count(DISTINCT "eventId")::int AS events FROM parcel',
        ),
      ).toEqual([{ count: 90, events: 90 }]);
      expect(
        await consumer.dataSource.query<unknown>('SELECT DISTINCT status, attempts, history FROM reliable_mq_inbox'),
      ).toEqual([{ status: 'handled', attempts: 1, history: [] }]);
    },
    3 * WITHIN_MS,
  );
});
