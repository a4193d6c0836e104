import { Agent, request } from 'node:http';
import { monotonicMs, pause } from './clock';
import type { Instance } from './instance';
import { Random } from './random';

/** Requests that wait for their answer at once, over all clients. */
const MAX_WAITING = 60;
const CLIENTS = 8;
const ANSWER_WITHIN_MS = 15_000;
const PACE_MS = 10;

export const PLENTIFUL_SKUS = 17;
export const SCARCE_SKUS = 3;

/**
 * What a client knows of its request: `accepted` (201), `refused` (nothing may exist: 4xx, or nobody listened), `unknown` (5xx, a
 * broken connection, no answer: it may exist or not).
 */
export type Answer = 'accepted' | 'refused' | 'unknown' | 'waiting';

/** No two requests have the same stock keeping unit and quantity: so orders are told apart without an id of the client's. */
export interface OrderRequest {
  readonly sku: string;
  readonly quantity: number;
  answer: Answer;
  /** From the 201. */
  orderId?: string;
  /** Of an answer that was none: status or error. */
  problem?: string;
  readonly sentAt: number;
  latencyMs?: number;
}

/** Places orders over HTTP at a steady rate, from several clients with connections of their own. */
export class Load {
  readonly requests: OrderRequest[] = [];
  accepted = 0;
  private waiting = 0;
  private readonly quantities = new Map<string, number>();
  private readonly clients = Array.from({ length: CLIENTS }, () => new Agent({ keepAlive: true }));
  private readonly random: Random;

  constructor(
    private readonly instances: readonly Instance[],
    seed: number,
  ) {
    this.random = new Random(`load ${seed}`);
  }

  get refused(): number {
    return this.count('refused');
  }

  get unknown(): number {
    return this.count('unknown');
  }

  /** Resolves when so many orders were accepted and nothing is going on that wants a load, and every request has its answer. */
  async run(orders: number, perSecond: number, isWanted: () => boolean): Promise<void> {
    do {
      await this.send(perSecond, () => this.accepted + this.waiting >= orders && !isWanted());
      await this.answered();
    } while (this.accepted < orders);
  }

  async runFor(seconds: number, perSecond: number): Promise<void> {
    const end = monotonicMs() + seconds * 1_000;
    await this.send(perSecond, () => monotonicMs() >= end);
    await this.answered();
  }

  private async send(perSecond: number, isEnough: () => boolean): Promise<void> {
    const start = monotonicMs();
    let sent = 0;
    while (!isEnough()) {
      const due = ((monotonicMs() - start) / 1_000) * perSecond;
      // What could not be sent in time is not made up for: the rate stays steady.
      if (due - sent > MAX_WAITING) sent = due - MAX_WAITING;
      while (sent < due && this.waiting < MAX_WAITING && !isEnough()) {
        sent += 1;
        void this.place(this.nextSku());
      }
      await pause(PACE_MS);
    }
  }

  private async answered(): Promise<void> {
    while (this.waiting > 0) await pause(PACE_MS);
  }

  close(): void {
    for (const client of this.clients) client.destroy();
  }

  /** One order more, for a stock keeping unit of one's own. */
  async place(sku: string): Promise<OrderRequest> {
    const quantity = (this.quantities.get(sku) ?? 0) + 1;
    this.quantities.set(sku, quantity);
    const order: OrderRequest = { sku, quantity, answer: 'waiting', sentAt: monotonicMs() };
    this.requests.push(order);
    this.waiting += 1;
    try {
      await this.post(order);
    } finally {
      this.waiting -= 1;
      order.latencyMs = monotonicMs() - order.sentAt;
      if (order.answer === 'accepted') this.accepted += 1;
    }
    return order;
  }

  private nextSku(): string {
    const index = this.random.integer(1, PLENTIFUL_SKUS + SCARCE_SKUS);
    return index <= PLENTIFUL_SKUS ? `plenty-${index}` : `scarce-${index - PLENTIFUL_SKUS}`;
  }

  private async post(order: OrderRequest): Promise<void> {
    const number = this.requests.length;
    const instance = this.instances[number % this.instances.length];
    const agent = this.clients[number % CLIENTS];
    const body = JSON.stringify({ sku: order.sku, quantity: order.quantity });
    await new Promise<void>((resolve) => {
      const post = request({
        host: '127.0.0.1',
        port: instance?.port,
        path: '/orders',
        method: 'POST',
        agent,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      });
      post.once('error', (error: NodeJS.ErrnoException) => {
        // Nobody listened. Anything else may have happened after the request was read.
        order.answer = error.code === 'ECONNREFUSED' ? 'refused' : 'unknown';
        order.problem = error.code ?? error.message;
        resolve();
      });
      post.once('response', (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.once('error', () => undefined);
        response.once('close', () => {
          understand(order, response.statusCode ?? 0, text);
          resolve();
        });
      });
      post.end(body);
    });
  }

  private count(answer: Answer): number {
    return this.requests.reduce((sum, order) => (order.answer === answer ? sum + 1 : sum), 0);
  }
}

function understand(order: OrderRequest, status: number, text: string): void {
  order.problem = String(status);
  if (status === 201) {
    try {
      order.orderId = (JSON.parse(text) as { id: string }).id;
      order.answer = 'accepted';
    } catch {
      order.answer = 'unknown'; // the connection broke in the midst of the answer
    }
  } else order.answer = status >= 400 && status < 500 ? 'refused' : 'unknown';
}

/** What each stock keeping unit begins with: enough of most, for about half of the orders of the scarce ones. */
export function initialStock(orders: number): ReadonlyMap<string, number> {
  const perSku = Math.ceil(orders / (PLENTIFUL_SKUS + SCARCE_SKUS));
  return new Map([
    ...Array.from({ length: PLENTIFUL_SKUS }, (_, index) => [`plenty-${index + 1}`, 900_000_000] as const),
    ...Array.from({ length: SCARCE_SKUS }, (_, index) => [`scarce-${index + 1}`, Math.ceil(perSku ** 2 / 4)] as const),
  ]);
}
