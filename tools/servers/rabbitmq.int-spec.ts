import { connect, type ChannelModel } from 'amqplib';
import { eventually } from '../../test/support/eventually';
import { usePrivateServers } from '../../test/support/private-servers';
import { rabbitmqUrl } from '../../test/support/rabbitmq';
import { isAlive } from './process-table';
import { findRabbitmq } from './rabbitmq';

const QUEUE = 'kept';
const servers = usePrivateServers();

/** A connection that lives as long as the broker lets it. */
async function open(url: string): Promise<ChannelModel> {
  const connection = await connect(url);
  connection.on('error', () => undefined);
  return connection;
}

describe('startRabbitmq', () => {
  it('keeps confirmed messages of a quorum queue when it is killed, on the same port', async () => {
    const node = await servers.rabbitmq();
    const connection = await open(node.url);
    const ended = new Promise((resolve) => connection.once('close', resolve));
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => undefined);
    await channel.assertQueue(QUEUE, { arguments: { 'x-queue-type': 'quorum' } });
    channel.sendToQueue(QUEUE, Buffer.from('x'), { persistent: true });
    await channel.waitForConfirms();
    await node.syncQueueRegistry();
    const { pid = 0, url } = node;
    await node.kill();
    await node.kill();
    await ended;
    expect(isAlive(pid)).toBe(false);
    expect(node.pid).toBeUndefined();
    await node.start();
    expect(node.url).toBe(url);
    await eventually(async () => (await node.countReady(QUEUE)) === 1);
  });

  it('raises the memory alarm for publishers, and ends it', async () => {
    const node = await servers.rabbitmq();
    const connection = await open(node.url);
    const seen: string[] = [];
    connection.on('blocked', () => seen.push('blocked'));
    connection.on('unblocked', () => seen.push('unblocked'));
    const channel = await connection.createChannel();
    await node.setMemoryAlarm(true);
    channel.publish('', QUEUE, Buffer.from('x'));
    await eventually(() => seen.includes('blocked'));
    await node.setMemoryAlarm(false);
    await eventually(() => seen.includes('unblocked'));
    await connection.close();
  });

  it('lists, purges, unbinds and deletes', async () => {
    const node = await servers.rabbitmq();
    const connection = await open(node.url);
    const channel = await connection.createChannel();
    await channel.assertExchange('facts', 'topic');
    await channel.assertQueue('listed');
    await channel.bindQueue('listed', 'facts', '#');
    expect((await node.listQueues()).find(({ name }) => name === 'listed')).toEqual({
      name: 'listed',
      messages: 0,
      consumers: 0,
      type: expect.stringContaining('classic') as string,
    });
    await node.unbind('listed', 'facts', '#');
    channel.publish('facts', 'any', Buffer.from('not routed'));
    channel.sendToQueue('listed', Buffer.from('x'));
    await eventually(async () => (await node.countReady('listed')) === 1);
    await node.purgeQueue('listed');
    expect(await node.countReady('listed')).toBe(0);
    for (let twice = 0; twice < 2; twice += 1) {
      await node.deleteQueue('listed');
      await node.deleteExchange('facts');
    }
    await connection.close();
  });

  it('closes all connections with the reason', async () => {
    const node = await servers.rabbitmq();
    const connection = await connect(node.url);
    // amqplib takes an operator's close for no error.
    const failure = new Promise<Error>((resolve) => connection.once('close', resolve));
    await node.closeAllConnections('for the test');
    expect((await failure).message).toContain('for the test');
  });
});

describe('findRabbitmq', () => {
  it('takes the broker that the environment names', async () => {
    expect(await findRabbitmq({ AMQP_URL: rabbitmqUrl() })).toBe(rabbitmqUrl());
  });

  it('does not replace a named one that does not answer, and does not print its password', async () => {
    const failure = await findRabbitmq({ AMQP_URL: 'amqp://me:secret@127.0.0.1:1' }).catch(String);
    expect(failure).toMatch(/^Error: AMQP_URL=amqp:\/\/me:\*\*\*@127.0.0.1:1 cannot be used: .*unset it/);
  });
});
