import type { PublishOutcome, Transport } from '../../../libs/reliable-mq/src/broker/transport';
import { eventually } from '../../support/eventually';
import { available, publish } from '../transport-requests';
import { MAX_MESSAGE_BYTES, type PrivateBroker } from './private-broker';

/** One message of many that the broker refuses. */
export function refusalsSuite(broker: () => PrivateBroker): void {
  beforeAll(() => broker().node.ctl('set_permissions', 'limited', '.*', '.*', '.*'));

  async function started(uri = broker().node.url): Promise<Transport> {
    const transport = await broker().startedAt(uri);
    await available(transport);
    return transport;
  }

  async function queueFor(...types: string[]): Promise<string> {
    const queue = broker().harness.queueName(`refused.${types.join('.')}`);
    await broker().harness.ask(async (channel) => {
      await channel.assertExchange(broker().harness.exchange, 'topic', { durable: true });
      await channel.assertQueue(queue, { durable: true });
      for (const type of types) await channel.bindQueue(queue, broker().harness.exchange, type);
    });
    return queue;
  }

  /** Publishes one of each type at a time, without end, and counts how they end. */
  function mixed(transport: Transport, types: readonly string[], bodies: Readonly<Record<string, Buffer>> = {}) {
    const outcomes = new Map<string, PublishOutcome[]>(types.map((type) => [type, []]));
    let stopped = false;
    let messageId = 0;
    const run = async (): Promise<void> => {
      while (!stopped) {
        await Promise.all(
          types.map(async (type) => {
            const body = bodies[type] ?? Buffer.from('{}');
            messageId += 1;
            outcomes
              .get(type)
              ?.push(await publish(transport, { routingKey: type }, { messageId: String(messageId), body }));
          }),
        );
      }
    };
    const running = run();
    const of = (type: string): PublishOutcome[] => outcomes.get(type) ?? [];
    const count = (type: string, status: string): number => of(type).filter((each) => each.status === status).length;
    return {
      count,
      statuses: (type: string) => new Set(of(type).map(({ status }) => status)),
      reasons: (type: string) => new Set(of(type).map((each) => ('reason' in each ? each.reason : ''))),
      last: (type: string) => of(type).at(-1)?.status,
      stop: async () => {
        stopped = true;
        await running;
      },
    };
  }

  it('for its type (a topic permission), only that type is refused, and the others go on over one channel', async () => {
    await queueFor('ok.step', 'secret.step');
    await broker().node.ctl('set_topic_permissions', 'limited', broker().harness.exchange, '^ok\\.', '.*');
    const transport = await started(broker().asLimited());

    const load = mixed(transport, ['ok.step', 'secret.step']);
    await eventually(() => expect(load.count('secret.step', 'refused')).toBeGreaterThan(20));
    const closed = load.count('ok.step', 'unavailable');
    await eventually(() => expect(load.count('ok.step', 'routed')).toBeGreaterThan(200));

    expect(load.statuses('ok.step').has('refused')).toBe(false);
    expect(load.reasons('secret.step')).toContainEqual(expect.stringContaining("access to topic 'secret.step'"));
    // The channel that all share was closed once. While it is opened again, whatever is published is unavailable.
    expect(load.count('ok.step', 'unavailable')).toBe(closed);
    expect(transport.status()).toEqual({
      available: true,
      reason: expect.stringContaining('the broker refuses some messages'),
    });

    await broker().node.ctl('set_topic_permissions', 'limited', broker().harness.exchange, '.*', '.*');
    await eventually(() => expect(load.last('secret.step')).toBe('routed'));
    await load.stop();
    expect(transport.status()).toEqual({ available: true });
  });

  it('for its size, only what is too large is refused', async () => {
    await queueFor('small', 'large');
    const transport = await started();

    const load = mixed(transport, ['small', 'large'], { large: Buffer.alloc(MAX_MESSAGE_BYTES + 1) });
    await eventually(() => expect(load.count('large', 'refused')).toBeGreaterThan(5));
    await eventually(() => expect(load.count('small', 'routed')).toBeGreaterThan(100));
    await load.stop();

    expect(load.statuses('small').has('refused')).toBe(false);
    expect(load.statuses('large').has('routed')).toBe(false);
    expect(load.reasons('large')).toContainEqual(expect.stringContaining('message size'));
  });

  it('for an exchange that the user may not write to, nobody is refused: publishing there is unavailable', async () => {
    const queue = await queueFor('allowed');
    await broker().node.ctl('set_permissions', 'limited', '.*', `^${broker().harness.exchange}$`, '.*');
    const transport = await started(broker().asLimited());

    const straight = await publish(transport, { queue });
    await available(transport);
    const outcomes = await Promise.all([publish(transport, { queue }), publish(transport, { routingKey: 'allowed' })]);

    expect(straight).toEqual({
      status: 'unavailable',
      reason: expect.stringContaining("access to exchange 'amq.default'"),
    });
    expect(outcomes).toEqual([{ status: 'unavailable', reason: expect.any(String) }, { status: 'routed' }]);

    await broker().node.ctl('set_permissions', 'limited', '.*', '.*', '.*');
    await eventually(async () => expect(await publish(transport, { queue })).toEqual({ status: 'routed' }));
    expect(transport.status()).toEqual({ available: true });
  });

  it('for a bound on a queue that has been lifted since, it is asked again over another channel', async () => {
    const queue = broker().harness.queueName('bounded');
    await broker().harness.ask((channel) =>
      channel.assertQueue(queue, {
        arguments: { 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish' },
      }),
    );
    await broker().node.ctl('set_policy', 'bound', `^${queue}$`, '{"max-length": 5}', '--apply-to', 'queues');
    const transport = await started();
    await queueFor('beside');
    await eventually(async () => expect((await publish(transport, { queue })).status).toBe('refused'));
    await broker().node.ctl('clear_policy', 'bound');

    await eventually(async () => expect(await publish(transport, { queue })).toEqual({ status: 'routed' }), {
      intervalMs: 500,
    });
    expect(await publish(transport, { routingKey: 'beside' })).toEqual({ status: 'routed' });
    expect(transport.status()).toEqual({ available: true });
  });
}
