import { EACH_TIME, skuThatFails } from '../apps/orders-to-fail';
import { pause } from '../clock';
import type { ChaosOptions } from '../options';
import { QUEUES } from '../audit/audit';
import { type FaultKind, FaultMissed, type World } from './fault';
import type { RabbitmqNode } from '../../tools/servers/rabbitmq';

const EXCHANGE = 'reliable-mq';
/** The library declares its topology again every 15 s: a new instance of it must not find the damage undone by a neighbour. */
const TOPOLOGY_SECONDS = 16;

const PUT_RIGHT_ATTEMPTS = 20;

const clusterOnly = ({ cluster }: ChaosOptions): string | undefined => (cluster ? undefined : 'needs --cluster');
const singleOnly = ({ cluster }: ChaosOptions): string | undefined =>
  cluster ? 'the cluster loses single nodes instead' : undefined;

const EVENT_QUEUES: Readonly<Record<string, string>> = {
  'inventory.order.created': 'order.created',
  'inventory.order.cancelled': 'order.cancelled',
  'order.inventory.deducted': 'inventory.deducted',
  'order.inventory.deduction-failed': 'inventory.deduction-failed',
};

export const RABBITMQ_FAULTS: readonly FaultKind[] = [
  {
    name: 'RabbitMQ killed and started again',
    family: 'rabbitmq',
    lane: 'broker',
    seconds: 14,
    impossible: singleOnly,
    inject: async ({ landscape }, random) => {
      const ms = random.integer(0, 3_000);
      await killNode(landscape.node(), ms);
      return `down for ${ms} ms more than a start takes`;
    },
  },
  {
    name: 'RabbitMQ stopped for long under load',
    family: 'rabbitmq',
    lane: 'broker',
    seconds: 42,
    inject: async ({ landscape, options }) => {
      await Promise.all(landscape.nodes.map((node) => node.stop()));
      await pause(options.outageSeconds * 1_000);
      await Promise.all(landscape.nodes.map((node) => node.start()));
      return `${options.outageSeconds} s`;
    },
  },
  {
    name: 'memory alarm: publishers are blocked',
    family: 'rabbitmq',
    lane: 'broker',
    seconds: 9,
    inject: async ({ landscape }, random) => {
      const ms = random.integer(4_000, 8_000);
      await landscape.node().setMemoryAlarm(true);
      await pause(ms);
      await landscape.node().setMemoryAlarm(false);
      return `${ms} ms`;
    },
  },
  {
    name: 'the right to publish one event type is taken away: the broker closes the channel',
    family: 'rabbitmq',
    lane: 'broker',
    seconds: 9,
    inject: async ({ landscape, load }, random) => {
      const ms = random.integer(4_000, 8_000);
      const type = random.pick(['order.cancelled', 'inventory.deduction-failed']);
      const node = landscape.node();
      await node.ctl('set_topic_permissions', 'guest', EXCHANGE, `^(?!${type.replaceAll('.', '\\.')}$)`, '.*');
      try {
        // Orders that record it, beside all the others.
        await load.place(skuThatFails({ what: 'reject', attempts: EACH_TIME, eventType: 'order.created' }));
        await pause(ms);
      } finally {
        await putRight(() => node.ctl('clear_topic_permissions', 'guest', EXCHANGE));
      }
      return `${type} for ${ms} ms`;
    },
  },
  {
    name: 'a queue is full for a while: the broker nacks what is published to it',
    family: 'rabbitmq',
    lane: 'broker',
    seconds: 9,
    inject: async ({ landscape }, random) => {
      const ms = random.integer(4_000, 8_000);
      const queue = random.pick(QUEUES.consumed);
      const node = landscape.node();
      const pattern = `^${queue.replaceAll('.', '\\.')}$`;
      await node.ctl('set_policy', 'chaos-bound', pattern, '{"max-length": 1}', '--apply-to', 'queues');
      try {
        await pause(ms);
      } finally {
        await putRight(() => node.ctl('clear_policy', 'chaos-bound'));
      }
      return `${queue} for ${ms} ms`;
    },
  },
  {
    name: 'queue deleted',
    family: 'rabbitmq',
    lane: 'broker',
    seconds: 2,
    inject: async ({ landscape }, random) => {
      const queue = random.pick(QUEUES.consumed);
      await landscape.node().deleteQueue(queue);
      return queue;
    },
  },
  {
    name: 'queue purged while messages wait in it',
    family: 'rabbitmq',
    lane: 'broker',
    seconds: 3,
    inject: async ({ landscape }, random) => {
      const queue = random.pick(QUEUES.consumed);
      const consumers = landscape.of(queue.startsWith('order.') ? 'order' : 'inventory');
      for (const consumer of consumers) consumer.signal('SIGSTOP');
      await pause(1_000);
      const waiting = await landscape
        .node()
        .countReady(queue)
        .finally(() => {
          for (const consumer of consumers) consumer.signal('SIGCONT');
        });
      await landscape.node().purgeQueue(queue);
      return `${queue}, about ${waiting} messages`;
    },
  },
  {
    name: 'exchange deleted',
    family: 'rabbitmq',
    lane: 'broker',
    seconds: TOPOLOGY_SECONDS,
    inject: async ({ landscape }) => {
      await landscape.node().deleteExchange(EXCHANGE);
      await pause(TOPOLOGY_SECONDS * 1_000);
      return EXCHANGE;
    },
  },
  {
    name: 'binding removed',
    family: 'rabbitmq',
    lane: 'broker',
    seconds: TOPOLOGY_SECONDS,
    inject: async ({ landscape }, random) => {
      const [queue, key] = random.pick(Object.entries(EVENT_QUEUES));
      await landscape.node().unbind(queue, EXCHANGE, key);
      await pause(TOPOLOGY_SECONDS * 1_000);
      return queue;
    },
  },
  {
    name: 'connections closed by the operator',
    family: 'rabbitmq',
    lane: 'broker',
    seconds: 3,
    inject: async ({ landscape }) => {
      await landscape.node().closeAllConnections('maintenance');
      return 'all of a node';
    },
  },
  {
    name: 'a node of the cluster killed',
    family: 'rabbitmq',
    lane: 'broker',
    seconds: 16,
    impossible: clusterOnly,
    inject: async ({ landscape }, random) => killNode(random.pick(landscape.nodes), random.integer(0, 5_000)),
  },
  {
    name: 'the node of the receipts’ queue away for long',
    family: 'rabbitmq',
    lane: 'broker',
    seconds: 46,
    impossible: clusterOnly,
    inject: async (world, random) => {
      const { options } = world;
      const queue = random.pick(QUEUES.receipts);
      return `${queue}: ${await killNode(await leaderOf(world, queue), options.outageSeconds * 1_000)}`;
    },
  },
  {
    name: 'the node of a queue’s leader killed',
    family: 'rabbitmq',
    lane: 'broker',
    seconds: 16,
    impossible: clusterOnly,
    inject: async (world, random) => {
      const queue = random.pick(Object.keys(EVENT_QUEUES));
      const leader = await leaderOf(world, queue);
      return `${queue}: ${await killNode(leader, random.integer(0, 5_000))}`;
    },
  },
];

/** What a fault has changed must not stay because the machine was busy: the events that it keeps back would have no end. */
async function putRight(command: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await command();
      return;
    } catch (error) {
      if (attempt >= PUT_RIGHT_ATTEMPTS) throw error;
      await pause(1_000);
    }
  }
}

async function killNode(node: RabbitmqNode, downMs: number): Promise<string> {
  await node.syncQueueRegistry();
  await node.kill();
  await pause(downMs);
  await node.start();
  return `${node.nodeName}, down for ${downMs} ms more than a start takes`;
}

async function leaderOf({ landscape }: World, queue: string): Promise<RabbitmqNode> {
  const output = await landscape.node().ctl('--quiet', 'list_queues', '--no-table-headers', 'name', 'leader');
  const leader = output
    .split('\n')
    .map((line) => line.split('\t'))
    .find(([name]) => name === queue)?.[1];
  const node = landscape.nodes.find(({ nodeName }) => nodeName === leader?.trim());
  if (!node) throw new FaultMissed(`no node leads ${queue}`);
  return node;
}
