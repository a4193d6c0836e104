import type { Log } from '../../log/log';
import type { ChannelModel } from 'amqplib';
import type { BrokerConnection } from './broker-connection';
import { Topology } from './topology';

const SILENT: Log = { debug: () => undefined, log: () => undefined, warn: () => undefined, error: () => undefined };

describe('Topology', () => {
  it('ends a refresh whose connection opens no channels any more and has not said that it ended', async () => {
    let asked = 0;
    const model = {
      createChannel: () => {
        asked += 1;
        // In the present turn of the event loop, as amqplib does on a closed connection. The end saves a broken loop from itself.
        if (asked > 100) throw new Error('asked again and again');
        return Promise.reject(new Error('Connection closed'));
      },
    } as unknown as ChannelModel;
    const connection = {
      get model() {
        return asked > 100 ? undefined : model;
      },
      problem: 'closed',
    } as unknown as BrokerConnection;
    const topology = new Topology(
      connection,
      { exchange: 'exchange', topology: 'declare', queueType: 'quorum', singleActiveConsumer: false },
      SILENT,
    );
    topology.add({ name: 'queue', kind: 'receipts', bindings: [] });
    await topology.refresh();
    expect(asked).toBe(1);
  });
});
