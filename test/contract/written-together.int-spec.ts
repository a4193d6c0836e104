import { type ConfirmChannel, type ChannelModel, connect } from 'amqplib';
import { writeTogether } from '../../libs/reliable-mq/src/broker/rabbitmq/write-together';
import { rabbitmqUrl } from '../support/rabbitmq';

/** The part of amqplib that it reaches for: told here when a version has it elsewhere. */
interface Socket {
  _write(...args: unknown[]): void;
  _writev(...args: unknown[]): void;
}

describe('what one turn of the event loop writes to the broker', () => {
  let model: ChannelModel;
  let channel: ConfirmChannel;
  beforeEach(async () => {
    model = await connect(rabbitmqUrl());
    channel = await model.createConfirmChannel();
  });
  afterEach(() => model.close());

  it('leaves with one system call, and what is written in a later turn does not wait', async () => {
    const { stream } = (model as unknown as { connection: { stream: Socket } }).connection;
    const [single, several] = [jest.spyOn(stream, '_write'), jest.spyOn(stream, '_writev')];
    const publishSome = async (count: number): Promise<void> => {
      for (let number = 0; number < count; number += 1) {
        channel.publish('', 'nobody', Buffer.from('{}'));
        writeTogether(channel);
      }
      await channel.waitForConfirms();
    };
    await publishSome(50);
    expect([single, several].map(({ mock }) => mock.calls.length)).toEqual([0, 1]);
    await publishSome(1);
    expect(single.mock.calls.length + several.mock.calls.length).toBe(2);
  });
});
