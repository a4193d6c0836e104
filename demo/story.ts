import type { Narrator } from './narrator';
import type { Plan, PlannedOrder } from './plan';
import type { DemoBroker } from './broker';
import type { Shop } from './shop';
import type { Timeline } from './timeline';

/** Orders placed at the same time. */
const CONCURRENCY = 16;
const POLL_EVERY_MS = 50;
/** Without any progress for so long something is stuck: the audit will say what. */
const STUCK_AFTER_MS = 60_000;
const ABSENCE_MS = 1_500;

/** The acts, in their order; afterwards everything has reached its end, or the audit shows what has not. */
export class Story {
  /** Every order that was answered with 201. */
  readonly accepted = new Map<string, PlannedOrder>();

  constructor(
    private readonly plan: Plan,
    private readonly shop: Shop,
    private readonly broker: DemoBroker,
    private readonly narrator: Narrator,
    private readonly timeline: Timeline,
  ) {}

  async tell(): Promise<void> {
    for (const [sku, quantity] of this.plan.stock) await this.shop.setStock(sku, quantity);
    await this.oneOrder(this.plan.first);
    if (this.plan.crowd.length > 0) await this.manyOrders(this.plan.crowd);
    if (this.plan.haunted) await this.failingConsumer(this.plan.haunted);
    if (this.plan.offline.length > 0) await this.absentBroker(this.plan.offline);
  }

  private async oneOrder(order: PlannedOrder): Promise<void> {
    this.narrator.title('One order, step by step');
    this.narrator.say(
      `${order.quantity} × ${order.sku}. Two services, two databases: the order is only confirmed when both agree.`,
    );
    this.timeline.begin();
    this.timeline.tell('order', 'POST /orders');
    const id = await this.place(order);
    await this.quiet();
    this.timeline.tell('order', `GET /orders/${id.slice(0, 8)}…: ${(await this.shop.order(id)).status}`);
    this.timeline.end();
  }

  private async manyOrders(orders: readonly PlannedOrder[]): Promise<void> {
    this.narrator.title('Many orders at once, and not enough lamps for all');
    const before = await this.shop.summary();
    const ids = await this.placeAll(orders);
    await this.quiet({ ends: orders.length, before });
    const after = await this.shop.summary();
    const failed = after.FAILED - before.FAILED;
    this.narrator.say(
      `${after.CONFIRMED - before.CONFIRMED} are CONFIRMED, ${failed} FAILED.${failed > 0 ? ' Why they failed, for example:' : ''}`,
    );
    let examples = failed > 0 ? 2 : 0;
    for (const id of ids) {
      if (examples === 0) break;
      const { status, reason } = await this.shop.order(id);
      if (status !== 'FAILED') continue;
      examples -= 1;
      this.narrator.say(`· ${reason}`);
    }
  }

  private async failingConsumer(order: PlannedOrder): Promise<void> {
    this.narrator.title('A consumer that fails, and the compensation');
    this.narrator.say(
      `The inventory service is made to fail for ${order.sku}. It may try three times here; then the order must be undone.`,
    );
    this.timeline.begin();
    this.timeline.tell('order', 'POST /orders');
    const id = await this.place(order);
    await this.quiet();
    const { status, reason } = await this.shop.order(id);
    this.timeline.tell('order', `GET /orders/${id.slice(0, 8)}…: ${status}, ${reason ?? ''}`);
    this.timeline.end();
    const { available } = await this.shop.stock(order.sku);
    this.narrator.say(
      `Stock of ${order.sku}: ${available}, as before. Should order.created come once more, inventory will refuse it: order.cancelled has left a tombstone.`,
    );
  }

  private async absentBroker(orders: readonly PlannedOrder[]): Promise<void> {
    const { absence } = this.broker;
    this.narrator.title('The broker is away');
    if (!absence) {
      this.narrator.say('Not shown: the connection to RabbitMQ is encrypted, and the demo cannot stand in between.');
      await this.placeAll(orders);
      await this.quiet();
      return;
    }
    await absence.begin();
    const cutAtMs = performance.now();
    this.narrator.say(`Now ${absence.how}.`);
    await this.placeAll(orders);
    const { code, reasons } = await this.health();
    this.narrator.say(
      `${orders.length === 1 ? 'It was' : `All ${orders.length} were`} accepted with 201: recording needs the database only.`,
    );
    this.narrator.say(`GET /health: ${code}, ${reasons.join('; ')}`);
    await pause(Math.max(0, ABSENCE_MS - (performance.now() - cutAtMs)));
    this.narrator.say(
      `${await this.shop.unpublished()} events wait in the outbox. After ${((performance.now() - cutAtMs) / 1000).toFixed(1)} s the broker is back.`,
    );
    const backAtMs = performance.now();
    await absence.end();
    await this.quiet();
    this.narrator.say(
      `${((performance.now() - backAtMs) / 1000).toFixed(1)} s later all of them are consumed, nobody had to do anything.`,
    );
  }

  /** Right after the cut the services may not have noticed it. */
  private async health(): Promise<{ readonly code: number; readonly reasons: readonly string[] }> {
    for (let tries = 0; ; tries += 1) {
      const health = await this.shop.health('order');
      if (health.code !== 200 || tries === 20) return health;
      await pause(POLL_EVERY_MS);
    }
  }

  private async place(order: PlannedOrder): Promise<string> {
    const id = await this.shop.place(order);
    this.accepted.set(id, order);
    return id;
  }

  /** @returns the ids */
  private async placeAll(orders: readonly PlannedOrder[]): Promise<string[]> {
    const ids: string[] = [];
    const left = orders.values();
    const placeNext = async (): Promise<void> => {
      for (const order of left) {
        ids.push(await this.place(order));
        this.narrator.progress('placed', ids.length, orders.length);
      }
    };
    await Promise.all(Array.from({ length: Math.min(CONCURRENCY, orders.length) }, placeNext));
    return ids;
  }

  /** Until every event has reached its end, or nothing has moved for a minute. */
  private async quiet(bar?: {
    readonly ends: number;
    readonly before: Readonly<Record<string, number>>;
  }): Promise<void> {
    let movedAtMs = performance.now();
    let last = '';
    for (;;) {
      const summary = await this.shop.summary();
      const unfinished = await this.shop.unfinished();
      const ended = summary.CONFIRMED + summary.FAILED;
      if (bar)
        this.narrator.progress('decided', ended - (bar.before.CONFIRMED ?? 0) - (bar.before.FAILED ?? 0), bar.ends);
      if (unfinished === 0 && summary.PENDING === 0) return;
      const state = `${ended} ${unfinished}`;
      if (state !== last) movedAtMs = performance.now();
      last = state;
      if (performance.now() - movedAtMs > STUCK_AFTER_MS) {
        this.narrator.bad(
          `Nothing has moved for ${STUCK_AFTER_MS / 1000} s: ${summary.PENDING} orders and ${unfinished} events are unfinished.`,
        );
        return;
      }
      await pause(POLL_EVERY_MS);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
