import { liveMemoryMb } from '../../../bench/works/live-memory';
import type { QueueSpec } from '../../../libs/reliable-mq/src/broker/transport';
import { eventually } from '../../support/eventually';
import { available, publish, unavailable } from '../transport-requests';
import { CLOSES_WITHIN_MS, countOf, load, type PrivateBroker, within } from './private-broker';

/** Connections that are lost, half-open or blocked. */
export function lostConnectionsSuite(broker: () => PrivateBroker): void {
  describe('a connection that is lost under load', () => {
    it.each([
      ['reset', async () => broker().harness.proxy.dropAll()],
      ['cut in the midst of a frame', async () => broker().harness.proxy.cutAfterBytes('toServer', 20_000)],
      ['closed by the broker', () => broker().node.closeAllConnections('by a person')],
    ])(
      '(%s) leaves every publish answered once, and every confirmed message in the queue',
      async (_, lose) => {
        const transport = await broker().started();
        const { spec, type } = await broker().declared(transport);
        const under = load(transport, type);
        await eventually(() => expect(countOf(under, 'routed')).toBeGreaterThan(200));

        await lose();

        await eventually(() => expect(countOf(under, 'unavailable')).toBeGreaterThan(0));
        await available(transport);
        const before = countOf(under, 'routed');
        await eventually(() => expect(countOf(under, 'routed')).toBeGreaterThan(before + 100));
        await under.stop();
        await expectAllDelivered(spec, under.routed());
        if (lose.toString().includes('closeAll')) await broker().harness.reopenAdmin();
      },
      120_000,
    );

    it('because the broker was killed comes back, and no confirmed message is lost', async () => {
      const transport = await broker().started();
      const { spec, type } = await broker().declared(transport);
      // RabbitMQ 3.10 has no leader again for a quorum queue whose node is killed before its registry is on the disk.
      await broker().node.syncQueueRegistry();
      const under = load(transport, type);
      await eventually(() => expect(countOf(under, 'routed')).toBeGreaterThan(200));

      await broker().node.kill();
      await unavailable(transport);
      await broker().node.start();
      await available(transport);
      await broker().harness.reopenAdmin();

      const before = countOf(under, 'routed');
      await eventually(() => expect(countOf(under, 'routed')).toBeGreaterThan(before + 100));
      await under.stop();
      await expectAllDelivered(spec, under.routed());
    }, 120_000);

    /** Duplicates are allowed: a message may be in the queue although its confirm was lost. */
    async function expectAllDelivered(spec: QueueSpec, ids: readonly string[]): Promise<void> {
      const seen = new Set<string>();
      const reader = await broker().started();
      await reader.subscribe(spec, 500, (delivery) => {
        seen.add(String(delivery.message.messageId));
        delivery.ack();
      });
      await eventually(() => expect(ids.filter((id) => !seen.has(id))).toEqual([]));
    }
  });

  it('keeps nothing in memory while the broker is away', async () => {
    const transport = await broker().started();
    await broker().harness.goOffline();
    await unavailable(transport);
    const body = Buffer.alloc(1_000);
    const before = liveMemoryMb();
    for (let round = 0; round < 100; round += 1) {
      const outcomes = await Promise.all(
        Array.from({ length: 1_000 }, () => publish(transport, { routingKey: 'x' }, { body: Buffer.from(body) })),
      );
      expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(['unavailable']));
    }
    // 100 MB were handed over.
    expect(liveMemoryMb() - before).toBeLessThan(20);
  });

  describe('a half-open connection', () => {
    it('is found by the confirm timeout, and made again', async () => {
      const transport = await broker().started({ confirmTimeoutMs: 500, heartbeatSeconds: 60 });
      const { type } = await broker().declared(transport);

      broker().harness.proxy.blackhole(true);
      const outcome = await publish(transport, { routingKey: type });

      expect(outcome).toEqual({
        status: 'unavailable',
        reason: expect.stringMatching(/^no confirm from amqp:\/\/guest:\*\*\*@127\.0\.0\.1:\d+ within 500 ms$/),
      });
      await unavailable(transport);

      broker().harness.proxy.blackhole(false);
      // An attempt that was made into the black hole must run into its time limit first.
      broker().harness.proxy.dropAll();
      await available(transport);
      expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' });
    });

    it('is found by the heartbeats when nothing is published', async () => {
      const transport = await broker().started({ heartbeatSeconds: 1 });
      broker().harness.proxy.blackhole(true);
      await unavailable(transport);
    });

    it('does not hold up closing or subscribing', async () => {
      const transport = await broker().started({ heartbeatSeconds: 60 });
      const { spec } = broker().eventsQueue();
      const subscription = await transport.subscribe(spec, 1, (delivery) => delivery.ack());
      broker().harness.proxy.blackhole(true);
      const inFlight = publish(transport, { routingKey: 'x' });

      await within(CLOSES_WITHIN_MS, subscription.close());
      await within(
        CLOSES_WITHIN_MS,
        transport.subscribe(broker().eventsQueue().spec, 1, (delivery) => delivery.ack()),
      );
      await within(CLOSES_WITHIN_MS, transport.close());

      expect((await inFlight).status).toBe('unavailable');
    });
  });

  describe('a broker that blocks publishers', () => {
    it('leaves what is in flight unavailable after the confirm timeout, and the connection as it is', async () => {
      const transport = await broker().startedAt(broker().node.url, { confirmTimeoutMs: 500 });
      await available(transport);
      const { type } = await broker().declared(transport);
      const statuses: string[] = [];
      await broker().node.setMemoryAlarm(true);
      try {
        transport.onStatus(({ reason }) => statuses.push(reason ?? 'fine'));
        expect(await publish(transport, { routingKey: type })).toEqual({
          status: 'unavailable',
          reason: 'blocked by the broker: low on memory',
        });
      } finally {
        await broker().node.setMemoryAlarm(false);
      }
      await available(transport);
      expect(statuses).toEqual(['blocked by the broker: low on memory', 'fine']);
      expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' });
    }, 60_000);
  });
}
