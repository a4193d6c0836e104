import type {
  Delivery,
  MessageTarget,
  OutgoingMessage,
  PublishOutcome,
  Transport,
} from '../../libs/reliable-mq/src/broker/transport';
import { eventually } from '../support/eventually';

export function message(target: MessageTarget, overrides: Partial<OutgoingMessage> = {}): OutgoingMessage {
  return { target, messageId: 'id', type: 'some.type', body: Buffer.from('{}'), headers: {}, ...overrides };
}

export function publish(
  transport: Transport,
  target: MessageTarget,
  overrides: Partial<OutgoingMessage> = {},
): Promise<PublishOutcome> {
  return new Promise((resolve) => transport.publish(message(target, overrides), resolve));
}

/** Messages with the ids 0, 1, 2, …, all of them routed. */
export async function publishMany(transport: Transport, type: string, count: number): Promise<void> {
  const outcomes = await Promise.all(
    Array.from({ length: count }, (_, index) => publish(transport, { routingKey: type }, { messageId: String(index) })),
  );
  for (const outcome of outcomes) expect(outcome).toEqual({ status: 'routed' });
}

/** When it resolves, the broker has done what it was asked before, and anything that it would deliver by itself has had its chance. */
export async function roundTrip(transport: Transport): Promise<void> {
  for (let time = 0; time < 3; time += 1) await publish(transport, { queue: 'no such queue' });
  await transport.refreshTopology();
}

export async function available(transport: Transport): Promise<void> {
  await eventually(() => expect(transport.status()).toMatchObject({ available: true }));
}

export async function unavailable(transport: Transport): Promise<void> {
  await eventually(() => expect(transport.status()).toMatchObject({ available: false }));
}

export interface Collector {
  readonly all: Delivery[];
  readonly take: (delivery: Delivery) => void;
  /** Waits until so many have come in all, and returns the first so many. */
  next(count: number): Promise<Delivery[]>;
}

export function collector(options: { readonly settle?: boolean } = {}): Collector {
  const all: Delivery[] = [];
  return {
    all,
    take: (delivery) => {
      all.push(delivery);
      if (options.settle ?? true) delivery.ack();
    },
    next: async (count) => {
      await eventually(() => expect(all.length).toBeGreaterThanOrEqual(count));
      return all.slice(0, count);
    },
  };
}
