import { Injectable } from '@nestjs/common';
import { propagation, type SpanContext, SpanKind, SpanStatusCode, context, trace } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { IsString } from 'class-validator';
import {
  type BatchContext,
  Compensate,
  type EventContext,
  EventRecorder,
  RejectEvent,
  ReliableEvent,
  ReliableEventHandler,
  ReliableMqHooks,
} from 'nestjs-reliable-mq';
import { ReliableMqOpenTelemetryModule } from 'nestjs-reliable-mq/opentelemetry';
import { eventually } from '../support/eventually';
import { QUICK, TestApp } from '../support/test-app';
import { Telemetry } from '../support/telemetry';

@ReliableEvent({ type: 'order.created' })
class OrderCreated {
  @IsString() text!: string;
}

@ReliableEvent({ type: 'stock.deducted', confirm: false })
class StockDeducted {
  @IsString() text!: string;
}

@ReliableEvent({ type: 'page.viewed' })
class PageViewed {
  @IsString() text!: string;
}

const event = <T extends object>(eventClass: new () => T, text = ''): T => Object.assign(new eventClass(), { text });

@Injectable()
class Shop {
  /** What was active while each handler ran. */
  readonly active: (SpanContext | undefined)[] = [];
  readonly baggage: (string | undefined)[] = [];

  constructor(readonly events: EventRecorder) {}

  record(...recorded: readonly object[]): Promise<string[]> {
    return this.events.transaction(async () => {
      const ids: string[] = [];
      for (const each of recorded) ids.push(await this.events.record(each));
      return ids;
    });
  }

  @ReliableEventHandler(OrderCreated)
  async deduct({ text }: OrderCreated, { attempt }: EventContext): Promise<void> {
    this.active.push(trace.getActiveSpan()?.spanContext());
    this.baggage.push(propagation.getActiveBaggage()?.getEntry('tenant')?.value);
    if (text === 'fail once' && attempt === 1) throw new Error('no luck');
    if (text === 'reject') throw new RejectEvent('unknown sku');
    await this.events.record(event(StockDeducted));
  }

  @ReliableEventHandler(StockDeducted)
  note(): void {}

  @ReliableEventHandler(PageViewed, { batch: { size: 3, waitMs: 60_000 } })
  async count(_: PageViewed[], { messages }: BatchContext): Promise<void> {
    await Promise.resolve(messages);
  }

  @Compensate(OrderCreated)
  cancel(): void {
    this.active.push(trace.getActiveSpan()?.spanContext());
  }
}

const idsOf = ({ traceId, spanId }: SpanContext): object => ({ traceId, spanId });
const linksOf = (span: ReadableSpan): object[] => span.links.map((link) => idsOf(link.context));

describe('an application with ReliableMqOpenTelemetryModule', () => {
  let telemetry: Telemetry;
  let app: TestApp;
  let shop: Shop;

  beforeAll(async () => {
    telemetry = new Telemetry();
    app = await TestApp.start({
      imports: [ReliableMqOpenTelemetryModule],
      providers: [Shop],
      reliableMq: { ...QUICK, service: 'shop', transport: 'memory' },
    });
    shop = app.get(Shop);
  });
  beforeEach(() => {
    telemetry.forget();
    shop.active.length = 0;
    shop.baggage.length = 0;
  });
  afterAll(async () => {
    await app.dispose();
    await telemetry.shutdown();
  });

  async function headersOf(id: string): Promise<Record<string, string>> {
    const [row] = await app.outbox({ id });
    return row!.headers as Record<string, string>;
  }

  it('stores where an event was recorded with it, and links its handling to that', async () => {
    const request = trace.getTracer('test').startSpan('POST /orders');
    const [id = ''] = await context.with(trace.setSpan(context.active(), request), () =>
      shop.record(event(OrderCreated)),
    );
    request.end();

    const [send] = await telemetry.ended('send order.created');
    expect(send).toMatchObject({
      kind: SpanKind.PRODUCER,
      parentSpanContext: { spanId: request.spanContext().spanId },
      attributes: {
        'messaging.system': 'memory',
        'messaging.operation.name': 'send',
        'messaging.operation.type': 'send',
        'messaging.destination.name': 'order.created',
        'messaging.message.id': id,
        'reliable_mq.event.version': 1,
      },
    });
    const { traceId, spanId } = send!.spanContext();
    expect(await headersOf(id)).toMatchObject({ traceparent: `00-${traceId}-${spanId}-01` });

    const [process] = await telemetry.ended('process order.created');
    expect(process).toMatchObject({
      kind: SpanKind.CONSUMER,
      status: { code: SpanStatusCode.UNSET },
      attributes: {
        'messaging.operation.type': 'process',
        'messaging.consumer.group.name': 'shop',
        'messaging.message.id': id,
        'reliable_mq.attempt': 1,
        'reliable_mq.outcome': 'handled',
      },
    });
    expect(process!.parentSpanContext).toBeUndefined();
    expect(process!.spanContext().traceId).not.toBe(traceId);
    expect(linksOf(process!)).toEqual([{ traceId, spanId }]);
  });

  it('runs the handler in the span of its attempt, which what it records and the acknowledgement are part of', async () => {
    await shop.record(event(OrderCreated));
    const [process] = await telemetry.ended('process order.created');
    const parent = process!.spanContext();
    expect(shop.active).toMatchObject([idsOf(parent)]);
    const [recorded] = await telemetry.ended('send stock.deducted');
    const [settle] = await telemetry.ended('settle order.created');
    for (const span of [recorded, settle]) expect(span).toMatchObject({ parentSpanContext: idsOf(parent) });
    expect(settle).toMatchObject({ kind: SpanKind.CLIENT, attributes: { 'messaging.operation.type': 'settle' } });
  });

  it('has one span for a batch, with a link for each message', async () => {
    const ids = await shop.record(event(PageViewed), event(PageViewed), event(PageViewed));
    const sent = await telemetry.ended('send page.viewed', 3);
    const [process] = await telemetry.ended('process page.viewed');
    expect(process).toMatchObject({ attributes: { 'messaging.batch.message_count': 3 } });
    expect(linksOf(process!)).toEqual(sent.map((span) => idsOf(span.spanContext())));
    expect(process!.links.map(({ attributes }) => attributes?.['messaging.message.id'])).toEqual(ids);
    await telemetry.ended('settle page.viewed', 3);
  });

  it('has a span for each attempt; those out of the inbox link to the recording too', async () => {
    await shop.record(event(OrderCreated, 'fail once'));
    const [first, second] = await telemetry.ended('process order.created', 2);
    const [send] = await telemetry.ended('send order.created');
    for (const span of [first!, second!]) expect(linksOf(span)).toEqual([idsOf(send!.spanContext())]);
    expect(first).toMatchObject({
      status: { code: SpanStatusCode.ERROR, message: expect.stringContaining('no luck') },
      attributes: { 'reliable_mq.outcome': 'retrying', 'error.type': 'retrying' },
    });
    expect(second).toMatchObject({ attributes: { 'reliable_mq.attempt': 2, 'reliable_mq.outcome': 'handled' } });
  });

  it('has a span for a compensation, in which its handler runs, with a link to the recording', async () => {
    const [id] = await shop.record(event(OrderCreated, 'reject'));
    const [compensate] = await telemetry.ended('compensate order.created');
    const [send] = await telemetry.ended('send order.created');
    expect(compensate).toMatchObject({ kind: SpanKind.INTERNAL, attributes: { 'messaging.message.id': id } });
    expect(linksOf(compensate!)).toEqual([idsOf(send!.spanContext())]);
    expect(shop.active.at(-1)).toMatchObject(idsOf(compensate!.spanContext()));
  });

  it('hands baggage along, and leaves out what could not be sent', async () => {
    const withTenant = (value: string): ReturnType<typeof context.active> =>
      propagation.setBaggage(context.active(), propagation.createBaggage({ tenant: { value } }));
    await context.with(withTenant('acme'), () => shop.record(event(OrderCreated)));
    await telemetry.ended('process order.created');
    expect(shop.baggage).toEqual(['acme']);

    const remove = app.get(ReliableMqHooks).around({
      record: (_, run) => void run({ long: 'x'.repeat(10_000), 'reliable-mq-version': 7, short: 'kept' }),
    });
    const [id = ''] = await shop.record(event(StockDeducted));
    remove();
    expect(Object.keys(await headersOf(id)).toSorted()).toEqual(['recorded-traceparent', 'short', 'traceparent']);
  });

  it('lets headers that the application gives by itself stand over its own', async () => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    const id = await shop.events.transaction(() =>
      shop.events.record(event(StockDeducted), { headers: { traceparent } }),
    );
    expect(await headersOf(id)).toMatchObject({ traceparent });
  });

  it('says that recording has failed, and in which span', async () => {
    await expect(shop.record(event(OrderCreated, 7 as never))).rejects.toThrow('text');
    const [send] = await telemetry.ended('send order.created');
    expect(send).toMatchObject({
      status: { code: SpanStatusCode.ERROR },
      attributes: { 'error.type': 'InvalidEventError' },
    });
  });

  it('counts and measures, by type, consumer and outcome and by nothing else', async () => {
    await shop.record(event(OrderCreated), event(OrderCreated, 'reject'));
    const found = await eventually(async () => {
      const measured = await telemetry.measured();
      const processed = measured.get('messaging.process.duration')?.map(({ attributes }) => attributes);
      expect(processed).toContainEqual({ type: 'order.created', consumer: 'shop', outcome: 'rejected' });
      expect(measured.get('reliable_mq.compensations')).toBeDefined();
      return measured;
    });
    const labels = [...found.values()].flat().flatMap(({ attributes }) => Object.keys(attributes));
    expect(new Set(labels)).toEqual(new Set(['type', 'consumer', 'outcome']));
    const labelled = (name: string): unknown[] => (found.get(name) ?? []).map(({ attributes }) => attributes);
    const type = 'order.created';
    expect(labelled('messaging.client.sent.messages')).toContainEqual({ type, outcome: 'routed' });
    expect(labelled('messaging.client.operation.duration')).toContainEqual({ type, outcome: 'routed' });
    expect(labelled('messaging.client.consumed.messages')).toContainEqual({ type, consumer: 'shop' });
    expect(labelled('messaging.process.duration')).toContainEqual({ type, consumer: 'shop', outcome: 'handled' });
    expect(labelled('reliable_mq.publish.lag')).toContainEqual({ type });
    expect(labelled('reliable_mq.events.dead')).toContainEqual({ type });
    expect(labelled('reliable_mq.compensations')).toContainEqual({ type, outcome: 'compensated' });
  });

  it('reads from the tables what is to be done', async () => {
    const value = async (name: string): Promise<unknown> =>
      ((await telemetry.measured()).get(name) ?? []).map((point) => point.value);
    await app.query(
      `INSERT INTO reliable_mq_outbox (id, type, version, payload, consumers, confirm, status, attempts, due_at, created_at)
       SELECT gen_random_uuid(), 'stuck', 1, '{}', '[]', true, 'dead', 25, NULL, now() FROM generate_series(1, 3)`,
    );
    expect(await value('reliable_mq.outbox.need_person')).toEqual([3]);
    expect(await value('reliable_mq.broker.available')).toEqual([1]);
    await app.query(`DELETE FROM reliable_mq_outbox WHERE type = 'stuck'`);
    expect(await value('reliable_mq.outbox.need_person')).toEqual([0]);
    for (const name of ['outbox.pending', 'outbox.unconsumed', 'outbox.oldest_due', 'inbox.failed', 'inbox.dead'])
      expect(await value(`reliable_mq.${name}`)).toHaveLength(1);
  });
});
