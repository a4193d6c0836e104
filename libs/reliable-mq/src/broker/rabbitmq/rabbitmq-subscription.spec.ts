import { EventEmitter } from 'node:events';
import { deferred } from '../../../../../test/support/deferred';
import { RabbitMqSubscription } from './rabbitmq-subscription';

describe('RabbitMqSubscription', () => {
  /** A broker that agrees to a consumer when the test says so. */
  function consuming() {
    const agreement = deferred();
    const channel = Object.assign(new EventEmitter(), {
      prefetch: () => Promise.resolve(),
      consume: () => agreement.promise,
      cancel: jest.fn(() => Promise.resolve()),
      close: () => Promise.resolve(),
    });
    const connection = {
      model: { createChannel: async () => channel },
      problem: undefined,
      listen: () => () => undefined,
    };
    const topology = { add: () => undefined, remove: () => undefined, declare: async () => true };
    const options = {
      service: 'shop',
      spec: { name: 'shop.order.created' },
      prefetch: 1,
      onDelivery: () => undefined,
      onChange: () => undefined,
    };
    const log = { log: () => undefined, warn: () => undefined, error: () => undefined };
    const subscription = new RabbitMqSubscription(
      connection as never,
      topology as never,
      options as never,
      log as never,
    );
    return { subscription, channel, agreement };
  }

  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('says that it consumes when the broker has agreed, not when it was asked', async () => {
    const { subscription, agreement } = consuming();
    await turn();
    expect(subscription.status()).toEqual({
      consuming: false,
      reason: 'queue "shop.order.created" is about to be consumed',
    });
    agreement.resolve();
    await turn();
    expect(subscription.status()).toEqual({ consuming: true });
  });

  it('that is closed before the broker has agreed does not consume, and cancels when it has', async () => {
    const { subscription, channel, agreement } = consuming();
    await turn();
    await subscription.close();
    const closed = { consuming: false, reason: 'queue "shop.order.created" is no longer consumed' };
    expect(subscription.status()).toEqual(closed);
    agreement.resolve();
    await turn();
    expect(subscription.status()).toEqual(closed);
    expect(channel.cancel).toHaveBeenCalledTimes(1);
  });
});
