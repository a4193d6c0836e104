import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import type * as nestCommon from '@nestjs/common';
import type { DynamicModule, INestApplicationContext, LoggerService, Type } from '@nestjs/common';
import type * as nestCore from '@nestjs/core';
import { EVENT_TYPE, type OrderPayload, payload } from '../works/order-payload';
import { requirePeer } from './installed';
import type { Peer, Publish } from './peer';
import { pendingEvents } from './pending-events';

/** Their own Nest and TypeORM: the package's driver is made for TypeORM 0.3. */
type NestCommon = typeof nestCommon;
type NestCore = typeof nestCore;

interface DataSource {
  initialize(): Promise<DataSource>;
  createQueryRunner(): object;
  query(sql: string, values?: readonly unknown[]): Promise<unknown>;
  destroy(): Promise<void>;
}

interface TypeOrm {
  DataSource: new (options: object) => DataSource;
  EntitySchema: new (options: object) => object;
}

interface NestjsOutbox {
  OutboxModule: { registerAsync(options: object): DynamicModule };
  OnEvent: (name: string) => MethodDecorator;
  TransactionalEventEmitter: Type<{ emit(event: object, entities: readonly object[]): Promise<void> }>;
  TransactionalEventEmitterOperations: { readonly persist: string };
}

interface Driver {
  TypeORMDatabaseDriverFactory: new (dataSource: DataSource) => object;
  TypeOrmOutboxTransportEvent: Type<object>;
  OutboxTransportEventMigrations: readonly (new () => { up(runner: object): Promise<void> })[];
}

interface OutboxEvent extends OrderPayload {
  readonly name: string;
  readonly id: string;
}

class Order {
  constructor(
    readonly id: string,
    readonly sku: string,
    readonly quantity: number,
  ) {}
}

const TABLE = 'outbox_transport_event';
const PER_POLL = 250;
const POLL_EVERY_MS = 50;
const CONNECTIONS = 30;
const LEASE_MS = 60_000;

const silent: LoggerService = { log: () => undefined, error: console.error, warn: () => undefined };

const driver = (): Driver => requirePeer('@fullstackhouse/nestjs-outbox-typeorm-driver') as Driver;

export const nestjsOutbox: Peer = {
  setUp: async (databaseUrl) => {
    const dataSource = await openDataSource(databaseUrl);
    const runner = dataSource.createQueryRunner();
    // One by one: the name of one has no timestamp that TypeORM accepts, and so it refuses to run them.
    for (const Migration of driver().OutboxTransportEventMigrations) await new Migration().up(runner);
    await dataSource.destroy();
  },
  fill: async (databaseUrl, count) => {
    const dataSource = await openDataSource(databaseUrl);
    for (const events of pendingEvents(count)) {
      await dataSource.query(
        `INSERT INTO ${TABLE} (event_name, event_payload, delivered_to_listeners, attempt_at, expire_at, inserted_at)
         SELECT '${EVENT_TYPE}', event, '[]', 0, 1e14, 0 FROM json_array_elements($1::json) AS event`,
        [JSON.stringify(events.map(({ id, payload }) => ({ name: EVENT_TYPE, id, ...payload })))],
      );
    }
    await dataSource.destroy();
  },
  start: async ({ databaseUrl, publish }) => {
    const { TransactionalEventEmitter, TransactionalEventEmitterOperations } = requirePeer(
      '@fullstackhouse/nestjs-outbox',
    ) as NestjsOutbox;
    const dataSource = await openDataSource(databaseUrl);
    const app = await startApp(dataSource, publish);
    const emitter = app.get(TransactionalEventEmitter);
    return {
      place: async (number) => {
        const order = new Order(randomUUID(), `sku-${number}`, number);
        const event = { name: EVENT_TYPE, id: randomUUID(), ...payload(order.id, number) } satisfies OutboxEvent;
        await emitter.emit(event, [{ entity: order, operation: TransactionalEventEmitterOperations.persist }]);
        return event.id;
      },
      pending: `SELECT count(*)::int AS pending FROM ${TABLE}`,
    };
  },
};

async function openDataSource(databaseUrl: string): Promise<DataSource> {
  const { DataSource, EntitySchema } = requirePeer('typeorm') as TypeOrm;
  const { TypeOrmOutboxTransportEvent } = driver();
  const orders = new EntitySchema({
    name: 'Order',
    target: Order,
    tableName: 'orders',
    columns: { id: { type: 'uuid', primary: true }, sku: { type: 'text' }, quantity: { type: 'int' } },
  });
  return new DataSource({
    type: 'postgres',
    url: databaseUrl,
    poolSize: CONNECTIONS,
    entities: [TypeOrmOutboxTransportEvent, orders],
  }).initialize();
}

async function startApp(dataSource: DataSource, publish: Publish): Promise<INestApplicationContext> {
  const { Module } = requirePeer('@nestjs/common') as NestCommon;
  const { NestFactory } = requirePeer('@nestjs/core') as NestCore;
  const { OnEvent, OutboxModule } = requirePeer('@fullstackhouse/nestjs-outbox') as NestjsOutbox;
  const { TypeORMDatabaseDriverFactory } = driver();

  class Publisher {
    @OnEvent(EVENT_TYPE)
    async publish({ name: _name, id, ...event }: OutboxEvent): Promise<void> {
      await publish(id, event);
    }
  }

  @Module({
    imports: [
      OutboxModule.registerAsync({
        imports: [],
        enableDefaultMiddlewares: false,
        useFactory: () => ({
          driverFactory: new TypeORMDatabaseDriverFactory(dataSource),
          events: [
            {
              name: EVENT_TYPE,
              listeners: {
                retentionPeriod: 86_400_000,
                maxExecutionTime: 15_000,
                maxRetries: 5,
                retryStrategy: () => LEASE_MS,
              },
            },
          ],
          pollingInterval: POLL_EVERY_MS,
          maxEventsPerPoll: PER_POLL,
        }),
      }),
    ],
    providers: [Publisher],
  })
  class PeerModule {}
  return NestFactory.createApplicationContext(PeerModule, { logger: silent });
}
