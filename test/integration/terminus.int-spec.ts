import { Controller, Get, Injectable, Module } from '@nestjs/common';
import { HealthCheck, type HealthCheckResult, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { EventRecorder, MemoryBroker, ReliableEvent } from 'nestjs-reliable-mq';
import { ReliableMqHealthIndicator } from 'nestjs-reliable-mq/terminus';
import { startProxy, type TcpProxy } from '../../tools/servers/tcp-proxy';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { QUICK, TestApp } from '../support/test-app';

@ReliableEvent({ type: 'order.created', consumers: ['inventory'] })
class OrderCreated {}

@Injectable()
class Orders {
  constructor(private readonly events: EventRecorder) {}

  place(): Promise<string> {
    return this.events.transaction(() => this.events.record(new OrderCreated()));
  }
}

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly reliableMq: ReliableMqHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    return this.health.check([() => this.reliableMq.isHealthy()]);
  }
}

@Module({
  imports: [TerminusModule.forRoot({ logger: false })],
  controllers: [HealthController],
  providers: [ReliableMqHealthIndicator],
})
class HealthModule {}

describe('ReliableMqHealthIndicator, in a controller of @nestjs/terminus', () => {
  const broker = new MemoryBroker();
  let database: TestDatabase;
  let proxy: TcpProxy;
  let app: TestApp;

  beforeAll(async () => {
    database = await createTestDatabase();
    const target = new URL(database.url);
    proxy = await startProxy({ target: { host: target.hostname, port: Number(target.port || 5432) } });
    app = await TestApp.start({
      database,
      dataSource: { url: proxy.url(database.url) },
      broker,
      imports: [HealthModule],
      providers: [Orders],
      controllers: [],
      reliableMq: { ...QUICK, receipts: { chaseAfterMs: 100 } },
    });
  });
  afterAll(async () => {
    await proxy.restore();
    await app.close();
    await proxy.close();
    await database.drop();
  });

  async function check(): Promise<{ readonly code: number; readonly found: unknown }> {
    const response = await fetch(`${app.url}/health`, { headers: { connection: 'close' } });
    const { details } = (await response.json()) as { readonly details: Record<string, unknown> };
    return { code: response.status, found: details['reliable-mq'] };
  }

  it('is up', async () => {
    expect(await check()).toEqual({ code: 200, found: { status: 'up' } });
  });

  it('is up, and says that it is degraded, while the broker is away', async () => {
    broker.goOffline('lunch');
    expect(await check()).toEqual({
      code: 200,
      found: { status: 'up', degraded: true, reasons: [expect.stringMatching(/^broker: .*lunch/)] },
    });
    broker.goOnline();
    expect(await check()).toEqual({ code: 200, found: { status: 'up' } });
  });

  it('is degraded while nobody consumes a queue that events wait for', async () => {
    broker.declare({
      name: 'inventory.order.created',
      kind: 'events',
      bindings: ['order.created'],
      parkingQueue: 'inventory.parked',
    });
    await app.get(Orders).place();
    await eventually(async () =>
      expect(await check()).toEqual({
        code: 200,
        found: {
          status: 'up',
          degraded: true,
          reasons: ['nobody consumes queue "inventory.order.created", which events of this service wait for'],
        },
      }),
    );
  });

  it('is down while the database is away', async () => {
    await proxy.cut();
    await eventually(async () =>
      expect(await check()).toMatchObject({
        code: 503,
        found: { status: 'down', reasons: expect.arrayContaining([expect.stringMatching(/^database "default": /)]) },
      }),
    );
    await proxy.restore();
    await eventually(async () => expect(await check()).toMatchObject({ code: 200 }));
  });
});
