import { connect } from 'amqplib';
import { eventually } from '../../test/support/eventually';
import { usePrivateServers } from '../../test/support/private-servers';
import type { RabbitmqNode } from './rabbitmq';

const servers = usePrivateServers();

async function publishConfirmed(node: RabbitmqNode): Promise<void> {
  const connection = await connect(node.url);
  connection.on('error', () => undefined);
  try {
    const channel = await connection.createConfirmChannel();
    channel.sendToQueue('replicated', Buffer.from('x'), { persistent: true });
    await channel.waitForConfirms();
  } finally {
    await connection.close();
  }
}

it('a cluster of three goes on without one of its nodes', async () => {
  const { nodes } = await servers.cluster();
  const [first, , third] = nodes as [RabbitmqNode, RabbitmqNode, RabbitmqNode];
  const connection = await connect(third.url);
  connection.on('error', () => undefined);
  await (await connection.createChannel()).assertQueue('replicated', { arguments: { 'x-queue-type': 'quorum' } });
  await connection.close();
  const [members = ''] = (await first.ctl('--quiet', 'list_queues', '--no-table-headers', 'members')).split('\n');
  expect(members.match(/rabbit\d@127\.0\.0\.1/g)?.sort()).toEqual(nodes.map((node) => node.nodeName));
  // The queue's leader is where it was declared: another one must be elected.
  await third.kill();
  await eventually(() => publishConfirmed(first));
});
