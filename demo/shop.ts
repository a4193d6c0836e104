import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DynamicModule, INestApplication } from '@nestjs/common';
import { EventOperations, type Hooks, type ReliableMqOptions } from 'nestjs-reliable-mq';
import { INVENTORY } from '../apps/inventory/inventory.identity';
import { InventoryModule } from '../apps/inventory/inventory.module';
import { ORDER } from '../apps/order/order.identity';
import { OrderModule } from '../apps/order/order.module';
import { createService } from '../apps/platform/run-service';
import { merge, readSettings, type ServiceIdentity, type ServiceSettings } from '../apps/platform/settings';
import type { CleanUp } from './clean-up';
import { hauntShelf } from './haunted-shelf';
import type { PlannedOrder } from './plan';

/** Quick repairs, so that each can be watched. */
const TUNING: Partial<ReliableMqOptions> = {
  publish: { leaseMs: 5_000, confirmTimeoutMs: 2_000 },
  consume: { maxAttempts: 3, backoff: { initialMs: 300, maxMs: 2_000, jitter: 0 } },
  compensation: { intervalMs: 500 },
  receipts: { chaseAfterMs: 10_000 },
};
const RECONNECT_MS = 250;
const ANSWER_WITHIN_MS = 30_000;

export type ServiceName = 'order' | 'inventory';

export interface OrderView extends PlannedOrder {
  readonly id: string;
  readonly status: 'PENDING' | 'CONFIRMED' | 'FAILED';
  readonly reason: string | null;
}

export interface ShopOptions {
  readonly orderUrl: string;
  readonly inventoryUrl: string;
  readonly transport: Partial<ReliableMqOptions>;
  readonly hooks: (service: ServiceName) => Partial<Hooks>;
  readonly cleanUp: CleanUp;
  /** Of the consoles; undefined: there are none. */
  readonly consolePassword?: string | undefined;
}

/** Both services inside this process, each with its own database, talked to over HTTP. */
export class Shop {
  private constructor(
    private readonly apps: Readonly<Record<ServiceName, INestApplication>>,
    /** Where each answers. */
    readonly urls: Readonly<Record<ServiceName, string>>,
  ) {}

  static async open({
    orderUrl,
    inventoryUrl,
    transport,
    hooks,
    cleanUp,
    consolePassword,
  }: ShopOptions): Promise<Shop> {
    const options = (name: ServiceName): Record<string, unknown> => ({
      ...merge(TUNING, transport as Record<string, unknown>),
      rabbitmq: { reconnectMs: RECONNECT_MS, ...transport.rabbitmq },
      hooks: hooks(name),
    });
    const start = async (
      identity: ServiceIdentity,
      databaseUrl: string,
      create: (settings: ServiceSettings) => DynamicModule,
    ): Promise<INestApplication> => {
      const name = identity.name as ServiceName;
      const settings = readSettings(identity, {
        INVENTORY_DATABASE_URL: inventoryUrl,
        [`${name.toUpperCase()}_DATABASE_URL`]: databaseUrl,
        CONSOLE_PASSWORD: consolePassword,
      });
      const app = await createService(create({ ...settings, reliableMq: merge(settings.reliableMq, options(name)) }), {
        logger: false,
      });
      cleanUp.add(() => app.close());
      await app.listen(0, '127.0.0.1');
      return app;
    };
    const [order, inventory] = await Promise.all([
      start(ORDER, orderUrl, (settings) => OrderModule.with(settings)),
      start(INVENTORY, inventoryUrl, (settings) => InventoryModule.with(settings)),
    ]);
    await hauntShelf(inventoryUrl);
    return new Shop({ order, inventory }, { order: urlOf(order), inventory: urlOf(inventory) });
  }

  /** @returns the order's id */
  async place(order: PlannedOrder): Promise<string> {
    return (await this.call<OrderView>('order', '/orders', { method: 'POST', body: order })).id;
  }

  order(id: string): Promise<OrderView> {
    return this.call('order', `/orders/${id}`);
  }

  summary(): Promise<Record<OrderView['status'], number>> {
    return this.call('order', '/orders/summary');
  }

  async setStock(sku: string, quantity: number): Promise<void> {
    await this.call('inventory', `/stock/${sku}`, { method: 'PUT', body: { quantity } });
  }

  stock(sku: string): Promise<{ readonly available: number; readonly deducted: number }> {
    return this.call('inventory', `/stock/${sku}`);
  }

  /** The status code and the reasons. */
  async health(service: ServiceName): Promise<{ readonly code: number; readonly reasons: readonly string[] }> {
    const response = await fetch(`${this.urls[service]}/health`);
    const { reasons } = (await response.json()) as { reasons: string[] };
    return { code: response.status, reasons };
  }

  /** Events that have not reached their end, in both outboxes, and handlings that are to be tried again. */
  async unfinished(): Promise<number> {
    const counts = await Promise.all(
      Object.values(this.apps).map(async (app) => {
        const { outbox, inbox } = await app.get(EventOperations).statistics();
        return outbox.pending + outbox.published + outbox.compensating + inbox.failed;
      }),
    );
    return counts.reduce((total, count) => total + count, 0);
  }

  /** Events in the order service's outbox that the broker does not have. */
  async unpublished(): Promise<number> {
    return (await this.apps.order.get(EventOperations).statistics()).outbox.pending;
  }

  private async call<T>(
    service: ServiceName,
    path: string,
    request: { method?: string; body?: object } = {},
  ): Promise<T> {
    const { method = 'GET', body } = request;
    const response = await fetch(`${this.urls[service]}${path}`, {
      method,
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    if (!response.ok)
      throw new Error(`${method} ${path} at the ${service} service: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }
}

function urlOf(app: INestApplication): string {
  return `http://127.0.0.1:${((app.getHttpServer() as Server).address() as AddressInfo).port}`;
}
