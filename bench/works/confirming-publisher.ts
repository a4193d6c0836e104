import { connect } from 'amqplib';
import { EVENT_TYPE, type OrderPayload } from './order-payload';

/** Persistent, mandatory messages, each with a promise of its own for the confirm: what a handler of a job can wait for. */
export interface ConfirmingPublisher {
  publish(id: string, payload: OrderPayload): Promise<void>;
}

export async function openPublisher(amqpUrl: string, exchange: string): Promise<ConfirmingPublisher> {
  const connection = await connect(amqpUrl);
  const channel = await connection.createConfirmChannel();
  channel.on('return', () => process.stderr.write('a message was returned\n'));
  return {
    publish: (id, payload) =>
      new Promise((resolve, reject) => {
        channel.publish(
          exchange,
          EVENT_TYPE,
          Buffer.from(JSON.stringify(payload)),
          { persistent: true, mandatory: true, contentType: 'application/json', messageId: id, type: EVENT_TYPE },
          (error: unknown) => {
            if (error) reject(new Error('the broker refused a message', { cause: error }));
            else resolve();
          },
        );
      }),
  };
}
