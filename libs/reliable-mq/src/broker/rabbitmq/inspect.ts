import { type ChannelModel, connect } from 'amqplib';
import type { QueueState } from '../transport';
import { replyCode } from './self-healing-channel';

const CONNECT_WITHIN_MS = 10_000;
const NOT_FOUND = 404;

/** What can be seen of a broker without its management API, by somebody who declares nothing. */
export interface InspectedBroker {
  readonly version: string;
  readonly queues: ReadonlyMap<string, QueueState>;
}

/** @throws the reason when there is no connection */
export async function inspectBroker(uri: string, queues: readonly string[]): Promise<InspectedBroker> {
  const model = await connect(uri, { timeout: CONNECT_WITHIN_MS });
  model.on('error', () => undefined);
  try {
    const { version } = model.connection.serverProperties;
    const states = new Map<string, QueueState>();
    for (const queue of queues) states.set(queue, await stateOf(model, queue));
    return { version, queues: states };
  } finally {
    await model.close().catch(() => undefined);
  }
}

/** On a channel of its own: asked about a queue that does not exist, the broker closes it. */
async function stateOf(model: ChannelModel, queue: string): Promise<QueueState> {
  const channel = await model.createChannel();
  channel.on('error', () => undefined);
  try {
    const { messageCount, consumerCount } = await channel.checkQueue(queue);
    await channel.close();
    return { messages: messageCount, consumers: consumerCount };
  } catch (error) {
    return replyCode(error) === NOT_FOUND ? 'no-queue' : undefined;
  }
}

/** What the management API says of a queue beside that. */
export interface ManagedQueue {
  readonly type: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** Name of the policy that applies. */
  readonly policy?: string;
  /** What that policy and an operator's define. An empty list where there is nothing. */
  readonly effective_policy_definition?: Readonly<Record<string, unknown>> | readonly never[];
}

const ANSWER_WITHIN_MS = 10_000;

/**
 * @param url of the management API, with user and password: http://user:password@host:15672
 * @param uri of the broker, which names the virtual host
 * @throws Error when it does not answer, or refuses
 */
export async function inspectManagedQueue(url: string, uri: string, queue: string): Promise<ManagedQueue> {
  const { origin, pathname, username, password } = new URL(url);
  const vhost = decodeURIComponent(new URL(uri).pathname.slice(1)) || '/';
  const path = `${pathname.replace(/\/$/, '')}/api/queues/${encodeURIComponent(vhost)}/${encodeURIComponent(queue)}`;
  const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const response = await fetch(`${origin}${path}`, {
    headers: { authorization: `Basic ${Buffer.from(user).toString('base64')}`, connection: 'close' },
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  });
  if (!response.ok) throw new Error(`the management API answers ${response.status} for queue "${queue}"`);
  return (await response.json()) as ManagedQueue;
}
