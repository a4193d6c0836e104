import { collectEvidence, judge, type Verdict } from '../../demo/audit';
import { brokerNames } from '../../demo/namespace';
import { freePort } from '../../tools/servers/ports';
import { startProxy, type TcpProxy } from '../../tools/servers/tcp-proxy';
import { createTestDatabase, type DatabaseName, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { type App, startApp } from '../support/processes';
import { cleanQueues, rabbitmqUrl, uniquePrefix } from '../support/rabbitmq';

export type ServiceName = 'order' | 'inventory';

/** Repairs within a second or two. */
const QUICK = {
  publish: { leaseMs: 2_000, confirmTimeoutMs: 1_000, backoff: { initialMs: 100, maxMs: 500, jitter: 0 } },
  receipts: { chaseAfterMs: 1_500 },
  consume: { timeoutMs: 1_500, backoff: { initialMs: 100, maxMs: 500, jitter: 0 } },
  compensation: { intervalMs: 250 },
  rabbitmq: { reconnectMs: 100 },
};
/** A second or two, but not on a machine that runs all tests at once. */
const START_WITHIN_MS = 60_000;
const QUIET_WITHIN_MS = 40_000;

export interface Answer<T> {
  readonly code: number;
  readonly body: T;
}

export interface OrderView {
  readonly id: string;
  readonly sku: string;
  readonly quantity: number;
  readonly status: 'PENDING' | 'CONFIRMED' | 'FAILED';
  readonly reason: string | null;
}

/** Both services as processes, as anybody would run them, with databases and queues of their own, and a breakable way to the broker. */
export class TwoServices {
  /** Every order that was answered with 201, and every initial stock: what the audit starts from. */
  private readonly accepted = new Map<string, { sku: string; quantity: number }>();
  private readonly initialStock = new Map<string, number>();
  private readonly apps = new Set<App>();

  private constructor(
    private readonly databases: Readonly<Record<ServiceName, TestDatabase>>,
    readonly proxy: TcpProxy,
    private readonly namespace: string,
    private readonly ports: Readonly<Record<ServiceName, number>>,
  ) {}

  static async prepare(database: DatabaseName = 'postgres'): Promise<TwoServices> {
    const { hostname, port } = new URL(rabbitmqUrl());
    // A port that the kernel gives to no outgoing connection: while the proxy is cut, it must stay free.
    const proxy = await startProxy({ target: { host: hostname, port: Number(port || 5672) }, port: await freePort() });
    const databases = { order: await createTestDatabase(database), inventory: await createTestDatabase(database) };
    const ports = { order: await freePort(), inventory: await freePort() };
    return new TwoServices(databases, proxy, uniquePrefix().replace(/\W+$/, ''), ports);
  }

  /**
   * Starts one process of a service; ready when it listens, whether or not the broker is there.
   *
   * @param port another instance needs another one
   * @param more of its environment
   */
  async start(
    service: ServiceName,
    port = this.ports[service],
    more: Readonly<Record<string, string>> = {},
  ): Promise<App> {
    const name = service.toUpperCase();
    const app = await startApp({
      script: `apps/${service}/main.ts`,
      env: {
        MQ_NAMESPACE: this.namespace,
        AMQP_URL: this.proxy.url(rabbitmqUrl()),
        [`${name}_DATABASE_URL`]: this.databases[service].url,
        [`${name}_PORT`]: String(port),
        RELIABLE_MQ_OPTIONS: JSON.stringify(QUICK),
        ...more,
      },
      ready: { line: /service answers at/ },
      readyWithinMs: START_WITHIN_MS,
    });
    this.apps.add(app);
    void app.exited.then(() => this.apps.delete(app));
    return app;
  }

  async get<T>(service: ServiceName, path: string): Promise<Answer<T>> {
    return this.request(service, path, {});
  }

  async put<T>(service: ServiceName, path: string, body: unknown): Promise<Answer<T>> {
    return this.request(service, path, { method: 'PUT', body: JSON.stringify(body) });
  }

  async post<T>(service: ServiceName, path: string, body: unknown): Promise<Answer<T>> {
    return this.request(service, path, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  }

  async stock(sku: string, quantity: number): Promise<void> {
    await this.put('inventory', `/stock/${sku}`, { quantity });
    this.initialStock.set(sku, quantity);
  }

  async tryToPlace(order: { sku: string; quantity: number }): Promise<Answer<OrderView>> {
    const answer = await this.post<OrderView>('order', '/orders', order);
    if (answer.code === 201) this.accepted.set(answer.body.id, order);
    return answer;
  }

  /** @returns the order's id */
  async place(sku: string, quantity: number): Promise<string> {
    const { code, body } = await this.tryToPlace({ sku, quantity });
    if (code !== 201) throw new Error(`POST /orders: ${code} ${JSON.stringify(body)}`);
    return body.id;
  }

  /** The order once it is no longer PENDING. */
  async decided(id: string): Promise<OrderView> {
    return eventually(async () => {
      const { body } = await this.get<OrderView>('order', `/orders/${id}`);
      return body.status !== 'PENDING' && body;
    });
  }

  /** Resolves when no event and no handling of either service is unfinished. */
  async quiet(): Promise<void> {
    await eventually(
      async () => {
        for (const service of ['order', 'inventory'] as const) {
          const unfinished = await this.databases[service].query<{ what: string; count: number }>(
            `SELECT 'outbox' AS what, count(*) AS count FROM reliable_mq_outbox WHERE due_at IS NOT NULL
             UNION ALL SELECT 'inbox', count(*) FROM reliable_mq_inbox WHERE due_at IS NOT NULL`,
          );
          const left = unfinished.filter(({ count }) => count > 0);
          if (left.length > 0) throw new Error(`${service}: ${JSON.stringify(left)}`);
        }
      },
      { deadlineMs: QUIET_WITHIN_MS, intervalMs: 100 },
    );
  }

  /** What both databases say about everything that was placed here. */
  async audit(): Promise<Verdict> {
    const { order, inventory } = this.databases;
    return judge(await collectEvidence(order.url, inventory.url, this.accepted, this.initialStock));
  }

  database(service: ServiceName): TestDatabase {
    return this.databases[service];
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.apps].map((app) => app.kill()));
    await this.proxy.close();
    const { queues, exchange } = brokerNames(this.namespace);
    await cleanQueues(this.namespace, { queues, exchanges: [exchange] });
    await Promise.all(Object.values(this.databases).map((database) => database.drop()));
  }

  private async request<T>(service: ServiceName, path: string, init: RequestInit): Promise<Answer<T>> {
    const response = await fetch(`http://127.0.0.1:${this.ports[service]}${path}`, {
      ...init,
      // Kept-alive connections would outlive the test file's check for what it left open.
      headers: { 'content-type': 'application/json', connection: 'close' },
    });
    return { code: response.status, body: (await response.json()) as T };
  }
}
